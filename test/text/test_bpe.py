import re
from pathlib import Path

import pytest

from tokenchain_toolkit.bin.train_bpe import main
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.text.bpe import TextTokenizer, train_bpe

TEXTS = ["the cat sat on the mat", "the dog ran to the cat", "a cat and a dog", "don't stop", "x" * 5000]


@pytest.mark.parametrize(("model_type", "vocab_size"), [("bpe", 40), ("unigram", 25), ("char", 3)])
def test_decode_undoes_encode(tmp_path: Path, model_type: str, vocab_size: int) -> None:
    train_bpe(TEXTS, tmp_path, vocab_size=vocab_size, model_type=model_type)
    tokenizer = TextTokenizer.load(tmp_path)
    for text in [*TEXTS, "", "tx", "mat cat tom"]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(tokenizer.unk_id < token < tokenizer.sos_eos_id for token in ids)


@pytest.mark.parametrize(("model_type", "vocab_size"), [("bpe", 45), ("unigram", 30), ("char", 3)])
def test_required_characters_can_be_written_though_no_text_has_them(
    tmp_path: Path, model_type: str, vocab_size: int
) -> None:
    train_bpe(TEXTS, tmp_path, vocab_size=vocab_size, model_type=model_type, required_characters="the ÄÖß")
    tokenizer = TextTokenizer.load(tmp_path)
    assert tokenizer.unknown_characters("Ü") == ["Ü"]
    assert tokenizer.decode(tokenizer.encode("cat ÄÖß")) == "cat ÄÖß"


def test_special_tokens_stand_where_espnet_has_them(tmp_path: Path) -> None:
    tokenizer = train_bpe(TEXTS, tmp_path, vocab_size=40)
    tokens = (tmp_path / "tokens.txt").read_text(encoding="utf-8").splitlines()
    assert tokens == tokenizer.tokens
    assert (tokens[0], tokens[1], tokens[-1]) == ("<blank>", "<unk>", "<sos/eos>")
    assert (tokenizer.blank_id, tokenizer.unk_id, tokenizer.sos_eos_id) == (0, 1, 39)
    assert tokenizer.vocab_size == len(set(tokens)) == 40


def test_the_sizes_of_a_texts_tokens_are_its_characters_without_spaces(tmp_path: Path) -> None:
    tokenizer = train_bpe(TEXTS, tmp_path, vocab_size=40)
    for text in TEXTS:
        sizes = [tokenizer.unit_sizes[token] for token in tokenizer.encode(text)]
        assert sum(sizes) == len(text.replace(" ", ""))
    assert [tokenizer.unit_sizes[token] for token in (0, 1, 39)] == [0, 1, 0]


def test_special_tokens_write_no_text(tmp_path: Path) -> None:
    tokenizer = train_bpe(TEXTS, tmp_path, vocab_size=40)
    ids = tokenizer.encode("the cat")
    assert tokenizer.decode([tokenizer.sos_eos_id, *ids, tokenizer.blank_id, tokenizer.sos_eos_id]) == "the cat"
    assert "⁇" in tokenizer.decode([*ids, tokenizer.unk_id])


@pytest.mark.parametrize(("model_type", "vocab_size"), [("bpe", 40), ("unigram", 25)])
def test_same_texts_give_the_same_files(tmp_path: Path, model_type: str, vocab_size: int) -> None:
    for name in ("first", "second"):
        train_bpe(TEXTS, tmp_path / name, vocab_size=vocab_size, model_type=model_type)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_the_normaliser_is_kept_with_the_model(tmp_path: Path) -> None:
    train_bpe([text.upper() for text in TEXTS], tmp_path, vocab_size=40, normaliser="lower")
    tokenizer = TextTokenizer.load(tmp_path)
    assert tokenizer.decode(tokenizer.encode("THE Cat")) == "the cat"


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
@pytest.mark.parametrize(("vocab_size", "words"), [(100000, "too large.*at most"), (5, "too small.*at least")])
def test_the_error_names_a_vocabulary_size_that_works(
    tmp_path: Path, model_type: str, vocab_size: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=f"vocab_size={vocab_size} is {words}") as caught:
        train_bpe(TEXTS, tmp_path, vocab_size=vocab_size, model_type=model_type)
    limit = int(re.findall(r"at (?:most|least) (\d+)", str(caught.value))[0])
    assert train_bpe(TEXTS, tmp_path, vocab_size=limit, model_type=model_type).vocab_size == limit


def test_unknown_character_names_utterance_character_and_remedy(tmp_path: Path) -> None:
    tokenizer = train_bpe(TEXTS, tmp_path, vocab_size=40)
    with pytest.raises(DataError, match=r"spk-7: .*'ü' \(U\+00FC\).*train_bpe"):
        tokenizer.encode("the mütter", utt_id="spk-7")
    with pytest.raises(DataError, match="'▁'"):
        tokenizer.encode("the▁cat", utt_id="spk-7")


def test_text_that_cannot_be_learned_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text"):
        train_bpe(["", "  "], tmp_path)
    with pytest.raises(DataError, match=r"U\+2581"):
        train_bpe(["a▁b"], tmp_path)
    with pytest.raises(ConfigError, match="model_type=word.*bpe, unigram, char"):
        train_bpe(TEXTS, tmp_path, model_type="word")


def test_damaged_folder_is_named(tmp_path: Path) -> None:
    train_bpe(TEXTS, tmp_path, vocab_size=40)
    tokens = tmp_path / "tokens.txt"
    tokens.write_text(tokens.read_text(encoding="utf-8").replace("<unk>", "<oov>"), encoding="utf-8")
    with pytest.raises(DataError, match="tokens.txt and bpe.model differ"):
        TextTokenizer.load(tmp_path)
    (tmp_path / "bpe.model").write_bytes(b"no model")
    with pytest.raises(DataError, match="no SentencePiece model"):
        TextTokenizer.load(tmp_path)
    (tmp_path / "bpe.model").unlink()
    with pytest.raises(DataError, match="bpe.model is missing; run train_bpe"):
        TextTokenizer.load(tmp_path)


def test_the_command_skips_what_is_up_to_date_and_redoes_what_is_stale(tmp_path: Path) -> None:
    text, out = tmp_path / "text", tmp_path / "list"
    text.write_text("".join(f"u{number} {line}\n" for number, line in enumerate(TEXTS)), encoding="utf-8")
    options = ["--text", str(text), "--out", str(out)]
    assert main([*options, "vocab_size=40"]) == 0
    first = (out / "bpe.model").stat()
    assert main([*options, "vocab_size=40"]) == 0
    assert (out / "bpe.model").stat().st_mtime_ns == first.st_mtime_ns
    assert main([*options, "vocab_size=35"]) == 0
    assert TextTokenizer.load(out).vocab_size == 35


def test_the_command_fails_on_an_impossible_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = tmp_path / "text"
    text.write_text("u1 ab\n", encoding="utf-8")
    assert main(["--text", str(text), "--out", str(tmp_path / "list"), "vocab_size=9999"]) == 1
    assert "set at most" in caplog.text
