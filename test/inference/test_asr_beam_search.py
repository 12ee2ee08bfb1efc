"""Beam search on an ASR that knows eight utterances by heart, and against ESPnet's on one that knows nothing."""

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
    search = BeamSearch(saved.module, config)
    dump, texts = read_dump(recipe.root / "dump"), read_data_dir(recipe.root / "data").texts
    texts_found = search.recognise([dump.semantic_of(index) for index in range(len(dump))])
    found = dict(zip(dump.utt_ids, map(saved.text_tokenizer.decode, texts_found), strict=True))
    assert sum(found[utt_id] == text for utt_id, text in texts.items()) >= at_least, found


def test_an_utterance_too_short_for_the_encoder_is_empty(saved, recipe):
    search = BeamSearch(saved.module, ASRDecodingConfig(beam_size=3))
    first = read_dump(recipe.root / "dump").semantic_of(0)
    texts = search.recognise([np.zeros(4, np.int16), first, np.zeros(0, np.int16)])
    assert [saved.text_tokenizer.decode(text) for text in texts] == ["", "abc", ""]
    assert search.recognise([np.zeros(4, np.int16)]) == [[]]
    assert search.recognise([]) == []


def test_a_beam_wider_than_the_token_list_is_cut(saved, recipe):
    search = BeamSearch(saved.module, ASRDecodingConfig(beam_size=500))
    first = read_dump(recipe.root / "dump").semantic_of(0)
    assert saved.text_tokenizer.decode(search.recognise([first])[0]) == "abc"


def test_the_output_length_is_bounded(make_asr):
    asr = make_asr()
    utterances = random_utterances([43, 17])
    frames = [asr.encode(torch.from_numpy(one)[None], torch.tensor([len(one)]))[0].shape[1] for one in utterances]
    short = BeamSearch(asr, ASRDecodingConfig(beam_size=3, max_length_ratio=0.2)).recognise(utterances)
    assert all(len(text) <= max(1, 0.2 * most) for text, most in zip(short, frames, strict=True))
    config = ASRDecodingConfig(beam_size=3, min_length_ratio=0.4, ctc_weight=0.0, length_bonus=5.0)
    long = BeamSearch(asr, config).recognise(utterances)
    assert all(len(text) >= int(0.4 * most) for text, most in zip(long, frames, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"ctc_weight": 0.3},
        {"ctc_weight": 0.0},
        {"ctc_weight": 1.0},
        {"ctc_weight": 0.5, "length_bonus": 0.7},
        {"ctc_weight": 0.3, "min_length_ratio": 0.2},
        {"ctc_weight": 0.3, "beam_size": 1},
        {"ctc_weight": 0.3, "beam_size": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_recognised_as_espnet_recognises_each_utterance(make_asr, changes, seed):
    asr = make_asr(seed=seed)
    with torch.no_grad():  # an untrained model is sure of nothing, and a search would have nothing to tell apart
        for head in (asr.decoder.output_layer, asr.ctc.ctc_lo):
            head.weight.mul_(8.0)
    utterances = random_utterances([31, 60, 12, 44, 9], seed=seed)
    config = ASRDecodingConfig(**{"beam_size": 3, "max_length_ratio": 0.6, "batch_frames": 150, **changes})
    assert BeamSearch(asr, config).recognise(utterances) == [espnet_search(asr, config, one) for one in utterances]


def random_utterances(lengths, *, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 12, length) for length in lengths]


@torch.no_grad()
def espnet_search(asr, config, semantic_T):
    """ESPnet's batch beam search, which is over the hypotheses of one utterance."""
    from espnet.nets.batch_beam_search import BatchBeamSearch
    from espnet.nets.scorers.ctc import CTCPrefixScorer
    from espnet.nets.scorers.length_bonus import LengthBonus

    size = asr.sos_eos_id + 1
    weights = {"decoder": 1 - config.ctc_weight, "ctc": config.ctc_weight, "length_bonus": config.length_bonus}
    ctc = CTCPrefixScorer(ctc=asr.ctc, eos=asr.sos_eos_id)
    scorers = {"decoder": asr.decoder, "ctc": ctc, "length_bonus": LengthBonus(size)}
    search = BatchBeamSearch(
        scorers={name: scorer for name, scorer in scorers.items() if weights[name]},
        weights={name: weight for name, weight in weights.items() if weight},
        beam_size=config.beam_size,
        vocab_size=size,
        sos=asr.sos_eos_id,
        eos=asr.sos_eos_id,
        pre_beam_score_key=None if config.ctc_weight == 1.0 else "full",
    ).eval()
    memory_BSD, _ = asr.encode(torch.from_numpy(semantic_T)[None], torch.tensor([len(semantic_T)]))
    best = search(memory_BSD[0], maxlenratio=config.max_length_ratio, minlenratio=config.min_length_ratio)[0]
    # At the greatest length ESPnet ends even what has ended.
    return [unit for unit in best.yseq.tolist() if unit != asr.sos_eos_id]
