"""The rungs of the error ladder: where their speech and texts are, and that they hold the same utterances.

They are natural speech, the codec's round trip, S2A from true semantic tokens, and, each a last rung of its own, S2A
from the tokens that some T2S drew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.kaldi import DataDir, read_table
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.measured_audio import Speech

NATURAL, CODEC, S2A = "natural", "codec", "s2a"
WER = "wer"
LADDER = "ladder.json"


@dataclass(frozen=True)
class Rung:
    """One step on the way.

    Attributes:
        name: ``natural``, ``codec``, ``s2a`` or the experiment whose T2S drew the tokens.
        wavs: Folder whose ``wav.scp`` lists the audio.
        texts: Table of what the recipe's ASR read of it.
        above: Name of the rung that it is compared with; None for the first.
    """

    name: str
    wavs: Path
    texts: Path
    above: str | None


def recipe_rungs(exp: Path, data: Path, experiments: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs of a recipe, from where its stages put speech and text.

    Args:
        exp: Folder of the experiments.
        data: ``data/<set>``.
        experiments: Names of those whose T2S drew the tokens, such as ``chain_baseline``.
    """
    set_name = data.resolve().name

    def made(name: str, above: str) -> Rung:
        folder = exp / name
        return Rung(name, folder / f"synth_{set_name}", folder / f"synth_decode_{set_name}" / "text", above)

    natural = Rung(NATURAL, data, exp / "asr" / f"decode_{set_name}" / "text", None)
    return (natural, made(CODEC, NATURAL), made(S2A, CODEC), *(made(name, S2A) for name in experiments))


def same_utterances(rungs: Sequence[Rung], natural: DataDir) -> list[Speech]:
    """Audio of every rung, of the utterances of the rung that has the fewest.

    Raises:
        DataError: Another rung does not have all of them.
    """
    tables = {rung: read_table(rung.wavs / "wav.scp") for rung in rungs}
    fewest = min(rungs, key=lambda rung: len(tables[rung]))
    utt_ids = sorted(tables[fewest])
    if not utt_ids:
        raise DataError(f"{fewest.wavs / 'wav.scp'} lists no audio; synthesise the set again")
    for rung, table in tables.items():
        missing = sorted(set(utt_ids) - table.keys())
        if missing:
            raise DataError(
                f"{rung.wavs} lacks {len(missing)} utterances of {fewest.wavs}, first {missing[0]}; "
                "synthesise both of the same set with the same --max_utts"
            )
    return [Speech({utt_id: table[utt_id] for utt_id in utt_ids}, natural) for table in tables.values()]


def texts_of(rung: Rung, utt_ids: Sequence[str]) -> dict[str, str]:
    """What was read of these utterances of a rung.

    Raises:
        DataError: One is missing.
    """
    table = read_table(rung.texts)
    missing = [utt_id for utt_id in utt_ids if utt_id not in table]
    if missing:
        raise DataError(f"{rung.texts} lacks {len(missing)} utterances, first {missing[0]}; recognise the set again")
    return {utt_id: table[utt_id] for utt_id in utt_ids}
