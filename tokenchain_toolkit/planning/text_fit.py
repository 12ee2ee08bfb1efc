"""Text units that can be learned, and speech that is long enough for CTC to spell its text in them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.asr import INPUT_LAYERS
from tokenchain_toolkit.config.load import config_dict
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.models.asr import encoder_frames
from tokenchain_toolkit.models.sequences import ctc_frames_needed
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN, Finding
from tokenchain_toolkit.planning.sets import NAMED, SetFacts
from tokenchain_toolkit.text.bpe import TextTokenizer, train_bpe

MOST_TEXTS = 50_000
# Training stops if more of a set than this has to be left out.
TOLERATED = 0.01


@dataclass(frozen=True)
class CtcFacts:
    """How the frames of a set's utterances compare with what CTC needs to spell their texts.

    Attributes:
        name: The set.
        num_utts: Utterances that were compared.
        shortages: utt_id -> encoder frames that are missing, the worst first.
        by_layer: Input layer -> share of utterances with too few frames.
        frames_per_unit: Semantic frames of a text unit, on average.
        basis: Where the frames and units come from.
    """

    name: str
    num_utts: int
    shortages: dict[str, int]
    by_layer: dict[str, float]
    frames_per_unit: float
    basis: str


def try_text_units(text: Path, config: BPEConfig) -> TextTokenizer:
    """Text units as ``train_bpe`` would learn them, of some of the texts where there are very many.

    Args:
        text: Table of the training set.
        config: As in ``conf/bpe.yaml``.

    Raises:
        ConfigError: The texts do not give so many units.
        DataError: There are no texts.
    """
    texts = list(read_table(text).values())
    with tempfile.TemporaryDirectory() as folder:
        return train_bpe(texts[:: len(texts) // MOST_TEXTS + 1], Path(folder), **config_dict(config))


def ctc_of_dump(
    name: str, dump: Path, data: Path, *, text_tokenizer: TextTokenizer, input_layer: str, basis: str
) -> CtcFacts:
    """Compare the tokens and the texts of one set.

    Args:
        name: Of the set.
        dump: Its tokens, of frames or of units as the ASR reads them.
        data: Its data directory.
        text_tokenizer: Text units.
        input_layer: Of the ASR.
        basis: Where tokens and text units come from.

    Raises:
        DataError: Dump and data do not fit together, or a text cannot be written in the units.
    """
    corpus = load_corpus(dump, data, text_tokenizer=text_tokenizer)
    frames = dict(zip(corpus.dump.utt_ids, corpus.dump.lengths.tolist(), strict=True))
    texts = dict(zip(corpus.dump.utt_ids, (text_L.tolist() for text_L in corpus.texts), strict=True))
    return _compare(name, frames, texts, input_layer, basis)


def ctc_of_durations(
    facts: SetFacts,
    data: Path,
    *,
    text_tokenizer: TextTokenizer,
    input_layer: str,
    frame_rate: float,
    basis: str,
) -> CtcFacts:
    """Compare the durations of a set, or of a sample of it, with the texts; arguments as in ``ctc_of_dump``.

    Raises:
        DataError: No duration is known, or a text cannot be written in the units.
    """
    frames = {utt_id: int(seconds * frame_rate) for utt_id, seconds in facts.seconds.items()}
    table = read_table(data / "text")
    texts = {utt_id: text_tokenizer.encode(table[utt_id], utt_id=utt_id) for utt_id in frames if utt_id in table}
    return _compare(facts.name, {utt_id: frames[utt_id] for utt_id in texts}, texts, input_layer, basis)


def _compare(name: str, frames: dict[str, int], texts: dict[str, list[int]], input_layer: str, basis: str) -> CtcFacts:
    """By the rule that training leaves utterances out by.

    Raises:
        DataError: There is no utterance.
    """
    if not texts:
        raise DataError(f"{name} has no utterance with a known duration and a text, so nothing can be compared")
    needed = {utt_id: ctc_frames_needed(np.asarray(text)) for utt_id, text in texts.items()}
    missing = {
        layer: {
            utt_id: needed[utt_id] - encoder_frames(length, layer)
            for utt_id, length in frames.items()
            if encoder_frames(length, layer) < needed[utt_id]
        }
        for layer in INPUT_LAYERS
    }
    num_units = sum(map(len, texts.values()))
    return CtcFacts(
        name=name,
        num_utts=len(frames),
        shortages=dict(sorted(missing[input_layer].items(), key=lambda item: -item[1])),
        by_layer={layer: len(short) / max(len(frames), 1) for layer, short in missing.items()},
        frames_per_unit=sum(frames.values()) / max(num_units, 1),
        basis=basis,
    )


def describe_ctc(facts: CtcFacts, *, input_layer: str, use: str = "") -> Finding:
    """Whether CTC can spell the texts, who is worst, and what would help.

    Args:
        facts: Of one set.
        input_layer: Of the ASR.
        use: What the set is for, where it is neither trained on nor validated with: there, nothing stops.
    """
    check = f"CTC on {facts.name}"
    detail = f"{facts.frames_per_unit:.1f} semantic frames a text unit, input layer {input_layer}; {facts.basis}"
    if not facts.shortages:
        return Finding(check, OK, f"enough encoder frames for every text ({detail})")
    share = len(facts.shortages) / facts.num_utts
    worst = ", ".join(f"{utt_id} lacks {count}" for utt_id, count in list(facts.shortages.items())[:NAMED])
    found = f"{len(facts.shortages)} of {facts.num_utts} utterances ({share:.2%}) have too few encoder frames: {worst}"
    status, remedy = FAIL if share > TOLERATED else WARN, _remedy(facts, input_layer, share)
    if use:
        status = WARN
        remedy = f"{use}, so no stage stops; these texts come out too short by CTC" + (
            f"; if it matters: {remedy}" if share > TOLERATED else ""
        )
    return Finding(check, status, f"{found} ({detail})", remedy)


def _remedy(facts: CtcFacts, input_layer: str, share: float) -> str:
    """What to change, given how the other input layers would do."""
    if share <= TOLERATED:
        return "nothing: training leaves them out and lists them in skipped.tsv; look whether their texts are right"
    better = {layer: other for layer, other in facts.by_layer.items() if other < share and layer != input_layer}
    if not better:
        return "longer text units (a larger vocab_size in bpe.yaml), or mend or remove these utterances"
    # Of those that leave out few enough, the one that shortens most, since it is the cheapest.
    layer = min(better, key=lambda name: (better[name] > TOLERATED, -INPUT_LAYERS[name][0]))
    return (
        f"model.input_layer={layer} in train_asr.yaml, which leaves {better[layer]:.2%}; longer text units (a larger "
        "vocab_size in bpe.yaml) help too"
    )


def frames_per_unit_of(facts: Sequence[CtcFacts], name: str) -> float | None:
    """Frames of a text unit in a set, if it was compared."""
    return next((each.frames_per_unit for each in facts if each.name == name), None)
