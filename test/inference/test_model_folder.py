"""Model folders: what is saved comes back, and what cannot be used is named."""

import json
import shutil

import pytest
import torch

from tokenchain_toolkit.config.load import config_dict
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model, save_model


def save(folder, kind, module, manifest, token_list=None):
    config = config_dict(module.config) if kind != "s2a" else None
    saved = SavedModel(module, kind, manifest, config or {}, epoch=3, text_tokenizer=None)
    save_model(folder, saved, module.state_dict(), token_list=token_list)


@pytest.fixture
def asr_folder(tmp_path, make_asr, manifest, recipe):
    save(tmp_path / "asr", "asr", make_asr(), manifest, recipe.root / "token_list")
    return tmp_path / "asr"


def test_asr_gives_the_same_outputs(asr_folder, make_asr, make_batch, manifest):
    batch, loaded = make_batch([30, 18], [4, 2]), load_model(asr_folder, kind="asr")
    arguments = (batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B)
    assert torch.equal(loaded.module(*arguments).loss, make_asr()(*arguments).loss)
    assert not any(module.training for module in loaded.module.modules())
    assert loaded.manifest == manifest and loaded.epoch == 3
    assert loaded.text_tokenizer.vocab_size == 9


def test_t2s_gives_the_same_outputs(tmp_path, make_t2s, manifest, recipe):
    t2s = make_t2s()
    save(tmp_path, "t2s", t2s, manifest, recipe.root / "token_list")
    loaded, embedded_BND = load_model(tmp_path, kind="t2s").module, torch.randn(1, 5, 32)
    expected = t2s.llama(inputs_embeds=embedded_BND).last_hidden_state
    assert torch.equal(loaded.llama(inputs_embeds=embedded_BND).last_hidden_state, expected)
    assert all(torch.equal(value, t2s.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_s2a_gives_the_same_outputs(tmp_path, make_s2a, manifest):
    from tokenchain_toolkit.config.s2a import S2AModelConfig

    s2a = make_s2a()
    sizes = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward_dim": 32, "conv_kernel": 3}
    saved = SavedModel(s2a, "s2a", manifest, config_dict(S2AModelConfig(**sizes)), epoch=1, text_tokenizer=None)
    save_model(tmp_path, saved, s2a.state_dict(), token_list=None)
    semantic_BN, codes_BNQ = torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, 3, dtype=torch.long)
    arguments = (semantic_BN, codes_BNQ, torch.tensor([4]), torch.tensor([1]))
    assert torch.equal(load_model(tmp_path, kind="s2a").module(*arguments), s2a(*arguments))


def test_another_kind_is_refused(asr_folder):
    with pytest.raises(DataError, match="kind asr, where one of kind t2s is needed"):
        load_model(asr_folder, kind="t2s")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "manifest.json", "token_list/tokens.txt"])
def test_a_missing_file_is_named(asr_folder, name):
    (asr_folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing; (name the folder of a trained ASR|run train_bpe)"):
        load_model(asr_folder, kind="asr")


@pytest.mark.parametrize("keep", [0, 5, 3000, -40])
def test_damaged_weights_are_named(asr_folder, keep):
    weights = asr_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(DataError, match="model.safetensors does not fit"):
        load_model(asr_folder, kind="asr")


def test_weights_of_other_sizes_are_named(asr_folder, make_asr, manifest, recipe):
    other = asr_folder.parent / "other"
    save(other, "asr", make_asr(decoder_units=48), manifest, recipe.root / "token_list")
    shutil.copy(other / "model.safetensors", asr_folder)
    with pytest.raises(DataError, match="model.safetensors does not fit"):
        load_model(asr_folder, kind="asr")


def test_damaged_facts_are_named(asr_folder):
    text = (asr_folder / "model.json").read_text()
    for damaged in (text[:20], json.dumps({"epoch": 3}), "[]"):
        (asr_folder / "model.json").write_text(damaged)
        with pytest.raises(DataError, match="model.json"):
            load_model(asr_folder, kind="asr")
