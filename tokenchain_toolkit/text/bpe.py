"""Text units: learning them with SentencePiece, and the tokenizer between text and token ids.

Ids follow ESPnet: ``<blank>`` 0, ``<unk>`` 1, the learned pieces, ``<sos/eos>`` last. SentencePiece is trained with its
own ``<unk>`` as piece 0, so that an id is always the SentencePiece id plus one.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tokenchain_toolkit.config.load import load_config, save_config
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.files import atomic_path, write_text
from tokenchain_toolkit.text.normalise import get_normaliser

BLANK, UNK, SOS_EOS = "<blank>", "<unk>", "<sos/eos>"
SPACE = "▁"  # how SentencePiece writes a space; a text that holds it could not be restored
NUM_ADDED = 2  # <blank> and <sos/eos>, which SentencePiece does not count


class TextTokenizer:
    """Text to token ids and back.

    Args:
        model: Content of ``bpe.model``.
        normaliser: Name of the normaliser that texts pass through first.
    """

    blank_id = 0
    unk_id = 1

    def __init__(self, model: bytes, *, normaliser: str = "none"):
        import sentencepiece

        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._normalise = get_normaliser(normaliser)
        learned = [self._pieces.id_to_piece(piece) for piece in range(1, self._pieces.get_piece_size())]
        self.tokens = [BLANK, UNK, *learned, SOS_EOS]
        self._known = {piece for piece in learned if len(piece) == 1} - {SPACE} | {" "}

    @classmethod
    def load(cls, folder: Path) -> "TextTokenizer":
        """Read the output folder of ``train_bpe``.

        Raises:
            DataError: A file is missing, or ``tokens.txt`` is not the list of ``bpe.model``.
        """
        folder = Path(folder)
        for name in ("bpe.model", "tokens.txt", "config.yaml"):
            if not (folder / name).is_file():
                raise DataError(f"{folder / name} is missing; run train_bpe, which writes it")
        config = load_config(BPEConfig, folder / "config.yaml")
        try:
            tokenizer = cls((folder / "bpe.model").read_bytes(), normaliser=config.normaliser)
        except RuntimeError as error:
            raise DataError(f"{folder / 'bpe.model'} is no SentencePiece model; run train_bpe again") from error
        if (folder / "tokens.txt").read_text(encoding="utf-8").split("\n")[:-1] != tokenizer.tokens:
            raise DataError(f"{folder / 'tokens.txt'} and bpe.model differ; run train_bpe again with --overwrite")
        return tokenizer

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self.tokens)

    @property
    def unit_sizes(self) -> list[int]:
        """Characters that each token writes, without spaces."""
        special = {BLANK: 0, UNK: 1, SOS_EOS: 0}
        return [special.get(token, len(token.replace(SPACE, ""))) for token in self.tokens]

    @property
    def sos_eos_id(self) -> int:
        """Id of the token that starts and ends a sentence."""
        return len(self.tokens) - 1

    def unknown_characters(self, text: str) -> list[str]:
        """Characters of the normalised text that no token writes, sorted."""
        return sorted(set(self._normalise(text)) - self._known)

    def encode(self, text: str, *, utt_id: str | None = None) -> list[int]:
        """Token ids of one text, without ``<sos/eos>``.

        Raises:
            DataError: The text has a character that no token writes; names ``utt_id``.
        """
        unknown = self.unknown_characters(text)
        if unknown:
            shown = " ".join(f"{character!r} (U+{ord(character):04X})" for character in unknown)
            raise DataError(
                f"{utt_id or repr(text)}: the token list does not know {shown}; mend the transcript, "
                "or train the token list (train_bpe) on text that has it"
            )
        return [piece + 1 for piece in self._pieces.encode(self._normalise(text))]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; ``<blank>`` and ``<sos/eos>`` write nothing, ``<unk>`` writes ``⁇``."""
        silent = (self.blank_id, self.sos_eos_id)
        return self._pieces.decode([int(token) - 1 for token in ids if token not in silent]).strip()


def train_bpe(
    texts: Iterable[str],
    folder: Path,
    *,
    vocab_size: int = 500,
    model_type: str = "bpe",
    normaliser: str = "none",
    required_characters: str = "",
) -> TextTokenizer:
    """Learn text units and write ``bpe.model``, ``tokens.txt`` and ``config.yaml``; the same texts give the same files.

    Args:
        texts: Transcripts, not yet normalised.
        folder: Output folder.
        vocab_size: Size of the whole token list, with the three special tokens; ``char`` finds its own.
        model_type: ``bpe``, ``unigram`` or ``char``.
        normaliser: Name of a normaliser.
        required_characters: Characters that get a token even if no text has them.

    Raises:
        DataError: There is no text, or it holds SentencePiece's own sign for a space.
        ConfigError: The vocabulary size is impossible (names the possible one), or a name is unknown.
    """
    config = BPEConfig(vocab_size, model_type, normaliser, required_characters)
    normalise = get_normaliser(normaliser)
    sentences = [sentence for sentence in map(normalise, texts) if sentence]
    if not sentences:
        raise DataError("there is no text to learn text units from; check the files given with --text")
    required = "".join(required_characters.split())
    for sentence in (*sentences, required):
        if SPACE in sentence:
            raise DataError(f"{sentence!r} holds {SPACE!r} (U+2581), which stands for a space; remove it")
    model = _train_sentencepiece(sentences, vocab_size, model_type, required)
    tokenizer = TextTokenizer(model, normaliser=normaliser)
    with atomic_path(folder / "bpe.model") as temporary:
        temporary.write_bytes(model)
    write_text(folder / "tokens.txt", "".join(f"{token}\n" for token in tokenizer.tokens))
    save_config(replace(config, vocab_size=tokenizer.vocab_size), folder / "config.yaml")
    return tokenizer


def _train_sentencepiece(sentences: list[str], vocab_size: int, model_type: str, required: str) -> bytes:
    """Train and return the serialised model."""
    import sentencepiece

    num_characters = len(set("".join(sentences)) | set(required) | {" "})
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=model_type,
            # SentencePiece would drop the rarest characters if a char vocabulary were too small.
            vocab_size=num_characters + 1 if model_type == "char" else vocab_size - NUM_ADDED,
            character_coverage=1.0,
            required_chars=required,
            normalization_rule_name="identity",
            # Longer sentences would be left out in silence; values below 10 are refused.
            max_sentence_length=max(10, *(len(sentence.encode()) + 1 for sentence in sentences)),
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,  # unigram's sums depend on the order of threads
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise _size_error(vocab_size, str(error)) from error
    return model.getvalue()


def _size_error(vocab_size: int, message: str) -> ConfigError:
    """SentencePiece's complaint about the vocabulary size, with the limit counted as we count."""
    too_high = re.search(r"value <= (\d+)", message)
    too_low = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if too_high:
        limit = int(too_high[1]) + NUM_ADDED
        return ConfigError(f"vocab_size={vocab_size} is too large for this text; set at most {limit}, or add text")
    if too_low:
        limit = int(too_low[1]) + NUM_ADDED
        return ConfigError(f"vocab_size={vocab_size} is too small for this text's characters; set at least {limit}")
    return ConfigError(f"vocab_size={vocab_size}: SentencePiece cannot learn from this text ({message})")
