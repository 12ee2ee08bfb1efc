"""S2A: masked generative model from semantic tokens and an acoustic prompt to acoustic codes (after SoundStorm).

Shapes: B utterances, N frames of prompt and target together, Q quantizers, K codes per quantizer, D features, k
semantic tokens of one acoustic frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from tokenchain_toolkit.config.s2a import S2AModelConfig
from tokenchain_toolkit.models.mask_schedule import cosine_mask_ratio
from tokenchain_toolkit.models.sequences import valid_mask

EMBEDDING_STD = 0.5


@dataclass
class S2AOutput:
    """Cross-entropy over the masked positions of the trained quantizer, the share predicted exactly, their number."""

    loss: torch.Tensor
    accuracy: torch.Tensor
    num_masked: torch.Tensor


class S2AModel(nn.Module):
    """Bidirectional Transformer over summed embeddings of the semantic token and of the codes known so far.

    Args:
        config: Sizes.
        num_semantic: Semantic clusters.
        num_quantizers: Quantizers Q to predict.
        codebook_size: Codes K per quantizer; id K is the mask.
        tokens_per_frame: Semantic tokens k of one acoustic frame; above 1 where the codec's frame rate is the lower.
    """

    level_weights_Q: torch.Tensor

    def __init__(
        self,
        config: S2AModelConfig,
        *,
        num_semantic: int,
        num_quantizers: int,
        codebook_size: int,
        tokens_per_frame: int = 1,
    ):
        super().__init__()
        self.config = config
        self.num_semantic, self.tokens_per_frame = num_semantic, tokens_per_frame
        self.num_quantizers = num_quantizers
        self.codebook_size = self.mask_id = codebook_size
        dim = config.hidden_dim
        self.embed_semantic = nn.Embedding(tokens_per_frame * num_semantic, dim)
        # In place of semantic tokens that are hidden; where none are, several devices would wait for its gradient.
        self.no_semantic_D = nn.Parameter(torch.zeros(dim), requires_grad=config.condition_dropout > 0)
        self.embed_codes = nn.Embedding(num_quantizers * (codebook_size + 1), dim)
        self.embed_level = nn.Embedding(num_quantizers, dim)
        self.convolution = nn.Conv1d(dim, dim, config.conv_kernel, padding=config.conv_kernel // 2)
        layer = nn.TransformerEncoderLayer(
            dim, config.num_heads, config.feed_forward_dim, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(
            layer, config.num_layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )
        self.heads = nn.Parameter(torch.empty(num_quantizers, dim, codebook_size))
        # Pre-norm layers add outputs of about unit size to the sum of the embeddings: at the usual 0.02 they drown it.
        nn.init.normal_(self.embed_semantic.weight, std=EMBEDDING_STD / tokens_per_frame**0.5)
        nn.init.normal_(self.embed_codes.weight, std=EMBEDDING_STD / num_quantizers**0.5)
        nn.init.normal_(self.embed_level.weight, std=EMBEDDING_STD)
        nn.init.normal_(self.heads, std=dim**-0.5)
        level_Q = torch.arange(num_quantizers)
        weights_Q = torch.ones(num_quantizers) if config.level_sampling == "uniform" else num_quantizers - level_Q
        self.register_buffer("level_weights_Q", weights_Q.float(), persistent=False)

    @torch.no_grad()
    def start_from(self, codebooks: Sequence[np.ndarray]) -> None:
        """Let embeddings and heads be the codec's codebooks, turned at random into the model's dimensions.

        All embeddings are turned and scaled alike, so that their sum over the codes of a frame is, turned, what the
        codec adds up to rebuild that frame; the mask stays what it was.

        Args:
            codebooks: Entries (K, E) of each quantizer.
        """
        assert len(codebooks) == self.num_quantizers
        num_dims, device = self.heads.shape[1], self.heads.device
        codes_QXD = self.embed_codes.weight.view(self.num_quantizers, -1, num_dims)
        turn_ED = torch.randn(codebooks[0].shape[1], num_dims, device=device)
        scale = None
        for level, codebook_KE in enumerate(codebooks):
            entries_KE = torch.from_numpy(codebook_KE).to(self.heads)
            entries_KE = entries_KE - entries_KE.mean(dim=0)
            turned_KD = entries_KE @ turn_ED
            size = turned_KD.square().mean().sqrt().clamp_min(1e-8)
            scale = size if scale is None else scale
            codes_QXD[level, : self.codebook_size] = turned_KD / scale * EMBEDDING_STD
            # As long as the random ones on average, so that the scores begin as small.
            other_KD = entries_KE @ torch.randn(turn_ED.shape, device=device)
            self.heads[level] = other_KD.T / other_KD.square().mean().sqrt().clamp_min(1e-8) * num_dims**-0.5

    def forward(
        self,
        semantic_BN: torch.Tensor,
        codes_BNQ: torch.Tensor,
        lengths_B: torch.Tensor,
        level_B: torch.Tensor,
        *,
        hidden_B: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores of one quantizer at every frame.

        Args:
            semantic_BN: Semantic tokens of prompt and target, (B, N) or (B, N, k).
            codes_BNQ: Codes known so far; ``mask_id`` elsewhere.
            lengths_B: Real frames; what lies beyond them has no influence.
            level_B: Quantizer to predict in each utterance.
            hidden_B: True where the semantic tokens shall not be looked at; the caller masks the prompt's codes there.

        Returns:
            Logits, shape (B, N, K).
        """
        is_real_BN = valid_mask(lengths_B, semantic_BN.shape[1])
        offsets_Q = torch.arange(self.num_quantizers, device=codes_BNQ.device) * (self.codebook_size + 1)
        semantic_BNk = semantic_BN.reshape(*codes_BNQ.shape[:2], self.tokens_per_frame)
        offsets_k = torch.arange(self.tokens_per_frame, device=semantic_BN.device) * self.num_semantic
        states_BND = self.embed_semantic(semantic_BNk + offsets_k).sum(2)
        if hidden_B is not None:
            states_BND = torch.where(hidden_B[:, None, None], self.no_semantic_D, states_BND)
        states_BND = states_BND + self.embed_codes(codes_BNQ + offsets_Q).sum(2)
        states_BND = (states_BND + self.embed_level(level_B)[:, None]) * is_real_BN[..., None]
        _, length, dim = states_BND.shape
        states_BND = states_BND + F.gelu(self.convolution(states_BND.transpose(1, 2)).transpose(1, 2))
        states_BND = states_BND + sinusoids(length, dim, states_BND.device).to(states_BND.dtype)
        return torch.bmm(self._transform(states_BND, ~is_real_BN), self.heads[level_B])

    def _transform(self, states_BND: torch.Tensor, is_padding_BN: torch.Tensor) -> torch.Tensor:
        """The Transformer's output."""
        if not (self.training and self.config.gradient_checkpointing):
            return self.transformer(states_BND, src_key_padding_mask=is_padding_BN)
        mask_BN = torch.zeros_like(is_padding_BN, dtype=states_BND.dtype).masked_fill(is_padding_BN, -torch.inf)
        for layer in self.transformer.layers:
            states_BND = checkpoint(layer, states_BND, None, mask_BN, use_reentrant=False)
        assert self.transformer.norm is not None
        return self.transformer.norm(states_BND)

    def compute_loss(
        self,
        semantic_BN: torch.Tensor,
        codes_BNQ: torch.Tensor,
        lengths_B: torch.Tensor,
        prompt_lengths_B: torch.Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> S2AOutput:
        """Loss at the masked positions of one random quantizer per utterance, drawn as ``level_sampling`` says.

        Quantizers below it are known, those above it masked; the prompt is known in full. The share of masked
        positions follows the cosine schedule.

        Args:
            semantic_BN: Semantic tokens of prompt and target.
            codes_BNQ: True codes of both.
            lengths_B: Real frames of both together.
            prompt_lengths_B: Frames that belong to the prompt.
            generator: Randomness of quantizers and masks.
        """
        batch_size, length = codes_BNQ.shape[:2]
        device = semantic_BN.device
        level_B = torch.multinomial(self.level_weights_Q, batch_size, replacement=True, generator=generator)
        ratio_B = cosine_mask_ratio(torch.rand(batch_size, generator=generator, device=device))
        frame_N = torch.arange(length, device=device)
        is_target_BN = (frame_N >= prompt_lengths_B[:, None]) & (frame_N < lengths_B[:, None])
        drawn_BN = torch.rand((batch_size, length), generator=generator, device=device)
        masked_BN = is_target_BN & (drawn_BN <= ratio_B[:, None])
        inputs_BNQ = mask_codes(codes_BNQ, is_target_BN, masked_BN, level_B, mask_id=self.mask_id)
        hidden_B = None
        if self.training and self.config.condition_dropout > 0:
            hidden_B = torch.rand(batch_size, generator=generator, device=device) < self.config.condition_dropout
            inputs_BNQ = hide_prompt(inputs_BNQ, ~is_target_BN & hidden_B[:, None], mask_id=self.mask_id)
        logits_BNK = self(semantic_BN, inputs_BNQ, lengths_B, level_B, hidden_B=hidden_B)
        truth_BN = codes_BNQ.gather(2, level_B[:, None, None].expand(-1, length, 1)).squeeze(2)
        count = masked_BN.sum().clamp_min(1)
        loss_BN = F.cross_entropy(logits_BNK.transpose(1, 2).float(), truth_BN, reduction="none")
        correct_BN = (logits_BNK.argmax(-1) == truth_BN) & masked_BN
        return S2AOutput((loss_BN * masked_BN).sum() / count, correct_BN.sum() / count, num_masked=masked_BN.sum())


def mask_codes(
    codes_BNQ: torch.Tensor,
    is_target_BN: torch.Tensor,
    masked_BN: torch.Tensor,
    level_B: torch.Tensor,
    *,
    mask_id: int,
) -> torch.Tensor:
    """Codes with the chosen quantizer masked where ``masked_BN`` and all higher ones masked where ``is_target_BN``."""
    quantizer_Q = torch.arange(codes_BNQ.shape[2], device=codes_BNQ.device)
    is_level_B1Q = (quantizer_Q == level_B[:, None])[:, None]
    is_above_B1Q = (quantizer_Q > level_B[:, None])[:, None]
    hidden_BNQ = (is_level_B1Q & masked_BN[..., None]) | (is_above_B1Q & is_target_BN[..., None])
    return codes_BNQ.masked_fill(hidden_BNQ, mask_id)


def hide_prompt(codes_BNQ: torch.Tensor, is_prompt_BN: torch.Tensor, *, mask_id: int) -> torch.Tensor:
    """Codes with every quantizer masked at these frames."""
    return codes_BNQ.masked_fill(is_prompt_BN[..., None], mask_id)


def sinusoids(length: int, dim: int, device: torch.device) -> torch.Tensor:
    """Sinusoidal position features, shape (length, dim), scaled to the embeddings' initial size."""
    position_N1 = torch.arange(length, device=device, dtype=torch.float32)[:, None]
    rate_D = torch.exp(torch.arange(0, dim, 2, device=device) * (-9.2103 / dim))
    angles_ND = position_N1 * rate_D
    return EMBEDDING_STD * torch.stack([angles_ND.sin(), angles_ND.cos()], dim=-1).flatten(1)
