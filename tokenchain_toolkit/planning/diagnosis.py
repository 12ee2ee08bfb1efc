"""What the doctor is asked, and what it found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenchain_toolkit.planning.decode_probe import DecodingMeasure
from tokenchain_toolkit.planning.estimates import StageEstimate
from tokenchain_toolkit.planning.findings import Finding
from tokenchain_toolkit.planning.probe import StepMeasure
from tokenchain_toolkit.planning.sets import SetFacts
from tokenchain_toolkit.planning.text_fit import CtcFacts
from tokenchain_toolkit.planning.tokenizer_probe import ExtractionMeasure, HeadMeasure, VocodingMeasure


@dataclass(frozen=True)
class DoctorOptions:
    """What to look at, and how.

    Attributes:
        seconds: Time of the probe; 0 leaves the probe and the estimates out.
        hours: Hours of training speech to reckon with while there is no data.
        run_options: Options of ``run.sh``, such as ``("--train_set", "train_960")``.
        recipe: Folder of the recipe.
    """

    seconds: float = 30.0
    hours: float | None = None
    run_options: Sequence[str] = ()
    recipe: Path = Path()


@dataclass
class Diagnosis:
    """What the doctor found, in the order of the table, and the figures behind it."""

    findings: list[Finding] = field(default_factory=list)
    sets: list[SetFacts] = field(default_factory=list)
    ctc: list[CtcFacts] = field(default_factory=list)
    extraction: ExtractionMeasure | None = None
    head: HeadMeasure | None = None
    vocoding: VocodingMeasure | None = None
    steps: list[StepMeasure] = field(default_factory=list)
    decodings: list[DecodingMeasure] = field(default_factory=list)
    stages: list[StageEstimate] = field(default_factory=list)

    def add(self, check: str, status: str, found: str, remedy: str = "") -> None:
        """One more line of the table."""
        self.findings.append(Finding(check, status, found, remedy))
