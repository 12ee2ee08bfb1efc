"""Discrete-token ASR: embedding, E-Branchformer encoder with CTC, Transformer decoder (ESPnet's modules).

Shapes: B utterances, T semantic frames, S encoder frames, L text positions (with the end symbol), V text units.
"""

import contextlib
import io
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.config.asr import INPUT_LAYERS, ASRModelConfig
from tokenchain_toolkit.models.batch import BatchSize
from tokenchain_toolkit.models.sequences import IGNORE_ID, add_sos_eos, ctc_frames_needed, valid_mask

Frames = TypeVar("Frames", int, torch.Tensor)
BLANK_ID = 0


@dataclass
class ASROutput:
    """Losses of one batch, each a mean per text unit, and what the chain needs of the decoder."""

    loss: torch.Tensor
    ctc_loss: torch.Tensor
    attention_loss: torch.Tensor
    accuracy: torch.Tensor
    logits_BLV: torch.Tensor
    targets_BL: torch.Tensor
    memory_BSD: torch.Tensor
    memory_lengths_B: torch.Tensor


class TokenASR(nn.Module):
    """Semantic tokens in, text units out.

    Args:
        config: Sizes and loss weights.
        num_semantic: Number of semantic clusters.
        vocab_size: Text units, with blank 0 and sos/eos last.
    """

    def __init__(self, config: ASRModelConfig, *, num_semantic: int, vocab_size: int):
        super().__init__()
        # ESPnet prints at import that flash-attn, which nothing here needs, is not installed.
        with contextlib.redirect_stdout(io.StringIO()):
            from espnet2.asr.ctc import CTC
            from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
            from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder
            from espnet2.layers.mask_along_axis import MaskAlongAxisVariableMaxWidth
        self.config = config
        self.sos_eos_id = vocab_size - 1
        self.embed = nn.Embedding(num_semantic, config.embed_dim)
        self.embed_dropout = nn.Dropout(config.dropout)
        self.time_mask = MaskAlongAxisVariableMaxWidth(
            mask_width_ratio_range=(0.0, config.time_mask_ratio), num_mask=max(config.num_time_masks, 1), dim="time"
        )
        self.encoder = EBranchformerEncoder(
            input_size=config.embed_dim,
            output_size=config.encoder_dim,
            attention_heads=config.attention_heads,
            attention_layer_type="rel_selfattn",
            pos_enc_layer_type="rel_pos",
            rel_pos_type="latest",
            cgmlp_linear_units=config.cgmlp_units,
            cgmlp_conv_kernel=config.cgmlp_kernel,
            num_blocks=config.encoder_blocks,
            dropout_rate=config.dropout,
            positional_dropout_rate=config.dropout,
            attention_dropout_rate=config.dropout,
            input_layer=config.input_layer,
            linear_units=config.feed_forward_units,
            use_ffn=True,
            macaron_ffn=True,
            merge_conv_kernel=config.merge_kernel,
        )
        self.ctc = CTC(odim=vocab_size, encoder_output_size=config.encoder_dim)
        self.decoder = TransformerDecoder(
            vocab_size=vocab_size,
            encoder_output_size=config.encoder_dim,
            attention_heads=config.attention_heads,
            linear_units=config.decoder_units,
            num_blocks=config.decoder_layers,
            dropout_rate=config.dropout,
            positional_dropout_rate=config.dropout,
            self_attention_dropout_rate=config.dropout,
            src_attention_dropout_rate=config.dropout,
        )

    def encode(self, semantic_BT: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (B, S, D) and their lengths (B,)."""
        embedded_BTE = self.embed_dropout(self.embed(semantic_BT))
        if self.training and self.config.num_time_masks > 0 and self.config.time_mask_ratio > 0:
            embedded_BTE, _ = self.time_mask(embedded_BTE, lengths_B)
        # A share of a batch may be padded beyond its own longest utterance, which ESPnet would not expect by itself.
        is_padding_BT = ~valid_mask(lengths_B, semantic_BT.shape[1])
        memory_BSD, _, _ = self.encoder(embedded_BTE, lengths_B, masks=is_padding_BT)
        # Not ESPnet's own lengths: those count up to two frames of padding, which an utterance alone does not have.
        return memory_BSD, _subsampled(lengths_B, self.config.input_layer)

    def forward(
        self,
        semantic_BT: torch.Tensor,
        lengths_B: torch.Tensor,
        text_BL: torch.Tensor,
        text_lengths_B: torch.Tensor,
        *,
        size: BatchSize | None = None,
    ) -> ASROutput:
        """Teacher-forced losses: L_ASR = (1 - eta) L_CE + eta L_CTC.

        Args:
            semantic_BT: Semantic tokens, padded with any valid id.
            lengths_B: Frames per utterance.
            text_BL: Text ids, padded with any valid id.
            text_lengths_B: Text ids per utterance.
            size: What sums are divided by; the utterances given here make up the whole batch if None.
        """
        num_units = text_lengths_B.sum() if size is None else size.units
        num_targets = num_units + len(text_lengths_B) if size is None else size.text_targets
        memory_BSD, memory_lengths_B = self.encode(semantic_BT, lengths_B)
        logits_BLV, targets_BL = self.decode(memory_BSD, memory_lengths_B, text_BL, text_lengths_B)
        attention_loss = F.cross_entropy(
            logits_BLV.transpose(1, 2).float(),
            targets_BL,
            ignore_index=IGNORE_ID,
            label_smoothing=self.config.label_smoothing,
            reduction="sum",
        )
        attention_loss = attention_loss / num_targets
        ctc_loss = self._ctc_loss(memory_BSD, memory_lengths_B, text_BL, text_lengths_B) / num_units
        eta = self.config.ctc_weight
        return ASROutput(
            loss=(1 - eta) * attention_loss + eta * ctc_loss,
            ctc_loss=ctc_loss,
            attention_loss=attention_loss,
            accuracy=(logits_BLV.argmax(-1) == targets_BL).sum() / num_targets,
            logits_BLV=logits_BLV,
            targets_BL=targets_BL,
            memory_BSD=memory_BSD,
            memory_lengths_B=memory_lengths_B,
        )

    def decode(
        self,
        memory_BSD: torch.Tensor,
        memory_lengths_B: torch.Tensor,
        text_BL: torch.Tensor,
        text_lengths_B: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced scores of the attention decoder and the targets they are for, with the end symbol last."""
        inputs_BL, targets_BL = add_sos_eos(text_BL, text_lengths_B, sos_eos_id=self.sos_eos_id)
        # ESPnet's masks are as wide as the longest text, so what is padded further would not fit them.
        longest = int(text_lengths_B.max()) + 1
        logits_BLV, _ = self.decoder(memory_BSD, memory_lengths_B, inputs_BL[:, :longest], text_lengths_B + 1)
        return F.pad(logits_BLV, (0, 0, 0, inputs_BL.shape[1] - longest)), targets_BL

    def _ctc_loss(
        self,
        memory_BSD: torch.Tensor,
        memory_lengths_B: torch.Tensor,
        text_BL: torch.Tensor,
        text_lengths_B: torch.Tensor,
    ) -> torch.Tensor:
        """Sum of the CTC losses; the dataset has already refused utterances with too few frames."""
        log_probs_SBV = self.ctc.log_softmax(memory_BSD).float().transpose(0, 1)
        return F.ctc_loss(log_probs_SBV, text_BL, memory_lengths_B, text_lengths_B, blank=BLANK_ID, reduction="sum")

    def can_spell(self, num_frames: int, text_L: torch.Tensor) -> bool:
        """Whether CTC has enough encoder frames for a text."""
        return encoder_frames(num_frames, self.config.input_layer) >= ctc_frames_needed(text_L)

    @torch.no_grad()
    def ctc_greedy(self, memory_BSD: torch.Tensor, memory_lengths_B: torch.Tensor) -> list[list[int]]:
        """Best CTC path of each utterance, repeats merged and blanks removed."""
        path_BS = self.ctc.argmax(memory_BSD)
        keep_BS = emitting_frames(path_BS, memory_lengths_B)
        return [row[keep].tolist() for row, keep in zip(path_BS, keep_BS, strict=True)]


def emitting_frames(path_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
    """True where a CTC path emits a unit: at the first frame of each run that is not blank; shape (B, S)."""
    is_new_BS = torch.ones_like(path_BS, dtype=torch.bool)
    is_new_BS[:, 1:] = path_BS[:, 1:] != path_BS[:, :-1]
    return is_new_BS & valid_mask(lengths_B, path_BS.shape[1]) & (path_BS != BLANK_ID)


def encoder_frames(num_frames: int, input_layer: str) -> int:
    """Encoder frames S for T semantic frames; 0 when the utterance is too short for the input layer."""
    return 0 if num_frames < INPUT_LAYERS[input_layer][1] else _subsampled(num_frames, input_layer)


def _subsampled(num_frames: Frames, input_layer: str) -> Frames:
    """Encoder frames of utterances that are long enough."""
    if input_layer == "linear":
        return num_frames
    # Both convolutions are unpadded; the second has the stride (ESPnet's Conv1dSubsampling).
    stride = INPUT_LAYERS[input_layer][0]
    second_kernel = {1: 3, 2: 3, 3: 5}[stride]
    return (num_frames - 2 - second_kernel) // stride + 1


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
