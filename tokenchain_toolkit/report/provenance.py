"""Where a figure came from: the commit of the code and the machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def package_commit() -> str:
    """Short commit of the package, with ``-dirty`` if it has changes; ``unknown`` outside git."""
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain", "--", str(PACKAGE)) else commit


def environment() -> dict[str, str]:
    """Processor, cores that this process may use, and library versions, in display order."""
    return {
        "CPU": _cpu_name(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "Python": platform.python_version(),
        "torch": metadata.version("torch"),
    }


def _git(*arguments: str) -> str:
    """Output of a git command in the package's folder; empty if it fails or git is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
