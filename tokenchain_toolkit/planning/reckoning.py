"""The doctor's probe, and what follows from it for each stage of a recipe."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.errors import ConfigError, DataError, TokenChainError
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.planning.amount import ASSUMED_SHARE, Amounts, sets_of_hours
from tokenchain_toolkit.planning.corpus_sizes import published_sets
from tokenchain_toolkit.planning.data_stage import data_stage
from tokenchain_toolkit.planning.decode_probe import measure_codes, measure_drawing, measure_search
from tokenchain_toolkit.planning.diagnosis import Diagnosis, DoctorOptions
from tokenchain_toolkit.planning.estimates import (
    describe_stages,
    evaluation_seconds,
    extraction_stage,
    learning_stage,
    training_stage,
)
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN
from tokenchain_toolkit.planning.generation_estimates import GenerationMeasures, generation_stages
from tokenchain_toolkit.planning.probe import StepProbe, measure_step
from tokenchain_toolkit.planning.recipe import Settings, expected_sizes
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.planning.sets import SetFacts
from tokenchain_toolkit.planning.text_fit import frames_per_unit_of
from tokenchain_toolkit.planning.tokenizer_probe import has_head, measure_extraction, measure_head, measure_vocoding
from tokenchain_toolkit.planning.trainees import Trainee, asr_trainee, chain_trainee, s2a_trainee, t2s_trainee
from tokenchain_toolkit.recipe.sets import TRAIN


def reckon(options: DoctorOptions, run: RecipeRun, settings: Settings, found: Diagnosis) -> None:
    """Measure, and say what each stage takes."""
    sets, source = _sets(options, run, found)
    if not sets:
        remedy = "give the hours of training speech by --hours, or run this again when the sets are there"
        found.add("estimates", WARN, "the amount of data is not known", remedy)
        return
    try:
        _Reckoner(options, run, settings, found, sets, source).reckon()
    except TokenChainError as error:
        found.add("estimates", FAIL, str(error))


def _sets(options: DoctorOptions, run: RecipeRun, found: Diagnosis) -> tuple[Sequence[SetFacts], str]:
    """The sets to reckon with, and in words what is assumed of them: those that are there, as told, or as published."""
    if found.sets:
        return found.sets, ""
    others = f", and {ASSUMED_SHARE:.0%} as much in each other set"
    if options.hours is not None:
        return sets_of_hours(options.hours, run.roles), others
    return published_sets(options.recipe.resolve().parent.name, run.roles), f" as published{others}"


class _Reckoner:
    """One recipe and the amounts of its data.

    Raises:
        DataError: Nothing is known of the lengths of the training set.
    """

    def __init__(
        self,
        options: DoctorOptions,
        run: RecipeRun,
        settings: Settings,
        found: Diagnosis,
        sets: Sequence[SetFacts],
        assumed: str,
    ):
        self.run, self.settings, self.found = run, settings, found
        names = [name for name, role in run.roles.items() if role == TRAIN]
        self.sizes = expected_sizes(settings, run.dump / names[0], frames_per_unit_of(found.ctc, names[0]))
        self.amounts = Amounts(run, sets, frame_rate=self.sizes.frame_rate)
        frames = self.amounts.of(*(str(run.data / name) for name in names))
        if not len(frames):
            raise DataError(
                f"no utterance of the training set, {', '.join(names)}, has a known duration, so nothing can be "
                "reckoned; mend first what is said of it above"
            )
        self.speech = f"{self._seconds(frames) / 3600:.3g} hours of training speech ({', '.join(names)}){assumed}"
        self.device = "cuda" if run.wants_gpu and torch.cuda.is_available() else "cpu"
        codec = settings.tokenizer.codec.enabled
        self.share = options.seconds / (len(run.trainings) + 3 + 2 * codec + has_head(settings.tokenizer))

    def reckon(self) -> None:
        """Measure one part after the other, and add what follows to the findings."""
        found = self.found
        own = [path for command in self.run.named("validate") for path in command.arguments]
        prepared = data_stage(self.run, seconds=self._seconds(self.amounts.of(*own)))
        found.stages += [] if prepared is None else [prepared]
        try:
            self._reckon_tokens()
        except TokenChainError as error:
            found.add("tokenizer", FAIL, str(error))
        for trainee in self._models():
            self._reckon_training(trainee)
            self._measure_decoding(trainee)
        decodings = {each.name: each for each in found.decodings}
        measures = GenerationMeasures(found.extraction, found.vocoding, decodings)
        found.stages += generation_stages(self.run.commands, self.amounts, measures)
        sizes = self.sizes
        frames = f"{sizes.frame_rate:g} frames are a second of speech"
        frames += f", {sizes.acoustic_rate:g} for S2A" if sizes.acoustic_rate != sizes.frame_rate else ""
        where = "on one device of this machine, extrapolated from the probe"
        small = "validate, make_units, train_bpe and report are left out"
        found.add("estimates", OK, f"for {self.speech}, {where}; {frames}; {small}")
        found.findings += describe_stages(found.stages)

    def _reckon_tokens(self) -> None:
        """Tokenizer and tokens.

        Raises:
            ConfigError: A pretrained model cannot be loaded.
        """
        found, config = self.found, self.settings.tokenizer
        found.extraction = measure_extraction(config, device=self.device, seconds=self.share)
        if has_head(config):
            found.head = measure_head(config, device=self.device, seconds=self.share)
        if config.codec.enabled:
            found.vocoding = measure_vocoding(config, device=self.device, seconds=self.share)
        for command in self.run.named("learn_tokenizer"):
            train_seconds = self._seconds(self.amounts.of(command.one("data")))
            stage = learning_stage(config, found.extraction, found.head, train_seconds=train_seconds, sizes=self.sizes)
            found.stages += [] if stage is None else [stage]
        extracted = [each for each in self.run.named("extract_tokens") if each.stage == "extract_tokens"]
        seconds = self._seconds(self.amounts.of(*(command.one("data") for command in extracted)))
        found.stages.append(extraction_stage(config, found.extraction, seconds=seconds, sizes=self.sizes))

    def _models(self) -> Iterator[Trainee]:
        """The models one after another, so that only one is in memory."""
        settings, sizes = self.settings, self.sizes
        yield asr_trainee(settings.asr, sizes)
        yield t2s_trainee(settings.t2s, sizes)
        for name, config in settings.chains.items():
            yield chain_trainee(name, config, settings.asr, settings.t2s, sizes)
        if settings.s2a is not None:
            yield s2a_trainee(settings.s2a, sizes)

    def _reckon_training(self, trainee: Trainee) -> None:
        """Training of a model, unless it is another recipe's."""
        command = next((each for each in self.run.trainings if Path(each.one("out") or "").name == trainee.name), None)
        if command is None:
            return
        train = self._frames_of(trainee, *command.options["train_dump"])
        valid = self._frames_of(trainee, *command.options.get("valid_dump", ()))
        probe = StepProbe(trainee, train, self.sizes, input_layer=self.settings.asr.model.input_layer)
        self.found.steps.append(measure_step(probe, seconds=self.share))
        speeds = {"asr": 0.0, "t2s": 0.0} | {each.name: each.seconds_per_frame for each in self.found.decodings}
        reading, drawing = speeds["asr"], speeds["t2s"]
        evaluated = [self.amounts.of(dump) for dump in command.options.get("eval_dump", ())]
        self.found.stages.append(
            training_stage(
                self.found.steps[-1],
                trainee.config,
                train_frames=train,
                valid_frames=valid,
                drawing=drawing,
                evaluating=evaluation_seconds(trainee.config, evaluated, reading=reading, drawing=drawing),
            )
        )

    def _measure_decoding(self, trainee: Trainee) -> None:
        """Search, drawing or S2A by a model; the halves of a chain decode as ASR and T2S do."""
        settings, module = self.settings, trainee.module
        decoded = [each.one("dump") for each in self.run.named("decode_asr")]
        lengths = self._frames_of(trainee, *decoded, *self.run.trainings[0].options["train_dump"])
        common: dict[str, Any] = {"device": self.device, "seconds": self.share}
        try:
            if isinstance(module, TokenASR):
                measure = measure_search(module, settings.search, lengths, self.sizes, **common)
            elif isinstance(module, T2SModel):
                measure = measure_drawing(module, settings.drawing, lengths, self.sizes, **common)
            elif isinstance(module, S2AModel):
                measure = measure_codes(module, settings.synthesis, lengths, self.sizes, **common)
            else:
                return
        except ConfigError as error:
            self.found.add(f"decoding by {trainee.name}", FAIL, str(error))
            return
        self.found.decodings.append(measure)

    def _frames_of(self, trainee: Trainee, *paths: str | None) -> np.ndarray:
        """Frames of the utterances of these dumps as a model counts them: S2A those of the codes."""
        frames = self.amounts.of(*paths)
        return self.sizes.of_codes(frames) if isinstance(trainee.module, S2AModel) else frames

    def _seconds(self, frames: np.ndarray) -> float:
        return float(frames.sum()) / self.sizes.frame_rate
