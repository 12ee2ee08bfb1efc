"""The cost plan as plain text that says what was measured, what counted, and what assumed."""

from collections.abc import Sequence

from tokenchain_toolkit.planning.findings import about_time
from tokenchain_toolkit.planning.paper_plan import Placement, Plan, Speed, hours_of_all
from tokenchain_toolkit.planning.probe import StepMeasure


def measured_table(measures: Sequence[StepMeasure]) -> str:
    """What was measured on this machine."""
    rows = [("model", "parameters", "frames of a step", "seconds", "GFLOP a frame", "GFLOP a second", "where")]
    for each in measures:
        assert each.flops is not None
        rows.append(
            (
                each.name,
                f"{each.num_parameters / 1e6:.0f} M",
                f"{each.frames:,}",
                f"{each.seconds:.2g} (median of {each.num_steps})",
                f"{each.flops / 1e9:.2g}",
                f"{each.flops * each.frames / each.seconds / 1e9:,.3g}",
                f"{each.device}, {each.precision}",
            )
        )
    return aligned(rows)


def plan_table(plans: Sequence[Plan]) -> str:
    """Time of every experiment by number of GPUs, and the memory of each; the sum of all runs; what is left out."""
    counts = [placement.num_gpus for placement in plans[0].placements]
    head = ["recipe", "by", "training", "sets", "runs", "epochs", "updates an epoch", "EFLOP a run"]
    rows = [(*head, *(f"{count} GPU{'s' if count > 1 else ''}: an epoch, a run, memory" for count in counts))]
    for plan in plans:
        sets = f"{' + '.join(plan.train_sets)} ({plan.hours_of_speech:.3g} h)"
        cells = [plan.recipe, plan.part, ", ".join(plan.names), sets, str(plan.runs), str(plan.epochs)]
        cells += [f"{plan.updates:,}", f"{plan.flops / 1e18:.2g}"]
        rows.append((*cells, *(_placed(placement) for placement in plan.placements)))
    flops = sum(plan.runs * plan.flops for plan in plans)
    hours = [hours_of_all(plans, place) for place in range(len(counts))]
    total = ["all runs", "", "", "", str(sum(plan.runs for plan in plans)), "", "", f"{flops / 1e18:.2g}"]
    rows.append((*total, *(_time(each) for each in hours)))
    faults = [f"{plan.recipe}, {', '.join(plan.names)}: {plan.fault}" for plan in plans if plan.fault]
    evaluated = dict.fromkeys(
        f"{plan.recipe}, {plan.part}: not in these hours: {plan.evaluation}" for plan in plans if plan.evaluation
    )
    return "\n".join([aligned(rows), *faults, *evaluated])


def basis(speeds: Sequence[Speed], gpu_gb: float) -> str:
    """What the figures rest on, in a few lines."""
    measured = [speed for speed in speeds if speed.is_measured]
    first = speeds[0]
    if measured:
        rate = f"measured: on this GPU: {', '.join(f'{speed.tflops:.3g}' for speed in speeds)} TFLOP a second"
    else:
        rate = f"assumed:  {first.tflops:g} TFLOP a second on each GPU, for these models and not at its peak (--tflops)"
    return "\n".join(
        (
            "measured: time and memory of steps on random batches, the table above",
            "counted:  operations of matrix products, convolutions and attention of those steps, forward and backward;",
            "          an EFLOP is 10**18 of them",
            f"{rate}; {first.scaling:.0%} of it on each of several GPUs (--scaling, assumed)",
            "run.sh:   each of its trainings has all GPUs (--num_gpus), one training after the other",
            "studies:  a run of study.sh has one GPU, and as many run at once as there are (--device cuda)",
            "reckoned: all else, by frames, padding and epochs; lengths as in LibriSpeech, scaled to the set's mean",
            "memory:   of a GPU that takes its share in one pass, from what was kept here; measured on a CPU it counts",
            "          matrices of attention that a GPU does not keep, and is an upper bound. Where it is above",
            f"          {gpu_gb:g} GB (--gpu_memory), the training.device_frames in brackets make it fit",
            "left out: extraction of tokens, validation, decoding, synthesis, and evaluation after every epoch, which",
            "          lines below the table name; the doctor reckons them for run.sh on the machine that it is run on",
        )
    )


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _placed(placement: Placement) -> str:
    memory = f"{placement.memory_bytes / 1e9:.0f} GB"
    if placement.device_frames is None:
        memory += " (does not fit)"
    elif placement.device_frames:
        memory += f" ({placement.device_frames})"
    return f"{_time(placement.hours_per_epoch)}, {_time(placement.hours)}, {memory}"


def _time(hours: float) -> str:
    return about_time(3600 * hours).removeprefix("about ")
