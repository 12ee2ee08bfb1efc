# shellcheck shell=bash
# Which Python runs the recipe: the environment that VENV names, else .venv of this tree, else the one in use.
# The tree's own package comes first, so that several trees can share an environment.
TOKENCHAIN_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
venv=${VENV:-$TOKENCHAIN_ROOT/.venv}
if [[ -x $venv/bin/python3 ]]; then
    export PATH="$venv/bin:$PATH"
fi
export PYTHONPATH="$TOKENCHAIN_ROOT${PYTHONPATH:+:$PYTHONPATH}"
# Looks for torch without importing it, which takes seconds.
if ! python3 -c "import sys, importlib.util as u, tokenchain_toolkit; sys.exit(not u.find_spec('torch'))" 2>/dev/null; then
    echo "path.sh: error: $(command -v python3) has no torch; run 'make' in $TOKENCHAIN_ROOT, or set VENV" >&2
    return 1
fi
