"""Recognisers that know nothing of our tokens, for the word error rate of audio: Whisper and its like, pocketsphinx.

Shapes: N samples.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import torch

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import digest_of_tensors
from tokenchain_toolkit.metrics.measured_audio import RATE
from tokenchain_toolkit.metrics.pretrained import refuse_untrained
from tokenchain_toolkit.text.normalise import NORMALISERS, Normaliser, get_normaliser

POCKETSPHINX = "pocketsphinx"
WHISPER_ENGLISH = "whisper_english"
TEXT_NORMALISERS = (*NORMALISERS, WHISPER_ENGLISH)
WINDOW_SECONDS = 30  # what Whisper hears at once; longer audio is heard in several windows
BATCH_SIZE = 8


class Recogniser(Protocol):
    """Turns speech into text; ``family`` begins the name of its metric."""

    family: str

    def describe(self) -> dict[str, Any]:
        """Model id, sample rate and what else the figures depend on."""
        ...

    def transcribe(self, samples: Sequence[np.ndarray]) -> list[str]:
        """Text of each of some utterances, mono audio of shape (N,) at 16 kHz."""
        ...


class PocketsphinxRecogniser:
    """The US English model that the package pocketsphinx carries: weak, but there without a download."""

    family = POCKETSPHINX

    def describe(self) -> dict[str, Any]:
        """The model lies inside the package of that version."""
        return {"model": f"pocketsphinx {version('pocketsphinx')}: en-us", "sample_rate": RATE}

    def transcribe(self, samples: Sequence[np.ndarray]) -> list[str]:
        """Text of each utterance."""
        return [self._transcribe_one(samples_N) for samples_N in samples]

    def _transcribe_one(self, samples_N: np.ndarray) -> str:
        from pocketsphinx import Decoder

        # A decoder adapts to what it has heard; a new one makes the text independent of the utterances before.
        decoder = Decoder(samprate=RATE, loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw((samples_N * 32767).astype(np.int16).tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""


class TransformersRecogniser:
    """A recogniser of transformers: Whisper, another sequence-to-sequence model, or CTC.

    Decoding is greedy, so the text is the same at every run.

    Args:
        model: Local folder or hub id.
        language: Language that a multilingual Whisper shall write; None lets it guess for each utterance.
        device: Torch device.

    Raises:
        ConfigError: It cannot be loaded, takes another rate than 16 kHz, or cannot be told a language.
    """

    def __init__(self, model: str, *, language: str | None = None, device: str = "cpu"):
        try:
            self._pipeline = _load_pipeline(model, device=device)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"recogniser {model}: cannot be loaded ({str(error).strip().splitlines()[0]}); name a local folder "
                f"or reachable hub id of a recogniser, such as openai/whisper-small, or {POCKETSPHINX}"
            ) from error
        rate = getattr(self._pipeline.feature_extractor, "sampling_rate", None)
        if rate != RATE:
            raise ConfigError(f"recogniser {model}: takes {rate} Hz, not {RATE} Hz")
        self.family = self._pipeline.model.config.model_type
        self._model, self._language = model, language
        generation = getattr(self._pipeline.model, "generation_config", None)  # CTC generates nothing
        if language and not getattr(generation, "is_multilingual", False):
            raise ConfigError(f"recogniser {model}: writes one language only; leave --language away")

    def describe(self) -> dict[str, Any]:
        """Model id and a hash of the weights, which is the same wherever its folder lies."""
        return {
            "model": self._model,
            "weights_sha256": digest_of_tensors(self._pipeline.model.state_dict()),
            "sample_rate": RATE,
            "language": self._language,
            "decoding": "greedy",
        }

    def transcribe(self, samples: Sequence[np.ndarray]) -> list[str]:
        """Text of each utterance, in batches where padding changes nothing: Whisper always hears whole windows."""
        short = [len(samples_N) <= WINDOW_SECONDS * RATE for samples_N in samples]
        texts = [""] * len(samples)
        batch_size = BATCH_SIZE if self.family == "whisper" else 1
        for is_short in (True, False):
            places = [place for place, each in enumerate(short) if each is is_short]
            inputs = [{"raw": samples[place], "sampling_rate": RATE} for place in places]
            if inputs:
                found = self._pipeline(inputs, batch_size=batch_size if is_short else 1, **self._options(is_short))
                for place, each in zip(places, found, strict=True):
                    texts[place] = each["text"].strip()
        return texts

    def _options(self, is_short: bool) -> dict[str, Any]:
        """Decoding options; audio beyond the window needs time stamps in Whisper and chunks in CTC."""
        if self._pipeline.type == "ctc":
            return {} if is_short else {"chunk_length_s": WINDOW_SECONDS}
        generate: dict[str, Any] = {"num_beams": 1, "do_sample": False}
        if self.family != "whisper":
            return {"generate_kwargs": generate}
        if self._language:
            generate |= {"language": self._language, "task": "transcribe"}
        return {"generate_kwargs": generate} if is_short else {"generate_kwargs": generate, "return_timestamps": True}


def _load_pipeline(model: str, *, device: str) -> Any:
    """The model with its tokenizer and preprocessor, from a local folder or the hub.

    Raises:
        OSError, ValueError: Files are missing, or are those of another kind of model.
    """
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModelForCTC,
        AutoModelForSpeechSeq2Seq,
        AutoTokenizer,
        pipeline,
    )
    from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES

    writes = AutoConfig.from_pretrained(model).model_type in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
    kind = AutoModelForSpeechSeq2Seq if writes else AutoModelForCTC
    network, loaded = kind.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
    refuse_untrained(loaded["missing_keys"])
    return pipeline(
        "automatic-speech-recognition",
        model=network,
        tokenizer=AutoTokenizer.from_pretrained(model),
        feature_extractor=AutoFeatureExtractor.from_pretrained(model),
        device=device,
    )


def load_recogniser(name: str, *, language: str | None = None, device: str = "cpu") -> Recogniser:
    """``pocketsphinx``, or a model of transformers by its folder or hub id.

    Raises:
        ConfigError: The model cannot be loaded, or cannot be told the language.
    """
    if name != POCKETSPHINX:
        return TransformersRecogniser(name, language=language, device=device)
    if language not in (None, "en"):
        raise ConfigError(f"--language {language}: pocketsphinx carries English only; name another --recogniser")
    return PocketsphinxRecogniser()


def text_normaliser(name: str) -> Normaliser:
    """What both sides go through before words are compared.

    ``whisper_english`` is Whisper's own without its table of British spellings: it writes numbers in digits, as Whisper
    does, and undoes contractions.
    """
    if name != WHISPER_ENGLISH:
        return get_normaliser(name)
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normalise: Callable[[str], str] = EnglishTextNormalizer({})
    return normalise
