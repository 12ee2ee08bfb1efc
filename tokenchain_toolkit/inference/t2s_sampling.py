"""Sampling semantic tokens from T2S, batched, with a key-value cache.

Shapes: B utterances, N prompt positions, L text positions, P prefix frames, K semantic clusters, D features.
"""

from dataclasses import dataclass

import torch

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.models.t2s import T2SInput, T2SModel


@dataclass
class SampledSpeech:
    """What was drawn for one utterance; ``ended`` is False if the length cap cut it off."""

    semantic_T: torch.Tensor
    ended: bool


@torch.no_grad()
def sample_semantic(
    t2s: T2SModel,
    text_BL: torch.Tensor,
    text_lengths_B: torch.Tensor,
    *,
    prefix_BP: torch.Tensor,
    prefix_lengths_B: torch.Tensor,
    config: T2SSamplingConfig,
    generator: torch.Generator,
) -> list[SampledSpeech]:
    """Draw semantic tokens for a batch of texts until each has ended or reached its cap.

    Args:
        t2s: In evaluation mode.
        text_BL: Text ids.
        text_lengths_B: Real text ids.
        prefix_BP: Semantic tokens of another utterance of the wanted speaker; P may be 0.
        prefix_lengths_B: Real prefix frames.
        config: Temperature, top-k, top-p, length cap.
        generator: Source of randomness.
    """
    from transformers import DynamicCache

    prompt = t2s.assemble(t2s.embed_text(text_BL), text_lengths_B, prefix_BP, prefix_lengths_B)
    inputs_BND, mask_BN, position_BN = _pad_on_the_left(prompt)
    # One draw more than the cap, so that an utterance of just so many frames can still end.
    caps_B = (text_lengths_B * config.max_frames_per_token).long() + 1
    cache = DynamicCache(config=t2s.llama.config)
    drawn: list[torch.Tensor] = []
    ended_B = torch.zeros(len(text_BL), dtype=torch.bool, device=text_BL.device)
    lengths_B = caps_B - 1
    for step in range(int(caps_B.max())):
        hidden_BND = t2s.llama(
            inputs_embeds=inputs_BND,
            attention_mask=mask_BN,
            position_ids=position_BN,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        token_B = draw(t2s.head(hidden_BND[:, -1]), config=config, generator=generator)
        ends_B = (token_B == t2s.end_id) & ~ended_B & (step < caps_B)
        lengths_B = torch.where(ends_B, torch.full_like(lengths_B, step), lengths_B)
        ended_B |= ends_B
        drawn.append(token_B)
        if bool((ended_B | (step + 1 >= caps_B)).all()):
            break
        inputs_BND = t2s.embed_semantic(token_B)[:, None]
        mask_BN = torch.cat([mask_BN, torch.ones_like(mask_BN[:, :1])], dim=1)
        position_BN = position_BN[:, -1:] + 1
    # A model that ends at once still has to give a frame, which the codec and the ASR need.
    tokens_BT = torch.stack(drawn, dim=1).clamp_max(t2s.end_id - 1)
    return [
        SampledSpeech(semantic_T=row[: max(length, 1)], ended=ended)
        for row, length, ended in zip(tokens_BT, lengths_B.tolist(), ended_B.tolist(), strict=True)
    ]


def draw(logits_BK: torch.Tensor, *, config: T2SSamplingConfig, generator: torch.Generator) -> torch.Tensor:
    """One id per row from the tempered distribution, cut to the ``top_k`` likeliest and to ``top_p`` of its mass.

    A temperature of 0 takes the likeliest id.
    """
    if config.temperature == 0:
        return logits_BK.argmax(-1)
    scores_BK, order_BK = (logits_BK.float() / config.temperature).sort(dim=-1, descending=True)
    probs_BK = scores_BK.softmax(-1)
    # An id stays if the mass before it is below top_p.
    dropped_BK = probs_BK.cumsum(-1) - probs_BK >= config.top_p
    dropped_BK[:, 0] = False
    if config.top_k > 0:
        dropped_BK[:, config.top_k :] = True
    choice_B1 = torch.multinomial(probs_BK.masked_fill(dropped_BK, 0.0), 1, generator=generator)
    return order_BK.gather(1, choice_B1).squeeze(1)


def _pad_on_the_left(prompt: T2SInput) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Move padding to the left, so that every prompt ends at the same column: embeddings, mask, rotary positions."""
    length = prompt.embeddings_BND.shape[1]
    shift_B1 = (length - prompt.lengths_B)[:, None]
    column_BN = torch.arange(length, device=shift_B1.device)[None, :] - shift_B1
    mask_BN = column_BN >= 0
    source_BN = column_BN.clamp_min(0)
    moved_BND = prompt.embeddings_BND.gather(1, source_BN[..., None].expand_as(prompt.embeddings_BND))
    return moved_BND * mask_BN[..., None], mask_BN.long(), prompt.position_BN.gather(1, source_BN)
