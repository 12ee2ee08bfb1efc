"""Which arms of a grid are the chain, and which are controls that it has to beat, from the runs' ``config.yaml``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tokenchain_toolkit.report.grid_runs import Arm

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Role:
    """What an arm learns from beside its paired data.

    Attributes:
        is_linked: T2S's error flows back into the ASR, through what it reads of paired speech or of speech alone.
        is_labelled: The ASR learns from what another recogniser, or itself before, has read of speech alone.
    """

    is_linked: bool
    is_labelled: bool

    @property
    def is_control(self) -> bool:
        """Self-training without the chain: what speech alone is worth to the ASR by itself."""
        return self.is_labelled and not self.is_linked


def read_roles(out: Path, arms: Sequence[Arm]) -> dict[str, Role]:
    """Arm -> role; one whose configuration is not there is taken for a chain."""
    return {arm.name: _role_of(out / arm.runs[0].folder / CONFIG) for arm in arms}


def _role_of(path: Path) -> Role:
    if not path.is_file():
        return Role(is_linked=True, is_labelled=False)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections = [config.get(name) or {} for name in ("model", "unpaired")]
    is_linked = any(section.get("feedback", "none") != "none" for section in sections)
    return Role(is_linked=is_linked, is_labelled=sections[1].get("labels") is not None)
