"""A made-up voice, and tiny models of speech in the format of transformers."""

import json

import numpy as np
import pytest

RATE = 16000


def voice(pitch, seconds=1.5, formant=700):
    """A buzz with a formant-like hump, whose loudness comes and goes as syllables do."""
    time_N = np.arange(int(RATE * seconds)) / RATE
    sound_N = sum(np.sin(2 * np.pi * k * pitch * time_N) / (1 + abs(k * pitch - formant) / 200) for k in range(1, 20))
    return (0.05 * sound_N * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time_N))).astype(np.float32)


@pytest.fixture(scope="session", name="voice")
def voice_fixture():
    """The function that makes up a voice."""
    return voice


def save_whisper(folder):
    """A tiny untrained Whisper that writes letters."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + ["Ġ"]
    control = ["startoftranscript", "en", "de", "translate", "transcribe", "startofprev", "nospeech", "notimestamps"]
    special = [f"<|{name}|>" for name in ("endoftext", *control)]
    times = [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    place = {token: number for number, token in enumerate(letters + special + times)}
    end = special[0]
    tokenizer = WhisperTokenizer(place, [], unk_token=end, bos_token=end, eos_token=end, pad_token=end)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    sizes = {
        f"{part}_{name}": size for part in ("encoder", "decoder") for name, size in (("layers", 1), ("ffn_dim", 16))
    }
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), place[end])
    config = WhisperConfig(
        vocab_size=len(place),
        d_model=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_target_positions=24,
        decoder_start_token_id=place["<|startoftranscript|>"],
        **sizes,
        **ids,
    )
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(config)
    generation = model.generation_config
    generation._from_model_config = False
    settings = {
        "is_multilingual": True,
        "lang_to_id": {name: place[name] for name in ("<|en|>", "<|de|>")},
        "task_to_id": {name: place[f"<|{name}|>"] for name in ("transcribe", "translate")},
        "no_timestamps_token_id": place["<|notimestamps|>"],
        "prev_sot_token_id": place["<|startofprev|>"],
        "max_length": 12,
        "suppress_tokens": [place[token] for token in special[1:] + times[1:]],
    }
    for name, value in settings.items():
        setattr(generation, name, value)
    for part in (model, tokenizer, WhisperFeatureExtractor(feature_size=80)):
        part.save_pretrained(folder)


def wave_sizes():
    """Sizes of a tiny encoder of the wav2vec 2.0 family."""
    return {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "conv_dim": (8, 8, 8),
        "conv_kernel": (10, 8, 4),
        "conv_stride": (5, 8, 8),
        "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }


def save_ctc(folder):
    """A tiny untrained CTC recogniser."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "a": 3, "b": 4, "c": 5}))
    torch.manual_seed(0)
    config = Wav2Vec2Config(vocab_size=6, pad_token_id=0, **wave_sizes())
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    for part in (Wav2Vec2ForCTC(config), tokenizer, Wav2Vec2FeatureExtractor()):
        part.save_pretrained(folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Tiny models in the library's own format."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector, WavLMModel

    root = tmp_path_factory.mktemp("models")
    save_whisper(root / "whisper")
    save_ctc(root / "ctc")
    head = {"tdnn_dim": (8, 8), "tdnn_kernel": (5, 3), "tdnn_dilation": (1, 2), "xvector_output_dim": 8}
    torch.manual_seed(0)
    config = WavLMConfig(**wave_sizes(), **head)
    for name, kind in (("xvector", WavLMForXVector), ("headless", WavLMModel)):
        kind(config).save_pretrained(root / name)
        Wav2Vec2FeatureExtractor().save_pretrained(root / name)
    return root
