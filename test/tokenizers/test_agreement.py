"""Tokens in every mode against alone in full precision."""

import numpy as np
import pytest
import soundfile
import torch
import transformers

from tokenchain_toolkit.bin import check_tokens
from tokenchain_toolkit.config.tokenizer import CodecConfig, KmeansConfig, SemanticConfig, SslConfig, TokenizerConfig
from tokenchain_toolkit.tokenizers.agreement import compare_modes
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer


@pytest.fixture
def wavs(tmp_path):
    generator = np.random.default_rng(0)
    paths = {}
    for number, length in enumerate((16000, 24000, 9000)):
        paths[f"u{number}"] = str(tmp_path / f"u{number}.wav")
        soundfile.write(paths[f"u{number}"], 0.1 * generator.standard_normal(length), 16000)
    return paths


def learn(wavs, folder, semantic):
    codec = CodecConfig(enabled=False)
    learn_tokenizer(TokenizerConfig(semantic=semantic, codec=codec), wavs, folder)
    return folder


def test_ssl_tokens_agree_batched_and_nearly_in_chunks(wavs, tmp_path):
    torch.manual_seed(0)
    shape = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    shape |= dict(conv_dim=(16, 16, 16), conv_kernel=(10, 8, 8), conv_stride=(5, 8, 8), num_feat_extract_layers=3)
    shape |= dict(num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=1)
    transformers.HubertModel(transformers.HubertConfig(**shape)).save_pretrained(tmp_path / "hubert")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path / "hubert")
    ssl = SslConfig(model=str(tmp_path / "hubert"), layer=2, overlap_seconds=0.2)
    semantic = SemanticConfig(kind="ssl", ssl=ssl, kmeans=KmeansConfig(num_clusters=8, iterations=3))
    found = {one.mode: one for one in compare_modes(learn(wavs, tmp_path / "exp", semantic), wavs)}
    assert list(found) == ["batched", "chunked", "bfloat16"]
    assert found["batched"].mismatch == 0 and found["batched"].frames > 100
    assert found["chunked"].mismatch < 0.1 and found["bfloat16"].mismatch < 0.2


def test_the_command_prints_a_line_for_each_mode(wavs, tmp_path, capsys):
    learn(wavs, tmp_path / "exp", SemanticConfig(kmeans=KmeansConfig(num_clusters=8, iterations=3)))
    (tmp_path / "wav.scp").write_text("".join(f"{utt_id} {path}\n" for utt_id, path in wavs.items()))
    assert check_tokens.main(["--tokenizer", str(tmp_path / "exp"), "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["mode", "frames", "mismatch"]
    assert [line.split()[0] for line in lines[1:]] == ["batched"] and lines[1].endswith("0.000%")


def test_no_utterances_is_said(tmp_path, caplog, wavs):
    learn(wavs, tmp_path / "exp", SemanticConfig(kmeans=KmeansConfig(num_clusters=8, iterations=3)))
    (tmp_path / "wav.scp").write_text("")
    assert check_tokens.main(["--tokenizer", str(tmp_path / "exp"), "--data", str(tmp_path)]) == 1
    assert "no utterances" in caplog.text or "empty" in caplog.text
