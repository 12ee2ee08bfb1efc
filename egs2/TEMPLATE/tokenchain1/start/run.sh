#!/usr/bin/env bash
# The whole chain on this corpus. Options go to tokenchain.sh, for instance: ./run.sh --stage train_chain
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Names of the folders that local/data.sh writes to $data; several test sets in quotes: "test_clean test_noisy".
exec ./tokenchain.sh \
    --train_set train \
    --valid_set valid \
    --test_sets "test" \
    "$@"
