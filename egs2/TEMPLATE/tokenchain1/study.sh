#!/usr/bin/env bash
# Does the chain help? The runs of conf/<study>.yaml, after the recipe's stages that they need and what local/study.sh
# adds to them. Called from a corpus's folder; `make study` calls it for mini_synth and fsdd.
# Usage: ./study.sh [NAME, such as study_short] [options of run_grid], of which --dry_run shows all and runs nothing; with
# --device cuda as many runs go on at once as there are GPUs, each on one of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

study=study
if [[ ${1:-} == study* ]]; then
    study=$1
    shift
fi
dry_run=()
[[ " $* " != *" --dry_run "* ]] || dry_run=(--dry_run)
./run.sh --stop_stage train_bpe "${dry_run[@]}"
. ./path.sh
if [[ -f local/study.sh ]]; then
    if [[ ${#dry_run[@]} -gt 0 ]]; then
        echo local/study.sh
    else
        local/study.sh
    fi
fi

num_jobs=2
if [[ " $* " == *" --device cuda "* ]]; then
    num_jobs=$(python3 -c "import torch; print(max(torch.cuda.device_count(), 1))")
fi
python3 -m tokenchain_toolkit.bin.run_grid --config "conf/$study.yaml" --out "exp/$study" --num_jobs "$num_jobs" "$@"
if [[ $study == study && ${#dry_run[@]} -eq 0 && -f exp/study/RESULTS.md ]]; then
    cp exp/study/RESULTS.md STUDY.md
fi
