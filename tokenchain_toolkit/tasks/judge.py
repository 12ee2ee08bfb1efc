"""The recogniser that reads what T2S says while a chain is trained."""

import copy
from pathlib import Path

from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model
from tokenchain_toolkit.models.asr import TokenASR


def evaluation_inputs(config: EvaluationConfig, asr: Path, t2s: Path) -> list[Path]:
    """The models that an evaluation depends on, in their folders."""
    folders = [asr, t2s, *([Path(config.judge)] if config.judge else [])]
    return [folder / "model.safetensors" for folder in folders]


def load_judge(config: EvaluationConfig, asr: SavedModel) -> TokenASR:
    """The configured judge, or a copy of the recogniser that the chain starts from.

    Args:
        config: Names the judge.
        asr: That recogniser.

    Raises:
        DataError: The judge has other text units, or is missing.
        TokenizerMismatchError: It reads tokens of another tokenizer.
    """
    if config.judge is None:
        assert isinstance(asr.module, TokenASR)
        return copy.deepcopy(asr.module)
    judge = load_model(Path(config.judge), kind="asr")
    assert isinstance(judge.module, TokenASR) and judge.text_tokenizer is not None and asr.text_tokenizer is not None
    check_same_tokenizer(asr.manifest, judge.manifest, our_name="the chain", their_name=config.judge)
    if judge.text_tokenizer.tokens != asr.text_tokenizer.tokens:
        raise DataError(
            f"evaluation.judge: {config.judge} has other text units than the chain; train both on one token list"
        )
    return judge.module
