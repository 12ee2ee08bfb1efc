"""What a model that measures must not be: partly untrained."""

from collections.abc import Iterable

ONLY_TRAINING = ("masked_spec_embed",)  # replaces masked frames in training; published models often lack it


def refuse_untrained(missing_keys: Iterable[str]) -> None:
    """Refuse a model of which transformers filled weights with random numbers, as it does for a missing head.

    Args:
        missing_keys: Weights that the files do not hold.

    Raises:
        ValueError: They matter.
    """
    missing = sorted(key for key in missing_keys if not key.endswith(ONLY_TRAINING))
    if missing:
        raise ValueError(f"its files hold no weights for {missing[0]}, so it is another kind of model")
