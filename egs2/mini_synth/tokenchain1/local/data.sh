#!/usr/bin/env bash
# Stage 1 of mini_synth: speech from eSpeak NG. More options: ./run.sh --data_args "--seed 1"
set -euo pipefail

. ./path.sh
. ./db.sh

exec python3 -m tokenchain_toolkit.bin.prepare_data mini_synth --out "${data:-data}" \
    --scale "${MINI_SYNTH_SCALE:-1.0}" --num_jobs "${num_jobs:-2}" "$@"
