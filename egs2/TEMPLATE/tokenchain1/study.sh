#!/usr/bin/env bash
# Does the chain help? The runs of conf/<study>.yaml, after the recipe's stages that they need and what local/study.sh
# adds to them. Called from a corpus's folder; `make study` calls it for mini_synth and fsdd.
# Usage: ./study.sh [NAME, such as study_short] [options of run_grid]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

study=study
if [[ ${1:-} == study* ]]; then
    study=$1
    shift
fi
./run.sh --stop_stage train_bpe
. ./path.sh
[[ ! -f local/study.sh ]] || local/study.sh

python3 -m tokenchain_toolkit.bin.run_grid --config "conf/$study.yaml" --out "exp/$study" --num_jobs 2 "$@"
if [[ $study == study && -f exp/study/RESULTS.md ]]; then
    cp exp/study/RESULTS.md STUDY.md
fi
