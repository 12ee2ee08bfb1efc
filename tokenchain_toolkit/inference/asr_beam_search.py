"""Joint CTC/attention beam search over a trained ASR (ESPnet's batch beam search over the hypotheses of an utterance).

Shapes: T semantic frames, S encoder frames, D features.
"""

import logging

import numpy as np
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.models.asr import TokenASR, encoder_frames


class BeamSearch:
    """Recognises one utterance at a time.

    Args:
        asr: In evaluation mode.
        config: Beam size, weights, length bounds.
        token_list: Text units, for the score of the length bonus.
    """

    def __init__(self, asr: TokenASR, config: ASRDecodingConfig, *, token_list: list[str]):
        from espnet.nets.batch_beam_search import BatchBeamSearch
        from espnet.nets.scorers.ctc import CTCPrefixScorer
        from espnet.nets.scorers.length_bonus import LengthBonus

        # ESPnet reports every search at level INFO.
        logging.getLogger("espnet").setLevel(logging.ERROR)
        self.asr, self.config = asr, config
        weights = {"decoder": 1.0 - config.ctc_weight, "ctc": config.ctc_weight, "length_bonus": config.length_bonus}
        scorers = {
            "decoder": asr.decoder,
            "ctc": CTCPrefixScorer(ctc=asr.ctc, eos=asr.sos_eos_id),
            "length_bonus": LengthBonus(len(token_list)),
        }
        self.search = BatchBeamSearch(
            scorers={name: scorer for name, scorer in scorers.items() if weights[name] != 0},
            weights={name: weight for name, weight in weights.items() if weight != 0},
            beam_size=min(config.beam_size, len(token_list) - 1),
            vocab_size=len(token_list),
            sos=asr.sos_eos_id,
            eos=asr.sos_eos_id,
            token_list=token_list,
            # Pruning by the decoder alone first saves CTC scores for units that it rules out.
            pre_beam_score_key=None if config.ctc_weight == 1.0 else "full",
        ).eval()

    @torch.no_grad()
    def recognise(self, semantic_T: np.ndarray) -> list[int]:
        """Text ids of one utterance; empty if it is too short for the encoder or no hypothesis ends."""
        if encoder_frames(len(semantic_T), self.asr.config.input_layer) < 1:
            return []
        device = self.asr.embed.weight.device
        semantic_BT = torch.from_numpy(semantic_T.astype(np.int64))[None].to(device)
        memory_BSD, _ = self.asr.encode(semantic_BT, torch.tensor([len(semantic_T)], device=device))
        hypotheses = self.search(
            memory_BSD[0], maxlenratio=self.config.max_length_ratio, minlenratio=self.config.min_length_ratio
        )
        return hypotheses[0].yseq[1:-1].tolist() if hypotheses else []
