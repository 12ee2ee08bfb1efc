"""T2S: a LLaMA-style causal model over [text | semantic prefix | semantic tokens] (transformers' LlamaModel).

The text enters as embeddings, so that a straight-through one-hot can stand in for text ids and carry a gradient.
Shapes: B utterances, L text positions, P prefix frames, T semantic frames, N assembled positions, D features,
V text units, K semantic clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.config.t2s import T2SModelConfig
from tokenchain_toolkit.models.batch import BatchSize
from tokenchain_toolkit.models.sequences import IGNORE_ID, gather_span, pack_left, valid_mask
from tokenchain_toolkit.models.unit_durations import learn_unit_durations


@dataclass
class T2SOutput:
    """Cross-entropy on the semantic targets, a mean per frame, and the share predicted exactly.

    ``loss_B`` is the sum over the targets of each utterance, its frames and the end symbol.
    """

    loss: torch.Tensor
    accuracy: torch.Tensor
    loss_B: torch.Tensor


@dataclass
class T2SText:
    """A text as T2S is given it: embeddings (B, L, D), frames to expect of each unit (B, L), real lengths (B,)."""

    embeddings_BLD: torch.Tensor
    frames_BL: torch.Tensor
    lengths_B: torch.Tensor


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

    unit_frames_V: torch.Tensor
    extra_frames: torch.Tensor

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
        # How long speech lasts, from ``learn_durations``: frames of each text unit, and those of an utterance besides.
        self.register_buffer("unit_frames_V", torch.ones(vocab_size))
        self.register_buffer("extra_frames", torch.zeros(()))

    def learn_durations(
        self, texts: Sequence[np.ndarray], num_frames: Sequence[int] | np.ndarray, *, unit_sizes: Sequence[int]
    ) -> None:
        """Learn from natural speech how long each text unit lasts.

        Args:
            texts: Text ids of each utterance; at least one.
            num_frames: Semantic frames of each.
            unit_sizes: Size of each text unit, such as its characters, by which rare ones are judged.
        """
        frames_V, extra = learn_unit_durations(texts, num_frames, unit_sizes=unit_sizes)
        self.unit_frames_V.copy_(torch.from_numpy(frames_V))
        self.extra_frames.fill_(extra)

    def embed_semantic(self, semantic_BT: torch.Tensor) -> torch.Tensor:
        """Input embeddings of semantic ids."""
        return self.llama.embed_tokens(semantic_BT)

    def read_ids(self, text_BL: torch.Tensor, lengths_B: torch.Tensor) -> T2SText:
        """A text of ids."""
        return T2SText(self.embed_text(text_BL), self.unit_frames_V[text_BL], lengths_B)

    def read_weights(self, weights_BLV: torch.Tensor, lengths_B: torch.Tensor) -> T2SText:
        """A text of one-hot or soft weights over the units, through which a gradient reaches them."""
        table_VD = self.embed_text.weight
        with torch.autocast(weights_BLV.device.type, enabled=False):  # positions need more than bfloat16's 8 bits
            frames_BL = weights_BLV.detach().to(self.unit_frames_V.dtype) @ self.unit_frames_V
        return T2SText(weights_BLV.to(table_VD.dtype) @ table_VD, frames_BL, lengths_B)

    def expected_frames(self, text: T2SText) -> torch.Tensor:
        """Frames that natural speech of a text lasts, at least 1; shape (B,)."""
        is_text_BL = valid_mask(text.lengths_B, text.frames_BL.shape[1])
        return ((text.frames_BL * is_text_BL).sum(1) + self.extra_frames).clamp_min(1.0)

    def pace_of(self, text_L: np.ndarray, num_frames: int) -> float:
        """How slowly somebody speaks, by one utterance: its frames over those that its text is expected to last.

        Args:
            text_L: Text ids of the utterance.
            num_frames: Its semantic frames.

        Returns:
            1 where one of both is unknown, that is, empty, or where the model places text by its order.
        """
        if not num_frames or not len(text_L) or self.config.text_positions == "order":
            return 1.0
        frames_L = self.unit_frames_V.cpu()[torch.from_numpy(text_L.astype(np.int64))]
        return num_frames / max(float(frames_L.sum() + self.extra_frames), 1.0)

    def assemble(
        self,
        text: T2SText,
        prefix_BP: torch.Tensor,
        prefix_lengths_B: torch.Tensor,
        num_frames_B: torch.Tensor,
        history_BT: torch.Tensor | None = None,
        history_lengths_B: torch.Tensor | None = None,
    ) -> T2SInput:
        """Join text, prefix of the same speaker, begin symbol and, in training, the semantic history.

        Args:
            text: What is to be said.
            prefix_BP: Semantic tokens of another utterance of the speaker; P may be 0.
            prefix_lengths_B: Real prefix frames.
            num_frames_B: Frames of the whole speech, known in training and expected in sampling.
            history_BT: Its semantic tokens so far.
            history_lengths_B: Their number.
        """
        begin_B1 = torch.full_like(text.lengths_B, self.begin_id)[:, None]
        lengths = [text.lengths_B, prefix_lengths_B, torch.ones_like(text.lengths_B)]
        parts = [text.embeddings_BLD, self.embed_semantic(prefix_BP), self.embed_semantic(begin_B1)]
        if history_BT is not None and history_lengths_B is not None:
            parts.append(self.embed_semantic(history_BT))
            lengths.append(history_lengths_B)
        packed_BND, total_B = pack_left(parts, lengths)
        column_BN = torch.arange(packed_BND.shape[1], device=packed_BND.device)[None, :].expand(len(packed_BND), -1)
        if self.config.text_positions == "order":
            return T2SInput(packed_BND, column_BN, total_B)
        # Speech counts frames from the begin symbol, and its prefix those before it. A frame and the text that it
        # speaks are then at a small rotary distance, which attention finds much sooner than it learns to count.
        speech_BN = (column_BN - (text.lengths_B + prefix_lengths_B)[:, None]).float()
        width = min(text.frames_BL.shape[1], speech_BN.shape[1])
        said_BL = self._expected_positions(text, num_frames_B)[:, :width]
        text_BL = torch.where(valid_mask(text.lengths_B, width), said_BL, speech_BN[:, :width])
        return T2SInput(packed_BND, torch.cat([text_BL, speech_BN[:, width:]], dim=1), total_B)

    def _expected_positions(self, text: T2SText, num_frames_B: torch.Tensor) -> torch.Tensor:
        """The frame in whose neighbourhood each text unit has its middle, in speech of so many frames; (B, L)."""
        middle_BL = text.frames_BL.cumsum(1) - text.frames_BL / 2 + self.extra_frames / 2
        return middle_BL * (num_frames_B / self.expected_frames(text))[:, None]

    def forward(
        self,
        text: T2SText,
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
            text: What is said: ``read_ids(ids)``, or ``read_weights(y~)`` in the chain.
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
        inputs = self.assemble(text, prefix_BP, prefix_lengths_B, lengths_B, history_BT, lengths_B)
        hidden_BND = self.llama(
            inputs_embeds=self.embed_dropout(inputs.embeddings_BND),
            # Padding is at the right end only, where causal attention keeps it out of sight. The mask is given all the
            # same, because without one transformers takes a jump in position for the start of another sequence.
            attention_mask=valid_mask(inputs.lengths_B, inputs.embeddings_BND.shape[1]).long(),
            position_ids=inputs.position_BN,
            use_cache=False,
        ).last_hidden_state
        target_length = semantic_BT.shape[1] + 1
        first_B = text.lengths_B + prefix_lengths_B
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
