"""SSL features from tiny random models in a local folder."""

import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import transformers

from tokenchain_toolkit.config.tokenizer import (
    CodecConfig,
    HeadConfig,
    KmeansConfig,
    SemanticConfig,
    SslConfig,
    TokenizerConfig,
)
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.features.ssl import SslFeatures
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

SHAPE = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(16, 16, 16),
    conv_kernel=(10, 8, 8),
    conv_stride=(5, 8, 8),
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=1,
    num_feat_extract_layers=3,
)
MODELS = {
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("ssl")
    for name, (config, model) in MODELS.items():
        torch.manual_seed(0)
        model(config(**SHAPE)).save_pretrained(base / name)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=name != "wavlm").save_pretrained(base / name)
    return base


def load(folder, layer=1, **settings):
    return SslFeatures(
        SslConfig(model=str(folder), layer=layer), **{"sample_rate": 16000, "hop_length": 320} | settings
    )


def noise(length, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_is_the_models_hidden_state(folders, name):
    features = load(folders / name)
    samples_N = noise(4000)
    model = MODELS[name][1].from_pretrained(folders / name).eval()
    if name != "wavlm":
        model_input_N = (samples_N - samples_N.mean()) / np.sqrt(samples_N.var() + 1e-7)
    else:
        model_input_N = samples_N
    with torch.no_grad():
        states = model(torch.from_numpy(model_input_N)[None], output_hidden_states=True).hidden_states
    [features_TD] = features.extract([samples_N])
    assert features_TD.shape[1] == features.dim == 16
    assert np.allclose(features_TD, states[1][0].numpy(), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_same_alone_as_batched(folders, name):
    features = load(folders / name)
    batch = [noise(length, seed) for seed, length in enumerate((1600, 9000, 3333))]
    for samples_N, together_TD in zip(batch, features.extract(batch), strict=True):
        assert np.array_equal(features.extract([samples_N])[0], together_TD)


def test_the_description_follows_the_weights_and_not_the_folder(folders, tmp_path):
    transformers.AutoModel.from_pretrained(folders / "hubert").save_pretrained(tmp_path / "moved")
    transformers.AutoFeatureExtractor.from_pretrained(folders / "hubert").save_pretrained(tmp_path / "moved")
    assert load(tmp_path / "moved").describe() == load(folders / "hubert").describe()
    assert load(folders / "wav2vec2").describe() != load(folders / "hubert").describe()


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("name", MODELS)
def test_chunks_give_what_the_whole_gives_where_attention_does_not_matter(tmp_path, name, norm):
    config, model = MODELS[name]
    torch.manual_seed(0)
    network = model(config(**SHAPE, feat_extract_norm=norm))
    network.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path)
    # Layer 0 sees the convolutions alone: with statistics of the whole utterance and the positional convolution's
    # reach as overlap, chunks must give the same features. A ramp makes the statistics of the parts differ.
    samples_N = noise(32000) * np.linspace(0.1, 2.0, 32000, dtype=np.float32)
    [whole_TD] = load(tmp_path, layer=0).extract([samples_N])
    features = SslFeatures(
        SslConfig(model=str(tmp_path), layer=0, chunk_seconds=0.8, overlap_seconds=0.2),
        sample_rate=16000,
        hop_length=320,
    )
    [chunked_TD] = features.extract([samples_N])
    assert chunked_TD.shape == whole_TD.shape
    assert np.allclose(chunked_TD, whole_TD, atol=2e-5)


def test_layers_are_averaged(folders):
    samples_N = noise(4000)
    [first_TD], [second_TD] = (load(folders / "hubert", layer=layer).extract([samples_N]) for layer in (1, 2))
    config = SslConfig(model=str(folders / "hubert"), layer=2, average=2)
    [mean_TD] = SslFeatures(config, sample_rate=16000, hop_length=320).extract([samples_N])
    assert np.allclose(mean_TD, (first_TD + second_TD) / 2, atol=1e-6)


def test_half_precision_is_close_and_is_said_in_the_description(folders):
    config = SslConfig(model=str(folders / "hubert"), layer=2, dtype="bfloat16")
    half = SslFeatures(config, sample_rate=16000, hop_length=320)
    [half_TD], [full_TD] = half.extract([noise(4000)]), load(folders / "hubert", layer=2).extract([noise(4000)])
    assert half.describe()["dtype"] == "bfloat16" and half_TD.dtype == np.float32
    assert 0 < np.abs(half_TD - full_TD).max() < 0.1


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_large_models_give_the_hidden_state_of_the_untruncated_model(tmp_path, layer):
    torch.manual_seed(0)
    network = transformers.HubertModel(transformers.HubertConfig(**SHAPE, do_stable_layer_norm=True)).eval()
    network.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    with torch.no_grad():
        states = network(torch.from_numpy(noise(4000))[None], output_hidden_states=True).hidden_states
    [features_TD] = load(tmp_path, layer=layer).extract([noise(4000)])
    assert np.allclose(features_TD, states[layer][0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"dtype": "int8"}, "int8"), ({"average": 11}, "in 1..10"), ({"overlap_seconds": 15.0}, "below half")],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        SslConfig(model="x", **settings)


def test_audio_below_the_receptive_field_has_no_frames(folders):
    [features_TD] = load(folders / "hubert").extract([noise(50)])
    assert features_TD.shape == (0, 16)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"layer": 3}, "layers 0..2"), ({"sample_rate": 8000}, "16000 Hz"), ({"hop_length": 160}, "hop of 320")],
)
def test_settings_that_do_not_fit_the_model_are_refused(folders, settings, words):
    with pytest.raises(ConfigError, match=words):
        load(folders / "hubert", **settings)


def test_pickled_weights_are_refused(folders, tmp_path):
    model = transformers.AutoModel.from_pretrained(folders / "hubert")
    model.config.save_pretrained(tmp_path)
    transformers.AutoFeatureExtractor.from_pretrained(folders / "hubert").save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        load(tmp_path)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nothing_here"):
        load(tmp_path / "nothing_here")


def test_a_tokenizer_over_ssl_features_trims_the_codec_to_the_models_frames(folders, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(16000), 16000)
    config = TokenizerConfig(
        semantic=SemanticConfig(
            kind="ssl",
            ssl=SslConfig(model=str(folders / "hubert"), layer=2),
            kmeans=KmeansConfig(num_clusters=5, iterations=2),
        ),
        codec=CodecConfig(num_mels=20, num_quantizers=2, codebook_size=4, iterations=2, head=HeadConfig(steps=0)),
    )
    learn_tokenizer(config, {"a": str(tmp_path / "a.wav")}, tmp_path / "exp")
    tokenizer = load_tokenizer(tmp_path / "exp")
    [(semantic_T, codes_TQ)] = tokenizer.encode([noise(16000)])
    [features_TD] = load(folders / "hubert").extract([noise(16000)])
    assert len(semantic_T) == len(codes_TQ) == len(features_TD) < 50
    assert tokenizer.manifest["semantic"]["features"]["layer"] == 2


def test_an_hour_goes_through_in_chunks(folders):
    ten_seconds_N = noise(160000)
    [features_TD] = load(folders / "hubert").extract([np.tile(ten_seconds_N, 360)])
    assert abs(len(features_TD) - 180000) <= 1 and np.isfinite(features_TD).all()
    # What repeats in the audio repeats in the features, wherever chunks are joined.
    first_TD, later_TD = features_TD[1000:1500], features_TD[150000:150500]
    assert np.abs(first_TD - later_TD).mean() < 0.1 * first_TD.std()


def test_weights_without_safetensors_are_converted_by_the_command_that_the_message_names(folders, tmp_path):
    folder = tmp_path / "a model"
    shutil.copytree(folders / "hubert", folder)
    (folder / "model.safetensors").unlink()
    old_names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = transformers.HubertModel.from_pretrained(folders / "hubert").state_dict()
    for new, old in old_names.items():
        weights = {name.replace(new, old): value for name, value in weights.items()}
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin alone") as caught:
        load(folder)
    program, *words = shlex.split(str(caught.value).rpartition("safetensors are made of it by: ")[2])
    assert (program, words[-1]) == ("python3", "FOLDER")
    subprocess.run([sys.executable, *words[:-1], str(folder)], check=True, capture_output=True)
    converted, original = (load(each).extract([noise(8000)])[0] for each in (folder, folders / "hubert"))
    assert np.array_equal(converted, original)
