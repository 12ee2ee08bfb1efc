#!/usr/bin/env bash
# Stage 1 of tedlium2: utterances cut out of the talks, in texts that the source recipe's text units can write.
set -euo pipefail

. ./path.sh
. ./db.sh

if [[ -z $TEDLIUM2 ]]; then
    echo "local/data.sh: error: set TEDLIUM2= in db.sh to the folder that holds TEDLIUM_release2/ (openslr.org/19)" >&2
    exit 1
fi
token_list=${source:?run ./run.sh --stop_stage data, which names the source recipe}/data/token_list/${tag:?}
python3 -m tokenchain_toolkit.bin.prepare_data tedlium2 --out data --tedlium2 "$TEDLIUM2" --token_list "$token_list" "$@"
