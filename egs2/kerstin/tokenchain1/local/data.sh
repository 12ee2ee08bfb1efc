#!/usr/bin/env bash
# Stage 1 of kerstin: train, valid and test at 16 kHz.
set -euo pipefail

commit=f73127135cf80d6ef52aef6af58c49774f4fd625    # of rhasspy/dataset-voice-kerstin; what was tried here is of it

. ./path.sh
. ./db.sh

if [[ -z $KERSTIN ]]; then
    KERSTIN=downloads/dataset-voice-kerstin
    if [[ ! -d $KERSTIN ]]; then    # under another name until it is whole
        rm -rf "$KERSTIN.part"
        git init -q "$KERSTIN.part"
        git -C "$KERSTIN.part" fetch --depth 1 https://github.com/rhasspy/dataset-voice-kerstin "$commit"
        git -C "$KERSTIN.part" checkout -q FETCH_HEAD
        mv "$KERSTIN.part" "$KERSTIN"
    fi
fi
exec python3 -m tokenchain_toolkit.bin.prepare_data kerstin --out "${data:-data}" --root "$KERSTIN" \
    --num_jobs "${num_jobs:-2}" "$@"
