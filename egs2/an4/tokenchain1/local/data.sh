#!/usr/bin/env bash
# Stage 1 of an4: train_nodev, train_dev and test. Options are passed on, for instance --keep_archives.
set -euo pipefail

. ./path.sh
. ./db.sh

python3 -m tokenchain_toolkit.bin.prepare_data an4 --out "${data:-data}" --root "$AN4" "$@"
