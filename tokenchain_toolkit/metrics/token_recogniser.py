"""What a word error rate of the recipe's own ASR depends on, for its results."""

from pathlib import Path
from typing import Any

from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.files import sha256_of

RECOGNISER = "recogniser.json"  # beside the ``text`` that a recogniser wrote


def describe_recogniser(asr: Path) -> dict[str, Any]:
    """The model, its weights, the sample rate of the speech behind its tokens, and that no text is normalised.

    Args:
        asr: Model folder.

    Raises:
        DataError: It has no manifest.
    """
    return {
        "model": str(asr),
        "weights_sha256": sha256_of(asr / "model.safetensors"),
        "sample_rate": read_manifest(asr / "manifest.json")["semantic"].get("sample_rate"),
        "normaliser": "none",
    }
