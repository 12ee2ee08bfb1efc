#!/usr/bin/env bash
# Stage 1 of ljspeech: tr_no_dev, dev and eval1 at 16 kHz. More options: ./run.sh --data_args --keep_archives
set -euo pipefail

. ./path.sh
. ./db.sh

exec python3 -m tokenchain_toolkit.bin.prepare_data ljspeech --out "${data:-data}" --root "$LJSPEECH" \
    --num_jobs "${num_jobs:-2}" "$@"
