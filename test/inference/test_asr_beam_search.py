"""Beam search on an ASR that knows eight utterances by heart."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import load_model


@pytest.fixture(scope="module")
def saved(trained_asr):
    return load_model(trained_asr, kind="asr")


@pytest.mark.parametrize(("ctc_weight", "at_least"), [(0.0, 6), (0.3, 8), (1.0, 8)])
def test_what_was_learned_by_heart_is_recognised(saved, recipe, ctc_weight, at_least):
    config = ASRDecodingConfig(beam_size=3, ctc_weight=ctc_weight)
    search = BeamSearch(saved.module, config, token_list=saved.text_tokenizer.tokens)
    dump, texts = read_dump(recipe.root / "dump"), read_data_dir(recipe.root / "data").texts
    found = {u: saved.text_tokenizer.decode(search.recognise(dump.semantic_of(i))) for i, u in enumerate(dump.utt_ids)}
    assert sum(found[utt_id] == text for utt_id, text in texts.items()) >= at_least, found


def test_an_utterance_too_short_for_the_encoder_is_empty(saved):
    search = BeamSearch(saved.module, ASRDecodingConfig(beam_size=3), token_list=saved.text_tokenizer.tokens)
    assert search.recognise(np.zeros(4, np.int16)) == []


def test_a_beam_wider_than_the_token_list_is_cut(saved, recipe):
    config = ASRDecodingConfig(beam_size=500)
    search = BeamSearch(saved.module, config, token_list=saved.text_tokenizer.tokens)
    first = read_dump(recipe.root / "dump").semantic_of(0)
    assert saved.text_tokenizer.decode(search.recognise(first)) == "abc"


def test_the_output_length_is_bounded(make_asr):
    asr = make_asr()
    tokens = [str(index) for index in range(asr.sos_eos_id + 1)]
    semantic_T = np.random.default_rng(0).integers(0, 12, 43)
    memory_BSD, _ = asr.encode(torch.from_numpy(semantic_T)[None], torch.tensor([43]))
    frames = memory_BSD.shape[1]
    short = BeamSearch(asr, ASRDecodingConfig(beam_size=3, max_length_ratio=0.2), token_list=tokens)
    assert len(short.recognise(semantic_T)) <= 0.2 * frames
    config = ASRDecodingConfig(beam_size=3, min_length_ratio=0.4, ctc_weight=0.0, length_bonus=5.0)
    assert len(BeamSearch(asr, config, token_list=tokens).recognise(semantic_T)) >= int(0.4 * frames)
