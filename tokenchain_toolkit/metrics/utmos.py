"""How natural speech sounds by UTMOS, the strong learner of Saeki et al. 2022 (arXiv 2204.02152).

Its weights are a plain dictionary of tensors, ``utmos22_strong_step7459_v1.pt`` of the releases of tarepan/SpeechMOS.
The encoder in them is wav2vec 2.0 under fairseq's names; here transformers' one takes them.

Shapes: N samples, T frames, D features of the encoder, E those of an embedding.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import sha256_of
from tokenchain_toolkit.metrics.measured_audio import RATE, Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError

if TYPE_CHECKING:
    from transformers import Wav2Vec2Config

UTMOS = "utmos"
SHOWN_CHARACTERS = 200
STRIDES = (5, 2, 2, 2, 2, 2, 2)
HEAD_DIM = 64
MIDDLE, SCALE = 3.0, 2.0  # the network's output is within -1 to 1, an opinion within 1 to 5
ENCODER = "wav2vec2."
# fairseq's names -> transformers', of one weight each; the first that fits.
NAMES = (
    (r"mask_emb", "masked_spec_embed"),
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"encoder\.pos_conv\.0\.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (r"encoder\.layers\.(\d+)\.fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (r"encoder\.layers\.(\d+)\.fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
)


class Utmos(nn.Module):
    """Speech in, an opinion from about 1 to 5 out.

    Args:
        weights: Name -> tensor, as published.

    Raises:
        KeyError: A weight is missing.
        RuntimeError: One is too many, or of another shape than the others say.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]):
        super().__init__()
        from transformers import Wav2Vec2Model

        self.wav2vec2 = Wav2Vec2Model(_encoder_config(weights))
        hidden, width = weights["projection.0.weight"].shape
        self.domain_emb = nn.Parameter(torch.empty_like(weights["domain_emb"]))
        self.judge_emb = nn.Parameter(torch.empty_like(weights["judge_emb"]))
        features = weights["blstm.weight_ih_l0"].shape[1]
        self.blstm = nn.LSTM(features, width // 2, batch_first=True, bidirectional=True)
        self.projection = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.load_state_dict({_renamed(name): tensor for name, tensor in weights.items()})
        self.eval()

    @torch.inference_mode()
    def forward(self, samples_1N: torch.Tensor) -> torch.Tensor:
        """The opinion of one utterance at 16 kHz: no batches, since padding would be heard."""
        encoded_1TD = self.wav2vec2(samples_1N).last_hidden_state
        embeddings_E = torch.cat([self.domain_emb, self.judge_emb], dim=1)
        condition_1TE = embeddings_E.expand(1, encoded_1TD.shape[1], -1)
        frames_1T1 = self.projection(self.blstm(torch.cat([encoded_1TD, condition_1TE], dim=2))[0])
        return MIDDLE + SCALE * frames_1T1.mean()


def load_utmos(path: Path, *, device: str) -> Utmos:
    """UTMOS with the published weights.

    Raises:
        ConfigError: The file is not there, or holds something else.
    """
    if not path.is_file():
        raise ConfigError(
            f"--utmos {path} is no file; name utmos22_strong_step7459_v1.pt of tarepan/SpeechMOS's releases"
        )
    try:
        return Utmos(torch.load(path, map_location="cpu", weights_only=True)).to(device)
    except Exception as error:
        why = " ".join(str(error).split())[:SHOWN_CHARACTERS]
        raise ConfigError(
            f"--utmos {path} does not hold the weights of UTMOS strong ({type(error).__name__}: {why}); name "
            "utmos22_strong_step7459_v1.pt of tarepan/SpeechMOS's releases"
        ) from error


def measure_utmos(speech: Speech, path: Path, *, device: str) -> Measurement:
    """UTMOS of every utterance."""
    from tqdm import tqdm

    model = load_utmos(path, device=device)
    found = Measurement(UTMOS, {"model": "UTMOS22 strong", "sample_rate": RATE, "weights_sha256": sha256_of(path)})
    for utt_id, wav in tqdm(speech.wavs.items(), desc="UTMOS", unit="utt", disable=None):
        try:
            samples_N = read_speech(wav)
        except UnmeasurableError as error:
            found.left_out[utt_id] = f"{wav} {error}"
            continue
        samples_1N = torch.from_numpy(np.ascontiguousarray(samples_N[None], dtype=np.float32))
        found.add(utt_id, float(model(samples_1N.to(device))))
    return found


def _renamed(name: str) -> str:
    """A weight's name here."""
    if not name.startswith(ENCODER):
        return name
    inner = name.removeprefix(ENCODER)
    for pattern, replacement in NAMES:
        changed, count = re.subn(f"^{pattern}", replacement, inner)
        if count:
            return ENCODER + changed
    return name


def _encoder_config(weights: Mapping[str, torch.Tensor]) -> "Wav2Vec2Config":
    """The encoder's sizes, as its weights have them."""
    from transformers import Wav2Vec2Config

    def shape(name: str) -> torch.Size:
        return weights[ENCODER + name].shape

    convs = [shape(f"feature_extractor.conv_layers.{layer}.0.weight") for layer in range(len(STRIDES))]
    width, group, positions = shape("encoder.pos_conv.0.weight_v")
    return Wav2Vec2Config(
        hidden_size=width,
        num_hidden_layers=sum(name.endswith(".fc1.weight") for name in weights),
        num_attention_heads=width // HEAD_DIM,
        intermediate_size=shape("encoder.layers.0.fc1.weight")[0],
        conv_dim=[each[0] for each in convs],
        conv_stride=list(STRIDES),
        conv_kernel=[each[2] for each in convs],
        conv_bias=False,
        num_conv_pos_embeddings=positions,
        num_conv_pos_embedding_groups=width // group,
        feat_extract_norm="group",
        do_stable_layer_norm=False,
    )
