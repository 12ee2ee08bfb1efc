"""Whole dumps: recognised, generated, refused when made by another tokenizer."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.data.dataset import Example
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import TokenizerMismatchError
from tokenchain_toolkit.files import sha256_of
from tokenchain_toolkit.inference.generation import generate_dump
from tokenchain_toolkit.inference.recognition import recognise_dump
from tokenchain_toolkit.inference.s2a_decoding import predict_codes


def recognise(model, dump, out):
    config = ASRDecodingConfig(beam_size=3)
    recognise_dump(model, dump, out, config=config, workers=Workers(), device="cpu")
    return read_table(out / "text")


def test_speech_generated_from_text_is_recognised_as_that_text(recipe, trained_asr, trained_t2s, tmp_path):
    texts = read_data_dir(recipe.root / "data").texts
    config = T2SSamplingConfig(temperature=0.0, batch_size=3)
    generate_dump(trained_t2s, recipe.root / "data", recipe.root / "dump", tmp_path / "spoken", config=config)
    spoken = read_dump(tmp_path / "spoken")
    assert sorted(spoken.utt_ids) == sorted(texts) and spoken.manifest["acoustic"] is None
    assert json.loads((tmp_path / "spoken" / "unfinished.json").read_text()) == []
    assert recognise(trained_asr, tmp_path / "spoken", tmp_path / "text") == texts
    who = json.loads((tmp_path / "text" / "recogniser.json").read_text())
    assert who["model"] == str(trained_asr) and who["weights_sha256"] == sha256_of(trained_asr / "model.safetensors")


def test_speech_cut_at_the_cap_is_listed(recipe, trained_t2s, tmp_path):
    config = T2SSamplingConfig(temperature=0.0, max_frames_per_token=1.0)
    generate_dump(trained_t2s, recipe.root / "data", recipe.root / "dump", tmp_path / "cut", config=config)
    cut = read_dump(tmp_path / "cut")
    assert json.loads((tmp_path / "cut" / "unfinished.json").read_text()) == sorted(cut.utt_ids)
    texts = read_data_dir(recipe.root / "data").texts
    # A token for each letter and one for the start of a word.
    assert cut.lengths.tolist() == [len(texts[utt_id]) + 1 for utt_id in cut.utt_ids]


def norms_of(recipe):
    return {"norms_data": recipe.root / "data", "norms_dump": recipe.root / "dump"}


@pytest.mark.parametrize(("retries", "draws"), [(0, 8), (2, 24)])
def test_what_was_drawn_again_and_what_is_still_bad_is_written(recipe, trained_t2s, tmp_path, retries, draws):
    config = T2SSamplingConfig(temperature=0.5, max_frames_per_token=1.0, retries=retries)
    folders = (recipe.root / "data", recipe.root / "dump", tmp_path / "cut")
    generate_dump(trained_t2s, *folders, config=config, **norms_of(recipe))
    cut = read_dump(tmp_path / "cut")
    found = json.loads((tmp_path / "cut" / "retries.json").read_text())
    assert {utt_id for utt_id, faults in found["bad"].items() if "unended" in faults} == set(cut.utt_ids)
    assert (found["num_utts"], found["drawn_again"], found["draws"]) == (8, 8 if retries else 0, draws)
    for counts in found["bad_utts"].values():
        assert counts["any"] == counts["unended"] == counts["length"] == 8 > counts["loop"]


def test_drawing_again_leaves_fewer_bad_ones_than_there_were(recipe, trained_t2s, tmp_path):
    folders = (recipe.root / "data", recipe.root / "dump", tmp_path / "spoken")
    config = T2SSamplingConfig(temperature=3.0, top_p=1.0, retries=20)
    generate_dump(trained_t2s, *folders, config=config, **norms_of(recipe))
    found = json.loads((tmp_path / "spoken" / "retries.json").read_text())
    first, kept = (found["bad_utts"][draw]["any"] for draw in ("first_draw", "kept_draw"))
    assert first == found["drawn_again"] > kept == len(found["bad"])


def test_norms_are_those_of_the_set_that_is_named(recipe, manifest, trained_t2s, tmp_path):
    dump = read_dump(recipe.root / "dump")
    slow = {utt_id: np.repeat(dump.semantic_of(index), 2) for index, utt_id in enumerate(dump.utt_ids)}
    texts = list(read_data_dir(recipe.root / "data").texts.values())
    added = recipe.add_set("slow_", texts, manifest=manifest, spoken=slow)
    config = T2SSamplingConfig(temperature=0.0)
    found = []
    for folders in (norms_of(recipe), {"norms_data": added["train_data"], "norms_dump": added["train_dump"]}, {}):
        out = tmp_path / str(len(found))
        generate_dump(trained_t2s, recipe.root / "data", recipe.root / "dump", out, config=config, **folders)
        found.append(json.loads((out / "retries.json").read_text()))
    own, slower, none = (each["natural_norms"] for each in found)
    assert slower["frames_per_token"] == pytest.approx(2 * own["frames_per_token"]) and own["frames_per_token"] > 5
    assert slower["learned_from"] == str(added["train_dump"])
    assert none == {"frames_per_token": 0.0, "extra_frames": 0.0, "longest_loop": 0, "learned_from": None}
    assert [each["bad_utts"]["kept_draw"]["length"] for each in found] == [0, 8, 0]


def test_half_of_the_norms_is_refused(recipe, trained_t2s, tmp_path, caplog):
    from tokenchain_toolkit.bin.decode_t2s import main

    folders = {"model": trained_t2s, "data": recipe.root / "data", "dump": recipe.root / "dump", "out": tmp_path / "x"}
    folders["norms_dump"] = recipe.root / "dump"
    assert main([f"--{name}={folder}" for name, folder in folders.items()]) == 1
    assert "--norms_dump and --norms_data belong together" in caplog.text and not (tmp_path / "x").exists()


def test_speech_that_ended_may_be_bad_too(recipe, trained_t2s, tmp_path):
    config = T2SSamplingConfig(temperature=0.0, frames_per_token=1.0, longest_loop=1000)
    generate_dump(trained_t2s, recipe.root / "data", recipe.root / "dump", tmp_path / "long", config=config)
    assert json.loads((tmp_path / "long" / "unfinished.json").read_text()) == []
    found = json.loads((tmp_path / "long" / "retries.json").read_text())
    assert found["bad"] == dict.fromkeys(read_dump(tmp_path / "long").utt_ids, ["length"])


def test_good_speech_is_not_drawn_again(recipe, trained_t2s, tmp_path):
    spoken = []
    for retries in (0, 3):
        config, out = T2SSamplingConfig(temperature=0.1, retries=retries, batch_size=3), tmp_path / str(retries)
        folders = (recipe.root / "data", recipe.root / "dump", out)
        generate_dump(trained_t2s, *folders, config=config, **norms_of(recipe))
        found = json.loads((out / "retries.json").read_text())
        assert (found["drawn_again"], found["draws"], found["bad"]) == (0, 8, {})
        spoken.append(read_dump(out).semantic.tolist())
    assert spoken[0] == spoken[1]


def errors_of(model, dump, out, texts):
    heard = recognise(model, dump, out)
    return sum(heard[utt_id] != text for utt_id, text in texts.items())


def test_what_an_asr_misreads_is_drawn_again(recipe, trained_asr, trained_t2s, tmp_path):
    texts, misread, found = read_data_dir(recipe.root / "data").texts, {}, {}
    for most in (1.0, 0.0):
        config = T2SSamplingConfig(temperature=2.0, top_p=1.0, retries=5, most_misread=most)
        out = tmp_path / str(most)
        generate_dump(trained_t2s, recipe.root / "data", recipe.root / "dump", out, config=config, listener=trained_asr)
        found[most] = json.loads((out / "retries.json").read_text())
        misread[most] = errors_of(trained_asr, out, tmp_path / f"text_{most}", texts)
    assert found[0.0]["bad_utts"]["first_draw"]["misread"] > found[0.0]["bad_utts"]["kept_draw"]["misread"]
    assert misread[1.0] > misread[0.0] == found[0.0]["bad_utts"]["kept_draw"]["misread"]
    assert found[1.0]["bad_utts"]["first_draw"]["misread"] == 0
    assert [found[most]["listener"] for most in (1.0, 0.0)] == [None, str(trained_asr)]


def test_without_an_asr_nothing_can_listen(recipe, trained_t2s, tmp_path, caplog):
    from tokenchain_toolkit.bin.decode_t2s import main

    folders = {"model": trained_t2s, "data": recipe.root / "data", "dump": recipe.root / "dump", "out": tmp_path / "x"}
    assert main([*(f"--{name}={folder}" for name, folder in folders.items()), "most_misread=0.1"]) == 1
    assert "name its folder with --listener" in caplog.text and not (tmp_path / "x").exists()


def test_another_asr_listens_anew_and_one_that_does_not_listen_changes_nothing(
    recipe, trained_asr, trained_t2s, tmp_path, caplog
):
    from tokenchain_toolkit.bin.decode_t2s import main

    caplog.set_level("INFO")
    other = tmp_path / "other"
    shutil.copytree(trained_asr, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: tensor * 0.5 for name, tensor in weights.items()}, other / "model.safetensors")
    folders = {"model": trained_t2s, "data": recipe.root / "data", "dump": recipe.root / "dump", "out": tmp_path / "x"}
    arguments = [f"--{name}={folder}" for name, folder in folders.items()]
    for most, listener, redone in (
        (0.0, trained_asr, True),
        (0.0, other, True),
        (1.0, other, True),
        (1.0, trained_asr, False),
    ):
        caplog.clear()
        assert main([*arguments, f"--listener={listener}", f"most_misread={most}"]) == 0
        assert ("bad at the first draw" in caplog.text) == redone


def test_tokens_of_another_tokenizer_are_refused(recipe, trained_asr, trained_t2s, other_manifest, tmp_path):
    added = recipe.add_set("foreign_", ["abc"], manifest=other_manifest(centroids="f" * 8))
    with pytest.raises(TokenizerMismatchError, match="semantic.centroids_sha256"):
        recognise(trained_asr, added["train_dump"], tmp_path / "text")
    with pytest.raises(TokenizerMismatchError, match="semantic.centroids_sha256"):
        folders = (added["train_data"], added["train_dump"], tmp_path / "spoken")
        generate_dump(trained_t2s, *folders, config=T2SSamplingConfig())
    foreign = shutil.copytree(trained_asr, tmp_path / "foreign")
    write_manifest(foreign / "manifest.json", other_manifest(centroids="f" * 8))
    folders = (recipe.root / "data", recipe.root / "dump", tmp_path / "spoken")
    with pytest.raises(TokenizerMismatchError, match="semantic.centroids_sha256"):
        generate_dump(trained_t2s, *folders, config=T2SSamplingConfig(most_misread=0.5), listener=foreign)


def test_predicted_codes_come_in_the_order_and_length_of_the_examples(make_s2a):
    from tokenchain_toolkit.config.s2a import S2ADecodingConfig

    s2a, random = make_s2a(), np.random.default_rng(0)
    lengths = [9, 3, 14, 6]
    examples = [
        Example(
            f"utt{index}",
            random.integers(0, 12, length),
            np.zeros(0, np.int64),
            random.integers(0, 12, index),
            np.zeros((length, 3), np.int64),
            random.integers(0, 7, (index, 3)),
        )
        for index, length in enumerate(lengths)
    ]
    config = S2ADecodingConfig(first_level_steps=3, batch_size=2)
    found = predict_codes(s2a, examples, config=config)
    assert [codes_TQ.shape for codes_TQ in found] == [(length, 3) for length in lengths]
    for codes_TQ, example in zip(found, examples, strict=True):
        (alone_TQ,) = predict_codes(s2a, [example], config=config)
        assert np.array_equal(codes_TQ, alone_TQ), "drawn in another way beside others"
    other = predict_codes(s2a, examples, config=replace(config, seed=1))
    assert not all(np.array_equal(*pair) for pair in zip(found, other, strict=True))
