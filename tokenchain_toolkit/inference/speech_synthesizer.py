"""From semantic tokens and a voice to audio: S2A, then the codec's decoder.

Shapes: T semantic frames, F acoustic frames, Q quantizers, N samples, k semantic tokens of one acoustic frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.data.dataset import Example
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.s2a_decoding import predict_codes
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.tokenizers.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True)
class SpeechTokens:
    """One utterance, each half at its own frame rate: semantic tokens (T,) and acoustic codes (F, Q), both int16."""

    semantic_T: np.ndarray
    codes_FQ: np.ndarray


class SpeechSynthesizer:
    """Speaks semantic tokens in the voice of a prompt, which is any speech of the wanted speaker.

    Args:
        tokenizer: Its codec decodes.
        s2a: In evaluation mode, trained on tokens of that tokenizer.
        config: Passes, temperature, batch size, and how many frames of a prompt are listened to.
    """

    def __init__(self, tokenizer: Tokenizer, s2a: S2AModel, *, config: S2ADecodingConfig):
        self.tokenizer, self.s2a, self.config = tokenizer, s2a, config
        self.rates = FrameRates.of(tokenizer.manifest)
        self.sample_rate = tokenizer.output_rate

    @classmethod
    def load(
        cls, tokenizer: str | Path, s2a: str | Path, *, config: S2ADecodingConfig | None = None, device: str = "cpu"
    ) -> "SpeechSynthesizer":
        """Load both from their folders.

        Args:
            tokenizer: ``exp/tokenizer_<tag>``.
            s2a: ``exp/s2a``.
            config: Decoding; the defaults if None.
            device: Torch device.

        Raises:
            DataError: A file is missing or damaged.
            TokenizerMismatchError: S2A was trained on tokens of another tokenizer.
        """
        loaded, saved = load_tokenizer(Path(tokenizer), device=device), load_model(Path(s2a), kind="s2a")
        assert isinstance(saved.module, S2AModel)
        names = {"our_name": str(tokenizer), "their_name": str(s2a)}
        check_same_tokenizer(loaded.manifest, saved.manifest, parts=("semantic", "acoustic"), **names)
        return cls(loaded, saved.module.to(device), config=config or S2ADecodingConfig())

    def encode(self, path: str | Path) -> SpeechTokens:
        """Tokens of an audio file.

        Raises:
            DataError: It is not readable or too short, or the tokenizer has no codec.
        """
        semantic_T, codes_FQ = self.tokenizer.encode_file(path, name=str(path))
        if codes_FQ is None:
            raise DataError("this tokenizer has no acoustic codec; learn one with codec.enabled=true")
        return SpeechTokens(semantic_T, codes_FQ)

    def speak(self, semantic: Sequence[np.ndarray], prompts: Sequence[SpeechTokens]) -> list[np.ndarray]:
        """Audio of semantic tokens, each in the voice of its prompt.

        Args:
            semantic: Tokens of each utterance, shape (T,).
            prompts: Speech of the wanted speaker for each; of longer speech the middle is taken.

        Returns:
            Samples (N,) at ``sample_rate``, each as long as its tokens last.
        """
        pairs = zip(semantic, prompts, strict=True)
        return self.speak_examples([self._example(semantic_T, prompt) for semantic_T, prompt in pairs])

    def convert(self, sources: Sequence[SpeechTokens], prompts: Sequence[SpeechTokens]) -> list[np.ndarray]:
        """What the sources say in the voices of the prompts; with a source as its own prompt it is resynthesised."""
        return self.speak([source.semantic_T for source in sources], prompts)

    def speak_examples(self, examples: Sequence[Example]) -> list[np.ndarray]:
        """Audio of examples that hold prompts already.

        Args:
            examples: Semantic tokens and prompts at acoustic frames; the target's codes are not looked at.
        """
        codes = predict_codes(self.s2a, examples, config=self.config)
        return self.tokenizer.decode([example.semantic_T for example in examples], codes)

    def _example(self, semantic_T: np.ndarray, prompt: SpeechTokens) -> Example:
        """Everything at the rate of the acoustic frames, the prompt cut to its middle."""
        num_frames = len(prompt.codes_FQ)
        length = min(self.config.prompt_frames, num_frames)
        crop = slice((num_frames - length) // 2, (num_frames - length) // 2 + length)
        return Example(
            utt_id="",
            semantic_T=self.rates.align(semantic_T, self.rates.acoustic_frames(len(semantic_T))),
            text_L=np.zeros(0, np.int32),
            prompt_P=self.rates.align(prompt.semantic_T, num_frames)[crop],
            codes_TQ=unknown_codes(self.rates.acoustic_frames(len(semantic_T)), self.s2a.num_quantizers),
            prompt_codes_PQ=prompt.codes_FQ[crop],
        )


def unknown_codes(num_frames: int, num_quantizers: int) -> np.ndarray:
    """What stands in for the codes that S2A is to find, int16 (F, Q)."""
    return np.zeros((num_frames, num_quantizers), np.int16)
