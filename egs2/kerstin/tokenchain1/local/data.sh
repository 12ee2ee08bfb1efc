#!/usr/bin/env bash
# Stage 1 of kerstin: train, valid and test at 16 kHz.
set -euo pipefail

. ./path.sh
. ./db.sh

if [[ -z $KERSTIN ]]; then
    KERSTIN=downloads/dataset-voice-kerstin
    if [[ ! -d $KERSTIN ]]; then    # under another name until it is whole
        rm -rf "$KERSTIN.part"
        git clone --depth 1 https://github.com/rhasspy/dataset-voice-kerstin "$KERSTIN.part"
        mv "$KERSTIN.part" "$KERSTIN"
    fi
fi
python3 -m tokenchain_toolkit.bin.prepare_data kerstin --out "${data:-data}" --root "$KERSTIN" \
    --num_jobs "${num_jobs:-2}" "$@"
