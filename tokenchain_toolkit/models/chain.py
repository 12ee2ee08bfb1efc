"""TokenChain: the error of T2S's reconstruction flows back into the ASR through the text it predicted.

Shapes: B utterances, L text positions, V text units, T semantic frames, D features.
"""

from dataclasses import dataclass

import torch
from torch import nn

from tokenchain_toolkit.config.chain import FEEDBACK_INTO, FEEDBACKS, ChainModelConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.asr import ASROutput, TokenASR
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.sequences import valid_mask
from tokenchain_toolkit.models.straight_through import gumbel_noise, interface_probs, straight_through
from tokenchain_toolkit.models.t2s import T2SModel, T2SOutput


@dataclass
class ChainOutput:
    """Both halves' outputs and what the interface looked like.

    ``t2s.loss`` is L_rec with feedback and, for the baseline, T2S's supervised loss on the reference text.
    ``supervised`` is that loss beside L_rec, where it is asked for.
    """

    asr: ASROutput
    t2s: T2SOutput
    interface_entropy: torch.Tensor
    interface_accuracy: torch.Tensor
    supervised: T2SOutput | None = None


class ChainModel(nn.Module):
    """ASR and T2S with the discrete interface between them.

    Args:
        config: Feedback, temperature, balance, and whether T2S is frozen.
        asr: Pretrained recogniser.
        t2s: Pretrained text-to-semantic model over the same text units and semantic tokens.

    Raises:
        ConfigError: The kind of feedback or its reach is unknown, or a frozen T2S is to be supervised.
    """

    def __init__(self, config: ChainModelConfig, *, asr: TokenASR, t2s: T2SModel):
        super().__init__()
        if config.feedback not in FEEDBACKS:
            raise ConfigError(f"model.feedback={config.feedback}: choose one of {', '.join(FEEDBACKS)}")
        if config.feedback_into not in FEEDBACK_INTO:
            raise ConfigError(f"model.feedback_into={config.feedback_into}: choose one of {', '.join(FEEDBACK_INTO)}")
        if config.freeze_t2s and config.supervised_t2s:
            raise ConfigError("model.supervised_t2s trains T2S, and model.freeze_t2s forbids it; set one of them")
        self.config = config
        self.asr = asr
        self.t2s = t2s
        if config.freeze_t2s:
            t2s.requires_grad_(False)
        # Loaded models come in evaluation mode, and Lightning trains each module in the mode it finds it in.
        self.train()

    def train(self, mode: bool = True) -> "ChainModel":
        """Training mode; a frozen T2S stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze_t2s:
            self.t2s.eval()
        return self

    def forward(
        self, batch: TokenBatch, *, temperature: float, generator: torch.Generator | None = None
    ) -> ChainOutput:
        """One teacher-forced pass around the chain.

        Args:
            batch: Paired utterances.
            temperature: Tau of the interface.
            generator: Randomness of the Gumbel noise.
        """
        asr = self.asr(batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B)
        logits_BLV = self._interface_logits(asr, batch)
        noise_BLV = None
        if self.config.feedback == "st_gumbel" and self.training:
            noise_BLV = gumbel_noise(logits_BLV.shape, generator=generator, device=logits_BLV.device)
        probs_BLV = interface_probs(logits_BLV, temperature=temperature, noise_BLV=noise_BLV)
        has_link = self.config.feedback != "none"
        text_BLD = self.feed_back(probs_BLV) if has_link else self.t2s.embed_text(batch.text_BL)
        entropy, accuracy = self._describe(probs_BLV.detach(), batch)
        return ChainOutput(
            asr=asr,
            t2s=self.reconstruct(text_BLD, batch),
            interface_entropy=entropy,
            interface_accuracy=accuracy,
            supervised=(
                self.reconstruct(self.t2s.embed_text(batch.text_BL), batch)
                if has_link and self.config.supervised_t2s
                else None
            ),
        )

    def _interface_logits(self, asr: ASROutput, batch: TokenBatch) -> torch.Tensor:
        """Scores that the feedback flows through; the last position, the end symbol, is not read by T2S."""
        if self.config.feedback_into == "asr":
            return asr.logits_BLV[:, :-1]
        logits_BLV, _ = self.asr.decode(
            asr.memory_BSD.detach(), asr.memory_lengths_B, batch.text_BL, batch.text_lengths_B
        )
        return logits_BLV[:, :-1]

    def feed_back(self, probs_BLV: torch.Tensor) -> torch.Tensor:
        """Text embeddings for T2S, (B, L, D), through which its gradient reaches the posteriors."""
        passed_BLV = probs_BLV if self.config.feedback == "soft" else straight_through(probs_BLV)
        weight_VD = self.t2s.embed_text.weight
        return passed_BLV.to(weight_VD.dtype) @ weight_VD

    def reconstruct(self, text_BLD: torch.Tensor, batch: TokenBatch) -> T2SOutput:
        """T2S's loss for the semantic tokens of a batch, given embeddings of its text."""
        return self.t2s(
            text_BLD,
            batch.text_lengths_B,
            batch.semantic_BT,
            batch.semantic_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
        )

    @staticmethod
    def _describe(probs_BLV: torch.Tensor, batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean entropy (nats) of the interface and the share of positions where its argmax is the reference."""
        is_text_BL = valid_mask(batch.text_lengths_B, probs_BLV.shape[1])
        entropy_BL = -(probs_BLV * probs_BLV.clamp_min(1e-12).log()).sum(-1)
        return entropy_BL[is_text_BL].mean(), (probs_BLV.argmax(-1) == batch.text_BL)[is_text_BL].float().mean()
