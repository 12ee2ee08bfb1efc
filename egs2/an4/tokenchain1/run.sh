#!/usr/bin/env bash
# CMU AN4, an hour of names, numbers and dates: MFCC tokens, no pretrained model; not run to its end so far.
# Of an excerpt, in minutes on two CPU cores: ./run.sh --tiny
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# train_dev is the first 100 training utterances, as in ESPnet.
exec ./tokenchain.sh \
    --train_set train_nodev \
    --valid_set train_dev \
    --test_sets test \
    "$@"
