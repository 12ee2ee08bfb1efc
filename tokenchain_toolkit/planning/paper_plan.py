"""What the paper's experiments cost on GPUs: counted operations times data and epochs, over a speed.

Hours of the corpora: LibriSpeech as published (Panayotov et al. 2015; 28,539 and 281,241 training utterances), TED-LIUM
2 as published (Rousseau et al. 2014) with the 92,973 training segments of its Kaldi recipe.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.planning.amount import typical_seconds
from tokenchain_toolkit.planning.estimates import epoch_of, frames_at_once, warmup_fault
from tokenchain_toolkit.planning.probe import TRAINED_BYTES, StepMeasure, StepProbe, measure_step
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.trainees import Trainee, asr_trainee, chain_trainee, s2a_trainee, t2s_trainee

MODELS = ("asr", "t2s", "chain", "s2a")
NUM_GPUS = (1, 4, 8)
ASSUMED_TFLOPS = 60.0  # about a fifth of the bf16 peak of an A100


@dataclass(frozen=True)
class Corpus:
    """A training corpus of the paper: its hours and utterances, and the text units that it is read in.

    ``frames_per_unit`` follows from about 2.9 words a second and 1.3 units a word with 5000 units, 1.9 with 500
    (assumed), at 50 frames a second.
    """

    name: str
    hours: float
    num_utts: int
    vocab_size: int
    frames_per_unit: float


CORPORA = (
    Corpus("LibriSpeech-100", 100.6, 28_539, 5000, 13.0),
    Corpus("LibriSpeech-960", 960.9, 281_241, 5000, 13.0),
    Corpus("TED-LIUM 2", 207.0, 92_973, 500, 9.0),
)


@dataclass(frozen=True)
class PaperSettings:
    """The four configurations."""

    asr: ASRConfig
    t2s: T2SConfig
    chain: ChainConfig
    s2a: S2AConfig

    def of(self, model: str) -> CommonConfig:
        """That of a model."""
        config: CommonConfig = getattr(self, model)
        return config


@dataclass(frozen=True)
class Speed:
    """How fast GPUs are.

    Attributes:
        tflops: Operations that one GPU does of these models, in units of 10**12 a second; not its peak.
        scaling: Share of that speed that each of several GPUs keeps.
        is_measured: Whether ``tflops`` was measured here.
    """

    tflops: float
    scaling: float
    is_measured: bool


@dataclass(frozen=True)
class Placement:
    """One run on a number of GPUs.

    Attributes:
        num_gpus: How many.
        hours_per_epoch: Time of an epoch.
        hours: Time of the whole run.
        memory_bytes: Of each GPU, if it takes its share of a batch in one pass; more than it needs where attention is
            fused and activations are in half precision.
        device_frames: Setting with which it fits into the GPUs that are reckoned with; 0 where it does anyway, None
            where not even short batches do.
    """

    num_gpus: int
    hours_per_epoch: float
    hours: float
    memory_bytes: int
    device_frames: int | None


@dataclass(frozen=True)
class Plan:
    """One experiment on one corpus.

    Attributes:
        model: ``asr``, ``t2s``, ``chain`` or ``s2a``.
        corpus: Its training corpus.
        epochs: As configured.
        updates: Of an epoch.
        flops: Operations of the whole run.
        placements: By number of GPUs.
        fault: What is wrong with the settings, given the data, and what to do; empty where nothing is.
    """

    model: str
    corpus: str
    epochs: int
    updates: int
    flops: float
    placements: list[Placement]
    fault: str = ""


def load_paper_settings(conf: Path) -> PaperSettings:
    """The four configurations of ``egs2/TEMPLATE/tokenchain1/conf/paper``, or of a folder like it.

    Raises:
        ConfigError: One is missing or does not load.
    """
    return PaperSettings(
        asr=load_config(ASRConfig, conf / "asr.yaml"),
        t2s=load_config(T2SConfig, conf / "t2s.yaml"),
        chain=load_config(ChainConfig, conf / "chain.yaml"),
        s2a=load_config(S2AConfig, conf / "s2a.yaml"),
    )


def measure_models(settings: PaperSettings, models: Sequence[str], *, seconds: float) -> Iterator[StepMeasure]:
    """Steps of each model on utterances like LibriSpeech's, their operations counted.

    Args:
        settings: Of all models.
        models: Those to measure.
        seconds: Time for each; on a CPU a step of a large model may take longer.
    """
    corpus = CORPORA[0]
    for model in models:
        sizes = _sizes(corpus)
        probe = StepProbe(
            _trainee(model, settings, sizes),
            _frames(corpus, sizes.frame_rate),
            sizes,
            input_layer=settings.asr.model.input_layer,
        )
        yield measure_step(probe, seconds=seconds, count_flops=True)


def gpu_speed(measure: StepMeasure, tflops: float | None, scaling: float) -> Speed:
    """The speed that a model is reckoned with: as told, else as measured on a GPU, else as assumed.

    Args:
        measure: Of the model.
        tflops: What the user says, if anything.
        scaling: Share that each of several GPUs keeps.
    """
    if tflops is not None:
        return Speed(tflops, scaling, is_measured=False)
    if measure.on_gpu:
        assert measure.flops is not None
        return Speed(measure.flops / measure.seconds_per_frame / 1e12, scaling, is_measured=True)
    return Speed(ASSUMED_TFLOPS, scaling, is_measured=False)


def plan_paper(
    settings: PaperSettings,
    measures: Sequence[StepMeasure],
    speeds: Sequence[Speed],
    *,
    gpu_bytes: float,
    num_gpus: Sequence[int] = NUM_GPUS,
) -> list[Plan]:
    """Every model on every corpus.

    Args:
        settings: Of all models.
        measures: Of those to plan, with their operations.
        speeds: For each of them, that of the GPUs.
        gpu_bytes: Memory of a GPU.
        num_gpus: Numbers of GPUs to reckon with.
    """
    plans = []
    for corpus in CORPORA:
        for measure, speed in zip(measures, speeds, strict=True):
            plans.append(_plan(corpus, settings, measure, speed, gpu_bytes=gpu_bytes, num_gpus=num_gpus))
    return plans


def _plan(
    corpus: Corpus,
    settings: PaperSettings,
    measure: StepMeasure,
    speed: Speed,
    *,
    gpu_bytes: float,
    num_gpus: Sequence[int],
) -> Plan:
    assert measure.flops is not None
    config = settings.of(measure.name)
    epoch, epochs = epoch_of(_frames(corpus, _sizes(corpus).frame_rate), config), config.training.max_epochs
    placements = []
    for count in num_gpus:
        rate = speed.tflops * 1e12 * count * (speed.scaling if count > 1 else 1.0)
        hours = epoch.frames * measure.flops / rate / 3600
        at_once = frames_at_once(config, num_devices=count)
        placements.append(
            Placement(
                num_gpus=count,
                hours_per_epoch=hours,
                hours=hours * epochs,
                memory_bytes=measure.memory(at_once),
                device_frames=_fitting_frames(measure, at_once, gpu_bytes),
            )
        )
    return Plan(
        measure.name,
        corpus.name,
        epochs,
        updates=epoch.updates,
        flops=epoch.frames * measure.flops * epochs,
        placements=placements,
        fault=warmup_fault(config, epoch.updates * epochs),
    )


def _fitting_frames(measure: StepMeasure, at_once: int, gpu_bytes: float) -> int | None:
    """``training.device_frames`` for a GPU; 0 if it takes its whole share, None if nothing fits."""
    room = int((gpu_bytes - measure.num_parameters * TRAINED_BYTES) / measure.kept_bytes) // 1000 * 1000
    if room >= at_once:
        return 0
    return room if room > 0 else None


def _sizes(corpus: Corpus) -> TokenSizes:
    return TokenSizes(vocab_size=corpus.vocab_size, frames_per_unit=corpus.frames_per_unit)


def _frames(corpus: Corpus, frame_rate: float) -> np.ndarray:
    """Semantic frames of every utterance, distributed like LibriSpeech's around the corpus's mean."""
    mean = 3600 * corpus.hours / corpus.num_utts
    return (typical_seconds(corpus.hours, mean_seconds=mean) * frame_rate).astype(np.int64)


def _trainee(model: str, settings: PaperSettings, sizes: TokenSizes) -> Trainee:
    if model == "asr":
        return asr_trainee(settings.asr, sizes)
    if model == "t2s":
        return t2s_trainee(settings.t2s, sizes)
    if model == "chain":
        return chain_trainee("chain", settings.chain, settings.asr, settings.t2s, sizes)
    return s2a_trainee(settings.s2a, sizes)
