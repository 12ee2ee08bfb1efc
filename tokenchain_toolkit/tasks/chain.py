"""Chain training, and the baseline that it is compared with: the same code without feedback."""

from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.inference.t2s_sampling import sample_semantic
from tokenchain_toolkit.models.asr import ASROutput, TokenASR
from tokenchain_toolkit.models.asr_reading import read_teacher_forced
from tokenchain_toolkit.models.batch import BatchSize, TokenBatch, with_semantic
from tokenchain_toolkit.models.chain import ChainModel, ChainOutput, EncodedSpeech, Link
from tokenchain_toolkit.models.chain_diagnostics import estimator_bias, feedback_gradients, text_dependence
from tokenchain_toolkit.models.loss_balance import loss_weights, uncertainty_weighted
from tokenchain_toolkit.models.sequences import valid_mask
from tokenchain_toolkit.models.straight_through import interface_entropy, interface_probs
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.models.temperature import temperature_at
from tokenchain_toolkit.tasks.asr import greedy_ter
from tokenchain_toolkit.tasks.base import BaseTask, build_optimizer

# What is sampled has a stream of its own, so that the baseline and the chain see the same dropout and masks.
SAMPLING_STREAM = 500_009


class ChainTask(BaseTask):
    """Trains ASR and T2S together; L = lambda_1 L_ASR + lambda_2 L_rec.

    Where speech or text alone is mixed in, L_ASR and L_rec have further terms: L_rec of the speech from what the ASR
    reads of it, L_ASR of the speech on another recogniser's labels, and L_ASR of tokens that T2S samples for the text.

    Args:
        config: The experiment.
        manifest: Tokenizer of the training tokens.
        asr: Pretrained recogniser.
        t2s: Pretrained T2S.
        label_error: Word error rate of the labels of speech alone, which is logged if it is known.

    Raises:
        ConfigError: A setting is unknown, or two contradict each other.
    """

    config: ChainConfig

    def __init__(
        self,
        config: ChainConfig,
        *,
        manifest: dict[str, Any],
        asr: TokenASR,
        t2s: T2SModel,
        label_error: float | None = None,
    ):
        super().__init__(config, manifest=manifest)
        self.chain = ChainModel(config.model, asr=asr, t2s=t2s)
        self.speech_link = Link(config.unpaired.feedback, config.unpaired.reading)
        self.label_error = label_error
        self.loss_history: list[list[float]] = []
        self.weights = loss_weights(config.model.balance, self.loss_history)
        self._sums = [0.0, 0.0]
        self.log_variances: torch.nn.Parameter | None = None
        if config.model.balance.kind == "uncertainty":
            self.log_variances = torch.nn.Parameter(torch.zeros(2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW; the variances do not decay, since a decay would draw the weights of the losses towards 1."""
        if self.log_variances is None:
            return super().configure_optimizers()
        models = {"params": [each for each in self.chain.parameters() if each.requires_grad]}
        return build_optimizer(self.config.optim, [models, {"params": [self.log_variances], "weight_decay": 0.0}])

    @property
    def temperature(self) -> float:
        """Tau now."""
        epochs = self.config.training.max_epochs
        return temperature_at(self.config.model.temperature, self.progress, num_epochs=epochs)

    def on_train_epoch_start(self) -> None:
        """Weigh the losses by what the last two epochs were like."""
        super().on_train_epoch_start()
        self.weights = loss_weights(self.config.model.balance, self.loss_history)
        self._sums = [0.0, 0.0]

    def training_step(self, batches: dict[str, TokenBatch], batch_idx: int) -> torch.Tensor:
        """Weighted loss of a paired batch and of the speech and text alone beside it."""
        generator = self._sampling_generator(batch_idx)
        batch = batches["paired"]
        output = self.chain(batch, temperature=self.temperature, generator=generator)
        values = {**_values(output), "temperature": self.temperature}
        asr_loss, rec_loss = output.asr.loss, output.t2s.loss
        self._sums = [
            total + float(part.detach()) for total, part in zip(self._sums, (asr_loss, rec_loss), strict=True)
        ]
        if "speech" in batches:
            labelled, reconstructed = self._speech_losses(batches["speech"], values, generator=generator)
            asr_loss, rec_loss = asr_loss + labelled, rec_loss + reconstructed
        if "text" in batches:
            asr_loss = asr_loss + self._text_loss(batches["text"], values, generator=generator)
        loss = self._total(asr_loss, rec_loss)
        if output.supervised is not None:
            loss = loss + self.config.model.supervised_t2s * output.supervised.loss
        values |= {"loss": loss, "asr_weight": self.weights[0], "rec_weight": self.weights[1]}
        self.log_values("train", values, batch_size=batch.size.num_utts)
        return self.checked(loss, batch)

    def _sampling_generator(self, batch_idx: int) -> torch.Generator:
        """Randomness of what is sampled here: its own for every seed, update, device and pass of an update."""
        passed = batch_idx % self.trainer.accumulate_grad_batches
        place = (SAMPLING_STREAM, self.config.training.seed, self.global_step, self.global_rank, passed)
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
        return torch.Generator(device=self.device).manual_seed(seed)

    def _speech_losses(
        self, batch: TokenBatch, values: dict[str, torch.Tensor | float], *, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted L_ASR on the labels, and L_rec, of speech alone; what is logged of them goes into ``values``."""
        settings, asr = self.config.unpaired, self.chain.asr
        labelled = torch.zeros((), device=self.device)
        heard: ASROutput | EncodedSpeech
        if settings.labels is None:
            heard = EncodedSpeech(*asr.encode(batch.semantic_BT, batch.semantic_lengths_B))
        else:
            output = self.chain.recognise(batch)
            heard, values["speech_asr_loss"] = output, output.loss
            if self.label_error is not None:
                values["label_error"] = self.label_error
            labelled = settings.label_weight * output.loss
        if self.speech_link.feedback == "none":
            return labelled, torch.zeros_like(labelled)
        link = self.chain.reconstruct_from_speech(
            batch, heard, link=self.speech_link, temperature=self.temperature, generator=generator
        )
        values |= {"speech_rec_loss": link.t2s.loss, "speech_entropy": link.entropy}
        return labelled, settings.reconstruction_weight * link.t2s.loss

    def _text_loss(
        self, batch: TokenBatch, values: dict[str, torch.Tensor | float], *, generator: torch.Generator
    ) -> torch.Tensor:
        """Weighted L_ASR on the tokens that T2S samples for text alone."""
        t2s, was_training = self.chain.t2s, self.chain.t2s.training
        drawn = sample_semantic(
            t2s.eval(),
            batch.text_BL,
            batch.text_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            config=self.config.unpaired.sampling,
            streams=_streams(len(batch.text_BL), generator),
        )
        t2s.train(was_training)
        rows = [
            row
            for row, (speech, text_L) in enumerate(zip(drawn, _texts(batch), strict=True))
            if speech.ended and self.chain.asr.can_spell(len(speech.semantic_T), text_L)
        ]
        values["text_unusable"] = 1 - len(rows) / len(drawn)
        size = self._size_of_rows(batch, rows)
        if not size.num_utts:
            return torch.zeros((), device=self.device)
        loss = torch.zeros((), device=self.device)
        if rows:
            loss = self.chain.recognise(with_semantic(batch, rows, [drawn[row].semantic_T for row in rows], size)).loss
        values["text_asr_loss"] = loss
        return self.config.unpaired.text_weight * loss

    def _size_of_rows(self, batch: TokenBatch, rows: list[int]) -> BatchSize:
        """What is left of a batch of text on all devices, when each keeps some utterances."""
        units_B = batch.text_lengths_B[rows]
        num_utts, num_units = self.sum_over_devices(torch.stack([torch.full_like(units_B, 1).sum(), units_B.sum()]))
        return BatchSize(int(num_utts), 0, int(num_units), longest=0, num_shares=self.trainer.world_size)

    def _total(self, asr_loss: torch.Tensor, rec_loss: torch.Tensor) -> torch.Tensor:
        """The weighted loss."""
        if self.log_variances is not None:
            self.weights = (-self.log_variances.detach()).exp().tolist()
            return uncertainty_weighted((asr_loss, rec_loss), self.log_variances)
        return self.weights[0] * asr_loss + self.weights[1] * rec_loss

    def on_after_backward(self) -> None:
        """When they alternate, only one half learns from this update."""
        if self.config.model.t2s_training == "alternating":
            resting = self.chain.t2s if self.global_step % 2 == 0 else self.chain.asr
            for parameter in resting.parameters():
                parameter.grad = None

    def on_train_epoch_end(self) -> None:
        """Remember the epoch's mean losses for dynamic weight averaging."""
        means = torch.tensor(self._sums, device=self.device) / self.trainer.num_training_batches
        self.loss_history.append((self.sum_over_devices(means) / self.trainer.world_size).tolist())

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        """Both losses without noise, the greedy CTC path's token error rate, and what there is to feed back."""
        output = self.chain(batch, temperature=self.temperature)
        ter = greedy_ter(self.chain.asr, batch, output.asr.memory_BSD, output.asr.memory_lengths_B)
        values = {**_values(output), "loss": output.asr.loss + output.t2s.loss, "ctc_ter": ter}
        decoded = read_teacher_forced(
            self.chain.asr, output.asr.logits_BLV[:, :-1], batch.text_lengths_B, generator=None
        )
        probs_BLV = interface_probs(decoded.logits_BLV, temperature=self.temperature)
        is_text_BL = valid_mask(batch.text_lengths_B, probs_BLV.shape[1])
        values["interface_entropy"] = interface_entropy(probs_BLV, batch.text_lengths_B)
        values["interface_accuracy"] = (decoded.text_BL == batch.text_BL)[is_text_BL].sum() / batch.size.units
        generator = torch.Generator(device=self.device).manual_seed(batch_idx)
        recognised = decoded if output.link is None else output.link.reading
        values |= text_dependence(self.chain, batch, recognised, generator=generator)
        if self.speech_link.feedback != "none":
            heard = self.chain.reconstruct_from_speech(
                batch, output.asr, link=self.speech_link, temperature=self.temperature, generator=None
            )
            values |= {"speech_rec_loss": heard.t2s.loss, "speech_entropy": heard.entropy}
        self.log_values("valid", values, batch_size=batch.size.num_utts)
        link = self.speech_link if output.link is None else self.chain.paired_link
        if batch_idx == 0 and link.feedback != "none":
            settings: dict[str, Any] = {"link": link, "temperature": self.temperature, "generator": generator}
            found = feedback_gradients(self.chain, batch, **settings) | estimator_bias(self.chain, batch, **settings)
            self.log_values("valid", {**found}, batch_size=batch.size.num_utts)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what dynamic weight averaging has seen."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["loss_history"] = self.loss_history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with what dynamic weight averaging has seen."""
        self.loss_history = checkpoint["loss_history"]


def _streams(count: int, generator: torch.Generator) -> list[np.random.Generator]:
    """Randomness of so many utterances, of their own."""
    seeds = torch.randint(2**62, (count,), generator=generator, device=generator.device)
    return [np.random.default_rng(seed) for seed in seeds.tolist()]


def _texts(batch: TokenBatch) -> list[torch.Tensor]:
    """Text ids of each utterance, without padding."""
    return [row[:length] for row, length in zip(batch.text_BL, batch.text_lengths_B.tolist(), strict=True)]


def _values(output: ChainOutput) -> dict[str, torch.Tensor | float]:
    """What is logged of a paired batch, for training and validation alike."""
    values: dict[str, torch.Tensor | float] = {
        "asr_loss": output.asr.loss,
        "rec_loss": output.t2s.loss,
        "accuracy": output.asr.accuracy,
        "t2s_accuracy": output.t2s.accuracy,
    }
    if output.link is not None:
        values["link_entropy"] = output.link.entropy
    if output.supervised is not None:
        values["supervised_loss"] = output.supervised.loss
    return values
