#!/usr/bin/env bash
# The sets of the second domain, divided by speaker, that the study adapts to. Called from the recipe's folder, after
# path.sh.
set -euo pipefail

sets=(speechocean_adapt speechocean_valid speechocean_heldout)
python3 -m tokenchain_toolkit.bin.validate "${sets[@]/#/data/}"
for set in "${sets[@]}"; do
    python3 -m tokenchain_toolkit.bin.extract_tokens --tokenizer exp/tokenizer_mfcc --data "data/$set" \
        --out "dump/mfcc/$set" --num_jobs 2
done
