"""The spectral codec's head: it learns, goes on after a kill, and is what decoding goes through."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.tokenizer import CodecConfig, HeadConfig, TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.tokenizers import head_training
from tokenchain_toolkit.tokenizers.codec import HEAD
from tokenchain_toolkit.tokenizers.head_training import HeadExample, train_head
from tokenchain_toolkit.tokenizers.spectral_rvq import SpectralRvq, load_spectral_rvq, new_head, save_head

CONFIG = HeadConfig(steps=120, hidden_dim=32, num_layers=2, batch_size=4, segment_frames=20, lr=5e-3)


@pytest.fixture(scope="module")
def codec(tokenizer_folder):
    return load_spectral_rvq(tokenizer_folder / "codec.safetensors")


@pytest.fixture(scope="module")
def examples(codec, wavs):
    samples = [read_audio(path, sample_rate=16000) for path in wavs.values()]
    return [HeadExample(codec.dequantize(codec.encode(samples_N)), samples_N) for samples_N in samples]


def losses(head, examples):
    """Loss on each whole utterance."""
    found = []
    for example in examples:
        frames = len(example.samples_N) // head.hop_length
        log_mel_1TM = torch.from_numpy(example.log_mel_TM[None, :frames])
        with torch.no_grad():
            samples_1N = torch.from_numpy(example.samples_N[None, : frames * head.hop_length])
            found.append(float(head.compute_loss(log_mel_1TM, samples_1N)))
    return np.array(found)


def test_it_learns_what_the_codec_loses(codec, examples, tmp_path):
    held_out, head = examples[:2], new_head(CONFIG, codec.settings)
    head.set_scale(torch.from_numpy(examples[0].log_mel_TM))
    before = losses(head, held_out)
    train_head(head, examples[2:], config=CONFIG, checkpoint=tmp_path / "partial")
    assert (losses(head, held_out) < 0.6 * before).all()


def test_a_killed_training_equals_a_whole_one(codec, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(head_training, "CHECKPOINT_STEPS", 4)
    config = replace(CONFIG, steps=10)
    whole = new_head(config, codec.settings)
    train_head(whole, examples, config=config, checkpoint=tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(config, step):
        if step == 6:
            raise Killed
        return learning_rate(config, step)

    learning_rate = head_training._learning_rate
    with monkeypatch.context() as killer:
        killer.setattr(head_training, "_learning_rate", kill)
        with pytest.raises(Killed):
            train_head(new_head(config, codec.settings), examples, config=config, checkpoint=tmp_path / "part")
    resumed = new_head(replace(config, seed=9), codec.settings)
    train_head(resumed, examples, config=config, checkpoint=tmp_path / "part")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, msg=name)


@pytest.mark.parametrize("long_ones", [1, 30])
def test_a_few_long_utterances_are_not_all_it_learns_from(codec, tmp_path, caplog, monkeypatch, long_ones):
    random, used = np.random.default_rng(0), []
    lengths = [*random.integers(5, 16, 40), *[30] * long_ones, 2]
    examples = [
        HeadExample(np.full((length, 40), number, np.float32), random.normal(size=length * 320).astype(np.float32))
        for number, length in enumerate(lengths)
    ]
    take_step = head_training.take_step

    def recorded(head, optimizer, usable, *, frames, step, config):
        used.append((len(usable), frames))
        return take_step(head, optimizer, usable, frames=frames, step=step, config=config)

    monkeypatch.setattr(head_training, "take_step", recorded)
    train_head(
        new_head(CONFIG, codec.settings), examples, config=replace(CONFIG, steps=1), checkpoint=tmp_path / "part"
    )
    [(usable, frames)] = used
    assert usable == sum(length >= frames for length in lengths) >= 0.9 * len(lengths)
    assert sum(length > frames for length in lengths) < 0.9 * len(lengths), "no longer one would do"
    assert f"segments of {frames} frames, not codec.head.segment_frames=20" in caplog.text


def test_segments_are_as_long_as_asked_for_where_nearly_all_utterances_are(codec, examples, caplog):
    assert head_training._segment_length(examples, CONFIG) == 20 and not caplog.text
    short = HeadExample(examples[0].log_mel_TM[:3], examples[0].samples_N[:960])
    assert head_training._segment_length([*examples, *examples, short], CONFIG) == 20
    assert head_training._segment_length([short], CONFIG) == 3


def test_decoding_goes_through_it(codec, examples, tmp_path):
    head = new_head(CONFIG, codec.settings)
    train_head(head, examples, config=CONFIG, checkpoint=tmp_path / "partial")
    with_head = SpectralRvq(codec.codebooks_QKM, codec.settings, head)
    codes = [with_head.encode(example.samples_N) for example in examples[:2]]
    assert all(
        np.array_equal(one, codec.encode(example.samples_N)) for one, example in zip(codes, examples, strict=False)
    )
    together = with_head.decode(codes)
    for codes_TQ, samples_N, example in zip(codes, together, examples, strict=False):
        assert np.array_equal(with_head.decode([codes_TQ])[0], samples_N)
        assert len(samples_N) == len(codes_TQ) * 320 and np.isfinite(samples_N).all()
        # Louder where the original is louder.
        count = len(example.samples_N) // 320
        loudness = [np.abs(s[: count * 320]).reshape(count, 320).max(1) for s in (samples_N, example.samples_N)]
        assert np.corrcoef(*loudness)[0, 1] > 0.7
    assert not np.array_equal(together[0], codec.decode(codes[:1])[0])


def test_it_is_written_and_read_and_no_code_depends_on_it(codec, tmp_path):
    head = new_head(CONFIG, codec.settings).eval()
    SpectralRvq(codec.codebooks_QKM, codec.settings, head).save(tmp_path / "codec.safetensors")
    with pytest.raises(DataError, match=f"{HEAD} is missing"):
        load_spectral_rvq(tmp_path / "codec.safetensors", head=CONFIG)
    save_head(tmp_path / HEAD, head)
    loaded = load_spectral_rvq(tmp_path / "codec.safetensors", head=CONFIG)
    assert loaded.describe() == codec.describe()
    log_mel_TM = np.random.default_rng(0).normal(size=(5, codec.settings.num_mels)).astype(np.float32)
    expected = SpectralRvq(codec.codebooks_QKM, codec.settings, head).log_mel.synthesize(log_mel_TM)
    assert np.array_equal(loaded.log_mel.synthesize(log_mel_TM), expected)
    with pytest.raises(DataError, match="does not fit"):
        load_spectral_rvq(tmp_path / "codec.safetensors", head=replace(CONFIG, hidden_dim=16))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"kernel_size": 4}, "kernel_size=4"), ({"n_fft": 40}, "n_fft"), ({"steps": -1}, "steps"), ({"lr": 0.0}, "lr")],
)
def test_sizes_that_cannot_be_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)


def test_its_hop_divides_the_codecs():
    with pytest.raises(ConfigError, match="codec.head.hop_length=96 must divide hop_length=320"):
        TokenizerConfig(codec=CodecConfig(head=HeadConfig(hop_length=96)))
