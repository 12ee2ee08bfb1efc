"""T2S: a LLaMA-style causal model over [text | semantic prefix | semantic tokens] (transformers' LlamaModel).

The text enters as embeddings, so that a straight-through one-hot can stand in for text ids and carry a gradient.
Shapes: B utterances, L text positions, P prefix frames, T semantic frames, N assembled positions, D features,
V text units, K semantic clusters.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.config.t2s import T2SModelConfig
from tokenchain_toolkit.models.batch import BatchSize
from tokenchain_toolkit.models.sequences import IGNORE_ID, gather_span, pack_left, valid_mask


@dataclass
class T2SOutput:
    """Cross-entropy on the semantic targets, a mean per frame, and the share predicted exactly.

    ``loss_B`` is the sum over the targets of each utterance, its frames and the end symbol.
    """

    loss: torch.Tensor
    accuracy: torch.Tensor
    loss_B: torch.Tensor


@dataclass
class T2SInput:
    """Assembled input: embeddings (B, N, D), rotary positions (B, N), real lengths (B,)."""

    embeddings_BND: torch.Tensor
    position_BN: torch.Tensor
    lengths_B: torch.Tensor


class T2SModel(nn.Module):
    """Text in, semantic tokens out.

    Semantic ids 0..K-1 are clusters; after them come the end of speech, its beginning, and the history mask.

    Args:
        config: Sizes and regularisation.
        vocab_size: Text units V.
        num_semantic: Semantic clusters K.
    """

    def __init__(self, config: T2SModelConfig, *, vocab_size: int, num_semantic: int):
        super().__init__()
        from transformers import LlamaConfig, LlamaModel

        self.config = config
        self.end_id, self.begin_id, self.mask_id = num_semantic, num_semantic + 1, num_semantic + 2
        self.llama = LlamaModel(
            LlamaConfig(
                vocab_size=num_semantic + 3,
                hidden_size=config.hidden_dim,
                intermediate_size=config.feed_forward_dim,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                max_position_embeddings=8192,
                attention_dropout=config.dropout,
                pad_token_id=None,
                # On the CPU, PyTorch's fused attention is slow in backward: plain attention trains a third faster.
                attn_implementation="sdpa" if torch.cuda.is_available() else "eager",  # type: ignore[call-arg]
            )
        )
        self.embed_text = nn.Embedding(vocab_size, config.hidden_dim)
        nn.init.normal_(self.embed_text.weight, std=0.02)
        self.embed_dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden_dim, num_semantic + 1, bias=False)

    def embed_semantic(self, semantic_BT: torch.Tensor) -> torch.Tensor:
        """Input embeddings of semantic ids."""
        return self.llama.embed_tokens(semantic_BT)

    def assemble(
        self,
        text_BLD: torch.Tensor,
        text_lengths_B: torch.Tensor,
        prefix_BP: torch.Tensor,
        prefix_lengths_B: torch.Tensor,
        history_BT: torch.Tensor | None = None,
        history_lengths_B: torch.Tensor | None = None,
    ) -> T2SInput:
        """Join text, prefix of the same speaker, begin symbol and, in training, the semantic history."""
        begin_B1 = torch.full_like(text_lengths_B, self.begin_id)[:, None]
        lengths = [text_lengths_B, prefix_lengths_B, torch.ones_like(text_lengths_B)]
        parts = [text_BLD, self.embed_semantic(prefix_BP), self.embed_semantic(begin_B1)]
        if history_BT is not None and history_lengths_B is not None:
            parts.append(self.embed_semantic(history_BT))
            lengths.append(history_lengths_B)
        packed_BND, total_B = pack_left(parts, lengths)
        column_BN = torch.arange(packed_BND.shape[1], device=packed_BND.device)[None, :].expand(len(packed_BND), -1)
        stride = self.config.text_stride
        if stride == 0:
            return T2SInput(packed_BND, column_BN, total_B)
        # Speech counts frames from the begin symbol, text advances by the stride: a frame and the text that it speaks
        # are then at a small rotary distance, which attention finds much sooner than it learns to count.
        speech_BN = column_BN - (text_lengths_B + prefix_lengths_B)[:, None]
        position_BN = torch.where(column_BN < text_lengths_B[:, None], column_BN * stride, speech_BN.float())
        return T2SInput(packed_BND, position_BN, total_B)

    def forward(
        self,
        text_BLD: torch.Tensor,
        text_lengths_B: torch.Tensor,
        semantic_BT: torch.Tensor,
        lengths_B: torch.Tensor,
        *,
        prefix_BP: torch.Tensor,
        prefix_lengths_B: torch.Tensor,
        history_dropout: float | None = None,
        size: BatchSize | None = None,
    ) -> T2SOutput:
        """Teacher-forced cross-entropy of the semantic tokens and of the end symbol.

        Args:
            text_BLD: Text embeddings: ``embed_text(ids)``, or ``y~ @ embed_text.weight`` in the chain.
            text_lengths_B: Real text positions.
            semantic_BT: Semantic tokens to predict, padded with any valid id.
            lengths_B: Real frames.
            prefix_BP: Semantic tokens of another utterance of the speaker; P may be 0.
            prefix_lengths_B: Real prefix frames.
            history_dropout: Share of the semantic inputs that is masked; if None, the configured one in training.
            size: What sums are divided by; the utterances given here make up the whole batch if None.
        """
        if history_dropout is None:
            history_dropout = self.config.history_dropout if self.training else 0.0
        history_BT = self._drop_history(semantic_BT, history_dropout)
        inputs = self.assemble(text_BLD, text_lengths_B, prefix_BP, prefix_lengths_B, history_BT, lengths_B)
        hidden_BND = self.llama(
            inputs_embeds=self.embed_dropout(inputs.embeddings_BND),
            # Padding is at the right end only, where causal attention keeps it out of sight. The mask is given all the
            # same, because without one transformers takes a jump in position for the start of another sequence.
            attention_mask=valid_mask(inputs.lengths_B, inputs.embeddings_BND.shape[1]).long(),
            position_ids=inputs.position_BN,
            use_cache=False,
        ).last_hidden_state
        target_length = semantic_BT.shape[1] + 1
        first_B = text_lengths_B + prefix_lengths_B
        logits_BTK = self.head(gather_span(hidden_BND, first_B, target_length))
        targets_BT = self._targets(semantic_BT, lengths_B)
        loss_B = F.cross_entropy(
            logits_BTK.transpose(1, 2).float(),
            targets_BT,
            ignore_index=IGNORE_ID,
            label_smoothing=self.config.label_smoothing if self.training else 0.0,
            reduction="none",
        ).sum(dim=1)
        num_targets = lengths_B.sum() + len(lengths_B) if size is None else size.semantic_targets
        accuracy = (logits_BTK.argmax(-1) == targets_BT).sum() / num_targets
        return T2SOutput(loss=loss_B.sum() / num_targets, accuracy=accuracy, loss_B=loss_B)

    def _targets(self, semantic_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Semantic ids, then the end symbol, then IGNORE_ID; shape (B, T + 1)."""
        kept_BT = semantic_BT.masked_fill(~valid_mask(lengths_B, semantic_BT.shape[1]), IGNORE_ID)
        targets_BT = F.pad(kept_BT, (0, 1), value=IGNORE_ID)
        return targets_BT.scatter(1, lengths_B[:, None], self.end_id)

    def _drop_history(self, semantic_BT: torch.Tensor, share: float) -> torch.Tensor:
        """Replace a share of the inputs by the mask symbol."""
        if share <= 0:
            return semantic_BT
        dropped_BT = torch.rand(semantic_BT.shape, device=semantic_BT.device) < share
        return semantic_BT.masked_fill(dropped_BT, self.mask_id)
