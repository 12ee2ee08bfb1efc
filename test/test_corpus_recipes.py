"""The recipes of published corpora: four from data to report with tiny settings, the others up to their data.

Those four, and a new one of Kaldi tables, run on excerpts; the longer ones are cut to what all stages need.
"""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import check_recipe
from tokenchain_toolkit.bin.prepare_data import get_parser
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.text.bpe import train_bpe

ROOT = Path(__file__).resolve().parents[1]
EXCERPTS = ROOT.parent / "shared" / "data"
CORPORA = ("an4", "kerstin", "librispeech", "librispeech_100", "ljspeech", "mini_librispeech")
RECIPES = sorted(path.parents[1].name for path in (ROOT / "egs2").glob("*/tokenchain1/run.sh"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables with which run.sh finds this Python, without the time that its check for torch takes."""
    folder = tmp_path_factory.mktemp("venv") / "bin"
    folder.mkdir()
    (folder / "python3").write_text(f'#!/usr/bin/env bash\n[[ $1 == -c ]] || exec "{sys.executable}" "$@"\n')
    (folder / "python3").chmod(0o755)
    return {**os.environ, "VENV": str(folder.parent), "OMP_NUM_THREADS": "1"}


def copy_of(corpus, folder):
    """A tree with the recipe and what it links to in ``folder``; returns the recipe."""
    for name in {"TEMPLATE", "librispeech_100", corpus}:
        made = shutil.ignore_patterns("data", "dump", "exp", "*_tiny", "downloads")
        shutil.copytree(ROOT / "egs2" / name, folder / "egs2" / name, symlinks=True, ignore=made)
    (folder / "tokenchain_toolkit").symlink_to(ROOT / "tokenchain_toolkit")
    return folder / "egs2" / corpus / "tokenchain1"


def recipe_of_tables(corpus, folder):
    """A tree with a new recipe for Kaldi tables, by ``setup.sh`` and the page for recipe authors; the recipe."""
    made = shutil.ignore_patterns("data", "dump", "exp", "*_tiny", "downloads")
    shutil.copytree(ROOT / "egs2/TEMPLATE", folder / "egs2/TEMPLATE", symlinks=True, ignore=made)
    (folder / "tokenchain_toolkit").symlink_to(ROOT / "tokenchain_toolkit")
    command = ["egs2/TEMPLATE/tokenchain1/setup.sh", f"egs2/{corpus}/tokenchain1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    recipe = folder / "egs2" / corpus / "tokenchain1"
    page = (ROOT / "egs2/README.md").read_text(encoding="utf-8").partition("## From Kaldi tables")[2]
    script = page.partition("```bash\n")[2].partition("```")[0]
    (recipe / "local/data.sh").write_text(script.replace("MINE", corpus.upper()))
    sets = (recipe / "run.sh").read_text()
    (recipe / "run.sh").write_text(sets.replace("--valid_set valid", "--valid_set held_out"))
    return recipe


def run(recipe, *options, environment, **variables):
    """Run ``run.sh`` and return the process, with both outputs in ``stdout``."""
    command = [str(recipe / "run.sh"), *options]
    settings = {"env": {**environment, **variables}, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, text=True, **settings)


def commands_of(recipe, *options, environment):
    """The words of every command of the toolkit that ``run.sh`` would run."""
    done = run(recipe, "--dry_run", *options, environment=environment)
    assert done.returncode == 0, done.stdout
    return [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python3 ")]


def values_of(commands, *options):
    """What follows any of these options in any command."""
    return {word for words in commands for option, word in pairwise(words) if option in options}


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_recipe_trains_with_its_own_settings_and_has_all_of_them(corpus, environment):
    recipe = ROOT / "egs2" / corpus / "tokenchain1"
    commands = commands_of(recipe, "--chains", "baseline st_argmax st_gumbel", environment=environment)
    configs = values_of(commands, "--config")
    assert len(configs) == 11 and all((recipe / config).is_file() for config in configs)
    assert {Path(config).parent.name for config in configs} == {"conf"}
    sets = {value.removeprefix("data/") for value in values_of(commands, "--train_data", "--valid_data")}
    assert len(sets) == 2 and len((recipe / "run.sh").read_text().splitlines()) <= 25


def files_in(recipe, *names):
    """Every file and link in some of a recipe's folders, with its time and its content."""
    paths = [path for name in names for path in (recipe / name).rglob("*") if path.is_file() or path.is_symlink()]
    return {path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in paths}


@pytest.mark.parametrize("corpus", RECIPES)
def test_tiny_settings_keep_away_from_what_the_recipe_makes(corpus, environment):
    commands = commands_of(ROOT / "egs2" / corpus / "tokenchain1", "--tiny", environment=environment)
    assert {Path(config).parent.name for config in values_of(commands, "--config")} == {"tiny"}
    assert {Path(out).parts[0] for out in values_of(commands, "--out")} <= {"data_tiny", "dump_tiny", "exp_tiny"}
    words = {Path(word) for command in commands for word in command[3:]}
    read = {part for path in words if not path.is_absolute() for part in path.parts}
    assert {"data_tiny", "dump_tiny", "exp_tiny"} <= read and not {"data", "dump", "exp"} & read
    assert values_of(commands, "--device") == {"cpu"}
    (title,) = values_of(commands, "--title")
    assert title.startswith(f"{corpus} ") and "the figures mean nothing" in title


@pytest.fixture
def shown_preparation(environment, tmp_path):
    """A function that runs stage 1 with options, and gives those of the corpus's preparation, which is not run."""
    python = tmp_path / "venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text("#!/usr/bin/env bash\n[[ $1 == -c ]] || printf '%q ' \"$@\"; echo\n")
    python.chmod(0o755)
    corpora = {name: str(tmp_path) for name in ("FSDD", "KERSTIN")}  # they would be cloned

    def call(corpus, *options):
        recipe = copy_of(corpus, tmp_path)
        settings = {**environment, **corpora, "VENV": str(python.parents[1])}
        done = run(recipe, "--stop_stage", "data", *options, environment=settings)
        assert done.returncode == 0, done.stdout
        (words,) = [shlex.split(line) for line in done.stdout.splitlines() if "prepare_data" in line]
        return get_parser().parse_args(words[2:])

    return call


@pytest.mark.parametrize("corpus", RECIPES)
def test_stage_1_is_told_the_folder_of_the_sets_and_the_number_of_jobs(corpus, shown_preparation):
    arguments = shown_preparation(corpus, "--data", "elsewhere", "--num_jobs", "7")
    assert arguments.out == Path("elsewhere") and getattr(arguments, "num_jobs", 7) == 7
    assert getattr(arguments, "downloads", Path("downloads")) == Path("downloads")


@pytest.mark.parametrize("corpus", RECIPES)
def test_options_get_to_the_preparation(corpus, shown_preparation):
    arguments = shown_preparation(corpus, "--overwrite", "--data_args", "--out elsewhere")
    assert arguments.overwrite and arguments.out == Path("elsewhere")


def test_options_get_to_validation(environment):
    recipe = ROOT / "egs2" / "an4" / "tokenchain1"
    options = ("--validate_args", "--max_seconds 90 --allow_resample", "--stop_stage", "validate")
    (validate,) = commands_of(recipe, *options, environment=environment)
    assert validate[-3:] == ["--max_seconds", "90", "--allow_resample"]


def write_talks(release):
    """TED-LIUM's layout with a talk of noise and two utterances for each set."""
    for name in ("train", "dev", "test"):
        for kind in ("sph", "stm"):
            (release / name / kind).mkdir(parents=True)
        noise_T = np.random.default_rng(0).uniform(-0.1, 0.1, 64000)
        soundfile.write(release / name / "sph" / f"{name}.sph", noise_T, 16000, format="NIST", subtype="PCM_16")
        lines = (f"{name} 1 {name} {start} {start + 1} <o,f0,male> a cab\n" for start in (0, 2))
        (release / name / "stm" / f"{name}.stm").write_text("".join(lines))


def test_preparation_with_tiny_settings_leaves_the_sets_of_the_real_run_alone(environment, tmp_path):
    write_talks(tmp_path / "TEDLIUM_release2")
    recipe, source = copy_of("tedlium2", tmp_path), tmp_path / "source"
    # The sets depend on the source's text units, which are others in its run with tiny settings.
    train_bpe(["a cab"], source / "data" / "token_list" / "hubert_l9_km1024", model_type="char")
    train_bpe(["A CAB"], source / "data_tiny" / "token_list" / "tiny", model_type="char")
    for name in ("dump/hubert_l9_km1024/train/semantic.ark", "exp/chain_baseline/asr/model.safetensors"):
        (recipe / name).parent.mkdir(parents=True)
        (recipe / name).write_text("made by a real run")
    chosen = ("--source_sets", "", "--replay_sets", "", "--test_sets", "test", "--stop_stage", "validate")
    variables = {"TEDLIUM2": str(tmp_path), "TEDLIUM2_SOURCE": str(source)}
    done = run(recipe, *chosen, environment=environment, **variables)
    assert done.returncode == 0, done.stdout
    before = files_in(recipe, "data", "dump", "exp")
    assert {path.name for path in before} >= {"wav.scp", ".done", ".valid", "model.safetensors"}
    for options in (("--tiny", "--dry_run"), ("--tiny",), ("--tiny", "--overwrite"), ()):
        done = run(recipe, *chosen, *options, environment=environment, **variables)
        assert done.returncode == 0, done.stdout
        assert files_in(recipe, "data", "dump", "exp") == before
    assert "is up to date" in done.stdout
    texts = [set(read_table(recipe / name / "train" / "text").values()) for name in ("data", "data_tiny")]
    assert texts == [{"a cab"}, {"A CAB"}]
    audio = read_table(recipe / "data_tiny" / "train" / "wav.scp").values()
    assert all(Path(path).is_relative_to(recipe / "data_tiny" / "wav") for path in audio)


def test_options_behind_tiny_win(environment):
    recipe = ROOT / "egs2" / "ljspeech" / "tokenchain1"
    commands = commands_of(recipe, "--tiny", "--device", "cuda", "--exp", "exp_mine", environment=environment)
    assert values_of(commands, "--device") == {"cuda"} and "exp_mine/asr" in values_of(commands, "--out")


def whole(source, folder):
    """The excerpt as it is."""
    return source


def first_rows(source, folder):
    """The first 16 rows of the excerpt's table and links to their recordings."""
    (table,) = source.rglob("metadata.csv")
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)[:16]
    names = {row.partition("|")[0] for row in rows}
    for path in (path for path in source.rglob("*") if path.is_file() and path.stem in names):
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    (folder / table.relative_to(source)).write_text("".join(rows), encoding="utf-8")
    return folder


def first_speakers(source, folder):
    """Links to the first 12 speakers for training, and to the first one for testing."""
    for subset, count in (("train-clean-100", 12), ("test-other", 1)):
        (folder / subset).mkdir(parents=True)
        for speaker in sorted((source / subset).iterdir())[:count]:
            (folder / subset / speaker.name).symlink_to(speaker)
    return folder


def first_of_tables(source, folder):
    """Tables of eight utterances of three speakers for training, and of one for testing; a link to the audio."""
    folder.mkdir()
    (folder / "WAVE").symlink_to(source / "WAVE")
    for name, num_speakers in (("train", 3), ("test", 1)):
        speakers = read_table(source / name / "utt2spk")
        first = sorted(set(speakers.values()))[:num_speakers]
        chosen = [each for who in first for each in [utt for utt, other in speakers.items() if other == who][:8]]
        (folder / name).mkdir()
        for table in ("wav.scp", "text", "utt2spk"):
            rows = read_table(source / name / table)
            (folder / name / table).write_text("".join(f"{utt_id}\t{rows[utt_id]}\n" for utt_id in sorted(chosen)))
    return folder


CHOSEN = ("--train_set", "train_clean_100", "--test_sets", "test_other")


@pytest.mark.parametrize(
    ("corpus", "excerpt", "cut", "options", "test_set"),
    [
        ("an4", "mini_an4/downloads/an4", whole, (), "test"),
        ("kerstin", "kerstin_excerpt", first_rows, (), "test"),
        ("ljspeech", "ljspeech_excerpt/LJSpeech-1.1", first_rows, (), "eval1"),
        ("mini_librispeech", "librispeech_excerpt/LibriSpeech", first_speakers, CHOSEN, "test_other"),
        ("speechocean762", "speechocean762_excerpt", first_of_tables, (), "test"),
    ],
    ids=("an4", "kerstin", "ljspeech", "mini_librispeech", "speechocean762"),
)
def test_a_recipe_runs_with_tiny_settings_from_data_to_report(
    corpus, excerpt, cut, options, test_set, environment, tmp_path, monkeypatch
):
    if not (EXCERPTS / excerpt).is_dir():
        pytest.skip(f"real speech is left out: {EXCERPTS / excerpt} is not there")
    recipe = (copy_of if corpus in RECIPES else recipe_of_tables)(corpus, tmp_path)
    data = cut(EXCERPTS / excerpt, tmp_path / "corpus")
    shipped, tiny = {path.name for path in recipe.iterdir()}, ("--tiny", *options)
    for chosen in (options, tiny):
        done = run(recipe, *chosen, "--stop_stage", "data", environment=environment, **{corpus.upper(): str(data)})
        assert done.returncode == 0, done.stdout
    assert corpus in RECIPES or check_recipe.main([str(recipe)]) == 0
    before = files_in(recipe, "data")
    monkeypatch.chdir(recipe)
    # What follows runs in this process: the commands are the recipe's, and loading torch forty times is left out.
    for words in commands_of(recipe, *tiny, "--num_jobs", "1", "--stage", "validate", environment=environment):
        assert importlib.import_module(words[2]).main(words[3:]) == 0, words
    rows = json.loads((recipe / "exp_tiny" / "results.json").read_text())
    scored = {(row["experiment"], row["metric"]) for row in rows if row["set"] == test_set}
    assert {("asr", "wer"), ("chain_st_argmax", "wer_change"), ("codec", "resynthesis_wer")} <= scored
    assert {(f"chain_{name}", "synthesis_wer") for name in ("baseline", "st_argmax")} <= scored
    assert "the figures mean nothing" in (recipe / "exp_tiny" / "RESULTS.md").read_text().splitlines()[0]
    made = {path.name for path in recipe.iterdir()} - shipped
    assert made == {"data", "data_tiny", "dump_tiny", "exp_tiny"}
    assert files_in(recipe, "data") == before
    (first, *_) = sorted((recipe / "exp_tiny" / "chain_st_argmax" / f"synth_{test_set}" / "wav").glob("*.wav"))
    assert soundfile.info(first).samplerate == 16000


@pytest.mark.skipif(
    not (EXCERPTS / "librispeech_excerpt").is_dir(), reason=f"real speech is left out: {EXCERPTS} has no LibriSpeech"
)
@pytest.mark.parametrize(
    ("corpus", "variable"), [("librispeech", "LIBRISPEECH"), ("mini_librispeech", "MINI_LIBRISPEECH")]
)
def test_the_sets_that_are_chosen_are_prepared(corpus, variable, environment, tmp_path):
    recipe = copy_of(corpus, tmp_path)
    root = {variable: str(EXCERPTS / "librispeech_excerpt" / "LibriSpeech")}
    chosen = ("--train_set", "train_clean_100", "--valid_set", "held_out", "--test_sets", "test_other")
    done = run(recipe, *chosen, "--stop_stage", "data", environment=environment, **root)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in (recipe / "data").iterdir()) == ["held_out", "test_other", "train_clean_100"]
    assert "test-other: 80 of the 2,939 published utterances are in" in done.stdout


@pytest.fixture(scope="module")
def all_subsets(tmp_path_factory):
    """LibriSpeech's layout with every subset that the recipes name, each with some speakers of the excerpt."""
    excerpt, root = EXCERPTS / "librispeech_excerpt" / "LibriSpeech", tmp_path_factory.mktemp("LibriSpeech")
    train, test = (sorted((excerpt / name).iterdir()) for name in ("train-clean-100", "test-other"))
    subsets = {"train-clean-100": train[:60], "train-clean-360": train[60:61], "train-other-500": train[61:62]}
    subsets |= {f"{part}-{kind}": [test.pop()] for part, kind in product(("dev", "test"), ("clean", "other"))}
    for subset, speakers in subsets.items():
        (root / subset).mkdir()
        for speaker in speakers:
            (root / subset / speaker.name).symlink_to(speaker)
    return root


@pytest.mark.skipif(
    not (EXCERPTS / "librispeech_excerpt").is_dir(), reason=f"real speech is left out: {EXCERPTS} has no LibriSpeech"
)
@pytest.mark.parametrize("corpus", ["librispeech", "librispeech_100"])
def test_the_recipes_keep_the_contract_as_they_are_shipped(
    corpus, all_subsets, environment, tmp_path, caplog, monkeypatch
):
    recipe = copy_of(corpus, tmp_path)
    done = run(recipe, "--stop_stage", "data", environment=environment, LIBRISPEECH=str(all_subsets))
    assert done.returncode == 0, done.stdout
    monkeypatch.setenv("VENV", environment["VENV"])
    caplog.set_level("INFO")
    assert check_recipe.main([str(recipe)]) == 0, caplog.text
    for name in ("dev_clean", "dev_other"):
        assert f"the figures of data/{name} are no test on unseen speech" in caplog.text


@pytest.mark.skipif(
    not (EXCERPTS / "librispeech_excerpt").is_dir(), reason=f"real speech is left out: {EXCERPTS} has no LibriSpeech"
)
@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ((), "has no dev-clean and no dev-other, which the set dev is made of"),
        (("--valid_set", "held_out"), "has no test-clean, which the set test_clean is made of"),
    ],
    ids=("dev", "test_clean"),
)
def test_a_set_that_the_excerpt_lacks_stops_the_recipe_with_those_it_has(options, lacks, environment, tmp_path):
    recipe = copy_of("librispeech_100", tmp_path)
    root = str(EXCERPTS / "librispeech_excerpt" / "LibriSpeech")
    done = run(recipe, *options, "--stop_stage", "data", environment=environment, LIBRISPEECH=root)
    assert done.returncode != 0 and not (recipe / "data").exists() and lacks in done.stdout
    assert "(train_clean_100, test_other) with --train_set, --valid_set and --test_sets" in done.stdout


@pytest.mark.parametrize(
    ("tag", "name"), [("hubert_l9_km1024", "tokenizer"), ("speechtokenizer", "tokenizer_speechtokenizer")]
)
def test_a_tag_names_its_tokenizer_if_it_has_a_configuration(tag, name, tmp_path, environment):
    recipe = copy_of("librispeech_100", tmp_path)
    stages = ("--stage", "learn_tokenizer", "--stop_stage", "learn_tokenizer")
    done = run(recipe, "--dry_run", "--tag", tag, *stages, environment=environment)
    assert f"--config conf/{name}.yaml" in done.stdout and f"--out exp/tokenizer_{tag}" in done.stdout


@pytest.mark.parametrize("corpus", ["fsdd", "kerstin"])
def test_a_repository_is_fetched_at_a_fixed_commit(corpus, tmp_path, environment):
    recipe, tools = copy_of(corpus, tmp_path), tmp_path / "tools"
    tools.mkdir()
    script = '#!/usr/bin/env bash\nprintf "%s\\n" "$*" >>"$GIT_LOG"\n[[ $1 == init ]] && mkdir -p "${@: -1}"\n'
    (tools / "git").write_text(script)
    (tools / "git").chmod(0o755)
    asked = {**environment, "PATH": f"{tools}:{environment['PATH']}", "GIT_LOG": str(tmp_path / "log")}
    done = subprocess.run(["local/data.sh"], cwd=recipe, env={**asked, corpus.upper(): ""}, capture_output=True)
    log = (tmp_path / "log").read_text().splitlines()
    assert re.search(r" fetch --depth 1 https://github\.com/\S+ [0-9a-f]{40}$", log[1])
    # Half a repository is not taken for a whole one.
    assert done.returncode != 0 and [path.suffix for path in (recipe / "downloads").iterdir()] == [".part"]
