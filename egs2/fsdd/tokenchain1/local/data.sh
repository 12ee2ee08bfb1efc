#!/usr/bin/env bash
# Stage 1 of fsdd: digit strings from the Free Spoken Digit Dataset. More options: ./run.sh --data_args "--scale 0.1"
set -euo pipefail

. ./path.sh
. ./db.sh

if [[ -z $FSDD ]]; then
    FSDD=downloads/free-spoken-digit-dataset
    if [[ ! -d $FSDD ]]; then    # under another name until it is whole
        rm -rf "$FSDD.part"
        git clone --depth 1 https://github.com/Jakobovski/free-spoken-digit-dataset "$FSDD.part"
        mv "$FSDD.part" "$FSDD"
    fi
fi
python3 -m tokenchain_toolkit.bin.prepare_data fsdd --out "${data:-data}" --fsdd "$FSDD" \
    --speechocean "$SPEECHOCEAN762_DIGITS" --scale "$FSDD_SCALE" "$@"
