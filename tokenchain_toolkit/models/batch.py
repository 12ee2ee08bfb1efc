"""What a model is given: one padded batch of utterances."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from tokenchain_toolkit.models.sequences import pack_left


@dataclass(frozen=True)
class BatchSize:
    """What sums over a batch are divided by to give means.

    A batch may be cut into shares, for several devices or for passes after each other. The sums over a share are then
    divided by what a share has on average, so that the plain mean over the shares, which is what becomes of their
    gradients, is that over the whole batch, however unequal the shares are.

    Attributes:
        num_utts: Utterances of the whole batch.
        num_frames: Its semantic frames.
        num_units: Its text units.
        longest: Frames of its longest utterance. All shares are padded to it: an encoder that convolves sees padding.
        num_shares: How many shares it is cut into.
    """

    num_utts: int
    num_frames: int
    num_units: int
    longest: int
    num_shares: int = 1

    @property
    def units(self) -> float:
        """Text units of a share on average."""
        return self.num_units / self.num_shares

    @property
    def text_targets(self) -> float:
        """Text units and end symbols of a share on average."""
        return (self.num_units + self.num_utts) / self.num_shares

    @property
    def semantic_targets(self) -> float:
        """Semantic frames and end symbols of a share on average."""
        return (self.num_frames + self.num_utts) / self.num_shares

    def times(self, number: int) -> "BatchSize":
        """Of a batch that holds every utterance so many times."""
        counts = (self.num_utts * number, self.num_frames * number, self.num_units * number)
        return BatchSize(*counts, longest=self.longest, num_shares=self.num_shares)


@dataclass
class TokenBatch:
    """Padded tensors of B utterances; every id at padding is valid, so that embeddings may look it up.

    Attributes:
        utt_ids: Names of the utterances.
        size: What sums over the batch are divided by.
        semantic_BT: Semantic tokens, int64; for S2A (B, T, k) where an acoustic frame is given k of them.
        semantic_lengths_B: Frames.
        text_BL: Text ids, int64; L may be 0 for tasks without text.
        text_lengths_B: Text ids per utterance.
        prompt_BP: Semantic tokens of another utterance of the same speaker; P may be 0.
        prompt_lengths_B: Prompt frames.
        codes_BTQ: Acoustic codes aligned with ``semantic_BT``, or None.
        prompt_codes_BPQ: Acoustic codes aligned with ``prompt_BP``, or None.
    """

    utt_ids: list[str]
    size: BatchSize
    semantic_BT: torch.Tensor
    semantic_lengths_B: torch.Tensor
    text_BL: torch.Tensor
    text_lengths_B: torch.Tensor
    prompt_BP: torch.Tensor
    prompt_lengths_B: torch.Tensor
    codes_BTQ: torch.Tensor | None = None
    prompt_codes_BPQ: torch.Tensor | None = None

    def __len__(self) -> int:
        """Number of utterances."""
        return len(self.utt_ids)

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        return TokenBatch(**moved)


def with_semantic(
    batch: TokenBatch, rows: Sequence[int], semantic: Sequence[torch.Tensor], size: BatchSize
) -> TokenBatch:
    """Some utterances of a batch with other semantic tokens.

    Args:
        batch: Without acoustic codes.
        rows: The utterances.
        semantic: Tokens (T,) of each of them.
        size: Of what becomes of the batch.
    """
    index_B = torch.tensor(rows, device=batch.text_BL.device)
    kept = {
        name: getattr(batch, name)[index_B] for name in ("text_BL", "text_lengths_B", "prompt_BP", "prompt_lengths_B")
    }
    return replace(
        batch,
        utt_ids=[batch.utt_ids[row] for row in rows],
        size=size,
        semantic_BT=pad_sequence(list(semantic), batch_first=True),
        semantic_lengths_B=torch.tensor([len(semantic_T) for semantic_T in semantic], device=index_B.device),
        **kept,
    )


def join_prompt(batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prompt and target end to end: semantic tokens (B, N) or (B, N, k), codes (B, N, Q) and lengths (B,)."""
    assert batch.codes_BTQ is not None and batch.prompt_codes_BPQ is not None
    prompt_BPk, target_BTk = _in_columns(batch.prompt_BP), _in_columns(batch.semantic_BT)
    columns = target_BTk.shape[2]
    prompt_BPX = torch.cat([prompt_BPk, batch.prompt_codes_BPQ], dim=-1)
    target_BTX = torch.cat([target_BTk, batch.codes_BTQ], dim=-1)
    joined_BNX, lengths_B = pack_left([prompt_BPX, target_BTX], [batch.prompt_lengths_B, batch.semantic_lengths_B])
    semantic_BNk = joined_BNX[..., :columns]
    return semantic_BNk.squeeze(2) if columns == 1 else semantic_BNk, joined_BNX[..., columns:], lengths_B


def _in_columns(semantic: torch.Tensor) -> torch.Tensor:
    """Semantic tokens (B, T) as (B, T, 1); those that have several tokens per frame as they are."""
    return semantic[..., None] if semantic.dim() == 2 else semantic
