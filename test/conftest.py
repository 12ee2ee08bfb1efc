"""Tiny models, batches and corpora for the tests of the core, and one tiny recipe whose ASR and T2S are trained once.

Speech here is made up: each character is six frames of two clusters of its own, so that models learn it in seconds.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

# Tiny models gain nothing from threads, which only push each other off the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LETTERS = "abcde "
NUM_SEMANTIC, VOCAB_SIZE, FRAMES_PER_LETTER = 2 * len(LETTERS), len(LETTERS) + 3, 6
NUM_QUANTIZERS, CODEBOOK_SIZE = 3, 7
TEXTS = ("abc", "cab de", "ea", "bad", "deed", "ace bed", "dab", "be ad")

ASR_SIZES = {
    "embed_dim": 32,
    "encoder_dim": 32,
    "encoder_blocks": 1,
    "attention_heads": 2,
    "cgmlp_units": 32,
    "cgmlp_kernel": 3,
    "merge_kernel": 3,
    "feed_forward_units": 32,
    "decoder_layers": 1,
    "decoder_units": 32,
}
T2S_SIZES = {
    "hidden_dim": 32,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_dim": 64,
    "text_positions": "aligned",
}
S2A_SIZES = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward_dim": 32, "conv_kernel": 3}


def speak(text):
    """The made-up semantic tokens of a text."""
    half = FRAMES_PER_LETTER // 2
    return np.asarray([2 * LETTERS.index(c) + n // half for c in text for n in range(2 * half)], dtype=np.int16)


def codes_for(semantic_T):
    """Made-up acoustic codes that follow from the semantic tokens."""
    return np.stack([(semantic_T * (q + 2) + q) % CODEBOOK_SIZE for q in range(NUM_QUANTIZERS)], axis=1)


def make_manifest(num_clusters=NUM_SEMANTIC, centroids="0" * 8):
    from tokenchain_toolkit.data.manifest import new_manifest

    semantic = {"kind": "mfcc", "num_clusters": num_clusters, "centroids_sha256": centroids}
    acoustic = {"kind": "spectral_rvq", "num_quantizers": NUM_QUANTIZERS, "codebook_size": CODEBOOK_SIZE}
    rate = {"frame_rate": 50.0}
    return new_manifest(semantic={**semantic, **rate}, acoustic={**acoustic, **rate})


@pytest.fixture(scope="session")
def manifest():
    return make_manifest()


@pytest.fixture(scope="session")
def make_asr():
    """A function that builds a tiny ASR in evaluation mode; keywords change its configuration."""
    import torch

    from tokenchain_toolkit.config.asr import ASRModelConfig
    from tokenchain_toolkit.models.asr import TokenASR

    def build(*, seed=0, **changes):
        torch.manual_seed(seed)
        config = ASRModelConfig(**{**ASR_SIZES, **changes})
        return TokenASR(config, num_semantic=NUM_SEMANTIC, vocab_size=VOCAB_SIZE).eval()

    return build


@pytest.fixture(scope="session")
def make_t2s():
    """A function that builds a tiny T2S in evaluation mode; keywords change its configuration."""
    import torch

    from tokenchain_toolkit.config.t2s import T2SModelConfig
    from tokenchain_toolkit.models.t2s import T2SModel

    def build(*, seed=0, **changes):
        torch.manual_seed(seed)
        config = T2SModelConfig(**{**T2S_SIZES, **changes})
        return T2SModel(config, vocab_size=VOCAB_SIZE, num_semantic=NUM_SEMANTIC).eval()

    return build


@pytest.fixture(scope="session")
def make_s2a():
    """A function that builds a tiny S2A in evaluation mode; keywords change its configuration."""
    import torch

    from tokenchain_toolkit.config.s2a import S2AModelConfig
    from tokenchain_toolkit.models.s2a import S2AModel

    def build(*, seed=0, tokens_per_frame=1, **changes):
        torch.manual_seed(seed)
        config = S2AModelConfig(**{**S2A_SIZES, **changes})
        sizes = {"num_quantizers": NUM_QUANTIZERS, "codebook_size": CODEBOOK_SIZE, "tokens_per_frame": tokens_per_frame}
        return S2AModel(config, num_semantic=NUM_SEMANTIC, **sizes).eval()

    return build


@pytest.fixture(scope="session")
def make_batch():
    """A function that collates random utterances of the given lengths."""
    from tokenchain_toolkit.data.dataset import Example, collate

    def build(frames, units, prompts=None, *, seed=0):
        random = np.random.default_rng(seed)
        examples = []
        for index, (num_frames, num_units) in enumerate(zip(frames, units, strict=True)):
            prompt_P = random.integers(0, NUM_SEMANTIC, prompts[index] if prompts else 0)
            semantic_T = random.integers(0, NUM_SEMANTIC, num_frames)
            text_L = random.integers(2, VOCAB_SIZE - 1, num_units)
            examples.append(
                Example(f"utt{index}", semantic_T, text_L, prompt_P, codes_for(semantic_T), codes_for(prompt_P))
            )
        return collate(examples)

    return build


@pytest.fixture(scope="session")
def make_corpus():
    """A function that builds a corpus in memory: two speakers in turn, texts of the made-up language."""
    from tokenchain_toolkit.data.dataset import TokenCorpus
    from tokenchain_toolkit.data.token_dump import TokenDump

    def build(texts=TEXTS, *, speakers=None):
        spoken = [speak(text) for text in texts]
        semantic = np.concatenate(spoken)
        dump = TokenDump(
            utt_ids=[f"utt{index}" for index in range(len(texts))],
            semantic=semantic,
            codes=codes_for(semantic).astype(np.int16),
            offsets=np.cumsum([0, *map(len, spoken)]),
            manifest=make_manifest(),
        )
        ids = [np.asarray([2 + LETTERS.index(c) for c in text], dtype=np.int32) for text in texts]
        return TokenCorpus(dump, ids, speakers or [f"speaker{index % 2}" for index in range(len(texts))])

    return build


@dataclass(frozen=True)
class Recipe:
    """Data, dump and token list of a tiny recipe on disk; the same set trains and validates."""

    root: Path

    def arguments(self, out, *overrides, with_text=True, **replaced):
        """Command-line arguments of a training command; keywords replace folders, such as ``valid_dump``."""
        folders = {"train_data": "data", "train_dump": "dump", "valid_data": "data", "valid_dump": "dump"}
        folders |= {"token_list": "token_list"} if with_text else {}
        named = {"out": out, **{name: self.root / folder for name, folder in folders.items()}, **replaced}
        return [text for name, value in named.items() for text in (f"--{name}", str(value))] + list(overrides)

    def add_set(self, name, texts, *, manifest, spoken=None, prefix="utt"):
        """Write ``<name>_data`` and ``<name>_dump`` beside the others; ``spoken`` replaces some token sequences."""
        from tokenchain_toolkit.data.kaldi import write_data_dir
        from tokenchain_toolkit.data.stamp import StageStamp
        from tokenchain_toolkit.data.token_dump import write_dump

        utt_ids = [f"{prefix}{index:03d}" for index in range(len(texts))]
        by_id = dict(zip(utt_ids, texts, strict=True))
        data, dump = (self.root / f"{name}{what}" for what in ("data", "dump"))
        speakers = {utt_id: f"speaker{index % 2}" for index, utt_id in enumerate(utt_ids)}
        write_data_dir(data, wavs={u: f"/no/{u}.wav" for u in utt_ids}, texts=by_id, speakers=speakers)
        tokens = {utt_id: speak(text) for utt_id, text in by_id.items()} | (spoken or {})
        stamp = StageStamp(dump, inputs=[], config={})
        stamp.begin()
        write_dump(dump, [(u, tokens[u], codes_for(tokens[u])) for u in utt_ids], manifest=manifest)
        stamp.finish()
        return {"train_data": data, "train_dump": dump}


@pytest.fixture
def other_manifest():
    """A function that gives the manifest of another tokenizer."""
    return make_manifest


@pytest.fixture(scope="session")
def recipe(tmp_path_factory, manifest):
    from tokenchain_toolkit.text.bpe import train_bpe

    made = Recipe(tmp_path_factory.mktemp("recipe"))
    made.add_set("", TEXTS, manifest=manifest)
    train_bpe(TEXTS, made.root / "token_list", model_type="char")
    return made


TRAINED = [
    "model.dropout=0.0",
    "optim.schedule=warmup_cosine",
    "optim.warmup_steps=10",
    "optim.lr=0.01",
    "training.accelerator=cpu",
    "training.precision=32-true",
    "training.average_best=0",
    "training.batch_frames=100",
]


def as_overrides(sizes):
    return [f"model.{name}={value}" for name, value in sizes.items()]


@pytest.fixture(scope="session")
def trained_asr(recipe):
    """Model folder of an ASR that has learned its eight utterances by heart."""
    from tokenchain_toolkit.bin.train_asr import main

    out = recipe.root / "exp" / "asr"
    extra = ["model.label_smoothing=0.0", "model.num_time_masks=0", "training.max_epochs=60"]
    assert main(recipe.arguments(out, *as_overrides(ASR_SIZES), *TRAINED, *extra)) == 0
    return out


@pytest.fixture(scope="session")
def trained_t2s(recipe):
    """Model folder of a T2S that has learned its eight utterances by heart."""
    from tokenchain_toolkit.bin.train_t2s import main

    out = recipe.root / "exp" / "t2s"
    assert main(recipe.arguments(out, *as_overrides(T2S_SIZES), *TRAINED, "training.max_epochs=45")) == 0
    return out
