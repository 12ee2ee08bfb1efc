#!/usr/bin/env bash
# Stage 1 of the LibriSpeech recipes: the sets that run.sh names. More options: ./run.sh --data_args --keep_archives
set -euo pipefail

. ./path.sh
. ./db.sh

read -r -a test_names <<<"${test_sets:?run ./run.sh --stop_stage data, which names the sets}"
exec python3 -m tokenchain_toolkit.bin.prepare_data librispeech --out "${data:-data}" --root "$LIBRISPEECH" \
    --openslr "$OPENSLR" --train_set "${train_set:?}" --valid_set "${valid_set:?}" --test_sets "${test_names[@]}" \
    "$@"
