"""Training and validation batches for Lightning: the batches of an epoch depend on its number and the seed alone."""

from collections.abc import Iterator

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.data.dataset import Example, TokenCorpus, TokenDataset, collate
from tokenchain_toolkit.models.batch import TokenBatch


class FixedBatches(Sampler[list[int]]):
    """Yields a given list of batches, each device its own share of every batch."""

    def __init__(self, batches: list[np.ndarray], *, rank: int = 0, world_size: int = 1):
        self.batches = [batch[rank::world_size].tolist() for batch in batches]

    def __iter__(self) -> Iterator[list[int]]:
        """The batches in order."""
        return iter(self.batches)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)


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

    def train_dataloader(self) -> DataLoader[Example]:
        """Loader of the current epoch; Lightning asks for a new one every epoch."""
        trainer = self.trainer
        epoch = trainer.current_epoch if trainer else 0
        return self._loader(self.train, epoch)

    def val_dataloader(self) -> DataLoader[Example]:
        """Loader of the validation corpus, the same every time."""
        return self._loader(self.valid, 0)

    @property
    def corpora(self) -> list[TokenCorpus]:
        """All corpora, each with what it leaves out."""
        return [self.train, self.valid]

    @property
    def world_size(self) -> int:
        """Number of devices that share a batch."""
        return self.trainer.world_size if self.trainer else 1

    def _loader(self, corpus: TokenCorpus, epoch: int) -> DataLoader[Example]:
        """Loader over one corpus."""
        dataset = TokenDataset(corpus, self.data_config, seed=self.training.seed, epoch=epoch)
        batches = make_batches(
            dataset.lengths + self.data_config.max_prompt_frames,
            batch_frames=self.training.batch_frames,
            max_batch_size=self.training.max_batch_size,
            min_batch_size=self.world_size,
            seed=self.training.seed,
            epoch=epoch,
        )
        return self.loader_of(dataset, batches)

    def loader_of(self, dataset: Dataset[Example], batches: list[np.ndarray]) -> DataLoader[Example]:
        """Loader of given batches; a batch is cut into one share for each device."""
        rank = self.trainer.global_rank if self.trainer else 0
        return DataLoader(
            dataset,
            batch_sampler=FixedBatches(batches, rank=rank, world_size=self.world_size),
            num_workers=self.training.num_workers,
            collate_fn=collate,
            # Else each new iterator draws from the models' random stream, and Lightning makes fewer when it resumes.
            generator=torch.Generator(),
        )

    def transfer_batch_to_device(self, batch: TokenBatch, device: object, dataloader_idx: int) -> TokenBatch:
        """Move a batch; Lightning does not know this dataclass's layout."""
        del dataloader_idx
        return batch.to(device)  # type: ignore[arg-type]
