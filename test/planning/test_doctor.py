"""The doctor on a tiny recipe: before and after its data is there, and with what is wrong in it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tokenchain_toolkit.bin import doctor
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.files import read_json

TINY_ASR = {
    **{"embed_dim": 8, "encoder_dim": 8, "encoder_blocks": 1, "attention_heads": 2, "cgmlp_units": 8},
    **{"cgmlp_kernel": 3, "merge_kernel": 3, "feed_forward_units": 8, "decoder_layers": 1, "decoder_units": 8},
}
TINY = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
SETTINGS = {
    "tokenizer": {
        "semantic": {"kmeans": {"num_clusters": 12}},
        "codec": {
            **{"num_quantizers": 3, "codebook_size": 7},
            "head": {"steps": 30, "hidden_dim": 8, "num_layers": 1, "batch_size": 2},
        },
    },
    "bpe": {"model_type": "char"},
    "train_asr": {"model": TINY_ASR},
    "train_t2s": {"model": TINY},
    "chain_baseline": {"model": {"feedback": "none"}},
    "chain_st_argmax": {},
    "train_s2a": {"model": {**TINY, "conv_kernel": 3}},
    "decode_asr": {"beam_size": 2},
    "decode_t2s": {"prompt_frames": 5},
    "synthesize": {"prompt_frames": 5},
}
TEMPLATE = Path(__file__).resolve().parents[2] / "egs2" / "TEMPLATE" / "tokenchain1"
DECODING = ["decode_asr", "decode_t2s", "synthesize", "score"]


def make_recipe(root, settings=SETTINGS, options="--train_set train --valid_set train --test_sets train"):
    """A recipe's folder with settings alone, which is the working directory of its commands."""
    (root / "conf").mkdir(parents=True)
    (root / "local").mkdir()
    for name in ("tokenchain.sh", "path.sh", "cmd.sh"):
        (root / name).symlink_to(TEMPLATE / name)
    for name in ("db.sh", "local/data.sh"):
        (root / name).touch()
    (root / "run.sh").write_text(f'./tokenchain.sh {options} "$@"\n')
    for name, values in settings.items():
        training = {"max_epochs": 2, "batch_frames": 200, "accelerator": "cpu", "precision": "32-true"}
        values = {**values, "training": training} if name.startswith(("train_", "chain_")) else values
        (root / "conf" / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a recipe of the one set train, before there is data; the doctor runs in it."""
    monkeypatch.chdir(make_recipe(tmp_path / "mine"))
    return tmp_path / "mine"


@pytest.fixture
def filled(folder, recipe):
    """The same with data, tokens and text units."""
    shutil.copytree(recipe.root / "data", folder / "data/train")
    shutil.copytree(recipe.root / "dump", folder / "dump/mfcc/train")
    shutil.copytree(recipe.root / "token_list", folder / "data/token_list/mfcc")
    return folder


def diagnose(*arguments):
    """Exit status, check -> status, and the whole file."""
    status = doctor.main(["--json", "doctor.json", *arguments])
    found = read_json(Path("doctor.json"))
    return status, {each["check"]: each["status"] for each in found["findings"]}, found


def test_before_there_is_data_hours_are_reckoned_with(folder):
    status, checks, found = diagnose("--seconds", "0.5", "--hours", "1")
    assert status == 0 and checks["data"] == checks["estimates"] == "ok"
    stages = {each["stage"]: each for each in found["stages"]}
    assert list(stages) == [
        *("learn_tokenizer", "extract_tokens", "train_asr", "train_t2s"),
        *("train_chain_baseline", "train_chain_st_argmax", "train_s2a", *DECODING),
    ]
    assert all(each["seconds"] > 0 for each in stages.values())
    assert [each["name"] for each in found["decodings"]] == ["asr", "t2s", "s2a"] and found["vocoding"]["speed"] > 0
    head = found["head"]
    assert head["num_steps"] == 30 and stages["learn_tokenizer"]["seconds"] > 30 * head["step_seconds"]
    assert stages["learn_tokenizer"]["disk_bytes"] == 4 * head["num_parameters"]
    _, _, twice = diagnose("--seconds", "0.5", "--hours", "2")
    ratio = twice["stages"][1]["disk_bytes"] / stages["extract_tokens"]["disk_bytes"]
    assert ratio == pytest.approx(2, rel=0.01)


def test_without_hours_nothing_is_reckoned(folder):
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and checks["estimates"] == checks["data"] == "warn" and not found["stages"]


def test_before_there_is_data_of_a_known_corpus_it_is_reckoned_with_as_published(tmp_path, monkeypatch, capsys):
    options = "--train_set train_clean_5 --valid_set held_out --test_sets dev_clean_2"
    monkeypatch.chdir(make_recipe(tmp_path / "mini_librispeech/tokenchain1", options=options))
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and (checks["data"], checks["estimates"]) == ("warn", "ok") and found["stages"]
    assert "for 4.75 hours of training speech (train_clean_5) as published, and 3%" in capsys.readouterr().out
    _, _, told = diagnose("--seconds", "0.5", "--hours", "9.5")
    sizes = [each["stages"][1]["disk_bytes"] for each in (found, told)]
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.01)
    assert diagnose("--seconds", "0.5", "--train_set", "unheard_of")[1]["estimates"] == "warn"


def test_with_data_it_says_more(filled, capsys):
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and checks["data/train"] == checks["CTC on train"] == "ok"
    assert found["sets"][0]["num_utts"] == 8 and 4 < found["ctc"][0]["frames_per_unit"] < 6
    table = capsys.readouterr().out
    assert "hours of training speech (train)" in table and "extrapolated from the probe" in table


def test_a_key_that_does_not_exist_fails(filled, caplog):
    (filled / "conf/train_t2s.yaml").write_text("model: {hiden_dim: 8}\n")
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 1 and checks["settings"] == "fail" and "to be mended first: settings;" in caplog.text


def test_a_recipe_on_the_models_of_another_is_told_to_look_there(folder, capsys):
    (folder / "conf/tokenizer.yaml").unlink()
    assert diagnose("--seconds", "0")[1]["settings"] == "fail"
    (folder / "run.sh").write_text('./tokenchain.sh --source ../other "$@"\n')
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 0 and checks["settings"] == "warn" and "in that recipe's folder" in capsys.readouterr().out


def test_settings_of_another_recipe_s_models_are_read_there(filled, capsys):
    source = filled.parent / "other"
    make_recipe(source)
    for name in ("tokenizer", "bpe", "train_asr", "train_t2s", "train_s2a"):
        (filled / "conf" / f"{name}.yaml").unlink()
    shutil.move(filled / "data", source)
    shutil.move(filled / "dump", source)
    (filled / "run.sh").write_text(
        "./tokenchain.sh --source ../other --source_sets train --replay_sets train --train_set talk --valid_set talk "
        '--test_sets "talk train" "$@"\n'
    )
    for name in ("data/train", "dump/mfcc/train"):
        (filled / name).parent.mkdir(parents=True)
        (filled / name).symlink_to(source / name)
    shutil.copytree(source / "data/train", filled / "data/talk")
    shutil.copytree(source / "dump/mfcc/train", filled / "dump/mfcc/talk")
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and checks["settings"] == checks["CTC on talk"] == checks["CTC on train"] == "ok"
    table = capsys.readouterr().out
    assert "../other" in table and "hours of training speech (talk, train)" in table
    stages = {each["stage"]: each for each in found["stages"]}
    trained = ["train_chain_baseline", "train_chain_st_argmax"]
    assert list(stages) == ["extract_tokens", *trained, *DECODING], "what is the source's is not done again"
    (filled / "run.sh").write_text(
        "./tokenchain.sh --source ../other --source_sets train --train_set talk --valid_set talk --test_sets talk "
        '"$@"\n'
    )
    _, _, without_replay = diagnose("--seconds", "0.5")
    updates = [int(re.search(r"([\d,]+) updates", each["stages"][1]["basis"])[1]) for each in (found, without_replay)]
    assert updates[0] > updates[1], "what is replayed is trained on, too"


def test_texts_that_ctc_cannot_spell_fail(filled):
    (filled / "conf/train_asr.yaml").write_text(yaml.safe_dump({"model": {**TINY_ASR, "input_layer": "conv1d3"}}))
    text = filled / "data/train/text"
    text.write_text(text.read_text().replace(" ea\n", " eaeaeaeaea\n"))
    status, checks, found = diagnose("--seconds", "0")
    assert status == 1 and checks["CTC on train"] == "fail"
    assert list(found["ctc"][0]["shortages"]) == ["utt002"]


def test_the_tokenizer_is_the_one_that_run_sh_names(filled):
    (filled / "dump/other").mkdir()
    assert diagnose("--seconds", "0")[2]["ctc"][0]["basis"].startswith("tokens, units of")
    # There are no tokens of that one, and the audio of these is nowhere.
    status, checks, _ = diagnose("--seconds", "0", "--tag", "other")
    assert status == 1 and checks["data/train"] == checks["CTC on train"] == "fail"


def test_other_folders_are_looked_at_when_they_are_named(filled):
    for name in ("data", "dump"):
        (filled / name).rename(filled / f"{name}_tiny")
    assert diagnose("--seconds", "0")[1]["data"] == "warn"
    _, checks, found = diagnose("--seconds", "0", "--data", "data_tiny", "--dump", "dump_tiny")
    assert checks["data_tiny/train"] == checks["CTC on train"] == "ok"
    assert found["ctc"][0]["basis"] == "tokens, units of data_tiny/token_list/mfcc"


def test_a_set_that_is_not_there_is_named(filled, capsys):
    status, checks, _ = diagnose("--seconds", "0.1", "--train_set", "more")
    assert status == 1 and checks["data"] == "fail" and "holds no set more; it has train" in capsys.readouterr().out


def test_before_there_are_tokens_durations_and_new_units_tell_whether_ctc_can_spell(filled):
    shutil.rmtree(filled / "dump")
    shutil.rmtree(filled / "data/token_list")
    for number, line in enumerate((filled / "data/train/wav.scp").read_text().splitlines()):
        path = filled / f"{number}.wav"
        write_audio(path, np.zeros(16000 if number else 1600, np.float32), sample_rate=16000)
        replace_line(filled / "data/train/wav.scp", line, f"{line.split()[0]} {path}")
    status, checks, found = diagnose("--seconds", "0")
    assert checks["text units"] == "ok" and list(found["ctc"][0]["shortages"]) == ["utt000"]
    assert status == 1 and checks["CTC on train"] == "fail"


def replace_line(path, old, new):
    path.write_text(path.read_text().replace(f"{old}\n", f"{new}\n"))


def test_units_that_cannot_be_learned_fail_before_anything_is_extracted(filled, capsys):
    shutil.rmtree(filled / "dump")
    shutil.rmtree(filled / "data/token_list")
    (filled / "conf/bpe.yaml").write_text("vocab_size: 5000\n")
    status, checks, _ = diagnose("--seconds", "0")
    assert (
        status == 1
        and checks["text units"] == "fail"
        and "vocab_size=5000 is too large for this text" in capsys.readouterr().out
    )


DENSE = '--train_set train --valid_set train --test_sets "train dense"'


@pytest.mark.parametrize(
    ("options", "status", "check", "told"),
    [
        (DENSE, 0, "warn", "only decoded"),
        ("--train_set train --valid_set train --test_sets train", 0, "warn", "not named by run.sh"),
        ("--train_set train --valid_set dense --test_sets train", 1, "fail", "vocab_size"),
    ],
)
def test_texts_too_dense_for_ctc_fail_only_where_a_stage_would_stop(
    filled, recipe, manifest, options, status, check, told
):
    """A second set that is spoken much too fast for its texts, as another domain may be."""
    hasty = {f"fast{index:03d}": np.zeros(4, np.int16) for index in range(3)}
    made = recipe.add_set("dense", ["deed", "deed", "deed"], manifest=manifest, spoken=hasty, prefix="fast")
    shutil.move(made["train_data"], filled / "data/dense")
    shutil.move(made["train_dump"], filled / "dump/mfcc/dense")
    (filled / "run.sh").write_text(f'./tokenchain.sh {options} "$@"\n')
    found_status, checks, found = diagnose("--seconds", "0")
    assert (found_status, checks["CTC on dense"], checks["CTC on train"]) == (status, check, "ok")
    (line,) = (each for each in found["findings"] if each["check"] == "CTC on dense")
    assert told in line["remedy"]


@pytest.mark.parametrize("tables", ["unreadable", "empty"])
def test_a_training_set_of_which_nothing_can_be_read_is_said_and_the_rest_is_shown(filled, tables):
    shutil.rmtree(filled / "dump")  # the audio of the tables is nowhere, as on a disk that is not mounted
    shutil.rmtree(filled / "data/token_list")
    if tables == "empty":
        for name in ("wav.scp", "text", "utt2spk"):
            (filled / "data/train" / name).write_text("")
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 1 and checks["data/train"] == checks["estimates"] == "fail"
    assert not found["ctc"] and not found["stages"] and "disk" in checks
    assert "fail" in (checks.get("CTC on train"), checks["text units"])


def test_a_test_set_of_which_nothing_can_be_read_does_not_stop_the_estimates(filled):
    shutil.copytree(filled / "data/train", filled / "data/far")
    (filled / "run.sh").write_text('./tokenchain.sh --valid_set train --test_sets "train far" "$@"\n')
    status, checks, found = diagnose("--seconds", "0.1")
    assert status == 1 and checks["data/far"] == "fail" and checks["CTC on far"] == "warn"
    assert checks["estimates"] == "ok" and found["stages"]


def test_sets_are_used_as_run_sh_says_whatever_their_names_and_sizes(filled, capsys):
    """A set that is named like a validation set is a test set; perturbed copies, the largest set, are not used."""
    for name in ("dev_clean_2", "held_out", "train_sp"):
        shutil.copytree(filled / "data/train", filled / "data" / name)
        shutil.copytree(filled / "dump/mfcc/train", filled / "dump/mfcc" / name)
    (filled / "run.sh").write_text('./tokenchain.sh --valid_set held_out --test_sets dev_clean_2 "$@"\n')
    status, _, found = diagnose("--seconds", "0.1")
    told = {each["check"]: each["found"].rpartition("; ")[2] for each in found["findings"]}
    roles = [told[f"data/{name}"] for name in ("train", "held_out", "dev_clean_2", "train_sp")]
    assert status == 0 and roles == ["training", "validation", "test", "not named by run.sh"]
    assert "hours of training speech (train)," in capsys.readouterr().out
    stages = {each["stage"]: each for each in found["stages"]}
    hours = {each["name"]: each["hours"] for each in found["sets"]}
    assert len(set(hours.values())) == 1
    # Three sets of equal length are extracted, of semantic tokens and three levels of codes with two bytes each.
    assert stages["extract_tokens"]["disk_bytes"] == pytest.approx(3 * hours["train"] * 3600 * 50 * 4 * 2)


def test_a_recipe_that_asks_for_a_gpu_fails_where_there_is_none(folder, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert diagnose("--seconds", "0")[1]["GPU"] == "ok"
    (folder / "run.sh").write_text('./tokenchain.sh --device cuda "$@"\n')
    assert diagnose("--seconds", "0")[:2] == (1, {**diagnose("--seconds", "0")[1], "GPU": "fail"})
    assert diagnose("--seconds", "0", "--device", "cpu")[1]["GPU"] == "ok"


def test_a_run_sh_that_would_run_its_stages_is_not_called(folder):
    (folder / "run.sh").write_text("touch called; ./tokenchain.sh\n")
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 1 and checks["run.sh"] == "fail" and not (folder / "called").exists()
