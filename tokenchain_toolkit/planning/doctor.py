"""All checks of a recipe in the order in which they build on each other."""

from collections.abc import Sequence

from tokenchain_toolkit.errors import TokenChainError
from tokenchain_toolkit.planning.corpora import check_corpora
from tokenchain_toolkit.planning.data_checks import look_at_sets, look_at_texts
from tokenchain_toolkit.planning.diagnosis import Diagnosis, DoctorOptions
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN
from tokenchain_toolkit.planning.machine import (
    SPARE,
    Gpu,
    available_memory,
    check_disk,
    check_load,
    check_memory,
    check_packages,
    check_torch_pair,
    describe_gpus,
    find_gpus,
)
from tokenchain_toolkit.planning.probe import StepMeasure
from tokenchain_toolkit.planning.recipe import Settings, load_settings
from tokenchain_toolkit.planning.recipe_run import RecipeRun, ask_recipe
from tokenchain_toolkit.planning.reckoning import reckon


def diagnose(options: DoctorOptions) -> Diagnosis:
    """Check a recipe and, if its settings and the amount of data are known, measure and reckon."""
    gpus, available = find_gpus(), available_memory()
    found = Diagnosis([check_packages(), check_torch_pair(), check_load()])
    run = _run(options, found)
    found.findings.append(describe_gpus(gpus, is_wanted=run is not None and run.wants_gpu))
    settings = _settings(run, found) if run is not None else None
    found.findings += check_corpora(options.recipe, list(run.roles) if run is not None else ())
    if run is not None:
        look_at_sets(options, run, found)
    if run is not None and settings is not None:
        look_at_texts(run, settings, found)
        if options.seconds > 0:
            reckon(options, run, settings, found)
    _weigh(options, gpus, available, found)
    return found


def _run(options: DoctorOptions, found: Diagnosis) -> RecipeRun | None:
    """What the recipe does, if its ``run.sh`` tells."""
    try:
        run = ask_recipe(options.recipe, options.run_options)
    except TokenChainError as error:
        found.add("run.sh", FAIL, str(error))
        return None
    found.add("run.sh", OK, run.sets_text())
    return run


def _settings(run: RecipeRun, found: Diagnosis) -> Settings | None:
    """The settings, if they load."""
    if run.source_folder is not None and run.source is None:
        text = f"tokenizer and pretrained models are those of another recipe, and {run.source_folder} is none"
        found.add("settings", WARN, text, "mend --source in run.sh, and run this in that recipe's folder, too")
        return None
    try:
        settings = load_settings(run)
    except TokenChainError as error:
        found.add("settings", FAIL, str(error))
        return None
    of_source = f"; those of tokenizer and pretrained models from {run.source_folder}" if run.source_folder else ""
    found.add("settings", OK, f"all load; {', '.join(settings.chains) or 'no chain'}{of_source}")
    return settings


def _weigh(options: DoctorOptions, gpus: Sequence[Gpu], available: int, found: Diagnosis) -> None:
    """Disk and memory against what the stages are expected to need.

    Args:
        options: The recipe's folder.
        gpus: With what was free before the probe.
        available: Bytes of main memory that were free before it.
        found: The estimates.
    """
    disk = sum(stage.disk_bytes for stage in found.stages) if found.stages else None
    found.findings.append(check_disk(options.recipe.resolve(), disk))
    training = {stage.stage: stage.memory_bytes for stage in found.stages if stage.stage.startswith("train_")}
    others = {stage.stage: stage.memory_bytes for stage in found.stages if stage.stage not in training}
    remedies = {"learn_tokenizer": "lower semantic.kmeans.memory_gb in conf/tokenizer.yaml"}
    where_trained = min(gpu.free_bytes for gpu in gpus) if gpus else available
    for measure in found.steps:
        remedies[f"train_{measure.name}"] = _pass_remedy(measure, where_trained)
    if gpus:
        found.findings.append(check_memory("memory", available, others, remedies))
        found.findings.append(check_memory("GPU memory", where_trained, training, remedies))
    else:
        found.findings.append(check_memory("memory", available, training | others, remedies))


def _pass_remedy(measure: StepMeasure, available: int) -> str:
    """How many frames at once would fit."""
    frames = measure.frames_in((1 - SPARE) * available)
    if frames < 1000:
        return "a smaller model or more memory; not even the weights with a short batch fit"
    return f"training.device_frames={frames}: a batch goes through in several passes, with the same gradient"
