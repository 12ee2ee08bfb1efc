#!/usr/bin/env bash
# Five hours of LibriSpeech for trying things out: HuBERT tokens (db.sh), small models; not run to its end so far.
# Of an excerpt, in minutes: MINI_LIBRISPEECH=FOLDER ./run.sh --tiny --train_set train_clean_100 --test_sets test_other
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh

# Kaldi tests and validates on dev-clean-2; here some speakers of the training set are held out for validation. [assumed]
exec ./tokenchain.sh \
    --tag hubert_l9_km1024 \
    --train_set train_clean_5 \
    --valid_set held_out \
    --test_sets dev_clean_2 \
    --device cuda \
    "$@"
