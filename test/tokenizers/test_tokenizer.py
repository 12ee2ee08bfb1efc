"""The whole tokenizer: frames agree, tokens do not depend on the batch, weights match the manifest."""

import shutil
from unittest import mock

import numpy as np
import pytest

from tokenchain_toolkit.bin import learn_tokenizer as command
from tokenchain_toolkit.config.tokenizer import CodecConfig, HeadConfig, KmeansConfig, SemanticConfig, TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import write_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.errors import DataError, TokenizerMismatchError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.tokenizers import learning
from tokenchain_toolkit.tokenizers.kmeans import KmeansLearner
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
from tokenchain_toolkit.tokenizers.tokenizer import KmeansTokens, Tokenizer, load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


@pytest.fixture(scope="module")
def audio(wavs):
    return [read_audio(path, sample_rate=16000) for path in wavs.values()]


@pytest.mark.parametrize("length", [320, 321, 639, 640, 641, 4000, 12799])
def test_both_halves_have_ceil_n_over_hop_frames(tokenizer, audio, length):
    [(semantic_T, codes_TQ)] = tokenizer.encode([audio[0][:length]])
    assert semantic_T.shape == (int(np.ceil(length / 320)),) and codes_TQ.shape == (len(semantic_T), 3)
    assert semantic_T.dtype == codes_TQ.dtype == np.int16


def test_tokens_are_the_same_alone_as_batched(tokenizer, audio):
    for samples_N, (semantic_T, codes_TQ) in zip(audio, tokenizer.encode(audio), strict=True):
        [(alone_T, alone_TQ)] = tokenizer.encode([samples_N])
        assert np.array_equal(alone_T, semantic_T) and np.array_equal(alone_TQ, codes_TQ)


def test_codes_decode_to_their_length(tokenizer, audio):
    semantic, codes = zip(*tokenizer.encode(audio[:2]), strict=True)
    assert [len(samples_N) for samples_N in tokenizer.decode(semantic, codes)] == [320 * len(one) for one in codes]


def test_audio_below_one_frame_is_named(tokenizer):
    with pytest.raises(DataError, match="tiny: 319 samples"):
        tokenizer.encode([np.zeros(319, np.float32)], utt_ids=["tiny"])


class Shorter:
    """Features with fewer frames than the codec, as SSL models have."""

    def __init__(self, inner, missing):
        self.inner, self.missing = inner, missing
        self.sample_rate, self.frame_rate, self.dim = inner.sample_rate, inner.frame_rate, inner.dim

    def describe(self):
        """What the inner features say."""
        return self.inner.describe()

    def extract(self, samples):
        """The inner features without their last frames."""
        return [features_TD[: -self.missing] for features_TD in self.inner.extract(samples)]


def with_features(tokenizer, missing):
    semantic = KmeansTokens(Shorter(tokenizer.semantic.features, missing), tokenizer.semantic.kmeans)
    return Tokenizer(semantic, tokenizer.codec, tokenizer.manifest)


@pytest.mark.parametrize("missing", [1, 2])
def test_small_frame_differences_are_trimmed(tokenizer, audio, missing):
    shorter = with_features(tokenizer, missing)
    [(whole_T, whole_TQ)] = tokenizer.encode(audio[:1])
    [(semantic_T, codes_TQ)] = shorter.encode(audio[:1])
    assert np.array_equal(semantic_T, whole_T[:-missing]) and np.array_equal(codes_TQ, whole_TQ[:-missing])


def test_larger_frame_differences_name_the_utterance(tokenizer, audio):
    shorter = with_features(tokenizer, 3)
    with pytest.raises(DataError, match="this_one has 37 semantic"):
        shorter.encode(audio[:1], utt_ids=["this_one"])


@pytest.mark.parametrize("name", ["kmeans.safetensors", "codec.safetensors"])
def test_weights_that_the_manifest_does_not_name_are_refused(tokenizer_folder, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(tokenizer_folder, folder)
    damaged = bytearray((folder / name).read_bytes())
    damaged[-1] ^= 1
    (folder / name).write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=name):
        load_tokenizer(folder)


def test_a_folder_of_a_model_is_named_as_such(tokenizer_folder, tmp_path):
    shutil.copytree(tokenizer_folder, tmp_path / "asr")
    (tmp_path / "asr/model.json").write_text("{}")
    with pytest.raises(DataError, match="asr holds a model, no tokenizer; name a folder that learn_tokenizer has"):
        load_tokenizer(tmp_path / "asr")


def test_a_changed_configuration_is_refused(tokenizer_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tokenizer_folder, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("num_ceps: 13", "num_ceps: 12"))
    with pytest.raises(DataError, match=r"config\.yaml"):
        load_tokenizer(folder)


def test_learning_again_gives_the_same_tokenizer_and_another_seed_another(
    tiny_config, tokenizer_folder, wavs, tmp_path
):
    learn_tokenizer(tiny_config, wavs, tmp_path / "same")
    names = {"our_name": "a", "their_name": "b"}
    ours = read_manifest(tokenizer_folder / "manifest.json")
    both = ("semantic", "acoustic")
    check_same_tokenizer(ours, read_manifest(tmp_path / "same" / "manifest.json"), parts=both, **names)
    tiny_config.semantic.kmeans.seed = 1
    try:
        learn_tokenizer(tiny_config, wavs, tmp_path / "other")
    finally:
        tiny_config.semantic.kmeans.seed = 0
    with pytest.raises(TokenizerMismatchError, match="centroids_sha256"):
        check_same_tokenizer(ours, read_manifest(tmp_path / "other" / "manifest.json"), **names)


def test_learning_in_blocks_goes_on_after_a_kill(wavs, tmp_path, monkeypatch):
    settings = KmeansConfig(num_clusters=6, iterations=3, memory_gb=1e-5)  # 32 frames at once
    config = TokenizerConfig(semantic=SemanticConfig(kmeans=settings), codec=CodecConfig(enabled=False))
    learn_tokenizer(config, wavs, tmp_path / "whole")
    absorb, blocks = KmeansLearner.absorb, []

    def killed_in_the_third_block(self, block_ND):
        blocks.append(len(block_ND))
        if len(blocks) == 3:
            raise KeyboardInterrupt
        absorb(self, block_ND)

    monkeypatch.setattr(KmeansLearner, "absorb", killed_in_the_third_block)
    with pytest.raises(KeyboardInterrupt):
        learn_tokenizer(config, wavs, tmp_path / "killed")
    learn_tokenizer(config, wavs, tmp_path / "killed")
    # The block that was killed is the one that the second run begins with; none before it is read again.
    # The last two are those of the two seeds that are compared.
    assert blocks[3] == blocks[2] and len(blocks) == len(wavs) + 1 + 2
    names = ("kmeans.safetensors", "learning.json")
    assert all((tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes() for name in names)


def test_what_is_known_of_k_means_outlives_a_kill_in_the_codec(wavs, tmp_path, monkeypatch):
    head = HeadConfig(steps=2, hidden_dim=8, num_layers=1, batch_size=2)
    codec = CodecConfig(num_mels=40, num_quantizers=2, codebook_size=8, iterations=2, head=head)
    config = TokenizerConfig(semantic=SemanticConfig(kmeans=KmeansConfig(num_clusters=6, iterations=3)), codec=codec)
    learn_tokenizer(config, wavs, tmp_path / "whole")
    with monkeypatch.context() as killer:
        killer.setattr(learning, "train_head", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            learn_tokenizer(config, wavs, tmp_path / "killed")
    learn_tokenizer(config, wavs, tmp_path / "killed")
    assert "seed_stability" in read_json(tmp_path / "whole" / "learning.json")
    files = {
        name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "killed")
    }
    assert files["whole"] == files["killed"]


def test_the_command_learns_once_and_without_a_codec_if_asked(wavs, tmp_path, caplog):
    caplog.set_level("INFO")
    write_table(tmp_path / "data" / "wav.scp", wavs)
    argv = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "exp")]
    argv += ["codec.enabled=false", "semantic.kmeans.num_clusters=6", "semantic.kmeans.iterations=2"]
    assert command.main(argv) == 0
    tokenizer = load_tokenizer(tmp_path / "exp")
    assert tokenizer.codec is None and tokenizer.manifest["acoustic"] is None
    with pytest.raises(DataError, match="no acoustic codec"):
        tokenizer.decode([np.zeros(1, np.int16)], [np.zeros((1, 1), np.int16)])
    assert command.main(argv) == 0
    assert "up to date" in caplog.text


def test_the_command_refuses_impossible_settings(wavs, tmp_path, caplog):
    write_table(tmp_path / "data" / "wav.scp", wavs)
    argv = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "exp")]
    assert command.main([*argv, "semantic.kind=words"]) == 1
    assert "must be mfcc, ssl or codec" in caplog.text
    assert command.main([*argv, "codec.enabled=false", "semantic.kmeans.num_clusters=30000"]) == 1
    assert "30000 clusters" in caplog.text
