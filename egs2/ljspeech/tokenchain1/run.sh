#!/usr/bin/env bash
# One English reader, 24 hours: HuBERT tokens (db.sh), small models; not run to its end so far.
# Of an excerpt, in minutes on two CPU cores: ./run.sh --tiny
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh

# The last 500 utterances are held out, as in ESPnet.
exec ./tokenchain.sh \
    --tag hubert_l9_km1024 \
    --train_set tr_no_dev \
    --valid_set dev \
    --test_sets eval1 \
    --device cuda \
    "$@"
