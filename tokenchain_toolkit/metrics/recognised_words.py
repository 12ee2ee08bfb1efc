"""Word error rate of audio by a recogniser that knows nothing of our tokens."""

from collections.abc import Iterable
from pathlib import Path

from tokenchain_toolkit.data.kaldi import DataDir, write_table
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.alignment import worst_utterances, write_alignments
from tokenchain_toolkit.metrics.error_rate import word_error_rate
from tokenchain_toolkit.metrics.measured_audio import Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError
from tokenchain_toolkit.metrics.recognisers import BATCH_SIZE, Recogniser, text_normaliser


def check_transcripts(natural: DataDir, utt_ids: Iterable[str], *, normaliser: str) -> None:
    """Refuse transcripts of which a normaliser leaves nothing to compare with.

    Raises:
        DataError: There are such.
    """
    normalise = text_normaliser(normaliser)
    empty = sorted(utt_id for utt_id in utt_ids if not normalise(natural.texts[utt_id]))
    if empty:
        raise DataError(
            f"{natural.folder / 'text'}: normaliser {normaliser} leaves nothing of {len(empty)} transcripts, "
            f"first {empty[0]}; choose another --normaliser, or mend the text"
        )


def measure_words(speech: Speech, recogniser: Recogniser, *, normaliser: str, output: Path) -> Measurement:
    """Recognise every utterance and count word errors; silence counts as if nothing was recognised.

    Also written: what was recognised (``text``) and the worst utterances aligned (``alignments.txt``).

    Args:
        speech: Audio to measure and the transcripts.
        recogniser: Its family begins the metric's name.
        normaliser: One of `recognisers.TEXT_NORMALISERS`, for both sides.
        output: Folder for the two files.
    """
    from tqdm import tqdm

    found = Measurement(f"{recogniser.family}_wer", {**recogniser.describe(), "normaliser": normaliser})
    texts = dict.fromkeys(speech.wavs, "")
    utt_ids = list(speech.wavs)
    for start in tqdm(range(0, len(utt_ids), BATCH_SIZE), desc="recognition", unit="batch", disable=None):
        samples = {}
        for utt_id in utt_ids[start : start + BATCH_SIZE]:
            try:
                samples[utt_id] = read_speech(speech.wavs[utt_id])
            except UnmeasurableError as error:
                found.left_out[utt_id] = f"{speech.wavs[utt_id]} {error}; its words count as deleted"
        texts |= dict(zip(samples, recogniser.transcribe(list(samples.values())), strict=True))
    normalise = text_normaliser(normaliser)
    references = {utt_id: normalise(speech.natural.texts[utt_id]) for utt_id in utt_ids}
    hypotheses = {utt_id: normalise(text) for utt_id, text in texts.items()}
    counts = word_error_rate(references, hypotheses, num_bootstrap=1).per_utterance
    for utt_id, each in counts.items():
        found.add(utt_id, each.errors, each.num_reference_units)
    write_table(output / "text", {utt_id: " ".join(text.split()) for utt_id, text in texts.items()})
    write_alignments(output, worst_utterances(references, hypotheses, counts))
    return found
