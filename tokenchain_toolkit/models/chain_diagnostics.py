"""Is there anything to feed back? What T2S hears of the text, and how its gradient at the ASR compares.

Shapes: B utterances, L text positions, V text units.
"""

from dataclasses import fields, replace

import torch

from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.sequences import valid_mask
from tokenchain_toolkit.models.straight_through import interface_probs


@torch.no_grad()
def text_dependence(
    chain: ChainModel, batch: TokenBatch, recognised_BL: torch.Tensor, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """T2S's loss for the true, the recognised and a shuffled transcript.

    A T2S that leans on its own token history feels little of the text: then the three are close, and feedback is weak
    whatever the estimator.

    Args:
        chain: In evaluation mode.
        batch: Paired utterances.
        recognised_BL: The ASR's best units at the positions of the transcripts.
        generator: Of the shuffled order of units within each transcript.
    """
    is_text_BL = valid_mask(batch.text_lengths_B, batch.text_BL.shape[1])
    rank_BL = torch.rand(batch.text_BL.shape, generator=generator, device=batch.text_BL.device)
    order_BL = rank_BL.masked_fill(~is_text_BL, 2.0).argsort(dim=1)  # padding stays last
    texts = {"true": batch.text_BL, "recognised": recognised_BL, "shuffled": batch.text_BL.gather(1, order_BL)}
    return {
        f"rec_loss_{name}": chain.reconstruct(chain.t2s.embed_text(text_BL), batch).loss
        for name, text_BL in texts.items()
    }


def feedback_gradients(chain: ChainModel, batch: TokenBatch, *, temperature: float) -> dict[str, float]:
    """The gradients of both losses at the ASR, and that of the estimator at the posteriors against the soft path's.

    Args:
        chain: With feedback, in evaluation mode, so that nothing is random; no gradient is left in it.
        batch: Paired utterances.
        temperature: Tau of the interface.

    Returns:
        ``asr_gradient`` and ``rec_gradient``, the norms over the ASR's parameters; ``gradient_cosine`` between the two;
        ``estimator_cosine`` between the gradients of L_rec at the posteriors with the feedback as configured and with
        expected embeddings, 1 where the estimator has no bias against the soft path.
    """
    # Validation runs in inference mode, whose tensors cannot be differentiated through.
    with torch.inference_mode(mode=False), torch.enable_grad():
        copied = {field.name: getattr(batch, field.name) for field in fields(batch)}
        copied = {name: one.clone() if isinstance(one, torch.Tensor) else one for name, one in copied.items()}
        batch = replace(batch, **copied)
        parameters = [parameter for parameter in chain.asr.parameters() if parameter.requires_grad]
        output = chain(batch, temperature=temperature)
        of_asr = _flat(
            torch.autograd.grad(output.asr.loss, parameters, retain_graph=True, allow_unused=True), parameters
        )
        of_rec = _flat(torch.autograd.grad(output.t2s.loss, parameters, allow_unused=True), parameters)
        logits_BLV = output.asr.logits_BLV[:, :-1].detach()
        probs_BLV = interface_probs(logits_BLV, temperature=temperature).requires_grad_()
        paths = (
            chain.feed_back(probs_BLV),
            probs_BLV.to(chain.t2s.embed_text.weight.dtype) @ chain.t2s.embed_text.weight,
        )
        estimated, soft = (
            torch.autograd.grad(chain.reconstruct(text_BLD, batch).loss, probs_BLV)[0].flatten() for text_BLD in paths
        )
    return {
        "asr_gradient": float(of_asr.norm()),
        "rec_gradient": float(of_rec.norm()),
        "gradient_cosine": float(torch.cosine_similarity(of_asr, of_rec, dim=0)),
        "estimator_cosine": float(torch.cosine_similarity(estimated, soft, dim=0)),
    }


def _flat(gradients: tuple[torch.Tensor | None, ...], parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """One vector of all gradients; zeros where there is none."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(one) if found is None else found).flatten() for found, one in pairs])
