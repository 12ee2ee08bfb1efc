"""Sampling semantic tokens from T2S, batched, with a key-value cache.

Shapes: B utterances, R of them that are still drawn, S rows (each with its text, then for guidance each without), N
positions, L text positions, P prefix frames, W frames just before, K semantic clusters, D features. A stream is an
utterance's own randomness, so that it is drawn the same whatever others are beside it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.inference.judged_draws import SampledSpeech, better, hear, judge
from tokenchain_toolkit.inference.listening import Listener
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms
from tokenchain_toolkit.models.t2s import T2SInput, T2SModel


@torch.no_grad()
def sample_semantic(  # noqa: PLR0913
    t2s: T2SModel,
    text_BL: torch.Tensor,
    text_lengths_B: torch.Tensor,
    *,
    prefix_BP: torch.Tensor,
    prefix_lengths_B: torch.Tensor,
    config: T2SSamplingConfig,
    streams: Sequence[np.random.Generator],
    natural: SpeechNorms | None = None,
    paces: Sequence[float] | None = None,
    listener: Listener | None = None,
) -> list[SampledSpeech]:
    """Draw semantic tokens for a batch of texts until each has ended or reached its cap; draw bad ones again.

    Args:
        t2s: In evaluation mode.
        text_BL: Text ids.
        text_lengths_B: Real text ids.
        prefix_BP: Semantic tokens of another utterance of the wanted speaker; P may be 0.
        prefix_lengths_B: Real prefix frames.
        config: Temperature, top-k, top-p, length cap, and what is drawn again.
        streams: One for each utterance.
        natural: Norms of natural speech, used where ``config`` gives none. Without an expected length in either, it is
            that by which a model with ``text_positions: aligned`` places the text.
        paces: How slowly each speaker speaks, by which the expected length is multiplied; 1 if None. Those below 1
            count as 1: in the pace of a fast speaker more words are lost than that speaker loses.
        listener: Says how much of each draw is misread, which is not judged if it is None.

    Raises:
        ConfigError: The model does not know speech without text, which guidance needs, or how long it is to speak,
            which a speaking rate needs.
    """
    _check_abilities(t2s, config)
    norms = _norms(config, natural or SpeechNorms())
    text = t2s.read_ids(text_BL, text_lengths_B)
    paces_B = torch.tensor(paces or [1.0] * len(text_BL), device=text_BL.device).clamp_min(1.0)
    rates_B = config.speaking_rate / paces_B
    num_frames_B = t2s.expected_frames(text) / rates_B
    placed_B = num_frames_B if t2s.config.text_positions == "aligned" else torch.zeros_like(num_frames_B)
    expected_B, caps_B = _expect(text_lengths_B, placed_B, rates_B, norms, config)
    texts = [text, *([replace(text, lengths_B=torch.zeros_like(text_lengths_B))] if config.guidance > 0 else [])]
    prompts = [t2s.assemble(each, prefix_BP, prefix_lengths_B, num_frames_B) for each in texts]
    kept: dict[int, SampledSpeech] = {}
    rows = list(range(len(text_BL)))
    for draws in range(1, config.retries + 2):
        parts = [T2SInput(each.embeddings_BND[rows], each.position_BN[rows], each.lengths_B[rows]) for each in prompts]
        if draws > 1 and config.retry_window > 0:
            config = replace(config, repetition_window=config.retry_window)
        drawn = _draw_speech(t2s, parts, caps_B[rows], config=config, streams=[streams[row] for row in rows])
        if listener is not None:
            drawn = hear(drawn, text_BL[rows], text_lengths_B[rows], listener)
        for row, speech in zip(rows, drawn, strict=True):
            expected = float(expected_B[row])
            judged = judge(speech, expected, norms, config)
            kept[row] = replace(better(kept.get(row, judged), judged, expected), draws=draws)
        rows = [row for row in rows if kept[row].faults]
        if not rows:
            break
    return [kept[row] for row in range(len(text_BL))]


def _check_abilities(t2s: T2SModel, config: T2SSamplingConfig) -> None:
    """Refuse what the model has not learned."""
    if config.guidance > 0 and t2s.config.text_dropout == 0:
        raise ConfigError("guidance needs a T2S that was trained with model.text_dropout above 0; set guidance=0")
    if config.speaking_rate != 1 and t2s.config.text_positions != "aligned":
        raise ConfigError("speaking_rate needs a T2S that was trained with model.text_positions=aligned; set it to 1")


def _expect(
    text_lengths_B: torch.Tensor,
    placed_B: torch.Tensor,
    rates_B: torch.Tensor,
    norms: SpeechNorms,
    config: T2SSamplingConfig,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames that are expected, by the norms or else as the model has placed the text, 0 if unknown; and the most."""
    by_norms_B = torch.tensor([norms.expected_frames(num_tokens) for num_tokens in text_lengths_B.tolist()])
    by_norms_B = by_norms_B / rates_B.cpu()
    expected_B = torch.where(by_norms_B > 0, by_norms_B, placed_B.cpu())
    caps_B = (text_lengths_B * config.max_frames_per_token).long()
    if config.retries > 0:
        longest_B = (expected_B * config.length_tolerance).long().to(caps_B.device)
        caps_B = torch.where(longest_B > 0, torch.minimum(caps_B, longest_B), caps_B)
    return expected_B, caps_B


def _norms(config: T2SSamplingConfig, natural: SpeechNorms) -> SpeechNorms:
    """The configured norms, and natural ones in the place of those that are not."""
    line = config if config.frames_per_token > 0 else natural
    return SpeechNorms(line.frames_per_token, line.extra_frames, config.longest_loop or natural.longest_loop)


def _draw_speech(
    t2s: T2SModel,
    prompts: Sequence[T2SInput],
    caps_B: torch.Tensor,
    *,
    config: T2SSamplingConfig,
    streams: Sequence[np.random.Generator],
) -> list[SampledSpeech]:
    """Draw one utterance for each prompt, of ``caps_B`` frames at most; for guidance, prompts without text follow."""
    from transformers import DynamicCache

    padded = [_pad_on_the_left(prompt, width=prompts[0].embeddings_BND.shape[1]) for prompt in prompts]
    inputs_SND, mask_SN, position_SN = (torch.cat(parts) for parts in zip(*padded, strict=True))
    cache = DynamicCache(config=t2s.llama.config)
    # One draw more than the cap, so that an utterance of just so many frames can still end.
    steps = int(caps_B.max()) + 1
    chance_BT2 = _chances(streams, caps_B + 1).to(caps_B.device)
    tokens_BT = torch.zeros(len(caps_B), steps, dtype=torch.long, device=caps_B.device)
    ended_B, lengths_B = torch.zeros_like(caps_B, dtype=torch.bool), caps_B.clone()
    rows_R = torch.arange(len(caps_B), device=caps_B.device)  # the utterances that are still being drawn
    for step in range(steps):
        hidden_SND = t2s.llama(
            inputs_embeds=inputs_SND,
            attention_mask=mask_SN,
            position_ids=position_SN,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        recent = config.repetition_window if 0 < config.repetition_window <= step else 0
        recent_RW = tokens_BT[rows_R, step - recent : step]
        logits_RK = _guided(t2s.head(hidden_SND[:, -1]), len(rows_R), config.guidance)
        token_R = draw(logits_RK, chance_BT2[rows_R, step], recent_RW, config=config)
        tokens_BT[rows_R, step] = token_R
        ends_R = (token_R == t2s.end_id) & ~ended_B[rows_R] & (step <= caps_B[rows_R])
        lengths_B[rows_R[ends_R]] = step
        ended_B[rows_R[ends_R]] = True
        going_R = ~ended_B[rows_R] & (step < caps_B[rows_R])
        count = int(going_R.sum())
        if count == 0:
            break
        inputs_SND = t2s.embed_semantic(token_R)[:, None].repeat(len(prompts), 1, 1)
        mask_SN = torch.cat([mask_SN, torch.ones_like(mask_SN[:, :1])], dim=1)
        position_SN = position_SN[:, -1:] + 1
        if count <= len(rows_R) // 2:  # so that a few long utterances do not carry all others along
            chosen_S = going_R.repeat(len(prompts)).nonzero().squeeze(1)
            cache.batch_select_indices(chosen_S)
            rows_R, inputs_SND = rows_R[going_R], inputs_SND[chosen_S]
            mask_SN, position_SN = mask_SN[chosen_S], position_SN[chosen_S]
    # A model that ends at once still has to give a frame, which the codec and the ASR need.
    tokens_BT = tokens_BT.clamp_max(t2s.end_id - 1)
    return [
        SampledSpeech(semantic_T=row[: max(length, 1)], ended=ended)
        for row, length, ended in zip(tokens_BT, lengths_B.tolist(), ended_B.tolist(), strict=True)
    ]


def _guided(logits_SK: torch.Tensor, num_utts: int, guidance: float) -> torch.Tensor:
    """Scores (R, K): those with the text, moved away from those without it if there are such."""
    if len(logits_SK) == num_utts:
        return logits_SK
    with_RK, without_RK = logits_SK.float().log_softmax(-1).chunk(2)
    return with_RK + guidance * (with_RK - without_RK)


def draw(
    logits_BK: torch.Tensor,
    chance_B2: torch.Tensor,
    recent_BW: torch.Tensor | None = None,
    *,
    config: T2SSamplingConfig,
) -> torch.Tensor:
    """One id per row from the tempered distribution, cut to the ``top_k`` likeliest and to ``top_p`` of its mass.

    A temperature of 0 takes the likeliest id. An id that fills more than ``repetition_share`` of the ids drawn before,
    if those are given, is replaced by one from the whole distribution (VALL-E 2, algorithm 1).

    Args:
        logits_BK: Scores of the ids.
        chance_B2: Uniform in [0, 1): of the id, and of the one that may replace it.
        recent_BW: Ids drawn in the steps just before; W may be 0.
        config: Temperature, top-k, top-p, repetition_share.
    """
    token_B = _draw_from_the_top(logits_BK, chance_B2[:, 0], config=config)
    if recent_BW is None or recent_BW.shape[1] == 0:
        return token_B
    whole_B = _pick(logits_BK.float().softmax(-1), chance_B2[:, 1])
    share_B = (recent_BW == token_B[:, None]).float().mean(dim=1)
    return torch.where(share_B > config.repetition_share, whole_B, token_B)


def _draw_from_the_top(logits_BK: torch.Tensor, chance_B: torch.Tensor, *, config: T2SSamplingConfig) -> torch.Tensor:
    """One id per row by temperature, top-k and top-p."""
    if config.temperature == 0:
        return logits_BK.argmax(-1)
    scores_BK, order_BK = (logits_BK.float() / config.temperature).sort(dim=-1, descending=True)
    probs_BK = scores_BK.softmax(-1)
    # An id stays if the mass before it is below top_p.
    dropped_BK = probs_BK.cumsum(-1) - probs_BK >= config.top_p
    dropped_BK[:, 0] = False
    if config.top_k > 0:
        dropped_BK[:, config.top_k :] = True
    choice_B = _pick(probs_BK.masked_fill(dropped_BK, 0.0), chance_B)
    return order_BK.gather(1, choice_B[:, None]).squeeze(1)


def _pick(mass_BK: torch.Tensor, chance_B: torch.Tensor) -> torch.Tensor:
    """The index of each row at which the running sum of its mass passes this share of the whole."""
    sums_BK = mass_BK.double().cumsum(-1)
    return (sums_BK <= chance_B[:, None] * sums_BK[:, -1:]).sum(-1).clamp_max(mass_BK.shape[1] - 1)


def _chances(streams: Sequence[np.random.Generator], lengths_B: torch.Tensor) -> torch.Tensor:
    """Two uniform numbers for every draw of an utterance, as many as it may take; shape (B, T, 2)."""
    longest = int(lengths_B.max())
    chance_BT2 = np.zeros((len(streams), longest, 2))
    for row, (stream, length) in enumerate(zip(streams, lengths_B.tolist(), strict=True)):
        chance_BT2[row, :length] = stream.random((length, 2))
    return torch.from_numpy(chance_BT2)


def _pad_on_the_left(prompt: T2SInput, *, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Move padding to the left, so that every prompt ends at column ``width``: embeddings, mask, rotary positions."""
    shift_B1 = (width - prompt.lengths_B)[:, None]
    column_BN = torch.arange(width, device=shift_B1.device)[None, :] - shift_B1
    mask_BN = column_BN >= 0
    source_BN = column_BN.clamp_min(0)
    moved_BND = prompt.embeddings_BND.gather(1, source_BN[..., None].expand(-1, -1, prompt.embeddings_BND.shape[2]))
    return moved_BND * mask_BN[..., None], mask_BN.long(), prompt.position_BN.gather(1, source_BN)
