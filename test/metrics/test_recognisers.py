"""Recognisers and encoders of transformers, tiny and untrained: each utterance by itself, faults by their names."""

import numpy as np
import pytest

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.metrics import recognisers
from tokenchain_toolkit.metrics.measurement import UnmeasurableError
from tokenchain_toolkit.metrics.speaker_similarity import XVectorEncoder

RATE = 16000


@pytest.mark.parametrize("kind", ["whisper", "ctc"])
def test_a_recogniser_of_transformers_hears_every_utterance_alone(models, voice, kind):
    recogniser = recognisers.load_recogniser(str(models / kind))
    sounds = [voice(pitch, seconds) for pitch, seconds in ((100, 1.0), (150, 1.7), (220, 31.0), (180, 0.5))]
    together = recogniser.transcribe(sounds)
    assert together == [recogniser.transcribe([sound_N])[0] for sound_N in sounds]
    assert all(together) and len(set(together)) > 1
    assert recogniser.family == {"whisper": "whisper", "ctc": "wav2vec2"}[kind]
    settings = recogniser.describe()
    assert settings["model"] == str(models / kind) and settings["sample_rate"] == RATE and settings["weights_sha256"]


def test_a_language_is_for_models_that_know_several(models, voice):
    recogniser = recognisers.load_recogniser(str(models / "whisper"), language="de")
    assert recogniser.describe()["language"] == "de" and recogniser.transcribe([voice(100)])[0]
    with pytest.raises(ConfigError, match="leave --language away"):
        recognisers.load_recogniser(str(models / "ctc"), language="de")
    with pytest.raises(ConfigError, match="English only"):
        recognisers.load_recogniser("pocketsphinx", language="de")


def test_an_encoder_of_transformers_gives_unit_vectors_and_names_what_is_too_short(models, voice):
    encoder = XVectorEncoder(str(models / "xvector"))
    embedding_E = encoder.embed(voice(100))
    assert np.linalg.norm(embedding_E) == pytest.approx(1) and encoder.family == "wavlm"
    assert encoder.embed(voice(100)) @ embedding_E == pytest.approx(1)
    with pytest.raises(UnmeasurableError, match="too short"):
        encoder.embed(voice(100)[:1600])


def test_a_model_without_its_head_is_refused_and_so_is_none(models, tmp_path):
    with pytest.raises(ConfigError, match="another kind of model"):
        XVectorEncoder(str(models / "headless"))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        XVectorEncoder(str(tmp_path))
    for folder in (models / "xvector", tmp_path):
        with pytest.raises(ConfigError, match="cannot be loaded"):
            recognisers.load_recogniser(str(folder))
