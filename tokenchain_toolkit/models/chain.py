"""TokenChain: the error of T2S's reconstruction flows back into the ASR through the text it predicted.

Shapes: B utterances, L text positions, V text units, S encoder frames, T semantic frames, D features, K samples.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from tokenchain_toolkit.config.chain import (
    ChainModelConfig,
)
from tokenchain_toolkit.models.asr import ASROutput, TokenASR
from tokenchain_toolkit.models.asr_reading import Reading, read_ctc, read_free_running, read_teacher_forced
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.straight_through import interface_entropy, interface_probs, straight_through
from tokenchain_toolkit.models.t2s import T2SModel, T2SOutput, T2SText

SAMPLED = ("st_gumbel", "score_function")


@dataclass(frozen=True)
class Link:
    """How T2S is given what the ASR reads: ``model.feedback`` and ``model.reading``, or those of speech alone."""

    feedback: str
    reading: str


@dataclass(frozen=True)
class EncodedSpeech:
    """Encoder states of speech without text, and their lengths."""

    memory_BSD: torch.Tensor
    memory_lengths_B: torch.Tensor


@dataclass
class LinkOutput:
    """T2S's reconstruction from what the ASR read; its loss is L_rec.

    Attributes:
        t2s: L_rec and T2S's accuracy. With the score function, the mean over the samples, and its gradient at the ASR
            is the estimate.
        reading: The text, or of several samples all of them.
        entropy: Mean entropy of the interface's posteriors over the text's positions, in nats.
    """

    t2s: T2SOutput
    reading: Reading
    entropy: torch.Tensor


@dataclass
class ChainOutput:
    """Both halves' outputs on paired data, and the link between them.

    ``t2s.loss`` is L_rec with feedback and, for the baseline, T2S's supervised loss on the reference text.
    ``supervised`` is that loss beside L_rec, where it is asked for.
    """

    asr: ASROutput
    t2s: T2SOutput
    link: LinkOutput | None
    supervised: T2SOutput | None = None


class ChainModel(nn.Module):
    """ASR and T2S with the discrete interface between them.

    Args:
        config: Feedback, temperature, balance, and how T2S is trained.
        asr: Pretrained recogniser.
        t2s: Pretrained text-to-semantic model over the same text units and semantic tokens.

    Raises:
        ConfigError: A setting is unknown, or two contradict each other.
    """

    def __init__(self, config: ChainModelConfig, *, asr: TokenASR, t2s: T2SModel):
        super().__init__()
        self.config = config
        self.paired_link = Link(config.feedback, config.reading)
        self.asr = asr
        self.t2s = t2s
        if config.t2s_training == "frozen":
            t2s.requires_grad_(False)
        # Loaded models come in evaluation mode, and Lightning trains each module in the mode it finds it in.
        self.train()

    def train(self, mode: bool = True) -> "ChainModel":
        """Training mode; a frozen T2S stays in evaluation mode."""
        super().train(mode)
        if self.config.t2s_training == "frozen":
            self.t2s.eval()
        return self

    def forward(
        self, batch: TokenBatch, *, temperature: float, generator: torch.Generator | None = None
    ) -> ChainOutput:
        """One pass around the chain on paired data.

        Args:
            batch: Paired utterances.
            temperature: Tau of the interface.
            generator: Randomness of what is sampled; nothing is if None.
        """
        asr = self.recognise(batch)
        if self.config.feedback == "none":
            return ChainOutput(asr=asr, t2s=self.reconstruct_from_ids(batch.text_BL, batch), link=None)
        link = self.reconstruct_from_speech(
            batch, asr, link=self.paired_link, temperature=temperature, generator=generator
        )
        supervised = self.reconstruct_from_ids(batch.text_BL, batch) if self.config.supervised_t2s else None
        return ChainOutput(asr=asr, t2s=link.t2s, link=link, supervised=supervised)

    def recognise(self, batch: TokenBatch) -> ASROutput:
        """The ASR on paired utterances."""
        return self.asr(
            batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B, size=batch.size
        )

    def reconstruct_from_speech(
        self,
        batch: TokenBatch,
        heard: ASROutput | EncodedSpeech,
        *,
        link: Link,
        temperature: float,
        generator: torch.Generator | None,
    ) -> LinkOutput:
        """Let the ASR read, and T2S reconstruct the tokens from what it read.

        Args:
            batch: Utterances; their text is used with teacher forcing alone.
            heard: What the ASR made of them: encoder states and, if there is a reference, the decoder's scores.
            link: How T2S is given what was read.
            temperature: Tau of the interface.
            generator: Randomness of what is sampled; nothing is if None.
        """
        memory_BSD, memory_lengths_B = heard.memory_BSD, heard.memory_lengths_B
        logits_BLV = heard.logits_BLV if isinstance(heard, ASROutput) else None
        if link.feedback not in SAMPLED:
            generator = None
        samples = self.config.num_samples if link.feedback == "score_function" and generator else 1
        if self.config.feedback_into == "decoder":
            memory_BSD, logits_BLV = memory_BSD.detach(), None
        utterances = batch
        if samples > 1:
            memory_BSD = memory_BSD.repeat_interleave(samples, dim=0)
            memory_lengths_B = memory_lengths_B.repeat_interleave(samples)
            batch = _repeated(batch, samples)
        if link.reading == "teacher_forced":
            if logits_BLV is None:
                logits_BLV, _ = self.asr.decode(memory_BSD, memory_lengths_B, batch.text_BL, batch.text_lengths_B)
            read = read_teacher_forced(self.asr, logits_BLV[:, :-1], batch.text_lengths_B, generator=generator)
        else:
            reader = read_ctc if link.reading == "ctc" else read_free_running
            read = reader(self.asr, memory_BSD, memory_lengths_B, generator=generator)
        noise_BLV = read.noise_BLV if link.feedback == "st_gumbel" else None
        probs_BLV = interface_probs(read.logits_BLV, temperature=temperature, noise_BLV=noise_BLV)
        t2s = self.reconstruct(self.feed_back(link.feedback, probs_BLV, read), batch)
        if samples > 1:
            t2s = score_function(t2s, read, utterances, num_samples=samples)
        return LinkOutput(t2s=t2s, reading=read, entropy=interface_entropy(probs_BLV.detach(), read.lengths_B))

    def feed_back(self, feedback: str, probs_BLV: torch.Tensor, read: Reading) -> T2SText:
        """The text for T2S, through which its gradient reaches the posteriors.

        Args:
            feedback: Kind of feedback.
            probs_BLV: The interface's posteriors.
            read: The text that was read.
        """
        if feedback == "score_function":
            return self.t2s.read_ids(read.text_BL, read.lengths_B)
        passed_BLV = probs_BLV if feedback == "soft" else straight_through(probs_BLV, read.text_BL)
        return self.t2s.read_weights(passed_BLV, read.lengths_B)

    def reconstruct(self, text: T2SText, batch: TokenBatch) -> T2SOutput:
        """T2S's loss for the semantic tokens of a batch, given a text."""
        return self.t2s(
            text,
            batch.semantic_BT,
            batch.semantic_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            history_dropout=self.config.history_dropout if self.training else None,
            size=batch.size,
        )

    def reconstruct_from_ids(
        self, text_BL: torch.Tensor, batch: TokenBatch, lengths_B: torch.Tensor | None = None
    ) -> T2SOutput:
        """The same, given text ids; as long as the batch's text unless told."""
        return self.reconstruct(
            self.t2s.read_ids(text_BL, batch.text_lengths_B if lengths_B is None else lengths_B), batch
        )


def score_function(t2s: T2SOutput, read: Reading, batch: TokenBatch, *, num_samples: int) -> T2SOutput:
    """L_rec over sampled transcripts, whose gradient at the ASR is the unbiased score-function estimate.

    The gradient of E[L_rec] is E[(L_rec - b) grad log p(text)] (Williams 1992); the baseline b of a sample is the mean
    over the other samples of its utterance (leave one out), which leaves the estimate unbiased.

    Args:
        t2s: Reconstruction from the samples, those of an utterance next to each other.
        read: The samples.
        batch: The utterances, each once.
        num_samples: K, at least 2.
    """
    assert read.log_prob_B is not None
    loss_BK = t2s.loss_B.view(-1, num_samples)
    others_BK = (loss_BK.sum(dim=1, keepdim=True) - loss_BK) / (num_samples - 1)
    advantage_BK = (loss_BK - others_BK).detach()
    of_asr = (advantage_BK * read.log_prob_B.view(-1, num_samples)).mean(dim=1).sum() / batch.size.semantic_targets
    # Of value zero: what is logged, and what T2S learns from, is L_rec itself.
    return replace(t2s, loss=t2s.loss + (of_asr - of_asr.detach()))


def _repeated(batch: TokenBatch, times: int) -> TokenBatch:
    """Each utterance several times, one after the other."""
    names = ("semantic_BT", "semantic_lengths_B", "text_BL", "text_lengths_B", "prompt_BP", "prompt_lengths_B")
    repeated = {name: getattr(batch, name).repeat_interleave(times, dim=0) for name in names}
    utt_ids = [utt_id for utt_id in batch.utt_ids for _ in range(times)]
    return replace(batch, utt_ids=utt_ids, size=batch.size.times(times), **repeated)
