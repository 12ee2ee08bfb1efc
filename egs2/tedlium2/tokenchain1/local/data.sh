#!/usr/bin/env bash
# Stage 1 of tedlium2: utterances cut out of the talks, in texts that the source recipe's text units can write.
# More options: ./run.sh --data_args --keep_archives
set -euo pipefail

. ./path.sh
. ./db.sh

data=${data:-data}
token_list=${source:?run ./run.sh --stop_stage data, which names the source recipe}/$data/token_list/${tag:?}
exec python3 -m tokenchain_toolkit.bin.prepare_data tedlium2 --out "$data" --root "$TEDLIUM2" --openslr "$OPENSLR" \
    --token_list "$token_list" "$@"
