"""What stage data takes of the disk: by what db.sh leaves empty, and by what the recipe writes."""

import pytest

from tokenchain_toolkit.corpora.archives import LIBRISPEECH, LJSPEECH
from tokenchain_toolkit.planning.data_stage import data_stage
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.recipe.commands import parse_commands

SHOWN = """
== stage 2: validate
python3 -m tokenchain_toolkit.bin.validate data/train_960 data/test_clean
== stage 7: train_asr
python3 -m tokenchain_toolkit.bin.train_asr --train_data data/train_960 --train_dump dump/x/train_960 \
--valid_data data/test_clean --valid_dump dump/x/test_clean --out exp/asr
""".splitlines()


@pytest.fixture
def run_with(tmp_path):
    """A recipe whose stage data reads one variable."""

    def build(name, value=""):
        (tmp_path / "local").mkdir(exist_ok=True)
        (tmp_path / "local/data.sh").write_text(f'prepare --root "${name}"\n')
        (tmp_path / "db.sh").write_text(f"export {name}={value}\nexport AN4=\n")
        return RecipeRun(tmp_path, parse_commands(SHOWN))

    return build


def test_what_is_downloaded_is_counted_packed_and_unpacked(run_with):
    found = data_stage(run_with("LIBRISPEECH"), seconds=3.5e6)
    wanted = [LIBRISPEECH[name].size for name in ("train-clean-100", "train-clean-360", "train-other-500")]
    assert found.disk_bytes == sum(wanted) + LIBRISPEECH["test-clean"].size + max(wanted)
    assert found.disk_bytes > 90e9 and "LIBRISPEECH" in found.basis and "AN4" not in found.basis


def test_a_corpus_that_is_there_takes_nothing(run_with):
    assert data_stage(run_with("LIBRISPEECH", "/corpora/LibriSpeech"), seconds=3.5e6) is None


def test_audio_that_is_written_is_counted_until_it_is_there(run_with, tmp_path):
    written = 86_400 * 32_000
    assert data_stage(run_with("LJSPEECH", "/corpora/LJSpeech-1.1"), seconds=86_400).disk_bytes == written
    packed_and_unpacked = LJSPEECH.size + round(LJSPEECH.size * LJSPEECH.growth)
    assert data_stage(run_with("LJSPEECH"), seconds=86_400).disk_bytes == written + packed_and_unpacked
    (tmp_path / "data/wav").mkdir(parents=True)
    assert data_stage(run_with("LJSPEECH"), seconds=86_400).disk_bytes == packed_and_unpacked
