#!/usr/bin/env bash
# The whole chain on recordings of real people speaking digits: about 12 minutes on two CPU cores.
# db.sh says where the recordings are. Options go to tokenchain.sh, for instance: ./run.sh --stage score
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh

test_sets="seen_test unseen_test"
# The second domain, connected digits of speechocean762, is a test set where the corpus is there.
[[ -z $SPEECHOCEAN762_DIGITS ]] || test_sets+=" speechocean_test"

# On a CPU, two commands with half of the cores each get further than one after the other with all of them.
exec ./tokenchain.sh \
    --side_by_side 2 \
    --train_set train \
    --valid_set valid \
    --test_sets "$test_sets" \
    "$@"
