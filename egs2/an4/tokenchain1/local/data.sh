#!/usr/bin/env bash
# Stage 1 of an4: train_nodev, train_dev and test. More options: ./run.sh --data_args --keep_archives
set -euo pipefail

. ./path.sh
. ./db.sh

exec python3 -m tokenchain_toolkit.bin.prepare_data an4 --out "${data:-data}" --root "$AN4" "$@"
