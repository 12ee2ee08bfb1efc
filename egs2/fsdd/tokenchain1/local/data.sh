#!/usr/bin/env bash
# Stage 1 of fsdd: digit strings from the Free Spoken Digit Dataset. More options: ./run.sh --data_args "--scale 0.1"
set -euo pipefail

commit=26eb9aaf76e81b692f806f9140c2d2777410d7a1    # of Jakobovski/free-spoken-digit-dataset; what was tried here is of it

. ./path.sh
. ./db.sh

if [[ -z $FSDD ]]; then
    FSDD=downloads/free-spoken-digit-dataset
    if [[ ! -d $FSDD ]]; then    # under another name until it is whole
        rm -rf "$FSDD.part"
        git init -q "$FSDD.part"
        git -C "$FSDD.part" fetch --depth 1 https://github.com/Jakobovski/free-spoken-digit-dataset "$commit"
        git -C "$FSDD.part" checkout -q FETCH_HEAD
        mv "$FSDD.part" "$FSDD"
    fi
fi
exec python3 -m tokenchain_toolkit.bin.prepare_data fsdd --out "${data:-data}" --fsdd "$FSDD" \
    --speechocean "$SPEECHOCEAN762_DIGITS" --scale "$FSDD_SCALE" "$@"
