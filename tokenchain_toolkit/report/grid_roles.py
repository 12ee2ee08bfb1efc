"""Which arms of a grid are chains, and what each has to beat beside the baseline, from the runs' ``config.yaml``."""

import json
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
        is_annealed: The temperature of the link moves.
        others: All settings but those of the temperature and the seed, as text; empty if they are not known.
    """

    is_linked: bool
    is_labelled: bool
    is_annealed: bool = False
    others: str = ""

    @property
    def is_control(self) -> bool:
        """Self-training without the chain: what speech alone is worth to the ASR by itself."""
        return self.is_labelled and not self.is_linked

    def is_rival_of(self, other: "Role") -> bool:
        """Whether this is what the other is to beat: self-training for a chain, constant temperature for annealing."""
        same = self.others == other.others != ""
        return other.is_linked and (self.is_control or (same and other.is_annealed and not self.is_annealed))


def read_roles(out: Path, arms: Sequence[Arm]) -> dict[str, Role]:
    """Arm -> role; one whose configuration is not there is taken for a chain."""
    return {arm.name: _role_of(out / arm.runs[0].folder / CONFIG) for arm in arms}


def _role_of(path: Path) -> Role:
    if not path.is_file():
        return Role(is_linked=True, is_labelled=False)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections = [config.get(name) or {} for name in ("model", "unpaired")]
    temperature = sections[0].pop("temperature", {})
    config.get("training", {}).pop("seed", None)
    return Role(
        is_linked=any(section.get("feedback", "none") != "none" for section in sections),
        is_labelled=sections[1].get("labels") is not None,
        is_annealed=temperature.get("schedule", "constant") != "constant",
        others=json.dumps(config, sort_keys=True),
    )
