"""Evaluation in memory: the same counts as decoding and scoring in files, by head, and of T2S by its judge."""

import pytest
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.inference.evaluation import error_share, evaluate
from tokenchain_toolkit.inference.generation import generate_dump
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.recognition import recognise_dump
from tokenchain_toolkit.metrics.error_rate import word_error_rate

COLD = T2SSamplingConfig(temperature=0.0, batch_size=3)
# Texts of which only some are in the training data, so that there is something to get wrong.
TEXTS = [
    "abc",
    "cab de",
    "eee",
    "bad deed",
    "a",
    "be",
    "dab ace bed abc",
    "cc",
    "deed deed deed",
    "ab ab ab ab ab",
    "c d",
]


@pytest.fixture(scope="module")
def other_set(recipe, manifest):
    """Data directory and dump of a set that the models have not seen."""
    added = recipe.add_set("unseen_", TEXTS, manifest=manifest)
    return added["train_data"], added["train_dump"]


@pytest.fixture
def measure(recipe, trained_asr, trained_t2s, other_set):
    """A function that evaluates the trained models on the learned and the unseen set; keywords replace arguments."""
    asr, t2s = load_model(trained_asr, kind="asr"), load_model(trained_t2s, kind="t2s")
    folders = {"learned": (recipe.root / "data", recipe.root / "dump"), "unseen": other_set}
    sets = {name: load_corpus(dump, data, text_tokenizer=asr.text_tokenizer) for name, (data, dump) in folders.items()}
    arguments = {
        "judge": load_model(trained_asr, kind="asr").module,
        "sets": sets,
        "references": {name: read_data_dir(data).texts for name, (data, _) in folders.items()},
        "text_tokenizer": asr.text_tokenizer,
    }

    def run(config, *, asr=asr.module, t2s=t2s.module, **changes):
        return evaluate(asr, t2s, config=config, **{**arguments, **changes})

    return run


def decoded_in_files(trained_asr, dump, data, out, **changes):
    config = ASRDecodingConfig(beam_size=3, **changes)
    recognise_dump(trained_asr, dump, out, config=config, workers=Workers(), device="cpu")
    counts = word_error_rate(read_table(data / "text"), read_table(out / "text")).per_utterance
    return {utt_id: [count.errors, count.num_reference_units] for utt_id, count in counts.items()}


def test_the_heads_count_what_decoding_in_files_counts(measure, trained_asr, other_set, tmp_path):
    found = measure(EvaluationConfig(beam_size=3, t2s_utts=0))["unseen"]
    data, dump = other_set
    assert list(found) == ["joint", "attention", "ctc"]
    assert found["joint"] == decoded_in_files(trained_asr, dump, data, tmp_path / "joint")
    assert found["attention"] == decoded_in_files(trained_asr, dump, data, tmp_path / "att", ctc_weight=0.0)
    assert found["joint"] != found["attention"] != found["ctc"] != found["joint"]
    assert [words for _, words in found["ctc"].values()] == [len(text.split()) for text in TEXTS]


def test_t2s_is_measured_by_what_its_judge_reads(measure, trained_asr, trained_t2s, other_set, tmp_path):
    data, dump = other_set
    found = measure(EvaluationConfig(heads=[], beam_size=3, t2s=COLD))["unseen"]
    generate_dump(trained_t2s, data, dump, tmp_path / "spoken", config=COLD)
    expected = decoded_in_files(trained_asr, tmp_path / "spoken", data, tmp_path / "text")
    assert found == {"t2s": expected, "t2s_unfinished": 0} and error_share(expected) > 0


def test_what_was_learned_by_heart_is_free_of_errors(measure):
    found = measure(EvaluationConfig(heads=["joint", "ctc"], t2s=COLD))["learned"]
    assert [error_share(found[head]) for head in ("joint", "ctc", "t2s")] == [0, 0, 0]


def test_the_judge_and_not_the_recogniser_reads_t2s(measure, make_asr):
    config = EvaluationConfig(heads=["ctc"], t2s=COLD)
    spoilt = measure(config, asr=make_asr())["learned"]
    assert error_share(spoilt["ctc"]) > 0 and error_share(spoilt["t2s"]) == 0
    misjudged = measure(config, judge=make_asr())["learned"]
    assert error_share(misjudged["ctc"]) == 0 and error_share(misjudged["t2s"]) > 0


def test_speech_that_does_not_end_is_counted(measure):
    short = T2SSamplingConfig(temperature=0.0, max_frames_per_token=1.0)
    assert measure(EvaluationConfig(heads=[], t2s=short))["learned"]["t2s_unfinished"] == 8


def test_of_a_large_set_the_same_utterances_are_taken_every_time(measure):
    config = EvaluationConfig(beam_size=3, max_utts=5, t2s_utts=4, t2s=COLD)
    some, again = measure(config), measure(config)
    everything = measure(EvaluationConfig(beam_size=3, t2s=COLD))
    assert some == again
    for name in ("learned", "unseen"):
        assert len(some[name]["joint"]) == len(some[name]["ctc"]) == 5 and len(some[name]["t2s"]) == 4
        for head in ("joint", "attention", "ctc", "t2s"):
            assert some[name][head].items() <= everything[name][head].items()


def test_evaluation_draws_nothing_from_the_global_stream(measure):
    state = torch.get_rng_state()
    measure(EvaluationConfig(beam_size=2))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_head_is_named(measure):
    with pytest.raises(ConfigError, match="evaluation.heads names rnnt; choose from joint, attention, ctc"):
        measure(EvaluationConfig(heads=["ctc", "rnnt"]))


def test_an_utterance_without_transcript_is_named(measure):
    with pytest.raises(DataError, match="the reference lacks utt001"):
        short = {f"utt{index:03d}": text for index, text in enumerate(TEXTS) if index != 1}
        measure(EvaluationConfig(heads=["ctc"], t2s_utts=0), references={"learned": short, "unseen": short})
