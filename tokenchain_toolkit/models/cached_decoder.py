"""One step of a Transformer decoder at a time, without computing the past anew.

Shapes: B utterances, W hypotheses of each, N = B * W, S encoder frames, V text units, L text positions, D features,
H heads, E features of each.
"""

from typing import Any

import torch
import torch.nn.functional as F


class CachedDecoder:
    """One step of ESPnet's Transformer decoder, with the keys and values of encoder frames and of past units kept.

    ESPnet's own step computes them anew every time, which takes most of a search.

    Args:
        decoder: ESPnet's decoder, in evaluation mode.
        memory_BSD: Encoder states.
        is_frame_BS: False at padding.
    """

    def __init__(self, decoder: Any, memory_BSD: torch.Tensor, is_frame_BS: torch.Tensor):
        self.decoder = decoder
        self.is_frame_B11S = is_frame_BS[:, None, None]
        self.memories = [_keys_and_values(layer.src_attn, memory_BSD) for layer in decoder.decoders]
        self.past: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, ids_NL: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the next unit, (N, V)."""
        state_N1D = self.decoder.embed(ids_NL)[:, -1:]
        past = []
        for index, layer in enumerate(self.decoder.decoders):
            normed_N1D = layer.norm1(state_N1D)
            keys_NHLE, values_NHLE = _keys_and_values(layer.self_attn, normed_N1D)
            if self.past:
                keys_NHLE = torch.cat([self.past[index][0], keys_NHLE], dim=2)
                values_NHLE = torch.cat([self.past[index][1], values_NHLE], dim=2)
            past.append((keys_NHLE, values_NHLE))
            state_N1D = state_N1D + _attend(layer.self_attn, normed_N1D, keys_NHLE, values_NHLE)
            # The hypotheses of an utterance are queries to the same frames.
            queries_BWD = layer.norm2(state_N1D).view(len(self.is_frame_B11S), -1, state_N1D.shape[2])
            heard_BWD = _attend(layer.src_attn, queries_BWD, *self.memories[index], mask=self.is_frame_B11S)
            state_N1D = state_N1D + heard_BWD.reshape(state_N1D.shape)
            state_N1D = state_N1D + layer.feed_forward(layer.norm3(state_N1D))
        self.past = past
        return self.decoder.output_layer(self.decoder.after_norm(state_N1D[:, 0])).log_softmax(-1)

    def keep(self, rows_N: torch.Tensor) -> None:
        """Go on with these of the N hypotheses."""
        self.past = [(keys_NHLE[rows_N], values_NHLE[rows_N]) for keys_NHLE, values_NHLE in self.past]


def _keys_and_values(attention: Any, states_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _in_heads(attention, attention.linear_k(states_BTD)), _in_heads(attention, attention.linear_v(states_BTD))


def _attend(
    attention: Any,
    queries_BTD: torch.Tensor,
    keys_BHSE: torch.Tensor,
    values_BHSE: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    queries_BHTE = _in_heads(attention, attention.linear_q(queries_BTD))
    heard_BHTE = F.scaled_dot_product_attention(queries_BHTE, keys_BHSE, values_BHSE, attn_mask=mask)
    return attention.linear_out(heard_BHTE.transpose(1, 2).flatten(2))


def _in_heads(attention: Any, states_BTD: torch.Tensor) -> torch.Tensor:
    return states_BTD.unflatten(2, (attention.h, attention.d_k)).transpose(1, 2)
