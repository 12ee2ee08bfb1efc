"""A recipe's sets: hours and utterances, text units that can be learned, and texts that CTC can spell in them."""

from typing import Any

from tokenchain_toolkit.errors import ConfigError, TokenChainError
from tokenchain_toolkit.planning.diagnosis import Diagnosis, DoctorOptions
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN
from tokenchain_toolkit.planning.recipe import Settings, expected_sizes
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.planning.sets import SetFacts, describe_set, is_extracted, read_sets
from tokenchain_toolkit.planning.text_fit import CtcFacts, ctc_of_dump, ctc_of_durations, describe_ctc, try_text_units
from tokenchain_toolkit.recipe.sets import TEST, TRAIN, VALID
from tokenchain_toolkit.text.bpe import TextTokenizer

UNUSED = "not named by run.sh"
USES = {TEST: "only decoded", UNUSED: UNUSED}


def look_at_sets(options: DoctorOptions, run: RecipeRun, found: Diagnosis) -> None:
    """Hours and utterances of every set, and the sets that ``run.sh`` names and that are not there."""
    try:
        found.sets += read_sets(run.data, run.dump)
    except TokenChainError as error:
        found.add("data", FAIL, str(error))
        return
    if not found.sets:
        remedy = "./run.sh --stop_stage data makes it; then run this again"
        found.add("data", OK if options.hours else WARN, "not there yet", remedy)
        return
    found.findings += [describe_set(facts, run.data, role=run.roles.get(facts.name, UNUSED)) for facts in found.sets]
    there = [facts.name for facts in found.sets]
    for role in (TRAIN, VALID, TEST):
        missing = [name for name, its_role in run.roles.items() if its_role == role and name not in there]
        if missing:
            text = f"holds no set {', '.join(missing)}; it has {', '.join(there)}"
            remedy = "mend run.sh, or let stage data make the sets that it names"
            found.add("data", FAIL if role == TRAIN else WARN, f"{text} ({role})", remedy)


def look_at_texts(run: RecipeRun, settings: Settings, found: Diagnosis) -> None:
    """Whether the text units can be learned, and CTC can spell the texts in them."""
    if not found.sets:
        return
    try:
        text_tokenizer, basis = _text_units(run, settings, found)
    except TokenChainError as error:
        found.add("text units", FAIL, str(error))
        return
    layer = settings.asr.model.input_layer
    for facts in found.sets:
        use = USES.get(run.roles.get(facts.name, UNUSED), "")
        try:
            ctc = _fit_of(facts, run, settings, text_tokenizer=text_tokenizer, basis=basis)
        except TokenChainError as error:
            found.add(f"CTC on {facts.name}", WARN if use else FAIL, str(error))
            continue
        if ctc is not None:
            found.ctc.append(ctc)
            found.findings.append(describe_ctc(ctc, input_layer=layer, use=use))


def _text_units(run: RecipeRun, settings: Settings, found: Diagnosis) -> tuple[TextTokenizer, str]:
    """The recipe's text units or, before they are learned, some like them; and where they come from."""
    folder, text = run.path("train_bpe", "out"), run.path("train_bpe", "text")
    if folder is None or text is None:
        raise ConfigError("./run.sh --dry_run shows no train_bpe, here or in the recipe it goes on from")
    if (folder / "tokens.txt").is_file():
        return TextTokenizer.load(folder), f"units of {folder}"
    text_tokenizer = try_text_units(text, settings.bpe)
    found.add(
        "text units",
        OK,
        f"{text_tokenizer.vocab_size} of kind {settings.bpe.model_type} can be learned of {text.parent}",
    )
    return text_tokenizer, "units learned for this check"


def _fit_of(
    facts: SetFacts, run: RecipeRun, settings: Settings, *, text_tokenizer: TextTokenizer, basis: str
) -> CtcFacts | None:
    """Frames against texts, by tokens or before there are any by durations; None where units are not made yet."""
    folder = run.data / facts.name
    common: dict[str, Any] = {"text_tokenizer": text_tokenizer, "input_layer": settings.asr.model.input_layer}
    tokens = run.dump / (f"{facts.name}_units" if run.has_units else facts.name)
    if is_extracted(tokens):
        return ctc_of_dump(facts.name, tokens, folder, basis=f"tokens, {basis}", **common)
    if run.has_units:
        return None
    frame_rate = expected_sizes(settings, None, None).frame_rate
    return ctc_of_durations(facts, folder, frame_rate=frame_rate, basis=f"durations, {basis}", **common)
