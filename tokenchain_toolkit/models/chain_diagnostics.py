"""Is there anything to feed back? What T2S hears of the text, and what its gradient does at the ASR.

Shapes: B utterances, L text positions, V text units.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import torch

from tokenchain_toolkit.models.asr_reading import Reading
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.chain import ChainModel, Link, score_function
from tokenchain_toolkit.models.sequences import valid_mask
from tokenchain_toolkit.models.straight_through import gumbel_noise, interface_probs

# What a step that tries a gradient is to lower the loss by, in nats, if the gradient is right and the loss is straight.
STEP = 0.01
TINY = 1e-20


@torch.no_grad()
def text_dependence(
    chain: ChainModel, batch: TokenBatch, recognised: Reading, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """T2S's loss for the true, the recognised and a shuffled transcript.

    A T2S that leans on its own token history feels little of the text: then the three are close, and feedback is weak
    whatever the estimator.

    Args:
        chain: In evaluation mode.
        batch: Paired utterances.
        recognised: What the ASR reads of them.
        generator: Of the shuffled order of units within each transcript.
    """
    is_text_BL = valid_mask(batch.text_lengths_B, batch.text_BL.shape[1])
    rank_BL = torch.rand(batch.text_BL.shape, generator=generator, device=batch.text_BL.device)
    order_BL = rank_BL.masked_fill(~is_text_BL, 2.0).argsort(dim=1)  # padding stays last
    texts = {
        "true": (batch.text_BL, batch.text_lengths_B),
        "recognised": (recognised.text_BL, recognised.lengths_B),
        "shuffled": (batch.text_BL.gather(1, order_BL), batch.text_lengths_B),
    }
    return {
        f"rec_loss_{name}": chain.reconstruct_from_ids(text_BL, batch, lengths_B).loss
        for name, (text_BL, lengths_B) in texts.items()
    }


def feedback_gradients(
    chain: ChainModel,
    batch: TokenBatch,
    *,
    link: Link,
    temperature: float,
    generator: torch.Generator,
    step: float = STEP,
) -> dict[str, float]:
    """The gradients of both losses at the ASR, and what a step along that of L_rec does.

    Args:
        chain: In evaluation mode, so that nothing else is random; it is left as it was.
        batch: Paired utterances.
        link: With feedback.
        temperature: Tau of the interface.
        generator: Of what is sampled, and of a random direction.
        step: What the step that tries the gradient is to lower the loss by, to first order, in nats per token.

    Returns:
        ``asr_gradient`` and ``rec_gradient``, the norms over the ASR's parameters, which where texts are sampled have
        the noise of the samples in them; ``gradient_cosine`` between the two; ``rec_step_change``, by how much L_rec of
        this batch, read anew with the same noise, changes after a step against its gradient that should lower it by
        ``step``, and ``rec_step_random`` after a step as long in a random direction: feedback that works comes near to
        ``-step``.
    """
    with _differentiable(batch) as batch:
        parameters = [parameter for parameter in chain.asr.parameters() if parameter.requires_grad]
        noise = generator.get_state()
        settings: dict[str, Any] = {"link": link, "temperature": temperature}
        asr = chain.recognise(batch)
        linked = chain.reconstruct_from_speech(batch, asr, generator=generator, **settings)
        of_asr = torch.autograd.grad(asr.loss, parameters, retain_graph=True, allow_unused=True)
        of_rec = torch.autograd.grad(linked.t2s.loss, parameters, allow_unused=True)
        flat_asr, flat_rec = _flat(of_asr, parameters), _flat(of_rec, parameters)
        random = torch.randn(flat_rec.shape, generator=generator, device=flat_rec.device)
        before = linked.t2s.loss.detach()
        changes = {
            # What is tried is the loss that the gradient is of: with other noise its change would be lost in the noise.
            name: float(_loss_after(chain, batch, parameters, direction, settings, noise=noise) - before)
            for name, direction in (
                ("rec_step_change", flat_rec * (step / flat_rec.norm().square().clamp_min(TINY))),
                ("rec_step_random", random * (step / (flat_rec.norm() * random.norm()).clamp_min(TINY))),
            )
        }
        return {
            "asr_gradient": float(flat_asr.norm()),
            "rec_gradient": float(flat_rec.norm()),
            "gradient_cosine": float(torch.cosine_similarity(flat_asr, flat_rec, dim=0)),
            **changes,
        }


def estimator_bias(
    chain: ChainModel,
    batch: TokenBatch,
    *,
    link: Link,
    temperature: float,
    generator: torch.Generator,
    num_samples: int = 8,
) -> dict[str, float]:
    """Gradients of L_rec at the scores of a text's positions: as estimated, and as they should be.

    Args:
        chain: In evaluation mode.
        batch: Paired utterances.
        link: With feedback.
        temperature: Tau of the interface.
        generator: Of the samples.
        num_samples: Draws of Gumbel noise, and samples of each half of the unbiased estimate.

    Returns:
        ``estimator_cosine``, between the gradients with the feedback as configured (with Gumbel noise, the mean over
        ``num_samples`` draws of it) and with expected embeddings (the soft path; 1 where there is no bias against it);
        ``score_cosine``, with an unbiased score-function estimate, in which each position's unit is drawn by itself;
        ``score_split_cosine``, between the two halves of it; ``score_ceiling``, what the noise of the estimate would
        leave of ``score_cosine`` if the feedback's gradient were the true one. Empty for the score function itself.
    """
    if link.feedback == "score_function":
        return {}
    with _differentiable(batch) as batch:
        with torch.no_grad():
            settings: dict[str, Any] = {"link": link, "temperature": temperature, "generator": None}
            read = chain.reconstruct_from_speech(batch, chain.recognise(batch), **settings).reading
        logits_BLV = read.logits_BLV.detach().requires_grad_()
        noises: list[torch.Tensor | None] = [None]
        if link.feedback == "st_gumbel":
            noises = [
                gumbel_noise(logits_BLV.shape, generator=generator, device=logits_BLV.device)
                for _ in range(num_samples)
            ]
        estimated = _estimated_gradient(
            chain, batch, read, logits_BLV, feedback=link.feedback, temperature=temperature, noises=noises
        )
        soft = _estimated_gradient(
            chain, batch, read, logits_BLV, feedback="soft", temperature=temperature, noises=[None]
        )
        first, second = (
            _unbiased_gradient(chain, batch, read, num_samples=num_samples, generator=generator) for _ in range(2)
        )
    split_cosine = float(torch.cosine_similarity(first, second, dim=0))
    return {
        "estimator_cosine": float(torch.cosine_similarity(estimated, soft, dim=0)),
        "score_cosine": float(torch.cosine_similarity(estimated, first + second, dim=0)),
        "score_split_cosine": split_cosine,
        "score_ceiling": cosine_ceiling(split_cosine),
    }


def cosine_ceiling(split_cosine: float) -> float:
    """Cosine of a true gradient with the sum of two noisy estimates of it, given that of the two with each other.

    Halves g + e1 and g + e2 of independent noise have the cosine r = |g|^2 / (|g|^2 + |e|^2), and their sum has
    sqrt(2 r / (1 + r)) with g (Spearman and Brown's formula for what two halves of a test tell of the whole).
    """
    return math.sqrt(2 * split_cosine / (1 + split_cosine)) if split_cosine > 0 else 0.0


def _estimated_gradient(
    chain: ChainModel,
    batch: TokenBatch,
    read: Reading,
    logits_BLV: torch.Tensor,
    *,
    feedback: str,
    temperature: float,
    noises: Sequence[torch.Tensor | None],
) -> torch.Tensor:
    """Gradient of L_rec at the scores by a kind of feedback, flat; the mean over noises, None for no noise."""
    gradients = []
    for noise_BLV in noises:
        probs_BLV = interface_probs(logits_BLV, temperature=temperature, noise_BLV=noise_BLV)
        drawn = read if noise_BLV is None else replace(read, text_BL=(logits_BLV + noise_BLV).argmax(-1))
        loss = chain.reconstruct(chain.feed_back(feedback, probs_BLV, drawn), batch).loss
        gradients.append(torch.autograd.grad(loss, logits_BLV)[0])
    return torch.stack(gradients).mean(dim=0).flatten()


def _unbiased_gradient(
    chain: ChainModel, batch: TokenBatch, read: Reading, *, num_samples: int, generator: torch.Generator
) -> torch.Tensor:
    """Unbiased estimate of the gradient of E[L_rec] at the scores, flat; every position's unit is drawn by itself."""
    logits_BLV = read.logits_BLV.detach().requires_grad_()
    log_probs_BLV = logits_BLV.log_softmax(-1)
    is_text_BL = valid_mask(read.lengths_B, logits_BLV.shape[1])
    outputs, log_probs = [], []
    for _ in range(num_samples):
        noise_BLV = gumbel_noise(logits_BLV.shape, generator=generator, device=logits_BLV.device)
        text_BL = (logits_BLV + noise_BLV).argmax(-1)
        with torch.no_grad():
            outputs.append(chain.reconstruct_from_ids(text_BL, batch, read.lengths_B))
        chosen_BL = log_probs_BLV.gather(2, text_BL[..., None]).squeeze(2)
        log_probs.append(torch.where(is_text_BL, chosen_BL, 0.0).sum(dim=1))
    sampled = replace(outputs[0], loss_B=torch.stack([one.loss_B for one in outputs], dim=1).flatten())
    texts = replace(read, log_prob_B=torch.stack(log_probs, dim=1).flatten())
    loss = score_function(sampled, texts, batch, num_samples=num_samples).loss
    return torch.autograd.grad(loss, logits_BLV)[0].flatten()


@torch.no_grad()
def _loss_after(
    chain: ChainModel,
    batch: TokenBatch,
    parameters: list[torch.nn.Parameter],
    step: torch.Tensor,
    settings: dict[str, Any],
    *,
    noise: torch.Tensor,
) -> torch.Tensor:
    """L_rec, read with the noise of a generator's state, after a step of the parameters; they end as they were."""
    kept = [parameter.clone() for parameter in parameters]
    parts = step.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.sub_(part.view_as(parameter))
    generator = torch.Generator(device=step.device)
    generator.set_state(noise)
    loss = chain.reconstruct_from_speech(batch, chain.recognise(batch), generator=generator, **settings).t2s.loss
    for parameter, before in zip(parameters, kept, strict=True):
        parameter.copy_(before)
    return loss


@contextmanager
def _differentiable(batch: TokenBatch) -> Iterator[TokenBatch]:
    """The batch as ordinary tensors: validation's, made in inference mode, cannot be differentiated through.

    All is computed in float32 inside: autocast keeps the weights that it has cast, so a step would not be felt at all,
    and in bfloat16 a small one is less than what rounding takes away.
    """
    device = batch.semantic_BT.device.type
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast(device, enabled=False):
        copied = {field.name: getattr(batch, field.name) for field in fields(batch)}
        copied = {name: one.clone() if isinstance(one, torch.Tensor) else one for name, one in copied.items()}
        yield replace(batch, **copied)


def _flat(gradients: tuple[torch.Tensor | None, ...], parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """One vector of all gradients; zeros where there is none."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(one) if found is None else found).flatten() for found, one in pairs])
