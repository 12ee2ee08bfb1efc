"""Joint CTC/attention beam search over a trained ASR, many utterances at a time.

The scores are ESPnet's (its decoder, and its CTC prefix scores, Watanabe et al. 2017); the search around them keeps the
beams of all utterances of a batch in one tensor, which ESPnet's own, for one utterance at a time, does not.

Shapes: B utterances, W hypotheses of each, N = B * W, S encoder frames, V text units, L text positions, D features.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.models.asr import BLANK_ID, TokenASR, encoder_frames
from tokenchain_toolkit.models.cached_decoder import CachedDecoder

# Units per hypothesis, relative to the beam, that the decoder lets through to CTC (ESPnet's value).
PRE_BEAM_RATIO = 1.5


class BeamSearch:
    """Recognises utterances in batches; none changes what is recognised of another.

    Args:
        asr: In evaluation mode.
        config: Beam size, weights, length bounds, batch.
    """

    def __init__(self, asr: TokenASR, config: ASRDecodingConfig):
        self.asr, self.config = asr, config
        self.vocab_size = asr.sos_eos_id + 1
        self.beam_size = min(config.beam_size, self.vocab_size - 1)

    def recognise(self, utterances: Sequence[np.ndarray]) -> list[list[int]]:
        """Text ids of each utterance.

        Args:
            utterances: Semantic tokens, one array of shape (frames,) each.

        Returns:
            In the order of ``utterances``; empty for one that is too short for the encoder.
        """
        found: list[list[int]] = [[] for _ in utterances]
        for indices, memories in encoded_batches(self.asr, utterances, batch_frames=self.config.batch_frames):
            for index, text in zip(indices, self.search(memories), strict=True):
                found[index] = text
        return found

    @torch.no_grad()
    def search(self, memories: Sequence[torch.Tensor]) -> list[list[int]]:
        """Text ids of each utterance of a batch, by its encoder states (S, D)."""
        device = memories[0].device
        frames_B = torch.tensor([len(memory_SD) for memory_SD in memories], device=device)
        memory_BSD = pad_sequence(list(memories), batch_first=True)
        is_frame_BS = torch.arange(memory_BSD.shape[1], device=device)[None] < frames_B[:, None]
        beam = _Beam(len(memories), self.beam_size, sos_id=self.asr.sos_eos_id, device=device)
        scorer = _Scorer(self.asr, self.config, memory_BSD, is_frame_BS, beam_size=self.beam_size)
        most_B, least_B = self._length_bounds(frames_B)
        for length in range(int(most_B.max())):
            beam.extend(scorer(beam.ids_NL))
            scorer.keep(beam.kept_BW)
            beam.close(eos_id=self.asr.sos_eos_id, at_end_B=length + 1 >= most_B, too_short_B=length < least_B)
            # No score grows but by the bonus, so what has ended above all that runs has won.
            growth_B = max(self.config.length_bonus, 0.0) * (most_B - length - 1)
            if bool((beam.best_B >= beam.scores_BW.amax(dim=1) + growth_B).all()):
                break
        return beam.texts

    def _length_bounds(self, frames_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Most and least text units of each utterance."""
        most_B = (frames_B * (self.config.max_length_ratio or 1.0)).long().clamp_min(1)
        least_B = (frames_B * self.config.min_length_ratio).long()
        return most_B, torch.minimum(least_B, most_B - 1)


@torch.no_grad()
def encoded_batches(
    asr: TokenASR, utterances: Sequence[np.ndarray], *, batch_frames: int
) -> Iterator[tuple[list[int], list[torch.Tensor]]]:
    """Utterances of similar length at a time: their indices and their encoder states, each (S, D).

    Args:
        asr: In evaluation mode.
        utterances: Semantic tokens, one array of shape (frames,) each; those too short for the encoder are left out.
        batch_frames: Bound on the semantic frames, with padding, of a batch.
    """
    lengths = np.array([len(semantic_T) for semantic_T in utterances])
    layer = asr.config.input_layer
    long_enough = np.array([i for i, length in enumerate(lengths) if encoder_frames(int(length), layer) >= 1], int)
    if not len(long_enough):
        return
    batches = make_batches(
        lengths[long_enough], batch_frames=batch_frames, max_batch_size=len(utterances), seed=0, epoch=0
    )
    for batch in batches:
        indices = long_enough[batch].tolist()
        # Each alone: the encoder's convolutions would see the padding of a batch.
        yield indices, [_encode(asr, utterances[index]) for index in indices]


def _encode(asr: TokenASR, semantic_T: np.ndarray) -> torch.Tensor:
    device = asr.embed.weight.device
    semantic_BT = torch.from_numpy(semantic_T.astype(np.int64))[None].to(device)
    return asr.encode(semantic_BT, torch.tensor([len(semantic_T)], device=device))[0][0]


class _Scorer:
    """Scores of every next unit, (N, V), from decoder and CTC together."""

    def __init__(
        self,
        asr: TokenASR,
        config: ASRDecodingConfig,
        memory_BSD: torch.Tensor,
        is_frame_BS: torch.Tensor,
        *,
        beam_size: int,
    ):
        from espnet.nets.ctc_prefix_score import CTCPrefixScoreTH

        self.config, self.vocab_size = config, asr.sos_eos_id + 1
        self.decoder, self.prefix_scorer, self.prefix_state = None, None, None
        self.pre_beam_size = int(PRE_BEAM_RATIO * beam_size)
        if config.ctc_weight < 1:
            self.decoder = CachedDecoder(asr.decoder, memory_BSD, is_frame_BS)
        if config.ctc_weight > 0:
            log_probs_BSV = asr.ctc.log_softmax(memory_BSD)
            lengths = is_frame_BS.sum(dim=1).tolist()
            self.prefix_scorer = CTCPrefixScoreTH(log_probs_BSV, lengths, BLANK_ID, asr.sos_eos_id)

    def __call__(self, ids_NL: torch.Tensor) -> torch.Tensor:
        scores_NV = torch.full((len(ids_NL), self.vocab_size), self.config.length_bonus, device=ids_NL.device)
        if self.decoder is not None:
            scores_NV = scores_NV + (1 - self.config.ctc_weight) * self.decoder(ids_NL)
        if self.prefix_scorer is None:
            return scores_NV
        # What the decoder rules out needs no CTC score; ESPnet then gives it one that rules it out for good.
        prunes = self.decoder is not None and self.pre_beam_size < self.vocab_size
        likely_NP = scores_NV.topk(self.pre_beam_size).indices if prunes else None
        ctc_NV, self.prefix_state = self.prefix_scorer(ids_NL.tolist(), self.prefix_state, likely_NP)
        return scores_NV + self.config.ctc_weight * ctc_NV

    def keep(self, kept_BW: torch.Tensor) -> None:
        """Go on with the extended hypotheses that the beam kept, each an index into its utterance's (W, V)."""
        if self.decoder is not None:
            self.decoder.keep(_rows(kept_BW // self.vocab_size))
        if self.prefix_scorer is not None:
            self.prefix_state = self.prefix_scorer.index_select_state(self.prefix_state, kept_BW)


class _Beam:
    """The W best hypotheses that still run, of each utterance, and the best one that has ended."""

    def __init__(self, batch: int, beam_size: int, *, sos_id: int, device: torch.device):
        self.ids_NL = torch.full((batch * beam_size, 1), sos_id, device=device)
        # One hypothesis at first; the others do not run, as later those that have ended.
        self.scores_BW = torch.full((batch, beam_size), -torch.inf, device=device)
        self.scores_BW[:, 0] = 0.0
        self.kept_BW = torch.zeros(batch, beam_size, dtype=torch.long, device=device)
        self.best_B = torch.full((batch,), -torch.inf, device=device)
        self.texts: list[list[int]] = [[] for _ in range(batch)]

    def extend(self, scores_NV: torch.Tensor) -> None:
        """Take the best W of all W * V continuations."""
        batch, beam_size = self.scores_BW.shape
        vocab_size = scores_NV.shape[1]
        totals_BWV = self.scores_BW[..., None] + scores_NV.view(batch, beam_size, vocab_size)
        self.scores_BW, self.kept_BW = totals_BWV.view(batch, -1).topk(beam_size)
        units_N1 = (self.kept_BW % vocab_size).view(-1, 1)
        self.ids_NL = torch.cat([self.ids_NL[_rows(self.kept_BW // vocab_size)], units_N1], dim=1)

    def close(self, *, eos_id: int, at_end_B: torch.Tensor, too_short_B: torch.Tensor) -> None:
        """Take the hypotheses that have ended out of the running: by an end symbol, or at the greatest length.

        Args:
            eos_id: End symbol.
            at_end_B: Utterances whose hypotheses may not grow.
            too_short_B: Utterances whose hypotheses may not end yet; those that do are given up.
        """
        batch, beam_size = self.scores_BW.shape
        says_end_BW = self.ids_NL[:, -1].view(batch, beam_size) == eos_id
        ends_BW = (says_end_BW | at_end_B[:, None]) & self.scores_BW.isfinite()
        counted_BW = self.scores_BW.masked_fill(~ends_BW | (says_end_BW & too_short_B[:, None]), -torch.inf)
        score_B, which_B = counted_BW.max(dim=1)
        for index in (score_B > self.best_B).nonzero()[:, 0].tolist():
            text = self.ids_NL[index * beam_size + int(which_B[index]), 1:].tolist()
            self.texts[index] = text[:-1] if text[-1] == eos_id else text
        self.best_B = torch.maximum(self.best_B, score_B)
        self.scores_BW = self.scores_BW.masked_fill(ends_BW, -torch.inf)


def _rows(hypothesis_BW: torch.Tensor) -> torch.Tensor:
    """Rows among all N hypotheses, shape (N,)."""
    batch, beam_size = hypothesis_BW.shape
    return (hypothesis_BW + beam_size * torch.arange(batch, device=hypothesis_BW.device)[:, None]).view(-1)
