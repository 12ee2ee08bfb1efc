"""What the chain's own figures say after the last epoch of each arm, from the runs' ``metrics.csv``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.report.curves import read_curves
from tokenchain_toolkit.report.grid_runs import Arm

MEANINGS = {
    "valid/rec_loss_true": "loss of T2S given the true transcript, in nats for each semantic token",
    "valid/rec_loss_recognised": "the same given what the ASR reads; what feedback can win lies between this and the "
    "line above",
    "valid/rec_loss_shuffled": "the same given the transcript's units in random order; where it is no higher than with "
    "the true one, T2S does not listen to the text",
    "valid/speech_rec_loss": "the same given what the ASR hands to T2S of speech alone, here of the validation set",
    "valid/interface_entropy": "entropy in nats of the decoder's scores at the transcript's positions, at the "
    "temperature of the interface; near 0 it has made up its mind",
    "valid/interface_accuracy": "share of positions at which its likeliest unit is the transcript's",
    "valid/link_entropy": "entropy of what the ASR hands to T2S of paired speech",
    "valid/speech_entropy": "entropy of what it hands to T2S of speech alone",
    "valid/asr_gradient": "norm of the gradient of L_ASR at the ASR",
    "valid/rec_gradient": "norm of the gradient of L_rec there; far smaller than the one above, feedback moves little; "
    "that of the score function is mostly the noise of its samples",
    "valid/gradient_cosine": "cosine of the two; above 0 they pull the ASR the same way, below 0 against each other",
    "valid/estimator_cosine": "cosine of L_rec's gradient at the scores with that of the soft path; 1 where the "
    "estimator has no bias against it",
    "valid/score_cosine": "cosine of the same gradient with an unbiased estimate from samples",
    "valid/score_ceiling": "what the line above would be for the true gradient: the estimate from samples is noisy",
    "valid/score_split_cosine": "cosine of two such estimates, each from half of the samples",
    "valid/rec_step_change": "change of L_rec, read with the same noise, after a step of the ASR against its gradient "
    "that should lower it by 0.01",
    "valid/rec_step_random": "the same after a step as long in a random direction; the line above should lie below it",
    "train/label_error": "word error rate of the labels that the ASR learns from, whose transcripts are known here",
    "train/text_unusable": "share of the texts alone that the ASR did not learn from: what T2S said did not end or was "
    "too short for its text",
    "train/asr_weight": "weight of L_ASR in the loss",
    "train/rec_weight": "weight of L_rec in the loss",
}


@dataclass(frozen=True)
class Diagnostic:
    """One column of the metrics: arm -> mean over seeds after the last epoch, where it was logged."""

    name: str
    meaning: str
    values: dict[str, float]


def read_diagnostics(out: Path, arms: Sequence[Arm]) -> list[Diagnostic]:
    """Every column of `MEANINGS` that some run logged."""
    logged: dict[str, dict[str, list[float]]] = {name: {} for name in MEANINGS}
    for arm in arms:
        for run in arm.runs:
            path = out / run.folder / "metrics.csv"
            curves = read_curves(path) if path.is_file() else {}
            for name in MEANINGS.keys() & curves.keys():
                logged[name].setdefault(arm.name, []).append(curves[name][-1][1])
    return [
        Diagnostic(name, MEANINGS[name], {arm: float(np.mean(values)) for arm, values in of_arm.items()})
        for name, of_arm in logged.items()
        if of_arm
    ]
