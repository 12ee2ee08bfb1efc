"""Pretrained codecs: tiny random models in the libraries' own formats, loaded as the real ones are."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import transformers

from tokenchain_toolkit.bin import extract_tokens as extract_command
from tokenchain_toolkit.bin import synthesize, train_s2a
from tokenchain_toolkit.config.tokenizer import CodecConfig, KmeansConfig, SemanticConfig, TokenizerConfig
from tokenchain_toolkit.data.kaldi import read_data_dir, write_data_dir
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.tokenizers.codec import load_codec
from tokenchain_toolkit.tokenizers.extraction import extract_tokens
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

RATES = {"encodec": (24000, 320), "dac": (16000, 320), "mimi": (24000, 1920), "speechtokenizer": (16000, 320)}


def fill_codebooks(network, *, ending, std=0.05):
    """Untrained codebooks are zeros, or so wide that small models' frames all fall to one code."""
    for name, buffer in network.named_buffers():
        if name.endswith(ending):
            buffer.normal_(std=std)


def save_encodec(folder, **changes):
    sizes = {"num_filters": 4, "hidden_size": 8, "codebook_size": 16, "codebook_dim": 8, "num_lstm_layers": 1}
    config = transformers.EncodecConfig(**{**sizes, "target_bandwidths": [0.75, 3.0], **changes})
    model = transformers.EncodecModel(config)
    fill_codebooks(model, ending=".embed", std=0.01)
    with torch.no_grad():  # its small encoder gives nearly the same for all sounds, so codes are what it does give
        sound_11N = torch.from_numpy(noise(16 * 320, seed=7))[None, None]
        frames_DT = model.encoder(sound_11N.expand(1, config.audio_channels, -1))[0]
        model.quantizer.layers[0].codebook.embed.copy_(frames_DT.T)
    model.save_pretrained(folder)


def save_dac(folder):
    sizes = {"encoder_hidden_size": 4, "decoder_hidden_size": 32, "n_codebooks": 4, "codebook_size": 16}
    config = transformers.DacConfig(**sizes, codebook_dim=4, downsampling_ratios=[2, 4, 5, 8])
    transformers.DacModel(config).save_pretrained(folder)


def save_mimi(folder):
    sizes = {"hidden_size": 16, "num_filters": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8}
    sizes |= {
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "codebook_size": 16,
        "codebook_dim": 8,
        "upsample_groups": 16,
    }
    config = transformers.MimiConfig(**sizes, num_quantizers=4, vector_quantization_hidden_dimension=8)
    model = transformers.MimiModel(config)
    fill_codebooks(model, ending=".embed_sum")
    model.save_pretrained(folder)


def save_speechtokenizer(folder):
    model = pytest.importorskip("speechtokenizer.model", reason="left out: the extra 'codecs' is not installed")
    config = {"n_filters": 4, "dimension": 8, "semantic_dimension": 12, "strides": [8, 5, 4, 2], "lstm_layers": 1}
    config |= {"bidirectional": True, "dilation_base": 2, "residual_kernel_size": 3, "n_residual_layers": 1}
    config |= {"activation": "ELU", "sample_rate": 16000, "n_q": 4, "codebook_size": 16}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    network = model.SpeechTokenizer(config)
    fill_codebooks(network, ending=".embed", std=0.01)
    torch.save(network.state_dict(), folder / "SpeechTokenizer.pt")


SAVERS = {"encodec": save_encodec, "dac": save_dac, "mimi": save_mimi, "speechtokenizer": save_speechtokenizer}


@pytest.fixture(scope="module", params=SAVERS)
def saved(request, tmp_path_factory):
    """Kind and folder of a tiny model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("codecs") / request.param
    SAVERS[request.param](folder)
    return request.param, folder


def load(kind, folder, num_quantizers=3):
    return load_codec(CodecConfig(kind=kind, model=str(folder), num_quantizers=num_quantizers), Path("unused"))


def noise(length, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def test_shapes_rates_and_lengths(saved):
    kind, folder = saved
    codec = load(kind, folder)
    assert (codec.sample_rate, codec.sample_rate / codec.frame_rate) == RATES[kind]
    for length in (1, RATES[kind][1], 3 * RATES[kind][1] + 1, 20_000):
        codes_TQ = codec.encode(noise(length))
        assert codes_TQ.shape == (-(-length // RATES[kind][1]), 3) and codes_TQ.dtype == np.int16
        assert codes_TQ.min() >= 0 and codes_TQ.max() < codec.codebook_size == 16
        [whole_N], [rough_N] = codec.decode([codes_TQ]), codec.decode([codes_TQ[:, :1]])
        assert len(whole_N) == len(rough_N) == len(codes_TQ) * RATES[kind][1] and np.isfinite(whole_N).all()
        assert not np.array_equal(whole_N, rough_N)


def test_codes_differ_between_sounds_and_not_between_runs(saved):
    codec = load(*saved)
    again = load(*saved)
    assert np.array_equal(codec.encode(noise(24_000)), again.encode(noise(24_000)))
    assert not np.array_equal(codec.encode(noise(24_000)), codec.encode(noise(24_000, seed=1)))
    assert codec.describe() == again.describe()


def test_fewer_quantizers_are_the_first_ones(saved):
    kind, folder = saved
    assert np.array_equal(load(kind, folder, 2).encode(noise(9600)), load(kind, folder, 4).encode(noise(9600))[:, :2])


def test_codebooks_are_those_of_the_quantizers_in_use(saved):
    kind, folder = saved
    codebooks = load(kind, folder).codebooks()
    assert [len(codebook_KD) for codebook_KD in codebooks] == [load(kind, folder).codebook_size] * 3
    assert all(codebook_KD.dtype == np.float32 and codebook_KD.ndim == 2 for codebook_KD in codebooks)
    # Each quantizer has its own, and fewer quantizers have the first ones.
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(codebooks, 2))
    np.testing.assert_array_equal(load(kind, folder, num_quantizers=1).codebooks()[0], codebooks[0])


def test_what_cannot_be_decoded_is_refused(saved):
    codec = load(*saved)
    for codes_TQ in (np.full((4, 3), 16), np.full((4, 3), -1), np.zeros((4, 4), int), np.zeros((0, 3), int)):
        with pytest.raises(DataError, match="codes"):
            codec.decode([codes_TQ])


def test_wrong_models_are_named(saved, tmp_path):
    kind, folder = saved
    with pytest.raises(ConfigError, match="num_quantizers=50"):
        load(kind, folder, 50)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load(kind, tmp_path / "nothing")
    if kind == "dac":
        with pytest.raises(ConfigError, match="is of kind dac, not mimi"):
            load("mimi", folder)


def test_an_encodec_for_stereo_is_refused(tmp_path):
    save_encodec(tmp_path / "stereo", audio_channels=2)
    with pytest.raises(ConfigError, match="mono"):
        load("encodec", tmp_path / "stereo")


@pytest.mark.parametrize("changes", [{"kind": "opus"}, {"kind": "mimi"}, {"model": "somewhere"}])
def test_a_codec_has_a_known_kind_and_a_model_if_it_is_pretrained(changes):
    with pytest.raises(ConfigError, match=r"codec\.kind"):
        CodecConfig(**changes)


def test_a_tokenizer_with_a_pretrained_codec(saved, wavs, tmp_path):
    kind, folder = saved
    kmeans = KmeansConfig(num_clusters=12, iterations=3)
    config = TokenizerConfig(
        semantic=SemanticConfig(kmeans=kmeans), codec=CodecConfig(kind=kind, model=str(folder), num_quantizers=3)
    )
    learn_tokenizer(config, wavs, tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    assert not (tmp_path / "tokenizer" / "codec.safetensors").exists()
    extract_tokens(tmp_path / "tokenizer", wavs, tmp_path / "dump", workers=Workers())
    plain, dump = read_dump(tmp_path / "dump"), read_dump(tmp_path / "dump", with_codes=True)
    rate, hop = RATES[kind]
    assert np.allclose(dump.lengths / (rate / hop), plain.lengths / 50, atol=2 * hop / rate)
    assert dump.semantic.shape[1:] == ((4,) if kind == "mimi" else ())
    [sound_N] = tokenizer.decode([dump.semantic_of(0)], [dump.codes_of(0)])
    assert len(sound_N) == hop * dump.lengths[0] and tokenizer.output_rate == rate


def test_the_first_codebook_as_semantic_tokens(saved, wavs, tmp_path):
    kind, folder = saved
    config = TokenizerConfig(
        semantic=SemanticConfig(kind="codec"), codec=CodecConfig(kind=kind, model=str(folder), num_quantizers=4)
    )
    learn_tokenizer(config, wavs, tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    assert tokenizer.manifest["acoustic"]["num_quantizers"] == 3
    assert tokenizer.manifest["semantic"]["num_clusters"] == 16
    semantic_T, codes_TQ = tokenizer.encode_file(wavs["utt0"], name="utt0")
    codec = load(kind, folder, 4)
    together_TQ = np.concatenate([semantic_T[:, None], codes_TQ], axis=1)
    [expected_N], [found_N] = codec.decode([together_TQ]), tokenizer.decode([semantic_T], [codes_TQ])
    assert codes_TQ.shape == (len(semantic_T), 3) and np.array_equal(found_N, expected_N)
    save = SAVERS[kind]
    torch.manual_seed(1)
    save(tmp_path / "other")
    text = (tmp_path / "tokenizer" / "config.yaml").read_text()
    (tmp_path / "tokenizer" / "config.yaml").write_text(text.replace(str(folder), str(tmp_path / "other")))
    with pytest.raises(DataError, match=r"not what manifest\.json names"):
        load_tokenizer(tmp_path / "tokenizer")


@pytest.mark.parametrize("semantic_kind", ["mfcc", "codec"])
def test_s2a_trains_on_and_speaks_through_a_pretrained_codec(saved, wavs, tmp_path, semantic_kind):
    kind, folder = saved
    tokenizer, data, dump = tmp_path / "tokenizer", tmp_path / "data", tmp_path / "dump"
    config = TokenizerConfig(
        semantic=SemanticConfig(kind=semantic_kind, kmeans=KmeansConfig(num_clusters=12, iterations=3)),
        codec=CodecConfig(kind=kind, model=str(folder), num_quantizers=3),
    )
    learn_tokenizer(config, wavs, tokenizer)
    speakers = {utt_id: f"speaker{index % 2}" for index, utt_id in enumerate(wavs)}
    write_data_dir(data, wavs=wavs, texts=dict.fromkeys(wavs, "a"), speakers=speakers)
    assert extract_command.main(["--tokenizer", str(tokenizer), "--data", str(data), "--out", str(dump)]) == 0
    sets = {"train_data": data, "valid_data": data, "train_dump": dump, "valid_dump": dump, "out": tmp_path / "s2a"}
    sizes = {"model.hidden_dim": 8, "model.num_layers": 1, "model.num_heads": 2, "model.feed_forward_dim": 8}
    sizes |= {"data.min_prompt_frames": 1, "data.max_prompt_frames": 5, "training.max_epochs": 1}
    sizes |= {"model.start": "codebooks", "model.condition_dropout": 0.1}
    sizes |= {"training.accelerator": "cpu", "training.precision": "32-true", "training.batch_frames": 200}
    options = [text for name, value in sets.items() for text in (f"--{name}", str(value))]
    options += [f"{name}={value}" for name, value in sizes.items()]
    assert train_s2a.main(options) == 1, "which codebooks?"
    assert train_s2a.main(["--tokenizer", str(tokenizer), *options]) == 0
    argv = ["--tokenizer", tokenizer, "--dump", dump, "--prompt_dump", dump, "--data", data, "--s2a", tmp_path / "s2a"]
    argv += ["--out", tmp_path / "spoken", "prompt_frames=3", "guidance=0.5", "top_k=4"]
    assert synthesize.main([str(one) for one in argv]) == 0
    for utt_id, path in read_data_dir(tmp_path / "spoken").wavs.items():
        spoken, natural = soundfile.info(path), soundfile.info(wavs[utt_id])
        assert spoken.samplerate == RATES[kind][0]
        assert abs(spoken.duration - natural.duration) <= 2 * RATES[kind][1] / RATES[kind][0]
    speed = read_json(tmp_path / "spoken/speed.json")
    lasts = sum(soundfile.info(path).duration for path in read_data_dir(tmp_path / "spoken").wavs.values())
    assert speed["num_utts"] == len(wavs) and speed["speech_seconds"] == pytest.approx(lasts) and speed["seconds"] > 0
    predicted = 3 if semantic_kind == "mfcc" else 2  # the semantic codebook is given
    assert speed["network_passes"] == 16 + predicted - 1 and speed["guided"]
