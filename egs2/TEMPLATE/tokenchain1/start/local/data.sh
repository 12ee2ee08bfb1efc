#!/usr/bin/env bash
# Stage 1 of this recipe: writes $data/<set>/{wav.scp,text,utt2spk} for every set that run.sh names. To be filled in.
#
# $data is the folder data, unless ./run.sh --data or --tiny says otherwise: so a run with tiny settings leaves the real
# one alone, if all that is made of the corpus, such as resampled audio, is written there. $num_jobs and the names of the
# sets ($train_set, $valid_set, $test_sets) are there, too.
#
# Each file has one line for each utterance, sorted by utterance in the C locale (LC_ALL=C sort):
#   wav.scp   UTT_ID /absolute/path/of/the/audio       WAV or FLAC, 16 kHz, one channel, 0.1 to 60 s
#   text      UTT_ID what is said                      one case, no punctuation, numbers as words
#   utt2spk   UTT_ID SPEAKER                           ids begin with the speaker
# No utterance is in two sets. --overwrite of ./run.sh and the options in its --data_args arrive here as "$@".
#
# Most of the work is better done in Python: tokenchain_toolkit/corpora has a module for each corpus, with
# write_data_dir, which sorts, and StageStamp, which leaves alone what is up to date. The lines below run such a script:
#
#   . ./path.sh
#   . ./db.sh                         # holds the paths of corpora; add the new one: export MINE=${MINE:-/corpora/mine}
#   exec python3 local/prepare.py --corpus "$MINE" --out "${data:-data}" "$@"
set -euo pipefail

echo "local/data.sh: error: it is not filled in yet; let it write \$data/<set>/{wav.scp,text,utt2spk} as it says itself" >&2
exit 1
