"""The machine and its environment: memory, disk, GPUs, and whether the packages fit together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tokenchain_toolkit.planning.findings import FAIL, OK, WARN, Finding, about_bytes

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = ("run", "espnet")
INSTALL = f"run 'make' in {ROOT}, which installs the versions of tools/requirements into .venv"
# Of the memory or disk that is free, so much is left to others.
SPARE = 0.1
# With more of the cores at work for others, a probe is slower than the run will be.
BUSY = 0.5


@dataclass(frozen=True)
class Gpu:
    """One GPU that PyTorch finds: its memory, and how much of it is free."""

    name: str
    memory_bytes: int
    free_bytes: int
    has_bf16: bool


def find_gpus() -> list[Gpu]:
    """Every GPU that PyTorch finds."""
    import torch

    if not torch.cuda.is_available():
        return []
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Gpu(torch.cuda.get_device_name(index), total, free, has_bf16))
    return found


def describe_gpus(gpus: Sequence[Gpu], *, is_wanted: bool = False) -> Finding:
    """The GPUs, or that there is none.

    Args:
        gpus: All of them.
        is_wanted: Whether the recipe asks for one.
    """
    if not gpus and is_wanted:
        what = "none that PyTorch finds, and run.sh asks for one (--device cuda)"
        remedy = "go to a machine that has one; or try ./run.sh --device cpu, and --device cpu here"
        return Finding("GPU", FAIL, what, remedy)
    if not gpus:
        return Finding("GPU", OK, "none that PyTorch finds; training and the estimates below are of the CPU")
    names = ", ".join(f"{each.name} ({each.memory_bytes / 1e9:.0f} GB)" for each in gpus)
    if not all(each.has_bf16 for each in gpus):
        remedy = "training is in float32 there; training.precision=16-mixed is faster, and less stable"
        return Finding("GPU", WARN, f"{names}, without bf16", remedy)
    return Finding("GPU", OK, f"{names}, bf16")


def available_memory() -> int:
    """Bytes of main memory that a new process can have without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_load() -> Finding:
    """How busy other processes keep the cores, by the load of the last minute; what is measured then is too slow."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    found = f"{load:.1f} processes wanted to run in the last minute, and there are {cores} cores"
    if load <= BUSY * cores:
        return Finding("load", OK, found)
    return Finding("load", WARN, found, "the estimates are those of a busy machine; run this again on an idle one")


def check_memory(check: str, available: int, needed: dict[str, int], remedies: dict[str, str]) -> Finding:
    """Free memory against what the hungriest stage is expected to keep.

    Args:
        check: Name of the memory.
        available: Bytes that are free.
        needed: Stage -> bytes.
        remedies: Stage -> what lowers its need.
    """
    found = f"{available / 1e9:.1f} GB free"
    if not needed:
        return Finding(check, OK, found)
    stage = max(needed, key=needed.__getitem__)
    found += f"; {stage} needs {about_bytes(needed[stage])}"
    if needed[stage] <= (1 - SPARE) * available:
        return Finding(check, OK, found)
    return Finding(check, WARN, found, remedies.get(stage, ""))


def check_disk(folder: Path, needed: int | None) -> Finding:
    """Free disk of a folder against the bytes that the recipe is expected to write there, if they are known."""
    free = shutil.disk_usage(folder).free
    if needed is None:
        return Finding("disk", OK, f"{free / 1e9:.1f} GB free; what is needed comes with the estimates")
    found = f"{free / 1e9:.1f} GB free, {about_bytes(needed)} needed"
    if needed > free:
        return Finding("disk", FAIL, found, "free some, move the recipe, or keep fewer checkpoints (average_best)")
    if needed > (1 - SPARE) * free:
        return Finding("disk", WARN, found, "that is nearly all of it; keep fewer checkpoints (training.average_best)")
    return Finding("disk", OK, found)


def check_packages() -> Finding:
    """Every package that the toolkit imports, in a version that it works with."""
    lists = ROOT / "tools" / "requirements"
    files = [lists / f"{name}.txt" for name in REQUIRED]
    if not files[0].is_file():
        return Finding("packages", WARN, f"{lists} is not there, so versions cannot be checked", INSTALL)
    command = [sys.executable, str(ROOT / "tools" / "check_environment.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Finding("packages", FAIL, done.stderr.strip(), INSTALL)
    return Finding("packages", OK, f"as in {', '.join(path.name for path in files)}")


def check_torch_pair() -> Finding:
    """PyTorch and torchaudio must be built for each other, which their release numbers tell."""
    found = {}
    for name in ("torch", "torchaudio"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            return Finding("torch pair", FAIL, f"{name} is not installed", INSTALL)
    shown = ", ".join(f"{name} {version}" for name, version in found.items())
    releases = {".".join(version.split(".")[:2]) for version in found.values()}
    if len(releases) > 1:
        return Finding("torch pair", FAIL, f"{shown}: not a pair", INSTALL)
    return Finding("torch pair", OK, shown)
