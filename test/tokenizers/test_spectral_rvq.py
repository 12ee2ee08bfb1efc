"""The spectral codec: lengths, errors per quantizer, round trips."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.framing import mel_matrix
from tokenchain_toolkit.tokenizers.griffin_lim import invert_mel
from tokenchain_toolkit.tokenizers.spectral_rvq import load_spectral_rvq


@pytest.fixture(scope="module")
def codec(tokenizer_folder):
    return load_spectral_rvq(tokenizer_folder / "codec.safetensors")


@pytest.fixture(scope="module")
def audio(wavs):
    return [read_audio(path, sample_rate=16000) for path in wavs.values()]


@pytest.mark.parametrize("length", [1, 319, 320, 321, 640, 5000, 12800])
def test_there_are_ceil_n_over_hop_frames_each_way(codec, audio, length):
    codes_TQ = codec.encode(audio[0][:length])
    assert codes_TQ.dtype == np.int16 and codes_TQ.shape == (int(np.ceil(length / 320)), 3)
    [samples_N] = codec.decode([codes_TQ])
    assert samples_N.dtype == np.float32 and samples_N.shape == (len(codes_TQ) * 320,)
    assert np.isfinite(samples_N).all()


def test_every_quantizer_lowers_the_error(codec, audio):
    errors = codec.distortions(np.concatenate([codec.log_mel.analyse(samples_N) for samples_N in audio]))
    assert len(errors) == 3
    assert errors[0] > errors[1] > errors[2] > 0


def test_decoding_is_the_same_alone_as_batched_and_every_time(codec, audio):
    codes = [codec.encode(samples_N) for samples_N in audio[:3]]
    together = codec.decode(codes)
    assert all(
        np.array_equal(codec.decode([one])[0], samples_N) for one, samples_N in zip(codes, together, strict=True)
    )


def test_resynthesis_keeps_the_spectrum_in_place(codec, audio):
    original_TM = codec.log_mel.analyse(audio[0][:12800])
    resynthesised_TM = codec.log_mel.analyse(codec.log_mel.synthesize(original_TM))
    rms = np.sqrt(np.square(resynthesised_TM - original_TM).mean())
    shifted = np.sqrt(np.square(resynthesised_TM[1:] - original_TM[:-1]).mean())
    assert rms < 0.5 * np.abs(original_TM - original_TM.mean()).mean()
    assert rms < shifted


def test_mel_inversion_gives_back_the_mel_magnitudes():
    mel_FM = mel_matrix(n_fft=1024, num_mels=40, sample_rate=16000)
    mel_TM = torch.rand(7, 513, generator=torch.Generator().manual_seed(0)) @ mel_FM
    magnitudes_TF = invert_mel(mel_TM, mel_FM)
    assert (magnitudes_TF >= 0).all()
    assert torch.allclose(magnitudes_TF @ mel_FM, mel_TM, rtol=0.02)


def test_fewer_quantizers_can_be_decoded(codec, audio):
    [samples_N] = codec.decode([codec.encode(audio[0])[:, :1]])
    assert len(samples_N) == 320 * int(np.ceil(len(audio[0]) / 320))


@pytest.mark.parametrize(
    "codes_TQ", [np.full((4, 3), 16), np.full((4, 3), -1), np.zeros((4, 4), int), np.zeros((0, 3))]
)
def test_codes_of_another_codec_are_refused(codec, codes_TQ):
    with pytest.raises(DataError, match="codes"):
        codec.decode([codes_TQ])


def test_a_loaded_codec_gives_the_same_codes(codec, audio, tmp_path):
    codec.save(tmp_path / "copy.safetensors")
    copy = load_spectral_rvq(tmp_path / "copy.safetensors")
    assert copy.settings == codec.settings
    assert np.array_equal(copy.encode(audio[1]), codec.encode(audio[1]))


def test_another_kind_of_file_is_refused(tokenizer_folder):
    with pytest.raises(DataError, match="not spectral_rvq"):
        load_spectral_rvq(tokenizer_folder / "kmeans.safetensors")
