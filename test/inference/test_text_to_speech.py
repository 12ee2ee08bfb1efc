"""Speech from text and from other speech: lengths, voices, batches, units, and parts that do not belong together."""

import numpy as np
import pytest

from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.errors import ConfigError, DataError, TokenizerMismatchError
from tokenchain_toolkit.inference.speech_synthesizer import SpeechSynthesizer
from tokenchain_toolkit.inference.text_to_speech import TextToSpeech
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.tokenizers.unit_dump import Units

COLD_T2S = T2SSamplingConfig(temperature=0.0, max_frames_per_token=5.0, prompt_frames=7)
COLD_S2A = S2ADecodingConfig(first_level_steps=2, temperature=0.0, prompt_frames=20)
TEXTS = ("abc", "cab de", "ea")


@pytest.fixture(scope="module")
def speech(parts):
    return TextToSpeech.load(
        t2s=parts.t2s, s2a=parts.s2a, tokenizer=parts.tokenizer, sampling=COLD_T2S, decoding=COLD_S2A
    )


@pytest.fixture(scope="module")
def voices(parts):
    return [parts.wavs[utt_id] for utt_id in ("b-1", "a-0", "b-1")]


def test_texts_are_spoken_together_as_they_are_alone(speech, voices):
    together = speech(TEXTS, voices)
    for text, voice, spoken in zip(TEXTS, voices, together, strict=True):
        (alone,) = speech([text], [voice])
        assert np.array_equal(spoken.semantic_T, alone.semantic_T) and spoken.faults == alone.faults
        assert np.allclose(spoken.samples_N, alone.samples_N, atol=1e-5)
        assert len(spoken.samples_N) == len(spoken.semantic_T) * speech.synthesizer.tokenizer.hop_length
    assert len({spoken.semantic_T.tobytes() for spoken in together}) > 1


def test_what_a_prompt_says_tells_how_slowly_its_speaker_speaks(speech, voices, monkeypatch):
    heard = {}

    def pace_of(t2s, text_L, num_frames):
        heard[tuple(text_L)] = num_frames
        return 2.0

    monkeypatch.setattr(T2SModel, "pace_of", pace_of)
    speech(TEXTS[:2], voices[:2], prompt_texts=["abc de", ""])
    frames = [len(speech.synthesizer.encode(voice).semantic_T) for voice in voices[:2]]
    said = speech._text_tokenizer.encode("abc de", utt_id="any")
    assert heard == {tuple(said): frames[0], (): frames[1]}


def test_what_does_not_end_is_said_to_be_bad(parts, voices):
    sampling = T2SSamplingConfig(temperature=0.0, max_frames_per_token=0.5)
    short = TextToSpeech.load(t2s=parts.t2s, s2a=parts.s2a, tokenizer=parts.tokenizer, sampling=sampling)
    assert all("unended" in spoken.faults for spoken in short(TEXTS, voices))


def test_a_converted_voice_keeps_the_tokens_of_the_source_and_the_codes_of_the_prompt(parts):
    synthesizer = SpeechSynthesizer.load(parts.tokenizer, parts.s2a, config=COLD_S2A)
    source, prompt = (synthesizer.encode(parts.wavs[utt_id]) for utt_id in ("a-0", "b-5"))
    seen = []
    synthesizer.s2a.register_forward_hook(lambda module, args, logits: seen.append((args[0].clone(), args[1].clone())))
    (samples_N,) = synthesizer.convert([source], [prompt])
    assert len(samples_N) == len(source.semantic_T) * synthesizer.tokenizer.hop_length
    start = (len(prompt.codes_FQ) - 20) // 2
    for semantic_1N, codes_1NQ in seen:
        assert np.array_equal(semantic_1N[0, :20].numpy(), prompt.semantic_T[start : start + 20])
        assert np.array_equal(semantic_1N[0, 20:].numpy(), source.semantic_T)
        assert np.array_equal(codes_1NQ[0, :20].numpy(), prompt.codes_FQ[start : start + 20])
    assert len(seen) == 3  # two passes for the first quantizer, one for the second


def test_another_prompt_gives_another_voice(parts):
    synthesizer = SpeechSynthesizer.load(parts.tokenizer, parts.s2a, config=COLD_S2A)
    tokens = [synthesizer.encode(parts.wavs[utt_id]) for utt_id in ("a-0", "b-5")]
    own, other = synthesizer.convert([tokens[0], tokens[0]], tokens)
    assert own.shape == other.shape and not np.allclose(own, other)


def test_units_are_spoken_as_frames(parts, voices):
    arguments = {"s2a": parts.s2a, "tokenizer": parts.tokenizer, "sampling": COLD_T2S, "decoding": COLD_S2A}
    speech = TextToSpeech.load(t2s=parts.t2s_of_units, units=parts.units, **arguments)
    for spoken in speech(TEXTS, voices):
        units_U, durations_U = Units(parts.units).encode(spoken.semantic_T)
        assert np.array_equal(Units(parts.units).expand(units_U, durations_U), spoken.semantic_T)
        assert len(spoken.samples_N) == len(spoken.semantic_T) * speech.synthesizer.tokenizer.hop_length
    with pytest.raises(ConfigError, match="--units"):
        TextToSpeech.load(t2s=parts.t2s_of_units, **arguments)
    with pytest.raises(TokenizerMismatchError, match="semantic.deduplicated"):
        TextToSpeech.load(t2s=parts.t2s, units=parts.units, **arguments)


def test_models_of_another_tokenizer_are_refused(parts, trained_t2s):
    with pytest.raises(TokenizerMismatchError, match="semantic.centroids_sha256"):
        TextToSpeech.load(t2s=trained_t2s, s2a=parts.s2a, tokenizer=parts.tokenizer)


@pytest.mark.parametrize(("text", "said"), [(" ", "no text to speak"), ("xyz", "does not know 'x'")])
def test_a_text_that_cannot_be_spoken_is_named(speech, voices, text, said):
    with pytest.raises(DataError, match=f"second.*{said}"):
        speech(["abc", text], voices[:2], names=["first", "second"])
