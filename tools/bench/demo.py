"""Measure a recipe from nothing: wall time, peak memory of all its processes together, and the scores it reaches.

Usage: python tools/bench/demo.py [--recipe egs2/mini_synth/tokenchain1] [--keep]

The recipe runs in a copy of the tree, so that what is there already is neither used nor touched. What it makes there
names the commit of this tree.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
SAMPLE_SECONDS = 2.0  # a look at all pages of all processes takes time from them


def main() -> int:
    """Run, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("egs2/mini_synth/tokenchain1"), help="recipe folder")
    parser.add_argument("--keep", action="store_true", help="keep the copy of the tree")
    arguments = parser.parse_args()
    copy = Path(tempfile.mkdtemp(prefix="tokenchain_bench_")) / "tree"
    generated = shutil.ignore_patterns("exp", "dump", "data", "*_tiny", "downloads", "__pycache__")
    # The package has a folder named data; only the recipes' one is generated.
    shutil.copytree(ROOT / "tokenchain_toolkit", copy / "tokenchain_toolkit")
    shutil.copytree(ROOT / "egs2", copy / "egs2", symlinks=True, ignore=generated)
    if (ROOT / ".git").is_dir():
        shutil.copytree(ROOT / ".git", copy / ".git")
    try:
        return measure(copy / arguments.recipe)
    finally:
        if arguments.keep:
            sys.stdout.write(f"kept: {copy}\n")
        else:
            shutil.rmtree(copy.parent)


def measure(recipe: Path) -> int:
    """Run one recipe and print its figures."""
    (recipe / "results.json").unlink(missing_ok=True)
    environment = {**os.environ, "VENV": str(Path(sys.prefix))}
    if (ROOT.parent / "shared").is_dir():
        (recipe.parents[3] / "shared").symlink_to(ROOT.parent / "shared")
    started, peak = time.monotonic(), 0
    process = subprocess.Popen([str(recipe / "run.sh")], env=environment, cwd=recipe)
    while process.poll() is None:
        peak = max(peak, memory_of_tree(process.pid))
        time.sleep(SAMPLE_SECONDS)
    minutes = (time.monotonic() - started) / 60
    lines = [f"exit status {process.returncode}", f"wall time {minutes:.1f} min", f"peak memory {peak / GIB:.1f} GiB"]
    results = recipe / "results.json"
    for row in json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []:
        value, low, high = (100 * row[name] for name in ("value", "ci_low", "ci_high"))
        name = f"{row['experiment']:20} {row['set']:14} {row['metric']:16}"
        lines.append(f"{name} {value:6.1f} % [{low:.1f}, {high:.1f}]")
    sys.stdout.write("\n".join(lines) + "\n")
    return process.returncode


def memory_of_tree(pid: int) -> int:
    """Proportional memory (bytes) of a process and all its descendants; shared pages count once."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        waiting += children.get(current, [])
        try:
            rollup = Path(f"/proc/{current}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


if __name__ == "__main__":
    sys.exit(main())
