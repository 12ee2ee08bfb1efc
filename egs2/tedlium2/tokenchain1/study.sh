#!/usr/bin/env bash
# What adapts best, and what is forgotten: the runs of conf/study.yaml, after the recipe's stages that they need.
# Usage: ./study.sh [options of run_grid]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./run.sh --stop_stage train_t2s
. ./path.sh
python3 -m tokenchain_toolkit.bin.run_grid --config conf/study.yaml --out exp/study --device cuda "$@"
