"""Errors that a user can mend; their text says what is wrong, where, and how to mend it."""


class TokenChainError(Exception):
    """Base of all errors that commands print without a traceback."""


class DataError(TokenChainError):
    """A data directory, audio file or dump is not as it must be."""


class ConfigError(TokenChainError):
    """A configuration holds an unknown key or an impossible value."""


class TokenizerMismatchError(TokenChainError):
    """Tokens were made by another tokenizer than the one a model was trained on."""


class MissingDependencyError(TokenChainError):
    """An optional package is not installed; the text names the command that installs it."""


class TrainingError(TokenChainError):
    """Training cannot go on, for instance because the loss is not finite."""


def counted(number: int, what: str) -> str:
    """``1 problem``, ``2 problems``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
