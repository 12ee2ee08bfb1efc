"""Beam search over batches of utterances against ESPnet's, which takes one utterance at a time.

Usage: python tools/bench/beam_search.py --model exp/asr --dump dump/mfcc/read_test [--utterances 100] [--beam_size 4]
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.models.asr import TokenASR


def main() -> int:
    """Recognise the same utterances by both, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="ASR model folder")
    parser.add_argument("--dump", type=Path, required=True, help="token dump, such as that of a test set")
    parser.add_argument("--utterances", type=int, default=100, help="first utterances of the dump to recognise")
    parser.add_argument("--beam_size", type=int, default=4, help="hypotheses")
    parser.add_argument("--ctc_weight", type=float, default=0.3, help="weight of CTC, between 0 and 1, both excluded")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    asr = load_model(arguments.model, kind="asr").module
    assert isinstance(asr, TokenASR)
    dump = read_dump(arguments.dump)
    utterances = [dump.semantic_of(index) for index in range(min(arguments.utterances, len(dump)))]
    config = ASRDecodingConfig(beam_size=arguments.beam_size, ctc_weight=arguments.ctc_weight)
    BeamSearch(asr, config).recognise(utterances[:2])  # the first calls build what later ones use

    started = time.perf_counter()
    ours = BeamSearch(asr, config).recognise(utterances)
    our_seconds = time.perf_counter() - started
    started = time.perf_counter()
    theirs = recognise_with_espnet(asr, config, utterances)
    their_seconds = time.perf_counter() - started
    same = sum(one == other for one, other in zip(ours, theirs, strict=True))
    sys.stdout.write("| search | ms per utterance |\n|---|---:|\n")
    for name, seconds in (("ESPnet, one by one", their_seconds), ("ours, in batches", our_seconds)):
        sys.stdout.write(f"| {name} | {1000 * seconds / len(utterances):.1f} |\n")
    ratio = their_seconds / our_seconds
    sys.stdout.write(f"\n{ratio:.1f} times as fast; the same text for {same} of {len(utterances)} utterances\n")
    return 0


@torch.no_grad()
def recognise_with_espnet(asr: TokenASR, config: ASRDecodingConfig, utterances: list[np.ndarray]) -> list[list[int]]:
    """Text ids of each utterance."""
    from espnet.nets.batch_beam_search import BatchBeamSearch
    from espnet.nets.scorers.ctc import CTCPrefixScorer

    search = BatchBeamSearch(
        scorers={"decoder": asr.decoder, "ctc": CTCPrefixScorer(ctc=asr.ctc, eos=asr.sos_eos_id)},
        weights={"decoder": 1 - config.ctc_weight, "ctc": config.ctc_weight},
        beam_size=config.beam_size,
        vocab_size=asr.sos_eos_id + 1,
        sos=asr.sos_eos_id,
        eos=asr.sos_eos_id,
        pre_beam_score_key="full",
    ).eval()
    texts = []
    for semantic_T in utterances:
        semantic_BT = torch.from_numpy(semantic_T.astype(np.int64))[None]
        memory_BSD, _ = asr.encode(semantic_BT, torch.tensor([len(semantic_T)]))
        texts.append(search(memory_BSD[0])[0].yseq[1:-1].tolist())
    return texts


if __name__ == "__main__":
    sys.exit(main())
