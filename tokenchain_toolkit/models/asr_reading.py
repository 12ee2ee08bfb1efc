"""What the ASR reads of speech, with scores through which a gradient flows back: its end of the chain's link.

Shapes: B utterances, S encoder frames, L text positions, V text units, D features.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.models.asr import BLANK_ID, TokenASR, emitting_frames
from tokenchain_toolkit.models.cached_decoder import CachedDecoder
from tokenchain_toolkit.models.sequences import valid_mask
from tokenchain_toolkit.models.straight_through import gumbel_noise

# Score of what must not be: its probability is 0, and unlike infinity it does not make CTC's gradient undefined.
NEVER = -1e4


@dataclass
class Reading:
    """A text for each utterance of a batch, and where it comes from.

    Attributes:
        text_BL: Text ids; anything at padding.
        lengths_B: Their number.
        logits_BLV: Scores of the units at each position, minus infinity for blank and sos/eos, which T2S does not know.
        noise_BLV: Gumbel noise that the units were chosen with, or None where they are the likeliest.
        log_prob_B: Log-probability of the whole text, and of its end, under the ASR's posterior; None where the text
            was not read as a whole.
    """

    text_BL: torch.Tensor
    lengths_B: torch.Tensor
    logits_BLV: torch.Tensor
    noise_BLV: torch.Tensor | None
    log_prob_B: torch.Tensor | None


def read_teacher_forced(
    asr: TokenASR, logits_BLV: torch.Tensor, text_lengths_B: torch.Tensor, *, generator: torch.Generator | None
) -> Reading:
    """At each position the decoder's unit after the reference's history, as long as the reference.

    Args:
        asr: Whose symbols these are.
        logits_BLV: The decoder's scores at the positions of the reference, without that of the end symbol.
        text_lengths_B: Length of the reference.
        generator: Randomness of the choice; the likeliest if None.
    """
    logits_BLV = _text_units_only(asr, logits_BLV)
    noise_BLV = _noise(logits_BLV, generator)
    text_BL = (logits_BLV if noise_BLV is None else logits_BLV + noise_BLV).argmax(-1)
    return Reading(text_BL, text_lengths_B, logits_BLV, noise_BLV, log_prob_B=None)


def read_free_running(
    asr: TokenASR, memory_BSD: torch.Tensor, memory_lengths_B: torch.Tensor, *, generator: torch.Generator | None
) -> Reading:
    """The decoder's text after its own history, until its end symbol or as many units as there are encoder frames.

    The text is decoded without gradient; the scores come from one parallel pass over it. The decoder has no dropout in
    either: a text that was drawn from one distribution and is weighed by another would bias the score function.

    Args:
        asr: Recogniser.
        memory_BSD: Encoder states.
        memory_lengths_B: Encoder frames.
        generator: Randomness of a sampled text; greedy if None.
    """
    with _evaluated(asr.decoder):
        text_BL, lengths_B, ended_B, noise_BLV = _decode(asr, memory_BSD, memory_lengths_B, generator)
        logits_BNV, _ = asr.decode(memory_BSD, memory_lengths_B, text_BL, lengths_B)
    is_blank_V = torch.arange(logits_BNV.shape[2], device=logits_BNV.device) == BLANK_ID
    log_probs_BNV = logits_BNV.float().masked_fill(is_blank_V, -torch.inf).log_softmax(-1)
    chosen_BL = log_probs_BNV[:, :-1].gather(2, text_BL[..., None]).squeeze(2)
    is_text_BL = valid_mask(lengths_B, text_BL.shape[1])
    end_B = log_probs_BNV[..., asr.sos_eos_id].gather(1, lengths_B[:, None]).squeeze(1)
    # What was cut off has not chosen to end. Masked by ``where``, because padding may hold a blank, of probability 0.
    log_prob_B = torch.where(is_text_BL, chosen_BL, 0.0).sum(dim=1) + torch.where(ended_B, end_B, 0.0)
    return Reading(text_BL, lengths_B, _text_units_only(asr, logits_BNV[:, :-1]), noise_BLV, log_prob_B)


def read_ctc(
    asr: TokenASR, memory_BSD: torch.Tensor, memory_lengths_B: torch.Tensor, *, generator: torch.Generator | None
) -> Reading:
    """The CTC head's path, repeats merged and blanks removed; each unit has the scores of the frame that emits it.

    The probability is that of the text, over all of its paths. Arguments as in ``read_free_running``.
    """
    logits_BSV = asr.ctc.ctc_lo(memory_BSD).float()
    is_end_V = torch.arange(logits_BSV.shape[2], device=logits_BSV.device) == asr.sos_eos_id
    logits_BSV = logits_BSV.masked_fill(is_end_V, NEVER)
    noise_BSV = _noise(logits_BSV, generator)
    path_BS = (logits_BSV if noise_BSV is None else logits_BSV + noise_BSV).argmax(-1)
    emits_BS = emitting_frames(path_BS, memory_lengths_B)
    lengths_B = emits_BS.sum(dim=1)
    longest = max(int(lengths_B.max()), 1)
    # A stable sort on "emits nothing" moves the emitting frames to the front, in their order.
    frame_BL = torch.argsort((~emits_BS).to(torch.int8), dim=1, stable=True)[:, :longest]
    frame_BLV = frame_BL[..., None].expand(-1, -1, logits_BSV.shape[2])
    text_BL = path_BS.gather(1, frame_BL).masked_fill(~valid_mask(lengths_B, longest), BLANK_ID + 1)
    log_probs_SBV = logits_BSV.log_softmax(-1).transpose(0, 1)
    loss_B = F.ctc_loss(log_probs_SBV, text_BL, memory_lengths_B, lengths_B, blank=BLANK_ID, reduction="none")
    return Reading(
        text_BL,
        lengths_B,
        _text_units_only(asr, logits_BSV.gather(1, frame_BLV)),
        None if noise_BSV is None else noise_BSV.gather(1, frame_BLV),
        log_prob_B=-loss_B,
    )


@torch.no_grad()
def _decode(
    asr: TokenASR, memory_BSD: torch.Tensor, memory_lengths_B: torch.Tensor, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Text (B, L), its lengths, whether it has ended by itself, and the noise that it was sampled with.

    The decoder is in evaluation mode.
    """
    step = CachedDecoder(asr.decoder, memory_BSD, valid_mask(memory_lengths_B, memory_BSD.shape[1]))
    ids_BL = torch.full((len(memory_BSD), 1), asr.sos_eos_id, device=memory_BSD.device)
    ended_B = torch.zeros_like(memory_lengths_B, dtype=torch.bool)
    lengths_B = memory_lengths_B.clone()
    noises = []
    for length in range(int(memory_lengths_B.max())):
        scores_BV = step(ids_BL).float()
        scores_BV[:, BLANK_ID] = -torch.inf
        if generator is not None:
            noises.append(gumbel_noise(scores_BV.shape, generator=generator, device=scores_BV.device))
            scores_BV = scores_BV + noises[-1]
        unit_B = scores_BV.argmax(-1)
        ends_B = (unit_B == asr.sos_eos_id) & ~ended_B & (length < memory_lengths_B)
        lengths_B = torch.where(ends_B, torch.full_like(lengths_B, length), lengths_B)
        ended_B |= ends_B
        ids_BL = torch.cat([ids_BL, unit_B[:, None]], dim=1)
        if bool((ended_B | (length + 1 >= memory_lengths_B)).all()):
            break
    longest = max(int(lengths_B.max()), 1)
    text_BL = ids_BL[:, 1 : longest + 1].masked_fill(~valid_mask(lengths_B, longest), BLANK_ID + 1)
    return text_BL, lengths_B, ended_B, torch.stack(noises, dim=1)[:, :longest] if noises else None


@contextmanager
def _evaluated(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode inside, and in its own afterwards."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def _text_units_only(asr: TokenASR, logits_BLV: torch.Tensor) -> torch.Tensor:
    """Scores in float32 that leave blank and sos/eos no probability."""
    unit_V = torch.arange(logits_BLV.shape[2], device=logits_BLV.device)
    return logits_BLV.float().masked_fill((unit_V == BLANK_ID) | (unit_V == asr.sos_eos_id), -torch.inf)


def _noise(logits_BLV: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor | None:
    """Gumbel noise for a choice, or None for the likeliest."""
    if generator is None:
        return None
    return gumbel_noise(logits_BLV.shape, generator=generator, device=logits_BLV.device)
