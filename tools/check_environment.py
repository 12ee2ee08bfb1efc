"""Say which requirements the running environment lacks; exit status 1 if there are any.

Usage: python tools/check_environment.py REQUIREMENTS_FILE...
"""

from __future__ import annotations  # so that an old Python gets as far as its message

import sys
from importlib import metadata
from pathlib import Path

VERSIONS = ((3, 10), (3, 13))


def missing(path: Path) -> list[str]:
    """Requirements of one file that are not installed, or not in that version."""
    from packaging.requirements import Requirement

    faults = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            faults.append(f"{line} (not installed)")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{line} (installed: {version})")
    return faults


def main() -> int:
    """Check the interpreter, then every file named on the command line."""
    if not VERSIONS[0] <= sys.version_info[:2] < VERSIONS[1]:
        sys.stderr.write(f"Python 3.10, 3.11 or 3.12 is needed; {sys.executable} is {sys.version.split()[0]}\n")
        return 1
    try:
        faults = [fault for path in sys.argv[1:] for fault in missing(Path(path))]
    except ModuleNotFoundError as error:
        faults = [f"{error.name} (not installed)"]
    if faults:
        sys.stderr.write(f"{sys.prefix} lacks {', '.join(faults)}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
