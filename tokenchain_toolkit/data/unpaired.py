"""Speech without text and text without speech, and the batches that bring them to the chain beside paired ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch.utils.data import DataLoader, Dataset

from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.data.dataset import Example, TokenCorpus, TokenDataset
from tokenchain_toolkit.data.module import Batchable, TokenDataModule
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.batch import BatchSize, TokenBatch


@dataclass(frozen=True)
class UnpairedData:
    """What there is beside paired data.

    Attributes:
        speech: Utterances whose texts are empty, or another recogniser's; None for no speech alone.
        texts: Names and ids of texts that nobody speaks.
        speech_ratio: Frames of speech for each frame of paired data.
        text_ratio: Expected frames of text for each frame of paired data.
        label_error: Word error rate of the speech's texts where they are another recogniser's and the transcripts are
            known, as those that ``data.paired_share`` leaves over are.
    """

    speech: TokenCorpus | None = None
    texts: Sequence[tuple[str, np.ndarray]] = ()
    speech_ratio: float = 0.0
    text_ratio: float = 0.0
    label_error: float | None = None


def split_paired(corpus: TokenCorpus, *, share: float, seed: int) -> tuple[TokenCorpus, TokenCorpus]:
    """Draw a share of the utterances as paired data; the other part is the rest.

    The draw depends on the seed and the utterance's name alone, so that models that skip different utterances still
    agree on it.

    Raises:
        ConfigError: The share is not above 0 and at most 1, or leaves no utterance.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"data.paired_share={share}: it is a share above 0 and at most 1")
    ranks = [hashlib.blake2b(f"{seed} {utt_id}".encode(), digest_size=8).digest() for utt_id in corpus.dump.utt_ids]
    order = np.array(sorted(range(len(ranks)), key=ranks.__getitem__))
    count = round(share * len(order))
    paired, rest = corpus.part(order[:count]), corpus.part(order[count:])
    if not len(paired.usable):
        raise ConfigError(f"data.paired_share={share} leaves none of {len(order)} utterances; raise it")
    return paired, rest


class TextDataset(Dataset[Example]):
    """Texts that nobody speaks, each with a prompt of a speaker of the paired data, drawn anew every epoch.

    Args:
        texts: Names and text ids.
        voices: Utterances whose prompts are lent.
        seed: Seed of the draw.
    """

    def __init__(self, texts: Sequence[tuple[str, np.ndarray]], voices: TokenDataset, *, seed: int):
        self.texts, self.voices, self.seed = texts, voices, seed

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.texts)

    def size_of(self, positions: np.ndarray) -> BatchSize:
        """What a batch of these texts counts; speech it has none."""
        num_units = sum(len(self.texts[int(position)][1]) for position in positions)
        return BatchSize(len(positions), 0, num_units, longest=0)

    def __getitem__(self, position: int) -> Example:
        """The text at a position, without semantic tokens."""
        voice = np.random.default_rng((self.seed, self.voices.epoch, position)).integers(len(self.voices))
        utt_id, text_L = self.texts[position]
        lent = self.voices[int(voice)]
        return replace(lent, utt_id=utt_id, semantic_T=lent.semantic_T[:0], text_L=text_L)


class ChainDataModule(TokenDataModule):
    """Batches of paired data, and beside each of them one of speech and one of text alone, where there are such.

    An epoch is one pass over the paired data; the others go on about where the last epoch left them.

    Args:
        train: Paired training corpus.
        valid: Paired validation corpus.
        unpaired: What else there is.
        data: Prompt lengths.
        training: Batch size, seed and workers.
    """

    def __init__(
        self,
        train: TokenCorpus,
        valid: TokenCorpus,
        *,
        unpaired: UnpairedData,
        data: DataConfig,
        training: TrainingConfig,
    ):
        super().__init__(train, valid, data=data, training=training)
        self.unpaired = unpaired

    @property
    def corpora(self) -> list[TokenCorpus]:
        """All corpora, each with what it leaves out."""
        return [*super().corpora, *([] if self.unpaired.speech is None else [self.unpaired.speech])]

    def train_dataloader(self) -> CombinedLoader:  # type: ignore[override]
        """Loaders of the current epoch, as long as each other, whose batches are given out together."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        paired = self._loader(self.train, epoch)
        loaders: dict[str, DataLoader[TokenBatch]] = {"paired": paired}
        steps = len(paired) // self.num_passes
        if self.unpaired.speech is not None:
            speech = TokenDataset(self.unpaired.speech, self.data_config, seed=self.training.seed, epoch=epoch)
            lengths = speech.lengths + self.data_config.max_prompt_frames
            loaders["speech"] = self._endless("speech", speech, lengths, epoch=epoch, steps=steps)
        if self.unpaired.texts:
            voices = TokenDataset(self.train, self.data_config, seed=self.training.seed, epoch=epoch)
            units = sum(len(self.train.texts[index]) for index in self.train.usable)
            frames_per_unit = voices.lengths.sum() / max(units, 1)
            spoken = np.array([len(text_L) * frames_per_unit for _, text_L in self.unpaired.texts])
            lengths = np.ceil(spoken).astype(np.int64) + self.data_config.max_prompt_frames
            texts = TextDataset(self.unpaired.texts, voices, seed=self.training.seed)
            loaders["text"] = self._endless("text", texts, lengths, epoch=epoch, steps=steps)
        return CombinedLoader(loaders, mode="min_size")

    def _endless(
        self, kind: str, dataset: Batchable, lengths: np.ndarray, *, epoch: int, steps: int
    ) -> DataLoader[TokenBatch]:
        """The batches of this epoch out of passes over a corpus that follow each other without end.

        Raises:
            ConfigError: A batch holds at least one utterance, and that is more than the ratio asks for.
        """
        ratio = getattr(self.unpaired, f"{kind}_ratio")
        batch_frames = round(ratio * self.training.batch_frames)
        if batch_frames < lengths.mean():
            raise ConfigError(
                f"unpaired.{kind}_ratio={ratio:g} of training.batch_frames={self.training.batch_frames} is less than "
                f"one utterance, which has {lengths.mean():.0f} frames on average; raise one of the two"
            )
        first, found, pass_number = epoch * steps, 0, 0
        chosen: list[np.ndarray] = []
        while len(chosen) < steps:
            batches = make_batches(
                lengths,
                batch_frames=batch_frames,
                max_batch_size=self.training.max_batch_size,
                min_batch_size=self.min_batch_size,
                seed=self.training.seed,
                epoch=pass_number,
            )
            chosen += batches[max(first - found, 0) :]
            found += len(batches)
            pass_number += 1
        return self.loader_of(dataset, chosen[:steps])

    def transfer_batch_to_device(self, batch: Any, device: object, dataloader_idx: int) -> Any:
        """Move the batches of a training step, or the one of a validation step."""
        move = super().transfer_batch_to_device
        if not isinstance(batch, dict):
            return move(batch, device, dataloader_idx)
        return {name: move(part, device, dataloader_idx) for name, part in batch.items()}
