"""Training and validation batches for Lightning: the batches of an epoch depend on its number and the seed alone."""

from dataclasses import replace
from typing import Protocol

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.data.dataset import Example, TokenCorpus, TokenDataset, collate
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.batch import BatchSize, TokenBatch


class Batchable(Protocol):
    """Examples by position, and what batches of them count."""

    def __getitem__(self, position: int) -> Example:
        """One of them."""

    def size_of(self, positions: np.ndarray) -> BatchSize:
        """What a batch of these counts."""


class BatchShares(Dataset[TokenBatch]):
    """A given list of batches, each cut into shares of which this device takes its own, one pass after the other.

    Which share an utterance is in changes neither the sum of the gradients nor what is logged: a share knows the size
    of its batch, and is padded like it.

    Args:
        examples: Where the utterances come from.
        batches: Positions of the utterances of each batch.
        rank: Number of this device.
        num_devices: How many there are.
        num_passes: Passes of a device over its part of a batch.

    Raises:
        ConfigError: A batch has too few utterances for all shares.
    """

    def __init__(
        self,
        examples: Batchable,
        batches: list[np.ndarray],
        *,
        rank: int = 0,
        num_devices: int = 1,
        num_passes: int = 1,
    ):
        self.examples, self.batches = examples, batches
        self.rank, self.num_devices, self.num_passes = rank, num_devices, num_passes
        fewest, num_shares = min(map(len, batches)), num_devices * num_passes
        if fewest < num_shares:
            raise ConfigError(
                f"a batch of {fewest} utterances cannot be shared out to {num_devices} devices in {num_passes} passes; "
                "use fewer of training.devices, raise training.device_frames, or train on more utterances"
            )

    def __getitem__(self, index: int) -> TokenBatch:
        """The share of a pass."""
        if index >= len(self):
            raise IndexError(index)
        number, turn = divmod(index, self.num_passes)
        batch, num_shares = self.batches[number], self.num_devices * self.num_passes
        own = batch[turn * self.num_devices + self.rank :: num_shares]
        size = replace(self.examples.size_of(batch), num_shares=num_shares)
        return collate([self.examples[int(position)] for position in own], size=size)

    def __len__(self) -> int:
        """Number of passes."""
        return len(self.batches) * self.num_passes


class TokenDataModule(lightning.LightningDataModule):
    """Batches of a training and a validation corpus.

    Args:
        train: Training corpus.
        valid: Validation corpus.
        data: Prompt lengths.
        training: Batch size, seed and workers.
    """

    def __init__(self, train: TokenCorpus, valid: TokenCorpus, *, data: DataConfig, training: TrainingConfig):
        super().__init__()
        self.train, self.valid, self.data_config, self.training = train, valid, data, training

    def train_dataloader(self) -> DataLoader[TokenBatch]:
        """Loader of the current epoch; Lightning asks for a new one every epoch."""
        trainer = self.trainer
        epoch = trainer.current_epoch if trainer else 0
        return self._loader(self.train, epoch)

    def val_dataloader(self) -> DataLoader[TokenBatch]:
        """Loader of the validation corpus, the same every time."""
        return self._loader(self.valid, 0)

    @property
    def corpora(self) -> list[TokenCorpus]:
        """All corpora, each with what it leaves out."""
        return [self.train, self.valid]

    @property
    def num_devices(self) -> int:
        """Number of devices that share a batch."""
        return self.trainer.world_size if self.trainer else 1

    @property
    def num_passes(self) -> int:
        """Passes of a device over its part of a batch."""
        return self.training.num_passes(self.num_devices)

    @property
    def min_batch_size(self) -> int:
        """Fewest utterances of a batch: the configured ones, and one for every share."""
        return max(self.training.min_batch_size, self.num_devices * self.num_passes)

    def _loader(self, corpus: TokenCorpus, epoch: int) -> DataLoader[TokenBatch]:
        """Loader over one corpus."""
        dataset = TokenDataset(corpus, self.data_config, seed=self.training.seed, epoch=epoch)
        batches = make_batches(
            dataset.lengths + self.data_config.max_prompt_frames,
            batch_frames=self.training.batch_frames,
            max_batch_size=self.training.max_batch_size,
            min_batch_size=self.min_batch_size,
            seed=self.training.seed,
            epoch=epoch,
        )
        return self.loader_of(dataset, batches)

    def loader_of(self, examples: Batchable, batches: list[np.ndarray]) -> DataLoader[TokenBatch]:
        """Loader of this device's shares of given batches."""
        rank = self.trainer.global_rank if self.trainer else 0
        return DataLoader(
            BatchShares(examples, batches, rank=rank, num_devices=self.num_devices, num_passes=self.num_passes),
            batch_size=None,
            num_workers=self.training.num_workers,
            # Else each new iterator draws from the models' random stream, and Lightning makes fewer when it resumes.
            generator=torch.Generator(),
        )

    def transfer_batch_to_device(self, batch: TokenBatch, device: object, dataloader_idx: int) -> TokenBatch:
        """Move a batch; Lightning does not know this dataclass's layout."""
        del dataloader_idx
        return batch.to(device)  # type: ignore[arg-type]
