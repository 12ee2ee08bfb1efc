#!/usr/bin/env bash
# The whole chain on speech that eSpeak NG makes: no download, about a quarter of an hour on two idle CPU cores.
# Options go to tokenchain.sh, for instance: ./run.sh --stage train_chain --chains "baseline st_argmax st_gumbel"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# On a CPU, two commands with half of the cores each get further than one after the other with all of them.
exec ./tokenchain.sh \
    --side_by_side 2 \
    --train_set read_train \
    --valid_set read_valid \
    --test_sets "read_test talk_test" \
    "$@"
