"""All checks of a recipe in the order in which they build on each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenchain_toolkit.errors import ConfigError, TokenChainError
from tokenchain_toolkit.planning.amount import ExpectedSpeech, speech_of_hours, speech_of_sets, training_set
from tokenchain_toolkit.planning.corpora import check_corpora
from tokenchain_toolkit.planning.estimates import (
    StageEstimate,
    describe_stages,
    tokenizer_stages,
    training_stage,
)
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN, Finding
from tokenchain_toolkit.planning.machine import (
    SPARE,
    Gpu,
    available_memory,
    check_disk,
    check_memory,
    check_packages,
    check_torch_pair,
    describe_gpus,
    find_gpus,
)
from tokenchain_toolkit.planning.probe import TRAINED_BYTES, StepMeasure, StepProbe, measure_step
from tokenchain_toolkit.planning.recipe import Settings, TokenSizes, expected_sizes, load_settings
from tokenchain_toolkit.planning.sets import SetFacts, describe_set, is_extracted, read_sets
from tokenchain_toolkit.planning.text_fit import CtcFacts, ctc_of_dump, ctc_of_durations, describe_ctc, try_text_units
from tokenchain_toolkit.planning.tokenizer_probe import (
    ExtractionMeasure,
    HeadMeasure,
    has_head,
    measure_extraction,
    measure_head,
)
from tokenchain_toolkit.planning.trainees import Trainee, asr_trainee, chain_trainee, s2a_trainee, t2s_trainee
from tokenchain_toolkit.text.bpe import TextTokenizer

DEFAULT_CHAINS = ("baseline", "st_argmax")


@dataclass(frozen=True)
class DoctorOptions:
    """Where a recipe keeps things, as `tokenchain.sh` names them.

    Attributes:
        seconds: Time of the probe; 0 leaves the probe and the estimates out.
        hours: Hours of training speech to reckon with while there is no data.
        train_set: Name of the training set; the largest one if empty.
        valid_set: Name of the validation set; the one that is named like one if empty.
        tag: Name of the tokenizer; the only one of ``dump`` if empty.
        chains: Names of the chains; the usual ones if empty.
        recipe: Folder of the recipe.
        conf: Folder of its configurations.
        data: Folder of its sets.
        dump: Folder of its tokens.
    """

    seconds: float = 30.0
    hours: float | None = None
    train_set: str = ""
    valid_set: str = ""
    tag: str = ""
    chains: Sequence[str] = ()
    recipe: Path = Path()
    conf: Path = Path("conf")
    data: Path = Path("data")
    dump: Path = Path("dump")


@dataclass
class Diagnosis:
    """What the doctor found, in the order of the table, and the figures behind it."""

    findings: list[Finding] = field(default_factory=list)
    sets: list[SetFacts] = field(default_factory=list)
    ctc: list[CtcFacts] = field(default_factory=list)
    extraction: ExtractionMeasure | None = None
    head: HeadMeasure | None = None
    steps: list[StepMeasure] = field(default_factory=list)
    stages: list[StageEstimate] = field(default_factory=list)


def diagnose(options: DoctorOptions) -> Diagnosis:
    """Check a recipe and, if its settings and the amount of data are known, measure and reckon."""
    gpus = find_gpus()
    found = Diagnosis([check_packages(), check_torch_pair(), describe_gpus(gpus)])
    settings, dump = _settings(options, found)
    found.findings += check_corpora(options.recipe)
    if settings is not None:
        _look_at_sets(options, settings, dump, found)
        if options.seconds > 0:
            _measure_and_reckon(options, settings, dump, found)
    _weigh(options, gpus, found)
    return found


def _settings(options: DoctorOptions, found: Diagnosis) -> tuple[Settings | None, Path | None]:
    """The settings, if they load, and the folder of the dumps, if it is known."""
    conf = options.recipe / options.conf
    if not (conf / "tokenizer.yaml").is_file() and _goes_on_from_another(options.recipe):
        text = (
            "tokenizer and pretrained models are those of another recipe (--source in run.sh), and so are the settings"
        )
        found.findings.append(Finding("settings", WARN, text, "run this in that recipe's folder, too"))
        return None, None
    chains = list(options.chains) or [name for name in DEFAULT_CHAINS if (conf / f"chain_{name}.yaml").is_file()]
    try:
        settings = load_settings(conf, chains)
        dump = _dump_folder(options)
    except TokenChainError as error:
        found.findings.append(Finding("settings", FAIL, str(error)))
        return None, None
    found.findings.append(Finding("settings", OK, f"{conf} loads; chains {', '.join(chains) or 'none'}"))
    return settings, dump


def _goes_on_from_another(recipe: Path) -> bool:
    """Whether ``run.sh`` names another recipe, whose models its chains start from."""
    script = recipe / "run.sh"
    return script.is_file() and "--source " in script.read_text(encoding="utf-8")


def _dump_folder(options: DoctorOptions) -> Path | None:
    """``<dump>/<tag>``; None while there is none.

    Raises:
        ConfigError: There are several, and none is named.
    """
    root = options.recipe / options.dump
    if options.tag:
        return root / options.tag
    folders = [path for path in sorted(root.glob("*")) if path.is_dir()]
    if len(folders) > 1:
        raise ConfigError(f"{options.dump}/ holds {', '.join(path.name for path in folders)}; choose one by --tag")
    return folders[0] if folders else None


def _look_at_sets(options: DoctorOptions, settings: Settings, dump: Path | None, found: Diagnosis) -> None:
    """Hours and utterances; whether the text units can be learned, and CTC can spell the texts in them."""
    data = options.recipe / options.data
    try:
        found.sets += read_sets(data, dump)
        if not found.sets:
            remedy = "./run.sh --stop_stage data makes it; then run this again"
            found.findings.append(Finding("data", OK if options.hours else WARN, "not there yet", remedy))
            return
        found.findings += [describe_set(facts, data) for facts in found.sets]
        train = training_set(found.sets, options.train_set)
    except TokenChainError as error:
        found.findings.append(Finding("data", FAIL, str(error)))
        return
    try:
        text_tokenizer, basis = _text_units(data, train.name, settings, dump, found)
    except TokenChainError as error:
        found.findings.append(Finding("text units", FAIL, str(error)))
        return
    layer = settings.asr.model.input_layer
    for facts in found.sets:
        try:
            ctc = _fit_of(facts, data, settings, dump, text_tokenizer=text_tokenizer, basis=basis)
        except TokenChainError as error:
            status = FAIL if facts.name == train.name else WARN
            found.findings.append(Finding(f"CTC on {facts.name}", status, str(error)))
            continue
        if ctc is not None:
            found.ctc.append(ctc)
            found.findings.append(describe_ctc(ctc, input_layer=layer))


def _text_units(
    data: Path, train_set: str, settings: Settings, dump: Path | None, found: Diagnosis
) -> tuple[TextTokenizer, str]:
    """The recipe's text units or, before they are learned, some like them; and where they come from."""
    folder = data / "token_list" / dump.name if dump is not None else None
    if folder is not None and (folder / "tokens.txt").is_file():
        return TextTokenizer.load(folder), f"units of {folder}"
    text_tokenizer = try_text_units(data / train_set / "text", settings.bpe)
    text = f"{text_tokenizer.vocab_size} of kind {settings.bpe.model_type} can be learned of {data / train_set}"
    found.findings.append(Finding("text units", OK, text))
    return text_tokenizer, "units learned for this check"


def _fit_of(
    facts: SetFacts,
    data: Path,
    settings: Settings,
    dump: Path | None,
    *,
    text_tokenizer: TextTokenizer,
    basis: str,
) -> CtcFacts | None:
    """Frames against texts, by tokens or before there are any by durations; None where units are not made yet."""
    folder, layer = data / facts.name, settings.asr.model.input_layer
    if dump is not None:
        tokens = dump / (f"{facts.name}_units" if settings.has_units else facts.name)
        if is_extracted(tokens):
            return ctc_of_dump(
                facts.name, tokens, folder, text_tokenizer=text_tokenizer, input_layer=layer, basis=f"tokens, {basis}"
            )
    if settings.has_units:
        return None
    frame_rate = expected_sizes(settings, None, None).frame_rate
    return ctc_of_durations(
        facts,
        folder,
        text_tokenizer=text_tokenizer,
        input_layer=layer,
        frame_rate=frame_rate,
        basis=f"durations, {basis}",
    )


def _measure_and_reckon(options: DoctorOptions, settings: Settings, dump: Path | None, found: Diagnosis) -> None:
    """The probe, and what follows from it for each stage."""
    try:
        speech = _speech(options, settings, dump, found)
    except TokenChainError as error:
        found.findings.append(Finding("estimates", FAIL, str(error)))
        return
    if speech is None:
        remedy = f"give the hours of training speech by --hours, or run this again when {options.data}/ is there"
        found.findings.append(Finding("estimates", WARN, "the amount of data is not known", remedy))
        return
    num_probes = 3 + len(settings.chains) + (settings.s2a is not None) + has_head(settings.tokenizer)
    share = options.seconds / num_probes
    _reckon_tokens(settings, speech, share, found)
    for trainee in _trainees(settings, speech.sizes):
        on_frames = trainee.name == "s2a"
        train, valid = (speech.train, speech.valid) if on_frames else (speech.train_units, speech.valid_units)
        probe = StepProbe(trainee, train, speech.sizes, input_layer=settings.asr.model.input_layer)
        found.steps.append(measure_step(probe, seconds=share))
        found.stages.append(training_stage(found.steps[-1], trainee.config, train_frames=train, valid_frames=valid))
    frames = f"{speech.sizes.frame_rate:g} frames are a second of speech"
    basis = f"for {speech.name}, on one device of this machine, extrapolated from the probe; {frames}"
    found.findings += [Finding("estimates", OK, basis), *describe_stages(found.stages)]


def _reckon_tokens(settings: Settings, speech: ExpectedSpeech, seconds: float, found: Diagnosis) -> None:
    """Time and disk of the tokenizer's stages, unless its pretrained models cannot be loaded."""
    device = "cuda" if find_gpus() else "cpu"
    try:
        found.extraction = measure_extraction(settings.tokenizer, device=device, seconds=seconds)
    except TokenChainError as error:
        found.findings.append(Finding("tokenizer", FAIL, str(error)))
        return
    if has_head(settings.tokenizer):
        found.head = measure_head(settings.tokenizer, device=device, seconds=seconds)
    found.stages += tokenizer_stages(
        settings.tokenizer,
        found.extraction,
        found.head,
        train_seconds=float(speech.train.sum()) / speech.sizes.frame_rate,
        all_seconds=speech.all_seconds,
        sizes=speech.sizes,
    )


def _speech(options: DoctorOptions, settings: Settings, dump: Path | None, found: Diagnosis) -> ExpectedSpeech | None:
    """What the estimates are for; None if nothing is known of it."""
    if found.sets:
        names = (options.train_set, options.valid_set)
        return speech_of_sets(found.sets, found.ctc, *names, settings=settings, dump=dump)
    return None if options.hours is None else speech_of_hours(options.hours, settings)


def _trainees(settings: Settings, sizes: TokenSizes) -> Iterator[Trainee]:
    """The models one after another, so that only one is in memory."""
    yield asr_trainee(settings.asr, sizes)
    yield t2s_trainee(settings.t2s, sizes)
    for name, config in settings.chains.items():
        yield chain_trainee(f"chain_{name}", config, settings.asr, settings.t2s, sizes)
    if settings.s2a is not None:
        yield s2a_trainee(settings.s2a, sizes)


def _weigh(options: DoctorOptions, gpus: Sequence[Gpu], found: Diagnosis) -> None:
    """Disk and memory against what the stages are expected to need."""
    disk = sum(stage.disk_bytes for stage in found.stages) if found.stages else None
    found.findings.append(check_disk(options.recipe.resolve(), disk))
    training = {stage.stage: stage.memory_bytes for stage in found.stages if stage.stage.startswith("train_")}
    others = {stage.stage: stage.memory_bytes for stage in found.stages if stage.stage not in training}
    remedies = {"learn_tokenizer": "lower semantic.kmeans.memory_gb in conf/tokenizer.yaml"}
    available = min(gpu.memory_bytes for gpu in gpus) if gpus else available_memory()
    for measure in found.steps:
        remedies[f"train_{measure.name}"] = _pass_remedy(measure, available)
    if gpus:
        found.findings.append(check_memory("memory", available_memory(), others, remedies))
        found.findings.append(check_memory("GPU memory", available, training, remedies))
    else:
        found.findings.append(check_memory("memory", available, training | others, remedies))


def _pass_remedy(measure: StepMeasure, available: int) -> str:
    """How many frames at once would fit."""
    room = (1 - SPARE) * available - measure.num_parameters * TRAINED_BYTES
    frames = int(room / measure.kept_bytes) // 1000 * 1000
    if frames < 1000:
        return "a smaller model or more memory; not even the weights with a short batch fit"
    return f"training.device_frames={frames}: a batch goes through in several passes, with the same gradient"
