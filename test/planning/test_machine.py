"""Checks of machine and corpora: what is enough, what is not, and what to do about it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tokenchain_toolkit.planning import machine
from tokenchain_toolkit.planning.corpora import check_corpora
from tokenchain_toolkit.planning.corpus_contents import HOLDS
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN, Finding, about_bytes, about_time, findings_table
from tokenchain_toolkit.planning.machine import Gpu, check_disk, check_memory, describe_gpus

GB = 10**9


def test_this_environment_is_what_the_toolkit_needs():
    assert machine.check_packages().status == OK
    assert machine.check_torch_pair().status == OK


@pytest.mark.parametrize(
    ("versions", "status"),
    [
        ({"torch": "2.11.0+cu130", "torchaudio": "2.11.0"}, OK),
        ({"torch": "2.11.0", "torchaudio": "2.10.0"}, FAIL),
        ({"torch": "2.11.0"}, FAIL),
    ],
)
def test_torch_and_torchaudio_must_be_a_pair(monkeypatch, versions, status):
    def version(name):
        if name not in versions:
            raise machine.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(machine.metadata, "version", version)
    assert machine.check_torch_pair().status == status


@pytest.mark.parametrize(("needed", "status"), [(None, OK), (5 * GB, OK), (9.5 * GB, WARN), (11 * GB, FAIL)])
def test_disk_is_compared_with_what_is_needed(monkeypatch, tmp_path, needed, status):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 * GB))
    assert check_disk(tmp_path, needed).status == status


def test_the_hungriest_stage_decides_about_memory():
    needed, remedies = {"train_asr": GB, "train_t2s": 20 * GB}, {"train_t2s": "smaller passes"}
    assert check_memory("memory", 30 * GB, needed, remedies).status == OK
    found = check_memory("memory", 16 * GB, needed, remedies)
    assert (found.status, found.remedy) == (WARN, "smaller passes") and "train_t2s needs about 20 GB" in found.found


def test_no_gpu_fails_where_the_recipe_asks_for_one():
    assert describe_gpus([]).status == OK
    found = describe_gpus([], is_wanted=True)
    assert found.status == FAIL and "--device cpu" in found.remedy


def test_a_gpu_without_bf16_is_a_warning():
    assert describe_gpus([Gpu("A100", 80 * GB, 79 * GB, has_bf16=True)]).status == OK
    assert describe_gpus([Gpu("T4", 16 * GB, 15 * GB, has_bf16=False)]).status == WARN


def test_estimates_have_two_digits_and_fitting_units():
    assert [about_time(seconds) for seconds in (0, 7.24, 100, 7200, 1_000_000)] == [
        *("0 seconds", "about 7.2 seconds", "about 1.7 minutes", "about 2.0 hours", "about 12 days")
    ]
    assert about_bytes(123_456_789) == "about 120 MB" and about_bytes(2.54e9) == "about 2.5 GB"


def test_the_table_shows_remedies_below_what_they_are_for():
    lines = findings_table([Finding("disk", FAIL, "full", "free some"), Finding("memory", OK, "enough")]).splitlines()
    assert [line.split() for line in lines] == [
        ["fail", "disk", "full"],
        ["->", "free", "some"],
        ["ok", "memory", "enough"],
    ]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A folder with a db.sh of several corpora, of which its data.sh uses all but one."""
    (tmp_path / "local").mkdir()
    (tmp_path / "local/data.sh").write_text('prepare "$HERE" "$GONE" "$LATER" "$HUB" --scale "$HERE_SCALE"\n')
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    (tmp_path / "db.sh").write_text(
        "export HERE=${HERE-$PWD/there}\nexport HERE_SCALE=1.0\nexport GONE=/no/such/folder\nexport LATER=${LATER-}\n"
        "export HUB=facebook/hubert\nexport UNUSED=/no/other/folder\n"
    )
    for name in ("HERE", "LATER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_corpora_of_a_recipe_are_those_that_it_uses(recipe):
    assert {each.check: each.status for each in check_corpora(recipe)} == {
        **{"HERE": OK, "HERE_SCALE": OK, "GONE": FAIL, "LATER": WARN, "HUB": WARN}
    }


def test_the_environment_wins_over_db_sh(recipe, monkeypatch):
    monkeypatch.setenv("HERE", "/no/such/place")
    monkeypatch.setenv("LATER", str(recipe / "there"))
    status = {each.check: each.status for each in check_corpora(recipe)}
    assert (status["HERE"], status["LATER"]) == (FAIL, OK)


def test_a_folder_without_db_sh_is_no_recipe(tmp_path):
    (found,) = check_corpora(tmp_path)
    assert found.status == WARN and "egs2" in found.remedy


def corpus_of(recipe, monkeypatch, name, folder, *sets):
    """What is said of a corpus that the recipe's data.sh takes, whose variable names this folder."""
    (recipe / "local/data.sh").write_text(f'prepare "${name}"\n')
    (recipe / "db.sh").write_text(f"export {name}=${{{name}-}}\n")
    monkeypatch.setenv(name, str(folder))
    (found,) = check_corpora(recipe, sets)
    return found


def make_folders(root, *paths):
    for path in paths:
        (root / path / "made").mkdir(parents=True)
    return root


def test_librispeech_must_have_what_the_sets_are_made_of(recipe, tmp_path, monkeypatch):
    root = make_folders(tmp_path / "corpora/LibriSpeech", "train-clean-100", "dev-clean", "dev-other")
    sets = ["train_clean_100", "dev", "held_out", "a_set_of_ours"]
    assert corpus_of(recipe, monkeypatch, "LIBRISPEECH", root, *sets).status == OK
    found = corpus_of(recipe, monkeypatch, "LIBRISPEECH", root, *sets, "test_clean", "test_other")
    assert found.status == FAIL and "has no test-clean, test-other," in found.found and "other sets" in found.remedy


@pytest.mark.parametrize("given", ["corpora", "corpora/LibriSpeech/dev-clean"])
def test_a_folder_too_high_or_too_low_is_told_the_right_one(given, recipe, tmp_path, monkeypatch):
    root = make_folders(tmp_path / "corpora/LibriSpeech", "train-clean-5", "dev-clean")
    make_folders(tmp_path / "corpora/another")
    found = corpus_of(recipe, monkeypatch, "MINI_LIBRISPEECH", tmp_path / given, "train_clean_5", "held_out")
    assert (found.status, found.remedy) == (FAIL, f"set MINI_LIBRISPEECH to {root}")


def test_a_release_of_tedlium_is_found_in_the_folder_or_around_it(recipe, tmp_path, monkeypatch):
    paths = [f"{name}/{kind}" for name in ("train", "dev", "test") for kind in ("sph", "stm")]
    release = make_folders(tmp_path / "corpora/TEDLIUM_release2", *paths)
    for folder in (release, release.parent):
        assert corpus_of(recipe, monkeypatch, "TEDLIUM2", folder).status == OK
    assert corpus_of(recipe, monkeypatch, "TEDLIUM2", release / "train").remedy == f"set TEDLIUM2 to {release}"
    (release / "dev/stm").rename(release / "dev/gone")
    found = corpus_of(recipe, monkeypatch, "TEDLIUM2", release)
    assert found.status == FAIL and "TEDLIUM_release2/{train,dev,test}" in found.found


EXCERPTS = {
    "AN4": "mini_an4/downloads/an4",
    "FSDD": "fsdd_excerpt",
    "KERSTIN": "kerstin_excerpt",
    "LJSPEECH": "ljspeech_excerpt/LJSpeech-1.1",
    "SPEECHOCEAN762_DIGITS": "speechocean762_digits",
}


@pytest.mark.parametrize("name", EXCERPTS)
def test_what_stage_1_reads_is_what_real_excerpts_have(name, recipe, tmp_path, monkeypatch):
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / EXCERPTS[name]
    if not folder.is_dir():
        pytest.skip(f"real speech is left out: {folder} is not there")
    assert EXCERPTS.keys() == HOLDS.keys()
    assert corpus_of(recipe, monkeypatch, name, folder).status == OK
    found = corpus_of(recipe, monkeypatch, name, tmp_path)
    assert found.status == FAIL and HOLDS[name][0] in found.found and "sets" not in found.remedy


def test_a_pretrained_model_must_have_safetensors(recipe, tmp_path, monkeypatch):
    model = tmp_path / "hubert"
    model.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (model / name).touch()
    found = corpus_of(recipe, monkeypatch, "HUBERT_BASE", model)
    assert found.status == FAIL and "has no *.safetensors" in found.found and "pytorch_model.bin" in found.remedy
    (model / "model-00001-of-00002.safetensors").touch()
    assert corpus_of(recipe, monkeypatch, "HUBERT_BASE", model).status == OK


def test_a_pretrained_model_that_is_not_fetched_must_be_a_folder(recipe, monkeypatch):
    found = corpus_of(recipe, monkeypatch, "SPEECHTOKENIZER", Path("models/speechtokenizer"))
    assert found.status == WARN and "it is not fetched" in found.found
    assert "a name on a hub" in corpus_of(recipe, monkeypatch, "HUBERT_BASE", Path("facebook/hubert")).found


@pytest.mark.parametrize(
    ("mirror", "status"), [("", OK), ("https://openslr.elda.org/resources", OK), ("/corpora/openslr", FAIL)]
)
def test_a_mirror_is_no_corpus(recipe, monkeypatch, mirror, status):
    (recipe / "local/data.sh").write_text('prepare --openslr "$OPENSLR"\n')
    (recipe / "db.sh").write_text("export OPENSLR=${OPENSLR-}\n")
    monkeypatch.setenv("OPENSLR", mirror)
    (found,) = check_corpora(recipe)
    assert found.status == status and "corpus" not in found.found + found.remedy
