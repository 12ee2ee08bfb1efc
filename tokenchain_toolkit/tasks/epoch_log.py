"""One row of ``metrics.csv`` and one line on the terminal for every epoch; a resumed run goes on with the same file."""

import csv
import io
import logging
import time
from pathlib import Path

import lightning

from tokenchain_toolkit.files import write_text

LOG = logging.getLogger(__name__)
SHOWN = ("loss", "accuracy", "ctc_ter", "t2s_accuracy")


class EpochLog(lightning.Callback):
    """Writes what the task logged of each epoch.

    Args:
        path: ``metrics.csv``.
    """

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, str]] = []
        self._started = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the rows of the epochs before the one that training goes on with."""
        del pl_module
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as handle:
                self.rows = [row for row in csv.DictReader(handle) if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a row, rewrite the file, show a line."""
        seconds = time.monotonic() - self._started
        # Asking for the metrics reduces them over the devices, so every device has to ask, at the same point.
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        row: dict[str, object] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row["seconds"] = f"{seconds:.1f}"
        row |= {name: f"{value:.6g}" for name, value in sorted(values.items())}
        row["learning_rate"] = f"{trainer.optimizers[0].param_groups[0]['lr']:.4g}"
        self.rows.append({name: str(value) for name, value in row.items()})
        self._write()
        shown = "  ".join(f"{name} {values[f'valid/{name}']:.3f}" for name in SHOWN if f"valid/{name}" in values)
        left = seconds * ((trainer.max_epochs or 0) - trainer.current_epoch - 1)
        LOG.info(
            "%s epoch %d/%d  train loss %.3f  valid %s  %.0f s, about %.0f s left",
            self.path.parent.name,
            trainer.current_epoch + 1,
            trainer.max_epochs,
            values.get("train/loss", float("nan")),
            shown,
            seconds,
            left,
        )

    def _write(self) -> None:
        """Write all rows; columns are the union over rows, in order of appearance."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
