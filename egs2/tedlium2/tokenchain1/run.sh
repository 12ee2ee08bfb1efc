#!/usr/bin/env bash
# Adaptation to TED-LIUM 2: chains go on from the models of a LibriSpeech recipe, on its tokens and text units. Its training
# set is replayed, its test sets say what is forgotten. Needs TEDLIUM2 and TEDLIUM2_SOURCE of db.sh, and a GPU; not run to
# its end so far. The source recipe has to be run up to train_s2a first; without its S2A nothing is synthesized.
# The source's text units, BPE 5000, stay [assumed]; ESPnet's recipe that is trained on TED-LIUM 2 has 500.
# WER is of texts without marks such as <unk> and [NOISE]; what others report is to be compared with Published-WER, in
# which they are words (tokenchain_toolkit/corpora/stm.py), and each is an error, since no model here writes them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh

# Another source: TEDLIUM2_SOURCE=FOLDER ./run.sh --tag ITS_TAG --source_sets "..." --replay_sets ... --test_sets "test ..."
exec ./tokenchain.sh \
    --tag hubert_l9_km1024 \
    --source "$TEDLIUM2_SOURCE" \
    --source_sets "train_clean_100 test_clean test_other" \
    --replay_sets train_clean_100 \
    --train_set train \
    --valid_set dev \
    --test_sets "test test_clean test_other" \
    --synth_sets test \
    --device cuda \
    "$@"
