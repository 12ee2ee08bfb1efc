#!/usr/bin/env bash
# The paper's sizes on 100 hours of LibriSpeech. Needs a GPU, HuBERT-base and EnCodec (db.sh); not run to its end so far.
# Of an excerpt, in minutes: ./run.sh --tiny --valid_set held_out --test_sets test_other
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh

# Sets: train_clean_100, train_960, dev (dev-clean and dev-other), test_clean, ...; corpora/librispeech.py lists them all.
# Where no dev is there, --valid_set held_out takes some speakers of the training set.
exec ./tokenchain.sh \
    --tag hubert_l9_km1024 \
    --train_set train_clean_100 \
    --valid_set dev \
    --test_sets "test_clean test_other dev_clean dev_other" \
    --device cuda \
    "$@"
