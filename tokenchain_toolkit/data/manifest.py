"""Token manifests: which tokenizer made these tokens, and the check that two of them are the same."""

from importlib import metadata
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import DataError, TokenizerMismatchError
from tokenchain_toolkit.files import read_json, write_json

FORMAT = 1
LIBRARIES = ("torch", "torchaudio", "transformers", "scikit-learn", "numpy")


def new_manifest(*, semantic: dict[str, Any], acoustic: dict[str, Any] | None) -> dict[str, Any]:
    """A manifest from the facts of the semantic tokenizer and of the acoustic codec, if there is one."""
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"format": FORMAT, "semantic": semantic, "acoustic": acoustic, "versions": versions}


def read_manifest(path: Path) -> dict[str, Any]:
    """Read ``manifest.json``.

    Raises:
        DataError: It is missing or of another format.
    """
    if not path.is_file():
        raise DataError(
            f"{path} is missing, which says what tokens are made of; name another folder, or run extract_tokens "
            "(of a tokenizer learn_tokenizer) again"
        )
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"{path}: format {manifest.get('format')}, this version reads {FORMAT}; run extract_tokens again"
        )
    return manifest


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json`` atomically."""
    write_json(path, manifest)


def check_same_tokenizer(
    ours: dict[str, Any],
    theirs: dict[str, Any],
    *,
    our_name: str,
    their_name: str,
    parts: tuple[str, ...] = ("semantic",),
) -> None:
    """Refuse tokens of another tokenizer; library versions may differ.

    Args:
        ours: Manifest of the first side, for instance a model.
        theirs: Manifest of the second side, for instance a dump.
        our_name: What the first side is called in the message.
        their_name: What the second side is called in the message.
        parts: Which halves of the manifests must agree: ``semantic``, ``acoustic`` or both.

    Raises:
        TokenizerMismatchError: They differ; the message lists each field with both values.
    """
    differences = []
    for part in parts:
        left, right = _flatten(ours.get(part)), _flatten(theirs.get(part))
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                differences.append(f"{part}.{key}: {left.get(key)!r} against {right.get(key)!r}")
    if differences:
        raise TokenizerMismatchError(
            f"{our_name} and {their_name} use different tokenizers ({'; '.join(differences)}); "
            "extract the tokens with the model's tokenizer, or train the model on these tokens"
        )


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one level of dotted keys."""
    if not isinstance(value, dict):
        return {prefix.rstrip("."): value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat.update(_flatten(inner, f"{prefix}{key}."))
    return flat
