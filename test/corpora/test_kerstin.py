from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.corpora.kerstin import prepare_kerstin
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.text.bpe import train_bpe

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kerstin_excerpt"
SENTENCES = ["Höhle – „Übergröße“!", "Die Stadt Weißenburg-Gunzenhausen.", "Größe, Öl und Ärger", "STRAẞE 12"]


@pytest.fixture
def root(tmp_path):
    """The layout of kerstin with four sentences."""
    folder = tmp_path / "kerstin" / "verified"
    folder.mkdir(parents=True)
    lines = []
    for number, sentence in enumerate(SENTENCES):
        soundfile.write(folder / f"de_rhasspy-{number:04d}.flac", np.full(4800, 0.1), 48000)
        lines.append(f"de_rhasspy-{number:04d}|{sentence}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder.parent


def test_german_letters_stay_letters(root, tmp_path):
    assert prepare_kerstin(tmp_path / "data", root=root)
    sets = {name: read_data_dir(tmp_path / "data" / name) for name in ("train", "valid", "test")}
    assert sets["train"].texts == {
        "kerstin-de_rhasspy-0000": "höhle übergröße",
        "kerstin-de_rhasspy-0001": "die stadt weißenburg gunzenhausen",
    }
    assert sets["valid"].texts == {"kerstin-de_rhasspy-0002": "größe öl und ärger"}
    assert sets["test"].texts == {"kerstin-de_rhasspy-0003": "straße 12"}
    assert soundfile.info(sets["test"].wavs["kerstin-de_rhasspy-0003"]).samplerate == 16000


def test_what_the_copy_lacks_is_said(root, tmp_path, caplog):
    prepare_kerstin(tmp_path / "data", root=root)
    assert f"kerstin: 4 of the 1,374 published utterances are in {root}; figures" in caplog.text


def test_faults_are_named(root, tmp_path):
    table = root / "verified" / "metadata.csv"
    table.write_text(table.read_text() + "de_rhasspy-0009 no separator\n")
    with pytest.raises(DataError, match=r"metadata\.csv:5: no '\|' between name and text; clone https.*KERSTIN="):
        prepare_kerstin(tmp_path / "data", root=root)
    table.write_text("de_rhasspy-0000|eins\n")
    with pytest.raises(DataError, match=r"3 faults: .*de_rhasspy-0001\.flac has no transcript"):
        prepare_kerstin(tmp_path / "data", root=root)


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_text_units_learned_from_the_real_excerpt_write_every_sentence_of_it(tmp_path):
    prepare_kerstin(tmp_path, root=EXCERPT)
    sets = {name: read_data_dir(tmp_path / name) for name in ("train", "valid", "test")}
    assert {name: len(data.texts) for name, data in sets.items()} == {"train": 55, "valid": 11, "test": 11}
    tokenizer = train_bpe(sets["train"].texts.values(), tmp_path / "bpe", vocab_size=100)
    for text in (text for data in sets.values() for text in data.texts.values()):
        assert tokenizer.decode(tokenizer.encode(text)) == text
