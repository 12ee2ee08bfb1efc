# shellcheck shell=bash
# Where the corpora are on this machine. A variable that is set in the environment wins; an empty one means "not here".

# Excerpts of public corpora in a folder shared/data beside the toolkit's tree are found without being named.
excerpts=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)/../shared/data
excerpt() {
    [[ ! -d $excerpts/$1 ]] || echo "$excerpts/$1"
}

# mini_synth makes its own speech; the scale shrinks all of its sets.
export MINI_SYNTH_SCALE=${MINI_SYNTH_SCALE:-1.0}

# Free Spoken Digit Dataset, a clone of github.com/Jakobovski/free-spoken-digit-dataset; empty: fetch a fixed commit.
export FSDD=${FSDD-$(excerpt fsdd_excerpt)}
export FSDD_SCALE=${FSDD_SCALE:-1.0}
# Connected digits of speechocean762, a folder with Kaldi tables in train/; empty: leave this test set out.
export SPEECHOCEAN762_DIGITS=${SPEECHOCEAN762_DIGITS-$(excerpt speechocean762_digits)}

# The corpora below are downloaded to the recipe's downloads/ where the path is empty, with checksums where any are
# published (tokenchain_toolkit/corpora/archives.py); they take as much again unpacked, and an archive goes when it is.
# Text normalisation and splits: the modules in its folder.
# LibriSpeech, the folder with train-clean-100/ in it; archives of 8 GB for librispeech_100, 60 GB for librispeech.
export LIBRISPEECH=${LIBRISPEECH-$(excerpt librispeech_excerpt/LibriSpeech)}
# Mini LibriSpeech, the folder with train-clean-5/ in it; archives of 0.5 GB.
export MINI_LIBRISPEECH=${MINI_LIBRISPEECH-}
# A mirror of OpenSLR, such as https://openslr.elda.org/resources; empty: the main server.
export OPENSLR=${OPENSLR-}
# TED-LIUM 2, the folder with TEDLIUM_release2/ in it; archive of 36 GB. The recipe whose models are adapted to it.
export TEDLIUM2=${TEDLIUM2-}
export TEDLIUM2_SOURCE=${TEDLIUM2_SOURCE:-../../librispeech_100/tokenchain1}
# LJSpeech, the folder with metadata.csv; archive of 2.7 GB.
export LJSPEECH=${LJSPEECH-$(excerpt ljspeech_excerpt/LJSpeech-1.1)}
# CMU AN4, the folder with etc/ and wav/; archive of 64 MB.
export AN4=${AN4-$(excerpt mini_an4/downloads/an4)}
# kerstin, a clone of github.com/rhasspy/dataset-voice-kerstin; empty: fetch a fixed commit to downloads/.
export KERSTIN=${KERSTIN-$(excerpt kerstin_excerpt)}

# Pretrained models, folders or hub ids, with safetensors. Of a FOLDER that has a pytorch_model.bin alone this makes them:
# python3 -c "import sys; from transformers import AutoModel as A; f = sys.argv[1];
# A.from_pretrained(f, use_safetensors=False, weights_only=True).save_pretrained(f)" FOLDER
export HUBERT_BASE=${HUBERT_BASE:-facebook/hubert-base-ls960}
export ENCODEC_24KHZ=${ENCODEC_24KHZ:-facebook/encodec_24khz}
# The paper's tokenizer, a folder with config.json and SpeechTokenizer.pt; of --tag speechtokenizer alone.
export SPEECHTOKENIZER=${SPEECHTOKENIZER:-models/speechtokenizer_hubert_avg}
