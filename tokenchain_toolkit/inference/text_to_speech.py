"""From text and a voice to audio: T2S draws semantic tokens, S2A and the codec make them sound.

Shapes: T semantic frames, L text ids, N samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.data.dataset import Example
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.inference.generation import speak_examples
from tokenchain_toolkit.inference.listening import load_listener
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model
from tokenchain_toolkit.inference.speech_synthesizer import SpeechSynthesizer, SpeechTokens
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.tokenizers.unit_dump import Units


@dataclass(frozen=True)
class SpokenText:
    """One text as speech.

    Attributes:
        samples_N: Audio.
        semantic_T: The semantic tokens behind it, one per frame.
        faults: What is bad about the draw, of ``unended``, ``loop``, ``length`` and ``misread``; none if it is good.
    """

    samples_N: np.ndarray
    semantic_T: np.ndarray
    faults: tuple[str, ...]


class TextToSpeech:
    """Speaks texts in the voices of prompts.

    Args:
        t2s: T2S model.
        synthesizer: S2A and codec.
        units: Where T2S draws units instead of frames.
        sampling: How T2S draws, and what it draws again.
        natural: What natural speech is like, for ``retries``; see `generation.read_norms`.
        listener: Folder of the ASR that reads what T2S draws, where ``sampling`` asks for one.
        device: Torch device of T2S.

    Raises:
        ConfigError: T2S draws units, and there are none here, or there is no listener, and ``sampling`` asks for one.
        TokenizerMismatchError: The parts were trained on tokens of different tokenizers.
    """

    def __init__(  # noqa: PLR0913
        self,
        t2s: SavedModel,
        synthesizer: SpeechSynthesizer,
        *,
        units: Units | None = None,
        sampling: T2SSamplingConfig | None = None,
        natural: SpeechNorms | None = None,
        listener: str | Path | None = None,
        device: str = "cpu",
    ):
        assert isinstance(t2s.module, T2SModel) and t2s.text_tokenizer is not None
        ours = synthesizer.tokenizer.manifest
        if units is not None:
            check_same_tokenizer(ours, units.source, our_name="the tokenizer", their_name=str(units.folder))
            ours = units.manifest
        elif t2s.manifest["semantic"].get("deduplicated"):
            raise ConfigError("this T2S draws units, not frames; name the folder that learn_units wrote (--units)")
        check_same_tokenizer(ours, t2s.manifest, our_name="the tokenizer", their_name="T2S")
        self.synthesizer, self.units = synthesizer, units
        self.sampling, self.natural = sampling or T2SSamplingConfig(), natural
        self.sample_rate = synthesizer.sample_rate
        folder = Path(listener) if listener else None
        self._listener = load_listener(folder, t2s, self.sampling, t2s_name="T2S", device=device)
        self._t2s, self._text_tokenizer = t2s.module.to(device), t2s.text_tokenizer

    @classmethod
    def load(  # noqa: PLR0913
        cls,
        *,
        t2s: str | Path,
        s2a: str | Path,
        tokenizer: str | Path,
        units: str | Path | None = None,
        sampling: T2SSamplingConfig | None = None,
        decoding: S2ADecodingConfig | None = None,
        natural: SpeechNorms | None = None,
        listener: str | Path | None = None,
        device: str = "cpu",
    ) -> "TextToSpeech":
        """Load all parts from their folders.

        Args:
            t2s: ``exp/t2s`` or ``exp/chain_<name>/t2s``.
            s2a: ``exp/s2a``.
            tokenizer: ``exp/tokenizer_<tag>``.
            units: ``exp/units_<tag>``, where T2S was trained on units.
            sampling: Of T2S; the defaults if None.
            decoding: Of S2A; the defaults if None.
            natural: As in the constructor.
            listener: ``exp/asr`` or ``exp/chain_<name>/asr``, where ``sampling`` asks for one.
            device: Torch device.

        Raises:
            DataError: A file is missing or damaged.
            ConfigError: T2S draws units, and ``units`` is None, or there is no listener, and ``sampling`` asks for one.
            TokenizerMismatchError: The parts were trained on tokens of different tokenizers.
        """
        return cls(
            load_model(Path(t2s), kind="t2s"),
            SpeechSynthesizer.load(Path(tokenizer), Path(s2a), config=decoding, device=device),
            units=Units(Path(units)) if units else None,
            sampling=sampling,
            natural=natural,
            listener=listener,
            device=device,
        )

    def __call__(
        self,
        texts: Sequence[str],
        prompts: Sequence[str | Path],
        *,
        names: Sequence[str] | None = None,
        prompt_texts: Sequence[str] | None = None,
    ) -> list[SpokenText]:
        """Speak texts.

        Args:
            texts: What to say.
            prompts: Audio file of the wanted voice for each text; a file that stands several times is read once.
            names: Of the texts, for messages; what is drawn depends on them, too.
            prompt_texts: What is said in each prompt, empty where it is not known. A T2S that takes prompts gives a
                slow speaker as much more time.

        Raises:
            DataError: A text is empty or has a character that T2S does not know, or a prompt is not usable.
        """
        names = names or [repr(text) for text in texts]
        empty = [name for name, text in zip(names, texts, strict=True) if not text.strip()]
        if empty:
            raise DataError(f"{empty[0]}: there is no text to speak; give some words, or leave it out")
        ids = [self._text_tokenizer.encode(text, utt_id=name) for name, text in zip(names, texts, strict=True)]
        voices = {path: self.synthesizer.encode(path) for path in dict.fromkeys(prompts)}
        chosen = [voices[path] for path in prompts]
        said = [
            self._text_tokenizer.encode(text, utt_id=f"the prompt of {name}")
            for name, text in zip(names, prompt_texts or [""] * len(names), strict=True)
        ]
        drawn = self._draw(names, ids, chosen, said)
        semantic = [tokens_T for tokens_T, _ in drawn]
        audio = self.synthesizer.speak(semantic, chosen)
        return [SpokenText(*parts) for parts in zip(audio, semantic, (faults for _, faults in drawn), strict=True)]

    def _draw(
        self,
        names: Sequence[str],
        ids: Sequence[Sequence[int]],
        prompts: Sequence[SpeechTokens],
        said: Sequence[Sequence[int]],
    ) -> list[tuple[np.ndarray, tuple[str, ...]]]:
        """Semantic tokens of each text, one per frame, and what is bad about them; ``said`` is what the prompts say."""
        examples = []
        for name, text_L, prompt, prompt_text_L in zip(names, ids, prompts, said, strict=True):
            tokens_P = self._tokens_of(prompt)
            prefix_P = self._middle(tokens_P)
            examples.append(
                Example(
                    utt_id=name,
                    semantic_T=np.zeros(0, np.int16),
                    text_L=np.asarray(text_L, dtype=np.int32),
                    prompt_P=prefix_P,
                    prompt_text_L=np.asarray(prompt_text_L, dtype=np.int32),
                    prompt_utt_frames=len(tokens_P) if len(prefix_P) else 0,
                )
            )
        found = {}
        drawn = speak_examples(self._t2s, examples, config=self.sampling, natural=self.natural, listener=self._listener)
        for place, speech in drawn:
            tokens_T = speech.semantic_T.cpu().numpy().astype(np.int16)
            found[place] = self.units.expand(tokens_T) if self.units else tokens_T, speech.faults
        return [found[place] for place in range(len(examples))]

    def _tokens_of(self, prompt: SpeechTokens) -> np.ndarray:
        """The prompt's semantic tokens as T2S knows them."""
        return self.units.encode(prompt.semantic_T)[0] if self.units else prompt.semantic_T

    def _middle(self, tokens_P: np.ndarray) -> np.ndarray:
        """What T2S is given of a prompt before the text's own tokens; empty if ``prompt_frames`` is 0."""
        length = min(self.sampling.prompt_frames, len(tokens_P))
        start = (len(tokens_P) - length) // 2
        return tokens_P[start : start + length]
