"""Iterative decoding of acoustic codes: quantizer by quantizer, the surest frames first.

Shapes: B utterances, N frames of prompt and target together, Q quantizers, K codes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.data.dataset import Example, collate
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.batch import join_prompt
from tokenchain_toolkit.models.mask_schedule import masked_counts
from tokenchain_toolkit.models.s2a import S2AModel, hide_prompt, mask_codes
from tokenchain_toolkit.models.straight_through import gumbel_noise


def predict_codes(s2a: S2AModel, examples: Sequence[Example], *, config: S2ADecodingConfig) -> list[np.ndarray]:
    """Acoustic codes (T, Q) of each example by S2A, batched over examples of similar length.

    An example has its randomness from the seed, its tokens and its prompt, so that it is drawn the same whatever others
    are beside it.

    Args:
        s2a: In evaluation mode.
        examples: Semantic tokens with a prompt; their own codes are not looked at.
        config: Passes, temperature, batch size and seed.
    """
    device = s2a.heads.device
    order = np.argsort([len(example.semantic_T) for example in examples], kind="stable")
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(order), config.batch_size):
        chosen = order[start : start + config.batch_size]
        batch = collate([examples[index] for index in chosen]).to(device)
        semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
        generators = [_stream_of(examples[index], config.seed, device) for index in chosen]
        codes_BNQ = decode_codes(
            s2a, semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, config=config, generators=generators
        )
        bounds = zip(chosen, batch.prompt_lengths_B.tolist(), lengths_B.tolist(), codes_BNQ.cpu(), strict=True)
        for index, first, last, codes_NQ in bounds:
            found[int(index)] = codes_NQ[first:last].numpy().astype(np.int16)
    return [found[index] for index in range(len(examples))]


@torch.no_grad()
def decode_codes(
    s2a: S2AModel,
    semantic_BN: torch.Tensor,
    prompt_codes_BNQ: torch.Tensor,
    lengths_B: torch.Tensor,
    prompt_lengths_B: torch.Tensor,
    *,
    config: S2ADecodingConfig,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    """Codes of the target frames; those of the prompt come back unchanged.

    Args:
        s2a: In evaluation mode.
        semantic_BN: Semantic tokens of prompt and target, (B, N) or (B, N, k).
        prompt_codes_BNQ: Codes of the prompt; values at target frames do not matter.
        lengths_B: Real frames of both together.
        prompt_lengths_B: Frames of the prompt.
        config: Passes, temperature, top-k and guidance.
        generators: Source of randomness of each utterance, on the model's device.

    Returns:
        Shape (B, N, Q).

    Raises:
        ConfigError: Guidance is asked of a model that was trained without ``condition_dropout``.
    """
    if config.guidance > 0 and s2a.config.condition_dropout == 0:
        raise ConfigError(
            f"guidance={config.guidance} needs a model that has been trained without its condition at times; "
            "train S2A with model.condition_dropout, 0.1 for example, or set guidance=0"
        )
    frame_N = torch.arange(prompt_codes_BNQ.shape[1], device=semantic_BN.device)
    is_target_BN = (frame_N >= prompt_lengths_B[:, None]) & (frame_N < lengths_B[:, None])
    codes_BNQ = prompt_codes_BNQ.clone()
    for level in range(s2a.num_quantizers):
        steps = config.first_level_steps if level == 0 else config.later_level_steps
        masked_BN = is_target_BN
        level_B = torch.full_like(lengths_B, level)
        for step, left_B in enumerate(masked_counts(is_target_BN.sum(1), num_steps=steps)):
            inputs_BNQ = mask_codes(codes_BNQ, is_target_BN, masked_BN, level_B, mask_id=s2a.mask_id)
            one = _Pass(semantic_BN, inputs_BNQ, lengths_B, level_B)
            if config.guidance > 0:
                logits_BNK = one.guided_scores(s2a, ~is_target_BN, guidance=config.guidance)
            else:
                logits_BNK = one.scores(s2a)
            noise_BNK = _gumbel_noise(generators, lengths_B, logits_BNK)
            drawn_BN = (_likeliest(logits_BNK, config.top_k) + config.temperature * noise_BNK).argmax(-1)
            codes_BNQ[..., level] = torch.where(masked_BN, drawn_BN, codes_BNQ[..., level])
            log_probs_BN = logits_BNK.log_softmax(-1).gather(2, drawn_BN[..., None]).squeeze(2)
            # Noise on the confidence that fades with the steps keeps early choices varied (MaskGIT).
            fading = config.temperature * (1 - (step + 1) / steps)
            masked_BN = _least_sure(
                log_probs_BN + fading * _gumbel_noise(generators, lengths_B, log_probs_BN), masked_BN, left_B
            )
    return codes_BNQ


def num_passes(config: S2ADecodingConfig, *, num_quantizers: int) -> int:
    """Network passes that decoding takes; with guidance each of twice the batch."""
    return config.first_level_steps + (num_quantizers - 1) * config.later_level_steps


@dataclass(frozen=True)
class _Pass:
    """What one pass of the network sees."""

    semantic_BN: torch.Tensor
    codes_BNQ: torch.Tensor
    lengths_B: torch.Tensor
    level_B: torch.Tensor

    def scores(self, s2a: S2AModel) -> torch.Tensor:
        """Scores of the codes, (B, N, K)."""
        return s2a(self.semantic_BN, self.codes_BNQ, self.lengths_B, self.level_B).float()

    def guided_scores(self, s2a: S2AModel, is_prompt_BN: torch.Tensor, *, guidance: float) -> torch.Tensor:
        """The same, moved away from those without semantic tokens and prompt; both halves in one pass."""
        without_BNQ = hide_prompt(self.codes_BNQ, is_prompt_BN, mask_id=s2a.mask_id)
        batch_size = len(self.lengths_B)
        logits_2BNK = s2a(
            torch.cat([self.semantic_BN, self.semantic_BN]),
            torch.cat([self.codes_BNQ, without_BNQ]),
            self.lengths_B.repeat(2),
            self.level_B.repeat(2),
            hidden_B=torch.arange(2 * batch_size, device=self.lengths_B.device) >= batch_size,
        ).float()
        with_BNK, without_BNK = logits_2BNK.chunk(2)
        return with_BNK + guidance * (with_BNK - without_BNK)


def _stream_of(example: Example, seed: int, device: torch.device) -> torch.Generator:
    """The randomness of one example."""
    parts = (example.semantic_T, example.prompt_P, example.prompt_codes_PQ)
    content = b"".join(np.ascontiguousarray(part, dtype=np.int64).tobytes() for part in parts)
    return torch.Generator(device=device).manual_seed(zlib.crc32(content, seed))


def _gumbel_noise(
    generators: Sequence[torch.Generator], lengths_B: torch.Tensor, like_BNX: torch.Tensor
) -> torch.Tensor:
    """Gumbel noise of the shape of ``like``, drawn for the real frames of each row alone."""
    noise_BNX = torch.zeros_like(like_BNX)
    for row, (generator, length) in enumerate(zip(generators, lengths_B.tolist(), strict=True)):
        shape = torch.Size((length, *like_BNX.shape[2:]))
        noise_BNX[row, :length] = gumbel_noise(shape, generator=generator, device=like_BNX.device)
    return noise_BNX


def _likeliest(logits_BNK: torch.Tensor, top_k: int) -> torch.Tensor:
    """Scores of the ``top_k`` likeliest codes, the others out of the running; all if it is 0."""
    if not 0 < top_k < logits_BNK.shape[-1]:
        return logits_BNK
    least_BN1 = logits_BNK.topk(top_k).values[..., -1:]
    return logits_BNK.masked_fill(logits_BNK < least_BN1, -torch.inf)


def _least_sure(confidence_BN: torch.Tensor, masked_BN: torch.Tensor, count_B: torch.Tensor) -> torch.Tensor:
    """The ``count`` masked positions of each row with the lowest confidence; they stay masked."""
    order_BN = confidence_BN.masked_fill(~masked_BN, torch.inf).argsort(dim=1)
    rank_BN = order_BN.argsort(dim=1)
    return masked_BN & (rank_BN < count_B[:, None])
