#!/usr/bin/env bash
# What the study needs beside the recipe's own sets. Called from the recipe's folder, after path.sh.
set -euo pipefail

# The recipe itself is not trained on the second domain; the study adapts to it.
python3 -m tokenchain_toolkit.bin.validate data/talk_train data/talk_valid
for set in talk_train talk_valid; do
    python3 -m tokenchain_toolkit.bin.extract_tokens --tokenizer exp/tokenizer_mfcc --data "data/$set" \
        --out "dump/mfcc/$set" --num_jobs 2
done

# One of the questions is asked of tokens without their repetitions, too: dump/mfcc_units beside dump/mfcc.
python3 -m tokenchain_toolkit.bin.learn_units --dump dump/mfcc/read_train --out exp/units_mfcc
for set in read_train read_valid read_test; do
    python3 -m tokenchain_toolkit.bin.convert_units --units exp/units_mfcc --dump "dump/mfcc/$set" \
        --out "dump/mfcc_units/$set"
done

# Text units that spell both domains in few units, for the models that are adapted: those of read alone cut the words of
# talk into letters, more than there are frames for CTC.
python3 -m tokenchain_toolkit.bin.train_bpe --config conf/bpe.yaml --text data/read_train/text data/talk_train/text \
    --out data/token_list/read_talk vocab_size=400
