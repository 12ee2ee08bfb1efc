"""Training of the spectral codec's head on segments of speech. Shapes: T frames, M mel bands, N samples, B segments."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.tokenizer import HeadConfig
from tokenchain_toolkit.files import atomic_path
from tokenchain_toolkit.tokenizers.spectral_head import SpectralHead

LOG = logging.getLogger(__name__)
CHECKPOINT_STEPS = 200
GRADIENT_CLIP = 5.0
WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.05  # of the updates
LEFT_OUT_SHARE = 0.1  # of the utterances, which may be shorter than a segment


@dataclass(frozen=True)
class HeadExample:
    """One utterance: log-mel frames (T, M) as the codec gives them back, and the audio (N,) they come from."""

    log_mel_TM: np.ndarray
    samples_N: np.ndarray


def train_head(
    head: SpectralHead, examples: Sequence[HeadExample], *, config: HeadConfig, checkpoint: Path, device: str = "cpu"
) -> float:
    """Train ``config.steps`` updates, going on from ``checkpoint`` if it is there.

    The segments of an update depend on the seed and its number alone, so that a run that was killed equals a whole one.

    Args:
        head: Changed in place.
        examples: Speech. Where more than a tenth of the utterances are shorter than ``config.segment_frames``, segments
            are so much shorter that at most a tenth is not used.
        config: Steps, batches, learning rate, seed.
        checkpoint: Where the state goes every so many updates.
        device: Torch device to train on.

    Returns:
        Mean loss of the last updates, at most ``CHECKPOINT_STEPS``, that this call made.
    """
    from tqdm import tqdm

    frames = _segment_length(examples, config)
    examples = [example for example in examples if len(example.log_mel_TM) >= frames]
    head.set_scale(torch.from_numpy(np.concatenate([example.log_mel_TM for example in examples])))
    head.to(device).train()
    optimizer = build_head_optimizer(head, config)
    done = _resume(head, optimizer, checkpoint)
    losses: list[float] = []
    began = time.monotonic()
    with tqdm(total=config.steps, initial=done, desc="codec's head", unit=" steps", disable=None) as progress:
        for step in range(done, config.steps):
            loss = take_step(head, optimizer, examples, frames=frames, step=step, config=config)
            losses = [*losses[-CHECKPOINT_STEPS + 1 :], loss]
            progress.update(1)
            # Not after the last one, so that a run that goes on always has a loss to tell.
            if (step + 1) % CHECKPOINT_STEPS == 0 and step + 1 < config.steps:
                progress.set_postfix(loss=f"{np.mean(losses):.3f}")
                if progress.disable:  # no terminal, which would show it
                    each = (time.monotonic() - began) / (step + 1 - done)
                    told = (step + 1, config.steps, float(np.mean(losses)), each * (config.steps - step - 1))
                    LOG.info("codec's head: %d of %d updates, loss %.3f, about %.0f s left", *told)
                _save(head, optimizer, step + 1, checkpoint)
    head.cpu().eval()
    return float(np.mean(losses))


def build_head_optimizer(head: SpectralHead, config: HeadConfig) -> torch.optim.Optimizer:
    """AdamW as a network with a spectral loss wants it, which forgets old gradients soon."""
    return torch.optim.AdamW(head.parameters(), lr=config.lr, betas=(0.8, 0.99), weight_decay=WEIGHT_DECAY)


def take_step(
    head: SpectralHead,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[HeadExample],
    *,
    frames: int,
    step: int,
    config: HeadConfig,
) -> float:
    """One update, on the device of the head.

    Args:
        head: Changed in place.
        optimizer: Of its parameters.
        examples: Speech, none shorter than ``frames``.
        frames: Length of a segment.
        step: Number of the update, from 0.
        config: Batches, learning rate, seed.

    Returns:
        Its loss.
    """
    device = head.mean_M.device
    log_mel_BTM, samples_BN = _segments(examples, frames, step, config, hop_length=head.hop_length)
    for group in optimizer.param_groups:
        group["lr"] = _learning_rate(config, step)
    loss = head.compute_loss(log_mel_BTM.to(device), samples_BN.to(device))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(head.parameters(), GRADIENT_CLIP)
    optimizer.step()
    return float(loss.detach())


def _segment_length(examples: Sequence[HeadExample], config: HeadConfig) -> int:
    """Frames of a segment: as many as are asked for, or as nearly all utterances have; says how many are left out."""
    lengths = sorted(len(example.log_mel_TM) for example in examples)
    frames = min(config.segment_frames, lengths[int(LEFT_OUT_SHARE * len(lengths))])
    if frames < config.segment_frames:
        message = "codec's head: segments of %d frames, not codec.head.segment_frames=%d, because utterances are short"
        LOG.warning(message, frames, config.segment_frames)
    shorter = sum(length < frames for length in lengths)
    if shorter:
        LOG.info("codec's head: %d of %d utterances are shorter than %d frames", shorter, len(lengths), frames)
    return frames


def _segments(
    examples: Sequence[HeadExample], frames: int, step: int, config: HeadConfig, *, hop_length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Segments of equal length, longer utterances drawn more often: frames (B, T, M) and audio (B, N)."""
    generator = np.random.default_rng((config.seed, step))
    lengths = np.array([len(example.log_mel_TM) for example in examples])
    chosen = generator.choice(len(examples), config.batch_size, p=lengths / lengths.sum())
    starts = (generator.random(config.batch_size) * (lengths[chosen] - frames + 1)).astype(int)
    log_mel, samples = [], []
    for index, start in zip(chosen, starts, strict=True):
        example = examples[index]
        piece_N = example.samples_N[start * hop_length : (start + frames) * hop_length]
        log_mel.append(example.log_mel_TM[start : start + frames])
        samples.append(np.pad(piece_N, (0, frames * hop_length - len(piece_N))))
    return torch.from_numpy(np.stack(log_mel)), torch.from_numpy(np.stack(samples))


def _learning_rate(config: HeadConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to nothing."""
    rising = min((step + 1) / (WARMUP_SHARE * config.steps), 1.0)
    return config.lr * rising * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _save(head: SpectralHead, optimizer: torch.optim.Optimizer, step: int, path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save({"head": head.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, temporary)


def _resume(head: SpectralHead, optimizer: torch.optim.Optimizer, path: Path) -> int:
    """Updates that a run before has made; 0 if there is nothing to go on from."""
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    head.load_state_dict(state["head"])
    optimizer.load_state_dict(state["optimizer"])
    LOG.info("codec's head: going on after %d updates", state["step"])
    return int(state["step"])
