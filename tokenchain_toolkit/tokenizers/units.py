"""Units for ASR and T2S: semantic tokens without repetitions, and byte-pair encoding over them.

A run of equal tokens becomes one unit, whose duration is kept beside it, so that the frames can be restored exactly.
BPE (SentencePiece) joins units that often follow each other. S2A always works on frames.

Shapes: T frames, U units (runs), P pieces, K clusters.
"""

import io
from pathlib import Path

import numpy as np

from tokenchain_toolkit.errors import ConfigError, DataError

FIRST_CHARACTER = 0x20000  # Units are characters to SentencePiece; from here on 42,711 follow each other.
LONGEST = 32767  # Durations are int16; a longer run becomes two units.


def deduplicate(semantic_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal tokens: their tokens and their lengths in frames, both int16 of shape (U,)."""
    starts_U = np.flatnonzero(np.concatenate([[True], semantic_T[1:] != semantic_T[:-1]]))
    lengths_U = np.diff(np.concatenate([starts_U, [len(semantic_T)]]))
    if lengths_U.max() > LONGEST:
        pieces_U = -(-lengths_U // LONGEST)
        starts_U = np.concatenate([start + LONGEST * np.arange(n) for start, n in zip(starts_U, pieces_U, strict=True)])
        lengths_U = np.diff(np.concatenate([starts_U, [len(semantic_T)]]))
    return semantic_T[starts_U].astype(np.int16), lengths_U.astype(np.int16)


def expand(units_U: np.ndarray, durations_U: np.ndarray) -> np.ndarray:
    """Frames of units, int16 of shape (T,); what ``deduplicate`` was given.

    Raises:
        DataError: There is not one duration for each unit, or one is below 1.
    """
    if len(units_U) != len(durations_U) or (len(durations_U) and durations_U.min() < 1):
        raise DataError(f"{len(units_U)} units with {len(durations_U)} durations; each needs one of at least a frame")
    return np.repeat(units_U.astype(np.int16), durations_U)


def mean_durations(units: list[np.ndarray], durations: list[np.ndarray], *, num_clusters: int) -> np.ndarray:
    """Mean frames of each unit, float64 of shape (K,); of all units together where one does not occur."""
    units_N, durations_N = np.concatenate(units), np.concatenate(durations).astype(np.float64)
    counts_K = np.bincount(units_N, minlength=num_clusters)
    sums_K = np.bincount(units_N, weights=durations_N, minlength=num_clusters)
    return np.where(counts_K > 0, sums_K / np.maximum(counts_K, 1), durations_N.mean())


def typical_durations(units_U: np.ndarray, mean_durations_K: np.ndarray) -> np.ndarray:
    """Durations for units that have none, as those that T2S draws: their means, rounded so that their sum is right.

    Returns:
        int16 of shape (U,), each at least 1.
    """
    ends_U = np.round(np.cumsum(mean_durations_K[units_U])).astype(np.int64)
    return np.maximum(np.diff(ends_U, prepend=0), 1).clip(max=LONGEST).astype(np.int16)


class UnitBpe:
    """Byte-pair encoding over units.

    Args:
        model: Content of ``bpe.model``.
    """

    def __init__(self, model: bytes):
        import sentencepiece

        self.model = model
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.vocab_size = self._pieces.get_piece_size() - 1  # without SentencePiece's <unk>, its piece 0

    @classmethod
    def load(cls, path: Path) -> "UnitBpe":
        """Read ``bpe.model``.

        Raises:
            DataError: It is missing or damaged.
        """
        try:
            return cls(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise DataError(f"{path} is missing or no SentencePiece model ({error}); run learn_units") from error

    def encode(self, units_U: np.ndarray) -> np.ndarray:
        """Pieces, int16 of shape (P,)."""
        return (np.array(self._pieces.encode(_as_text(units_U)), np.int64) - 1).astype(np.int16)

    def decode(self, pieces_P: np.ndarray) -> np.ndarray:
        """Units of pieces, int16 of shape (U,)."""
        text = "".join(self._pieces.id_to_piece(int(piece) + 1) for piece in pieces_P)
        return np.array([ord(character) - FIRST_CHARACTER for character in text], np.int16)


def learn_unit_bpe(units: list[np.ndarray], *, num_clusters: int, vocab_size: int) -> UnitBpe:
    """Learn pieces from the units of a training set; every cluster is a piece, also one that does not occur in it.

    Args:
        units: De-duplicated tokens of each utterance.
        num_clusters: K.
        vocab_size: Pieces, at least K.

    Raises:
        ConfigError: The size is below K, or there are not so many different pairs to join.
    """
    import sentencepiece

    if vocab_size < num_clusters:
        raise ConfigError(f"bpe_vocab_size={vocab_size}: give at least the {num_clusters} clusters, or 0 for no BPE")
    model = io.BytesIO()
    # Each cluster once by itself: it makes a piece of every one, and no pair.
    texts = [_as_text(units_U) for units_U in units] + [
        _as_text(np.array([cluster])) for cluster in range(num_clusters)
    ]
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size + 1,
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            split_by_whitespace=False,
            max_sentence_length=max(10, *(len(text.encode()) + 1 for text in texts)),
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise ConfigError(
            f"bpe_vocab_size={vocab_size}: SentencePiece cannot learn so many pieces from these tokens ({error})"
        ) from error
    return UnitBpe(model.getvalue())


def _as_text(units_U: np.ndarray) -> str:
    return "".join(chr(FIRST_CHARACTER + int(unit)) for unit in units_U)
