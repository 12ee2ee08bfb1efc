"""What a check of a recipe has found."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """What is wrong in one respect, each in one line that ends with the remedy.

    Attributes:
        title: Of the respect.
        problems: What the contract does not allow.
        warnings: What it allows and is often not meant.
    """

    title: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
