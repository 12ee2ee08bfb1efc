# shellcheck shell=bash
# Where the corpora are on this machine. A variable that is set in the environment wins; an empty one means "not here".

# Excerpts of public corpora in a folder shared/data beside the toolkit's tree are found without being named.
excerpts=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)/../shared/data
excerpt() {
    [[ ! -d $excerpts/$1 ]] || echo "$excerpts/$1"
}

# mini_synth makes its own speech; the scale shrinks all of its sets.
export MINI_SYNTH_SCALE=${MINI_SYNTH_SCALE:-1.0}

# TED-LIUM 2, the folder with TEDLIUM_release2/ in it, and the recipe whose models are adapted to it.
export TEDLIUM2=${TEDLIUM2-}
export TEDLIUM2_SOURCE=${TEDLIUM2_SOURCE:-../../librispeech_100/tokenchain1}

# Free Spoken Digit Dataset, a clone of github.com/Jakobovski/free-spoken-digit-dataset; empty: clone it to downloads/.
export FSDD=${FSDD-$(excerpt fsdd_excerpt)}
export FSDD_SCALE=${FSDD_SCALE:-1.0}
# Connected digits of speechocean762, a folder with Kaldi tables in train/; empty: leave this test set out.
export SPEECHOCEAN762_DIGITS=${SPEECHOCEAN762_DIGITS-$(excerpt speechocean762_digits)}
