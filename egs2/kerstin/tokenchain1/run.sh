#!/usr/bin/env bash
# One German reader, under two hours: MFCC tokens, since HuBERT-base knows English alone; not run to its end so far.
# Of an excerpt, in minutes on two CPU cores: ./run.sh --tiny
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./tokenchain.sh \
    --train_set train \
    --valid_set valid \
    --test_sets test \
    "$@"
