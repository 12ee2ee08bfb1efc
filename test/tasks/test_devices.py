"""Two devices, or one in two passes, train as one does: the same batches, the same losses, the same weights."""

import json
import subprocess
import sys
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tokenchain_toolkit.models.s2a import S2AOutput

# Lightning starts a script again for every further device; each writes down the losses of its steps.
RUNNER = """
import importlib, json, sys
from pathlib import Path
from tokenchain_toolkit.tasks.base import BaseTask

checked = BaseTask.checked
def recorded(self, loss, batch):
    with (Path(kind) / f"{name}.jsonl").open("a") as handle:
        handle.write(json.dumps([self.global_step, loss.item(), batch.utt_ids]) + "\\n")
    return checked(self, loss, batch)
BaseTask.checked = recorded
for kind, name, command, arguments in json.loads(Path(sys.argv[1]).read_text()):
    if importlib.import_module(f"tokenchain_toolkit.bin.train_{command}").main(arguments):
        raise SystemExit(1)
"""
SIZES = {
    "asr": [
        *("model.embed_dim=16", "model.encoder_dim=16", "model.encoder_blocks=1", "model.attention_heads=2"),
        *("model.cgmlp_units=16", "model.cgmlp_kernel=7", "model.merge_kernel=7", "model.feed_forward_units=16"),
        *("model.decoder_layers=1", "model.decoder_units=16", "model.dropout=0.0", "model.num_time_masks=0"),
    ],
    "t2s": ["model.hidden_dim=16", "model.num_layers=1", "model.num_heads=2", "model.feed_forward_dim=16"],
    "chain": ["model.feedback=st_argmax", "model.temperature.start=1.0"],
    "baseline": ["model.feedback=none"],
    "s2a": ["model.hidden_dim=16", "model.num_layers=1", "model.num_heads=2", "model.feed_forward_dim=16"],
}
# Of the eight utterances these make batches of five and three, so that the shares of a batch are unequal.
COMMON = [
    *("training.max_epochs=3", "training.batch_frames=130", "training.accelerator=cpu", "training.precision=32-true"),
    *("training.average_best=0", "optim.lr=0.003", "optim.warmup_steps=3"),
    *("data.min_prompt_frames=0", "data.max_prompt_frames=0"),
]
CHAINS = ("chain", "baseline")
STEPS, SHARES = 6, {"whole": 1, "devices": 2, "passes": 2}


@pytest.fixture(scope="module")
def runs(recipe, tmp_path_factory):
    """Folders of the runs: with one device, with two, and with one in two passes."""
    root = tmp_path_factory.mktemp("devices")
    (root / "runner.py").write_text(RUNNER)
    models = {"asr": root / "whole" / "asr", "t2s": root / "whole" / "t2s"}

    def commands_of(kind, *overrides):
        (root / kind).mkdir()
        for name, sizes in SIZES.items():
            named = models if name in CHAINS else {}
            with_text = name in ("asr", "t2s")
            settings = [*COMMON, *sizes, *overrides]
            command = "chain" if name in CHAINS else name
            yield kind, name, command, recipe.arguments(root / kind / name, *settings, with_text=with_text, **named)

    def run(*commands):
        (root / "commands.json").write_text(json.dumps(commands))
        command = [sys.executable, root / "runner.py", root / "commands.json"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    run(*commands_of("whole"), *commands_of("passes", "training.device_frames=65"))
    (root / "log").write_text(run(*commands_of("devices", "training.devices=2", "training.strategy=ddp")))
    return root


def steps_of(root, kind, name):
    """Loss of each update, the mean over its shares, and the utterances that took part."""
    losses, heard = defaultdict(list), defaultdict(list)
    for line in (root / kind / f"{name}.jsonl").read_text().splitlines():
        step, loss, utt_ids = json.loads(line)
        losses[step].append(loss)
        heard[step] += utt_ids
    assert {len(each) for each in losses.values()} == {SHARES[kind]}
    means = [sum(losses[step]) / len(losses[step]) for step in sorted(losses)]
    return means, [sorted(heard[step]) for step in sorted(heard)]


@pytest.mark.parametrize("kind", ["devices", "passes"])
@pytest.mark.parametrize("name", ["asr", "t2s", *CHAINS])
def test_shares_of_a_batch_train_as_the_whole_of_it(runs, kind, name):
    expected, batches = steps_of(runs, "whole", name)
    found, shared = steps_of(runs, kind, name)
    assert len(expected) == STEPS and {len(batch) for batch in batches} == {5, 3}
    assert shared == batches
    assert found == pytest.approx(expected, rel=1e-5)
    for part in ("asr", "t2s") if name in CHAINS else (".",):
        weights, whole = (load_file(runs / each / name / part / "model.safetensors") for each in (kind, "whole"))
        for key, value in whole.items():
            assert torch.allclose(weights[key], value, atol=2e-4), key


@pytest.mark.parametrize("kind", ["devices", "passes"])
def test_s2a_whose_masks_are_drawn_share_by_share_sees_the_same_batches(runs, kind):
    _, batches = steps_of(runs, "whole", "s2a")
    found, shared = steps_of(runs, kind, "s2a")
    assert shared == batches and all(loss > 0 for loss in found)


def test_masked_positions_weigh_alike_on_every_device(make_s2a_task, make_batch, monkeypatch):
    task, batch = make_s2a_task(), make_batch([4, 4], [1, 1])
    monkeypatch.setattr(task, "_trainer", SimpleNamespace(world_size=2))
    monkeypatch.setattr(task, "sum_over_devices", lambda num_masked: torch.tensor(8))
    monkeypatch.setattr(task, "log_values", lambda *_, **__: None)
    shares = [
        S2AOutput(torch.tensor(loss), torch.tensor(0.5), torch.tensor(count)) for loss, count in ((2.0, 6), (4.0, 2))
    ]
    losses = [task._log("train", share, batch).item() for share in shares]
    assert sum(losses) / 2 == pytest.approx((2.0 * 6 + 4.0 * 2) / 8)


def metrics_of(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("kind", ["devices", "passes"])
@pytest.mark.parametrize("name", ["asr", "t2s"])
def test_what_is_logged_is_of_the_whole_batches(runs, kind, name):
    found, expected = (metrics_of(runs / each / name) for each in (kind, "whole"))
    assert found == [pytest.approx(row, rel=1e-3, abs=1e-4) for row in expected]


def test_one_of_several_processes_tells(runs):
    log = (runs / "log").read_text()
    assert [log.count(f"{name}Task: ") for name in ("ASR", "T2S", "Chain", "S2A")] == [1, 1, 2, 1]
