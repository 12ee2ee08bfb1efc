"""The models that a recipe trains, with random weights, and batches of random tokens for them.

Shapes: B utterances, T frames, Q quantizers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import CommonConfig, DataConfig
from tokenchain_toolkit.data.dataset import Example, collate
from tokenchain_toolkit.models.asr import TokenASR, encoder_frames
from tokenchain_toolkit.models.batch import TokenBatch, join_prompt
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.planning.recipe import TokenSizes

FIRST_UNIT = 2  # after blank and unk


@dataclass(frozen=True)
class Trainee:
    """A model that is to be trained.

    Attributes:
        name: ``asr``, ``t2s``, ``s2a``, or that of a chain.
        module: What learns.
        loss: Loss of a batch.
        config: Of the experiment.
    """

    name: str
    module: nn.Module
    loss: Callable[[TokenBatch], torch.Tensor]
    config: CommonConfig


def asr_trainee(config: ASRConfig, sizes: TokenSizes) -> Trainee:
    """The recogniser."""
    asr = TokenASR(config.model, num_semantic=sizes.num_semantic, vocab_size=sizes.vocab_size)

    def loss(batch: TokenBatch) -> torch.Tensor:
        return asr(batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B).loss

    return Trainee("asr", asr, loss, config)


def t2s_trainee(config: T2SConfig, sizes: TokenSizes) -> Trainee:
    """T2S."""
    t2s = T2SModel(config.model, vocab_size=sizes.vocab_size, num_semantic=sizes.num_semantic)

    def loss(batch: TokenBatch) -> torch.Tensor:
        return t2s(
            t2s.read_ids(batch.text_BL, batch.text_lengths_B),
            batch.semantic_BT,
            batch.semantic_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
        ).loss

    return Trainee("t2s", t2s, loss, config)


def chain_trainee(name: str, config: ChainConfig, asr: ASRConfig, t2s: T2SConfig, sizes: TokenSizes) -> Trainee:
    """A chain of both on paired data; speech and text alone cost about as much for each frame.

    What T2S draws for text alone comes on top of it; see ``measure_drawing``.
    """
    chain = ChainModel(
        config.model,
        asr=TokenASR(asr.model, num_semantic=sizes.num_semantic, vocab_size=sizes.vocab_size),
        t2s=T2SModel(t2s.model, vocab_size=sizes.vocab_size, num_semantic=sizes.num_semantic),
    )

    def loss(batch: TokenBatch) -> torch.Tensor:
        generator = torch.Generator(device=batch.text_BL.device).manual_seed(0)
        output = chain(batch, temperature=1.0, generator=generator)
        return output.asr.loss + output.t2s.loss

    return Trainee(name, chain, loss, config)


def s2a_trainee(config: S2AConfig, sizes: TokenSizes) -> Trainee:
    """S2A."""
    s2a = S2AModel(
        config.model,
        num_semantic=sizes.num_semantic,
        num_quantizers=sizes.num_quantizers,
        codebook_size=sizes.codebook_size,
    )

    def loss(batch: TokenBatch) -> torch.Tensor:
        semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
        return s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B).loss

    return Trainee("s2a", s2a, loss, config)


def random_batch(lengths: np.ndarray, sizes: TokenSizes, data: DataConfig, *, input_layer: str) -> TokenBatch:
    """Random tokens, codes and texts.

    Args:
        lengths: Semantic frames of each utterance.
        sizes: Numbers of tokens, and frames of a text unit.
        data: Lengths of the prompts; each gets the middle one.
        input_layer: Of the ASR, whose CTC must be able to spell the texts.
    """
    random = np.random.default_rng(0)
    prompt = (data.min_prompt_frames + data.max_prompt_frames) // 2
    examples = []
    for number, length in enumerate(int(length) for length in lengths):
        most = max(encoder_frames(length, input_layer) // 2, 1)  # units that follow each other may be equal
        units = min(max(round(length / sizes.frames_per_unit), 1), most)
        semantic_T = random.integers(0, sizes.num_semantic, length + prompt)
        codes_TQ = random.integers(0, sizes.codebook_size, (length + prompt, sizes.num_quantizers))
        examples.append(
            Example(
                utt_id=f"random{number}",
                semantic_T=semantic_T[prompt:],
                text_L=random.integers(FIRST_UNIT, sizes.vocab_size - 1, units),
                prompt_P=semantic_T[:prompt],
                codes_TQ=codes_TQ[prompt:],
                prompt_codes_PQ=codes_TQ[:prompt],
            )
        )
    return collate(examples)
