"""Utterances in memory, and their collation into padded batches.

Shapes: B utterances, T frames, L text ids, P prompt frames, Q quantizers.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.token_dump import TokenDump, join_dumps
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.models.batch import BatchSize, TokenBatch


@dataclass
class TokenCorpus:
    """A token dump with the text ids and speakers of its utterances.

    Attributes:
        dump: Semantic tokens and, for S2A, acoustic codes.
        texts: Text ids of each utterance of the dump; empty arrays for tasks without text.
        speakers: Speaker of each utterance of the dump.
        usable: Indices of the utterances that can be trained on.
        skipped: The others, with the reason.
    """

    dump: TokenDump
    texts: list[np.ndarray]
    speakers: list[str]
    usable: np.ndarray = field(init=False)
    skipped: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """At first every utterance is usable."""
        self.usable = np.arange(len(self.dump))
        self.skipped = {}

    def part(self, indices: np.ndarray) -> "TokenCorpus":
        """The same corpus with only these of its usable utterances, which still lists what was skipped."""
        part = copy.copy(self)
        part.usable = np.intersect1d(self.usable, indices)
        part.skipped = dict(self.skipped)
        return part

    def skip(self, reasons: dict[int, str], *, max_share: float = 0.01) -> None:
        """Leave utterances out, by index, with a reason.

        Raises:
            DataError: More than ``max_share`` of the corpus would be left out.
        """
        if not reasons:
            return
        named = {self.dump.utt_ids[index]: reason for index, reason in reasons.items()}
        if len(reasons) > max_share * len(self.dump):
            first = "; ".join(f"{utt_id}: {reason}" for utt_id, reason in list(named.items())[:3])
            raise DataError(
                f"{len(reasons)} of {len(self.dump)} utterances cannot be used, more than "
                f"{max_share:.0%} ({first}); mend or remove them"
            )
        self.skipped.update(named)
        self.usable = np.setdiff1d(self.usable, np.fromiter(reasons, dtype=np.int64))


def join_corpora(corpora: list[TokenCorpus]) -> TokenCorpus:
    """Several corpora of one tokenizer as one.

    Raises:
        DataError: An utterance is in two of them.
    """
    if len(corpora) == 1:
        return corpora[0].part(corpora[0].usable)
    joined = TokenCorpus(
        dump=join_dumps([corpus.dump for corpus in corpora]),
        texts=[text_L for corpus in corpora for text_L in corpus.texts],
        speakers=[speaker for corpus in corpora for speaker in corpus.speakers],
    )
    first = np.cumsum([0, *(len(corpus.dump) for corpus in corpora)])
    joined.usable = np.concatenate([corpus.usable + start for corpus, start in zip(corpora, first[:-1], strict=True)])
    joined.skipped = {utt_id: why for corpus in corpora for utt_id, why in corpus.skipped.items()}
    return joined


@dataclass
class Example:
    """One utterance with its prompt, before padding.

    The last two fields are the text and the semantic frames of the whole utterance that the prompt is a crop of, where
    its text is known; they tell how fast the speaker speaks.
    """

    utt_id: str
    semantic_T: np.ndarray
    text_L: np.ndarray
    prompt_P: np.ndarray
    codes_TQ: np.ndarray | None = None
    prompt_codes_PQ: np.ndarray | None = None
    prompt_id: str = ""
    prompt_text_L: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    prompt_utt_frames: int = 0


class TokenDataset(Dataset[Example]):
    """Examples of a corpus; prompts are drawn anew each epoch, reproducibly.

    An utterance that is the only one of its speaker cannot be given another one as its prompt, and a crop of itself
    would tell what it is to say. With acoustic codes it is cut in two: the first frames, at most half of them, are the
    prompt, and the target is the rest. Without codes it has a text, which says both parts: it goes without a prompt.

    Args:
        corpus: Utterances in memory.
        config: Prompt lengths.
        seed: Seed of the prompts.
        epoch: Epoch, from 0.
    """

    def __init__(self, corpus: TokenCorpus, config: DataConfig, *, seed: int, epoch: int):
        self.corpus, self.config, self.seed, self.epoch = corpus, config, seed, epoch
        speakers = np.asarray(corpus.speakers)[corpus.usable]
        by_speaker = np.argsort(speakers, kind="stable")
        _, first, counts = np.unique(speakers[by_speaker], return_index=True, return_counts=True)
        self._order = corpus.usable[by_speaker]
        # For each utterance of the dump: where its speaker's block of ``_order`` begins, and how long it is.
        self._block_start = np.zeros(len(corpus.dump), np.int64)
        self._block_size = np.ones(len(corpus.dump), np.int64)
        self._rank = np.zeros(len(corpus.dump), np.int64)
        self._block_start[self._order] = np.repeat(first, counts)
        self._block_size[self._order] = np.repeat(counts, counts)
        self._rank[self._order] = np.arange(len(self._order)) - self._block_start[self._order]

    def __len__(self) -> int:
        """Number of usable utterances."""
        return len(self.corpus.usable)

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each usable utterance."""
        return self.corpus.dump.lengths[self.corpus.usable]

    @property
    def num_alone(self) -> int:
        """Usable utterances that are the only ones of their speakers."""
        return int((self._block_size[self.corpus.usable] == 1).sum())

    def size_of(self, positions: np.ndarray) -> BatchSize:
        """What a batch of these utterances counts, of those that are cut only the targets."""
        indices = self.corpus.usable[positions].tolist()
        num_units = sum(len(self.corpus.texts[index]) for index in indices)
        frames = self.lengths[positions] - [self._own_prompt_frames(index) for index in indices]
        return BatchSize(len(indices), int(frames.sum()), num_units, longest=int(frames.max()))

    def __getitem__(self, position: int) -> Example:
        """The utterance at a position among the usable ones."""
        index = int(self.corpus.usable[position])
        dump = self.corpus.dump
        prompt, start, stop = self._prompt(index)
        begin = stop if prompt == index else 0
        has_codes = dump.codes is not None
        return Example(
            utt_id=dump.utt_ids[index],
            semantic_T=dump.semantic_of(index)[begin:],
            text_L=self.corpus.texts[index],
            prompt_P=dump.semantic_of(prompt)[start:stop],
            codes_TQ=dump.codes_of(index)[begin:] if has_codes else None,
            prompt_codes_PQ=dump.codes_of(prompt)[start:stop] if has_codes else None,
            prompt_id=dump.utt_ids[prompt],
            **self._pace_of(prompt) if prompt != index and stop > start else {},
        )

    def _pace_of(self, prompt: int) -> dict[str, Any]:
        """What of an example tells how fast the speaker of the prompt speaks."""
        frames = len(self.corpus.dump.semantic_of(prompt))
        return {"prompt_text_L": self.corpus.texts[prompt], "prompt_utt_frames": frames}

    def _prompt(self, index: int) -> tuple[int, int, int]:
        """Another utterance of the same speaker and the bounds of a crop of it; alone, this one and its beginning."""
        size = int(self._block_size[index])
        if size == 1:
            return index, 0, self._own_prompt_frames(index)
        generator = np.random.default_rng((self.seed, self.epoch, index))
        step = int(generator.integers(1, size))
        prompt = int(self._order[self._block_start[index] + (self._rank[index] + step) % size])
        length = int(generator.integers(self.config.min_prompt_frames, self.config.max_prompt_frames + 1))
        available = len(self.corpus.dump.semantic_of(prompt))
        length = min(length, available)
        start = int(generator.integers(available - length + 1))
        return prompt, start, start + length

    def _own_prompt_frames(self, index: int) -> int:
        """How many first frames of an utterance are its own prompt, and not part of the target."""
        if self._block_size[index] > 1 or self.corpus.dump.codes is None:
            return 0
        longest = min(self.config.max_prompt_frames, len(self.corpus.dump.semantic_of(index)) // 2)
        shortest = min(self.config.min_prompt_frames, longest)
        return int(np.random.default_rng((self.seed, self.epoch, index)).integers(shortest, longest + 1))


def _pad(arrays: Sequence[Any], length: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-pad with 0 to a tensor of int64, at least ``length`` long, and the real lengths."""
    tensors = [torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)) for array in arrays]
    padded = pad_sequence(tensors, batch_first=True)
    if padded.shape[1] < length:
        filling = padded.new_zeros(len(padded), length - padded.shape[1], *padded.shape[2:])
        padded = torch.cat([padded, filling], dim=1)
    return padded, torch.tensor([len(array) for array in arrays])


def collate(examples: list[Example], *, size: BatchSize | None = None) -> TokenBatch:
    """Pad a list of examples to one batch.

    Args:
        examples: The utterances.
        size: Of the batch that they are a share of; they are a whole one if None.
    """
    num_frames = 0 if size is None else size.longest
    semantic_BT, semantic_lengths_B = _pad([example.semantic_T for example in examples], num_frames)
    text_BL, text_lengths_B = _pad([example.text_L for example in examples])
    prompt_BP, prompt_lengths_B = _pad([example.prompt_P for example in examples])
    has_codes = examples[0].codes_TQ is not None
    if size is None:
        counts = (len(examples), int(semantic_lengths_B.sum()), int(text_lengths_B.sum()))
        size = BatchSize(*counts, longest=int(semantic_lengths_B.max()))
    return TokenBatch(
        utt_ids=[example.utt_id for example in examples],
        size=size,
        semantic_BT=semantic_BT,
        semantic_lengths_B=semantic_lengths_B,
        text_BL=text_BL,
        text_lengths_B=text_lengths_B,
        prompt_BP=prompt_BP,
        prompt_lengths_B=prompt_lengths_B,
        codes_BTQ=_pad([example.codes_TQ for example in examples], num_frames)[0] if has_codes else None,
        prompt_codes_BPQ=_pad([example.prompt_codes_PQ for example in examples])[0] if has_codes else None,
    )
