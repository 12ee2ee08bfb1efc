"""UTMOS from weights in the published layout, beside torchaudio's wav2vec 2.0, which is not what the toolkit takes."""

import functools
import re

import numpy as np
import pytest
import torch
from torch import nn

from tokenchain_toolkit.bin import measure_speech
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.kaldi import write_data_dir
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.utmos import load_utmos

WIDTH, EMBEDDING, RNN, HIDDEN, LAYERS = 128, 6, 10, 12, 2
# torchaudio's names -> those of the published weights.
NAMES = (
    (r"^feature_extractor\.conv_layers\.0\.layer_norm\.", "feature_extractor.conv_layers.0.2."),
    (r"^(feature_extractor.*)\.conv\.", r"\1.0."),
    (r"^encoder\.feature_projection\.layer_norm\.", "layer_norm."),
    (r"^encoder\.feature_projection\.projection\.", "post_extract_proj."),
    (r"^encoder\.transformer\.", "encoder."),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
    (r"pos_conv_embed\.conv\.", "pos_conv.0."),
    (r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"\.attention\.", ".self_attn."),
    (r"\.feed_forward\.intermediate_dense\.", ".fc1."),
    (r"\.feed_forward\.output_dense\.", ".fc2."),
)


def published(name):
    return functools.reduce(lambda each, pair: re.sub(*pair, each), NAMES, name)


@pytest.fixture(scope="module")
def reference():
    """What UTMOS is to say, and its weights under their published names."""
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(3)
    convs = [(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] * 2
    encoder = wav2vec2_model(
        **{"extractor_mode": "group_norm", "extractor_conv_layer_config": convs, "extractor_conv_bias": False},
        **{"encoder_embed_dim": WIDTH, "encoder_projection_dropout": 0.0, "encoder_pos_conv_kernel": 8},
        **{"encoder_pos_conv_groups": 4, "encoder_num_layers": LAYERS, "encoder_num_heads": WIDTH // 64},
        **{"encoder_attention_dropout": 0.0, "encoder_ff_interm_features": 32, "encoder_ff_interm_dropout": 0.0},
        **{"encoder_dropout": 0.0, "encoder_layer_norm_first": False, "encoder_layer_drop": 0.0, "aux_num_out": None},
    ).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    domain, judge = torch.randn(1, EMBEDDING), torch.randn(1, EMBEDDING)
    blstm = nn.LSTM(WIDTH + 2 * EMBEDDING, RNN, batch_first=True, bidirectional=True)
    projection = nn.Sequential(nn.Linear(2 * RNN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    @torch.inference_mode()
    def opinion(samples_N):
        encoded = encoder.extract_features(torch.from_numpy(samples_N)[None])[0][-1]
        frames = torch.cat([encoded, domain.expand(1, encoded.shape[1], -1), judge.expand(1, encoded.shape[1], -1)], 2)
        return float(projection(blstm(frames)[0]).mean() * 2 + 3)

    weights = {f"wav2vec2.{published(name)}": tensor for name, tensor in encoder.state_dict().items()}
    weights["wav2vec2.mask_emb"] = torch.randn(WIDTH)
    weights |= {"domain_emb": domain, "judge_emb": judge}
    weights |= {f"blstm.{name}": tensor for name, tensor in blstm.state_dict().items()}
    weights |= {f"projection.{name}": tensor for name, tensor in projection.state_dict().items()}
    return opinion, weights


@pytest.fixture
def speech(tmp_path):
    """A data directory with two utterances of noise and one of silence."""
    generator = np.random.default_rng(1)
    sounds = {f"s-{number}": generator.normal(0, 0.1, 16000 + 555 * number).astype(np.float32) for number in range(2)}
    sounds["s-2"] = np.zeros(16000, np.float32)
    for utt_id, samples_N in sounds.items():
        write_audio(tmp_path / f"wav/{utt_id}.wav", samples_N, sample_rate=16000)
    wavs = {utt_id: str(tmp_path / f"wav/{utt_id}.wav") for utt_id in sounds}
    write_data_dir(tmp_path / "data", wavs=wavs, texts=dict.fromkeys(sounds, "a"), speakers=dict.fromkeys(sounds, "s"))
    return tmp_path / "data", sounds


def test_it_says_what_another_implementation_says(tmp_path, reference):
    opinion, weights = reference
    torch.save(weights, tmp_path / "utmos.pt")
    model = load_utmos(tmp_path / "utmos.pt", device="cpu")
    heard = [
        np.random.default_rng(number).normal(0, 0.3, 9000 + 777 * number).astype(np.float32) for number in range(3)
    ]
    ours = [float(model(torch.from_numpy(samples_N)[None])) for samples_N in heard]
    assert ours == pytest.approx([opinion(samples_N) for samples_N in heard], abs=1e-4)
    assert len({round(each, 3) for each in ours}) == 3


def test_measure_speech_takes_it_where_its_weights_are(tmp_path, reference, speech, caplog):
    opinion, weights = reference
    data, sounds = speech
    torch.save(weights, tmp_path / "utmos.pt")
    words = ["--wavs", str(data), "--reference", str(data), "--experiment", "noise", "--out", str(tmp_path / "out")]
    assert measure_speech.main([*words, "--measures", "--utmos", str(tmp_path / "utmos.pt")]) == 0
    (row,) = read_json(tmp_path / "out" / "score.json")
    assert (row["metric"], row["n"]) == ("utmos", 2)
    details = read_json(tmp_path / "out" / "measures.json")["measures"]["utmos"]
    assert details["settings"]["model"] == "UTMOS22 strong" and len(details["settings"]["weights_sha256"]) == 64
    assert row["value"] == pytest.approx(np.mean([opinion(sounds[name]) for name in ("s-0", "s-1")]), abs=1e-2)
    assert "1 of 3 utterances could not be judged, first s-2" in caplog.text


def test_measuring_nothing_is_refused(tmp_path, speech, caplog):
    data, _ = speech
    words = ["--wavs", str(data), "--reference", str(data), "--experiment", "noise", "--out", str(tmp_path / "out")]
    assert measure_speech.main([*words, "--measures"]) == 1
    assert "nothing is to be measured" in caplog.text and not (tmp_path / "out" / "score.json").exists()


@pytest.mark.parametrize("fault", ["missing", "nonsense", "lacking", "surplus"])
def test_other_files_are_refused(tmp_path, reference, fault):
    path = tmp_path / "utmos.pt"
    weights = dict(reference[1])
    if fault == "nonsense":
        path.write_bytes(b"no weights at all")
    if fault == "lacking":
        del weights["wav2vec2.encoder.layers.1.fc2.weight"]
    if fault == "surplus":
        weights["wav2vec2.encoder.other"] = torch.zeros(2)
    if fault in ("lacking", "surplus"):
        torch.save(weights, path)
    with pytest.raises(ConfigError, match="is no file" if fault == "missing" else "does not hold the weights"):
        load_utmos(path, device="cpu")
