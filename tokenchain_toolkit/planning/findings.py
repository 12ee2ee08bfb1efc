"""What a check came to, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: What was looked at.
        status: ``ok``, ``warn`` or ``fail``.
        found: What it came to, in plain words.
        remedy: What to do about it; empty where all is well.
    """

    check: str
    status: str
    found: str
    remedy: str = ""


def findings_table(findings: Sequence[Finding]) -> str:
    """The findings as aligned plain text, the remedy of each on a line of its own."""
    width = max(len(each.check) for each in findings)
    lines = []
    for each in findings:
        lines.append(f"{each.status:<4}  {each.check:<{width}}  {each.found}")
        if each.remedy:
            lines.append(f"{'':<4}  {'':<{width}}  -> {each.remedy}")
    return "\n".join(lines)


def about(value: float, unit: str) -> str:
    """An estimate with two digits, which is more than it deserves: ``about 1.3 GB``."""
    if value == 0:
        return f"0 {unit}"
    digits = max(0, 1 - _exponent(value))
    rounded = round(value, 1 - _exponent(value))
    return f"about {rounded:,.{digits}f} {unit}"


def about_time(seconds: float) -> str:
    """An estimated time in the unit that people would use."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            return about(seconds / size, unit)
    return about(seconds, "seconds")


def about_bytes(count: float) -> str:
    """An estimated size in GB, or MB where that is more telling."""
    return about(count / 1e9, "GB") if count >= 1e9 else about(count / 1e6, "MB")


def _exponent(value: float) -> int:
    """Decimal exponent of a positive number."""
    return int(f"{value:e}".partition("e")[2])
