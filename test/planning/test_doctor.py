"""The doctor on a tiny recipe: before and after its data is there, and with what is wrong in it."""

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
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipe's folder with settings alone; the doctor runs in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "db.sh").touch()
    (tmp_path / "conf").mkdir()
    for name, values in SETTINGS.items():
        training = {"max_epochs": 2, "batch_frames": 200, "accelerator": "cpu", "precision": "32-true"}
        values = values if name in ("tokenizer", "bpe") else {**values, "training": training}
        (tmp_path / "conf" / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


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
        *("train_chain_baseline", "train_chain_st_argmax", "train_s2a"),
    ]
    assert all(each["seconds"] > 0 for each in stages.values())
    head = found["head"]
    assert head["num_steps"] == 30 and stages["learn_tokenizer"]["seconds"] > 30 * head["step_seconds"]
    assert stages["learn_tokenizer"]["disk_bytes"] == 4 * head["num_parameters"]
    _, _, twice = diagnose("--seconds", "0.5", "--hours", "2")
    ratio = twice["stages"][1]["disk_bytes"] / stages["extract_tokens"]["disk_bytes"]
    assert ratio == pytest.approx(2, rel=0.01)


def test_without_hours_nothing_is_reckoned(folder):
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and checks["estimates"] == checks["data"] == "warn" and not found["stages"]


def test_with_data_it_says_more(filled, capsys):
    status, checks, found = diagnose("--seconds", "0.5")
    assert status == 0 and checks["data/train"] == checks["CTC on train"] == "ok"
    assert found["sets"][0]["num_utts"] == 8 and 4 < found["ctc"][0]["frames_per_unit"] < 6
    table = capsys.readouterr().out
    assert "training set train" in table and "extrapolated from the probe" in table


def test_a_key_that_does_not_exist_fails(filled, caplog):
    (filled / "conf/train_t2s.yaml").write_text("model: {hiden_dim: 8}\n")
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 1 and checks["settings"] == "fail" and "to be mended first: settings;" in caplog.text


def test_a_recipe_on_the_models_of_another_is_told_to_look_there(folder, capsys):
    (folder / "conf/tokenizer.yaml").unlink()
    assert diagnose("--seconds", "0")[1]["settings"] == "fail"
    (folder / "run.sh").write_text('./tokenchain.sh --source ../../other/tokenchain1 "$@"\n')
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 0 and checks["settings"] == "warn" and "in that recipe's folder" in capsys.readouterr().out


def test_texts_that_ctc_cannot_spell_fail(filled):
    (filled / "conf/train_asr.yaml").write_text(yaml.safe_dump({"model": {**TINY_ASR, "input_layer": "conv1d3"}}))
    text = filled / "data/train/text"
    text.write_text(text.read_text().replace(" ea\n", " eaeaeaeaea\n"))
    status, checks, found = diagnose("--seconds", "0")
    assert status == 1 and checks["CTC on train"] == "fail"
    assert list(found["ctc"][0]["shortages"]) == ["utt002"]


def test_several_tokenizers_need_a_name(filled):
    (filled / "dump/other").mkdir()
    status, checks, _ = diagnose("--seconds", "0")
    assert status == 1 and checks["settings"] == "fail"
    assert diagnose("--seconds", "0", "--tag", "mfcc")[0] == 0


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
    (filled / "conf/bpe.yaml").write_text("vocab_size: 5000\n")
    status, checks, _ = diagnose("--seconds", "0")
    assert (
        status == 1
        and checks["text units"] == "fail"
        and "vocab_size=5000 is too large for this text" in capsys.readouterr().out
    )
