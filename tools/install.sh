#!/usr/bin/env bash
# Make the Python environment, or complete an existing one.
#
# Usage: tools/install.sh [ENVIRONMENT [EXTRA...]]
#   ENVIRONMENT  folder of the environment (default .venv); made with PYTHON (default python3) if there is none
#   EXTRA        files of tools/requirements besides run: dev, demo, codecs, metrics (default: dev)
#
# An environment that has what is required is left as it is. Else pip installs the versions of constraints.txt. A stamp
# inside the environment spares the check next time.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:-.venv}
shift || true
extras=("${@:-dev}")
lists=tools/requirements
python=${PYTHON:-python3}

fail() {
    echo "install: error: $*" >&2
    exit 1
}

# Packages whose own lists of dependencies do not install; what they import is in the other files.
alone=("$lists/espnet.txt")
files=("$lists/run.txt")
for extra in "${extras[@]}"; do
    [[ -f $lists/$extra.txt ]] || fail "$lists/$extra.txt: no such extra; the extras are dev, demo, codecs and metrics"
    files+=("$lists/$extra.txt")
    [[ $extra != metrics ]] || alone+=("$lists/resemblyzer.txt")
done

if [[ ! -x $venv/bin/python ]]; then
    [[ ! -L $venv || -e $venv ]] || fail "$venv is a link to nothing; remove it, or mend it"
    [[ ! -e $venv/bin ]] || fail "$venv holds no working Python; remove the folder and run this again"
    command -v "$python" >/dev/null || fail "$python not found; install Python 3.10, 3.11 or 3.12"
    "$python" tools/check_environment.py || fail "$python is not Python 3.10, 3.11 or 3.12; name another: make install PYTHON=python3.11"
    echo "install: making $venv with $("$python" -V)" >&2
    "$python" -m venv "$venv" || fail "$python cannot make an environment; on Debian and Ubuntu, its package python3-venv is needed"
fi
env_python=$venv/bin/python
"$env_python" tools/check_environment.py || fail "remove $venv and name an interpreter: make install PYTHON=python3.11"

digest=$(cat "$lists/constraints.txt" "${files[@]}" "${alone[@]}" setup.py | cksum | tr ' ' -)
stamp=$venv/.tokenchain-installed-$digest
if [[ -e $stamp ]]; then
    echo "install: $venv is up to date" >&2
    exit 0
fi

if "$env_python" tools/check_environment.py "${files[@]}" "${alone[@]}"; then
    echo "install: $venv has what is required" >&2
else
    "$env_python" -m pip --version >/dev/null 2>&1 || "$env_python" -m ensurepip >/dev/null || fail "$venv has no pip"
    pip=("$env_python" -m pip install --disable-pip-version-check --constraint "$lists/constraints.txt")
    "${pip[@]}" setuptools packaging "${files[@]/#/--requirement=}"
    "${pip[@]}" --no-deps "${alone[@]/#/--requirement=}"
fi
# From outside the tree, where only an installed package is found. An environment that several trees share keeps the
# tree that it points to; the Makefile and the recipes put their own tree first.
if ! (cd / && env -u PYTHONPATH "$env_python" -c "import tokenchain_toolkit") 2>/dev/null; then
    editable=("$env_python" -m pip install --disable-pip-version-check --no-deps --editable .)
    # The environment's own setuptools needs no network; one that is too old for this gets help from pip.
    "${editable[@]}" --no-build-isolation 2>/dev/null || "${editable[@]}"
fi
touch "$stamp" 2>/dev/null || echo "install: $venv is not writable; it is checked again next time" >&2
