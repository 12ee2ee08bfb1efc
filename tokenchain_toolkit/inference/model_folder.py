"""A trained model as a folder of plain files.

``model.safetensors`` (weights), ``manifest.json`` (the tokenizer of its tokens), ``model.json`` (kind, sizes, epoch)
and, for models with text, ``token_list/``. A chain experiment holds two such folders, ``asr`` and ``t2s``; the
experiment's ``config.yaml`` stands in its own folder.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tokenchain_toolkit.config.asr import ASRModelConfig
from tokenchain_toolkit.config.load import merge_into
from tokenchain_toolkit.config.s2a import S2AModelConfig
from tokenchain_toolkit.config.t2s import T2SModelConfig
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.manifest import read_manifest, write_manifest
from tokenchain_toolkit.data.stage_folder import folder_instead
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path, read_json, write_json
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.text.bpe import TextTokenizer

KINDS = ("asr", "t2s", "s2a")


@dataclass
class SavedModel:
    """A model with all that is needed to use it.

    Attributes:
        module: In evaluation mode.
        kind: ``asr``, ``t2s`` or ``s2a``.
        manifest: Tokenizer of the tokens it was trained on.
        model_config: Its sizes, as plain values.
        epoch: Epochs it was trained for.
        text_tokenizer: Text units; None for S2A.
    """

    module: nn.Module
    kind: str
    manifest: dict[str, Any]
    model_config: dict[str, Any]
    epoch: int
    text_tokenizer: TextTokenizer | None


def build_model(
    kind: str, model_config: dict[str, Any], *, manifest: dict[str, Any], vocab_size: int | None
) -> nn.Module:
    """A model of random weights from plain settings.

    Args:
        kind: ``asr``, ``t2s`` or ``s2a``.
        model_config: The ``model`` section of its configuration.
        manifest: Tokenizer; gives the number of clusters and the codec's sizes.
        vocab_size: Text units; None for S2A.
    """
    num_semantic = manifest["semantic"]["num_clusters"]
    if kind == "asr":
        config = merge_into(ASRModelConfig, model_config)
        return TokenASR(config, num_semantic=num_semantic, vocab_size=vocab_size or 0)
    if kind == "t2s":
        return T2SModel(merge_into(T2SModelConfig, model_config), vocab_size=vocab_size or 0, num_semantic=num_semantic)
    acoustic = manifest["acoustic"]
    return S2AModel(
        merge_into(S2AModelConfig, model_config),
        num_semantic=num_semantic,
        num_quantizers=acoustic["num_quantizers"],
        codebook_size=acoustic["codebook_size"],
        tokens_per_frame=FrameRates.of(manifest).tokens_per_frame,
    )


def save_model(folder: Path, model: SavedModel, state: dict[str, torch.Tensor], *, token_list: Path | None) -> None:
    """Write a model folder; the weights come last, so a folder that has them is complete.

    Args:
        folder: Where to write.
        model: What to write beside the weights.
        state: The weights, for instance an average of several checkpoints.
        token_list: Folder of the text units, copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.json", model.manifest)
    write_json(folder / "model.json", {"kind": model.kind, "epoch": model.epoch, "model": model.model_config})
    if token_list is not None:
        shutil.copytree(token_list, folder / "token_list", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file({name: tensor.contiguous().cpu() for name, tensor in state.items()}, temporary)


def load_model(folder: Path, *, kind: str) -> SavedModel:
    """Read a model folder.

    Args:
        folder: ``exp/asr_*``, ``exp/chain_*/asr`` and the like.
        kind: What it must be.

    Raises:
        DataError: A file is missing or damaged, or the folder holds another kind of model.
    """
    folder = Path(folder)
    weights = folder / "model.safetensors"
    facts = _read_facts(folder, kind=kind)
    manifest = read_manifest(folder / "manifest.json")
    text_tokenizer = TextTokenizer.load(folder / "token_list") if kind != "s2a" else None
    vocab_size = text_tokenizer.vocab_size if text_tokenizer else None
    module = build_model(kind, facts["model"], manifest=manifest, vocab_size=vocab_size)
    try:
        module.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        what = f"{weights} does not fit {folder / 'model.json'} ({error})"
        raise DataError(f"{what}; train it again with --overwrite") from error
    return SavedModel(
        module=module.eval(),
        kind=kind,
        manifest=manifest,
        model_config=facts["model"],
        epoch=facts["epoch"],
        text_tokenizer=text_tokenizer,
    )


def load_text_tokenizer(folder: Path, *, kind: str) -> TextTokenizer:
    """Read the text units of a model folder alone.

    Args:
        folder: ``exp/asr_*``, ``exp/chain_*/t2s`` and the like.
        kind: What it must be, ``asr`` or ``t2s``.

    Raises:
        DataError: A file is missing or damaged, or the folder holds another kind of model.
    """
    _read_facts(folder, kind=kind)
    return TextTokenizer.load(folder / "token_list")


def _read_facts(folder: Path, *, kind: str) -> dict[str, Any]:
    """Kind, sizes and epoch of a model, which must be complete and of that kind."""
    weights, path = folder / "model.safetensors", folder / "model.json"
    for part in (weights, path, folder / "manifest.json"):
        if not part.is_file():
            name = f"name the folder of a trained {kind.upper()}, or run the stage that trains it to its end"
            raise DataError(folder_instead(part) or f"{part} is missing; {name}")
    try:
        facts = read_json(path)
    except DataError as error:
        raise DataError(f"{path} is no JSON ({error}); train the model again with --overwrite") from error
    if not isinstance(facts, dict) or not {"kind", "model", "epoch"} <= facts.keys():
        raise DataError(f"{path} does not name kind, model and epoch; train the model again with --overwrite")
    if facts["kind"] != kind:
        raise DataError(f"{folder} holds a model of kind {facts['kind']}, where one of kind {kind} is needed")
    return facts
