"""Speech out in small: a tokenizer learned from made-up voices, random S2A and T2S of its tokens, all on disk."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

RATE = 16000
MORE = {"s2a": {"conv_kernel": 3}, "t2s": {"text_positions": "aligned"}}
OF_ASR = {"embed_dim": 16, "encoder_dim": 16, "encoder_blocks": 1, "attention_heads": 2, "decoder_layers": 1}
OF_ASR |= {"cgmlp_units": 16, "feed_forward_units": 16, "decoder_units": 16, "input_layer": "conv1d1"}
SIZES = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 16}


def hum(pitch, seconds, seed=0):
    """A harmonic sound whose loudness and colour move."""
    time_N = np.arange(int(RATE * seconds)) / RATE
    sound_N = sum(
        np.sin(2 * np.pi * k * pitch * time_N + seed) / (1 + abs(k * pitch - 800) / 300) for k in range(1, 15)
    )
    return (0.05 * sound_N * (0.6 + 0.4 * np.sin(2 * np.pi * (3 + seed) * time_N))).astype(np.float32)


@pytest.fixture(scope="session")
def parts(tmp_path_factory, recipe):
    """Folders of every part, recordings of two speakers (utt_id -> file), and their tokens as dump and as units."""
    import torch

    from tokenchain_toolkit.bin import convert_units, extract_tokens, learn_units
    from tokenchain_toolkit.config.tokenizer import (
        CodecConfig,
        HeadConfig,
        KmeansConfig,
        SemanticConfig,
        TokenizerConfig,
    )
    from tokenchain_toolkit.data.kaldi import write_data_dir
    from tokenchain_toolkit.data.manifest import read_manifest
    from tokenchain_toolkit.inference.model_folder import SavedModel, build_model, save_model
    from tokenchain_toolkit.text.bpe import TextTokenizer
    from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
    from tokenchain_toolkit.tokenizers.unit_dump import Units

    root = tmp_path_factory.mktemp("parts")
    wavs, speakers = {}, {}
    for index in range(6):
        speaker = "ab"[index % 2]
        utt_id = f"{speaker}-{index}"
        wavs[utt_id], speakers[utt_id] = str(root / "wav" / f"{utt_id}.wav"), speaker
        (root / "wav").mkdir(exist_ok=True)
        soundfile.write(wavs[utt_id], hum({"a": 110, "b": 190}[speaker], 0.6 + 0.1 * index, index), RATE)
    texts = dict(zip(wavs, ("abc", "cab de", "ea", "bad", "deed", "dab"), strict=True))
    write_data_dir(root / "data", wavs=wavs, texts=texts, speakers=speakers)
    head = HeadConfig(steps=3, hidden_dim=8, num_layers=1, batch_size=2)
    codec = CodecConfig(
        num_mels=40, num_quantizers=2, codebook_size=16, iterations=3, griffin_lim_iterations=4, head=head
    )
    config = TokenizerConfig(semantic=SemanticConfig(kmeans=KmeansConfig(num_clusters=12, iterations=3)), codec=codec)
    learn_tokenizer(config, wavs, root / "tokenizer")
    folders = {name: root / name for name in ("data", "tokenizer", "dump", "units", "dump_units")}
    extract = ["--tokenizer", root / "tokenizer", "--data", root / "data", "--out", root / "dump"]
    units = ["--dump", root / "dump", "--out", root / "units", "bpe_vocab_size=0"]
    convert = ["--units", root / "units", "--dump", root / "dump", "--out", root / "dump_units"]
    for command, argv in ((extract_tokens, extract), (learn_units, units), (convert_units, convert)):
        assert command.main([str(word) for word in argv]) == 0

    frames = read_manifest(root / "tokenizer" / "manifest.json")
    token_list = recipe.root / "token_list"
    vocab_size = TextTokenizer.load(token_list).vocab_size
    torch.manual_seed(0)
    for name, kind, manifest in (
        ("t2s", "t2s", frames),
        ("t2s_of_units", "t2s", Units(root / "units").manifest),
        ("s2a", "s2a", frames),
        ("asr", "asr", frames),
    ):
        sizes = OF_ASR if kind == "asr" else SIZES | MORE[kind]
        module = build_model(kind, sizes, manifest=manifest, vocab_size=vocab_size)
        with torch.no_grad():  # lively: tokens vary
            for parameter in module.parameters():
                parameter.mul_(4)
        saved = SavedModel(module, kind, manifest, sizes, epoch=1, text_tokenizer=None)
        save_model(root / name, saved, module.state_dict(), token_list=None if kind == "s2a" else token_list)
        folders[name] = root / name
    return SimpleNamespace(root=root, wavs=wavs, texts=texts, speakers=speakers, **folders)
