"""Stages after training: how long a few steps say that whole decodings take, and how much there is to decode."""

import numpy as np
import pytest

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.planning import decode_probe
from tokenchain_toolkit.planning.amount import Amounts, sets_of_hours
from tokenchain_toolkit.planning.decode_probe import DecodingMeasure, measure_codes, measure_drawing, measure_search
from tokenchain_toolkit.planning.generation_estimates import GenerationMeasures, generation_stages
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.planning.sets import SetFacts
from tokenchain_toolkit.planning.tokenizer_probe import ExtractionMeasure, VocodingMeasure
from tokenchain_toolkit.recipe.commands import parse_commands

SIZES = TokenSizes(num_semantic=12, vocab_size=9, num_quantizers=3, codebook_size=7, frames_per_unit=6.0)
LENGTHS = np.arange(40, 80)
SHOWN = """== stage 4: extract_tokens
python3 -m tokenchain_toolkit.bin.extract_tokens --tokenizer exp/t --data data/test --out dump/mfcc/test
== stage 11: decode_asr
python3 -m tokenchain_toolkit.bin.decode_asr --config c --model exp/asr --dump dump/mfcc/test --out exp/asr/decode_test
python3 -m tokenchain_toolkit.bin.decode_asr --config c --model exp/x/asr --dump dump/mfcc/test --out exp/x/decode_test
== stage 12: decode_t2s
python3 -m tokenchain_toolkit.bin.decode_t2s --config c --model m --data data/test --dump dump/mfcc/test --out exp/x/t2s
== stage 13: synthesize
python3 -m tokenchain_toolkit.bin.synthesize --tokenizer t --dump dump/mfcc/test --data data/test --out exp/codec/synth
python3 -m tokenchain_toolkit.bin.synthesize --s2a exp/s2a --dump exp/x/t2s --max_utts 2 --out exp/x/synth
== stage 14: score
python3 -m tokenchain_toolkit.bin.extract_tokens --tokenizer t --data exp/x/synth --out exp/x/dump
python3 -m tokenchain_toolkit.bin.decode_asr --config c --model exp/asr --dump exp/x/dump --out exp/x/synth_decode
python3 -m tokenchain_toolkit.bin.score --hyp exp/x/synth_decode/text --ref exp/x/synth/text --out exp/x/score.json
""".splitlines()
TEST = SetFacts("test", 4, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, is_sampled=False)


@pytest.fixture
def run(tmp_path):
    return RecipeRun(tmp_path, parse_commands(SHOWN))


def test_what_stages_make_is_as_long_as_what_they_make_it_of(run):
    amounts = Amounts(run, [TEST], frame_rate=50.0)
    for path in ("data/test", "dump/mfcc/test", "exp/x/t2s", "exp/codec/synth"):
        assert amounts.of(path).tolist() == [50, 100, 150, 200]
    assert amounts.of("exp/x/synth").tolist() == amounts.of("exp/x/dump").tolist() == [50, 200]
    assert amounts.of("data/test", "exp/x/dump").sum() == 750 and not len(amounts.of("dump/mfcc/more"))


def test_tokens_that_are_there_are_counted(run, recipe):
    (run.root / "dump/mfcc").mkdir(parents=True)
    (run.root / "dump/mfcc/test").symlink_to(recipe.root / "dump")
    amounts = Amounts(run, [TEST], frame_rate=50.0)
    assert len(amounts.of("dump/mfcc/test")) == 8 and len(amounts.of("data/test")) == 4


def test_hours_are_those_of_the_training_sets_together():
    sets = {each.name: each for each in sets_of_hours(10.0, {"a": "training", "b": "training", "c": "test"})}
    assert sets["a"].hours == sets["b"].hours == pytest.approx(5.0, rel=0.01)
    assert sets["c"].hours == pytest.approx(0.3, rel=0.02)


def test_stages_take_their_frames_times_what_a_frame_takes(run):
    decodings = {
        name: DecodingMeasure(name, "CPU", 1, seconds) for name, seconds in (("asr", 0.1), ("t2s", 0.01), ("s2a", 0.2))
    }
    measures = GenerationMeasures(ExtractionMeasure(10.0, "mfcc"), VocodingMeasure(5.0, 16000, 75.0), decodings)
    found = {
        each.stage: each for each in generation_stages(run.commands, Amounts(run, [TEST], frame_rate=50.0), measures)
    }
    assert list(found) == ["decode_asr", "decode_t2s", "synthesize", "score"]
    assert found["decode_asr"].seconds == pytest.approx(2 * 500 * 0.1) and found["decode_asr"].disk_bytes == 0
    assert found["decode_t2s"].seconds == pytest.approx(500 * 0.01) and found["decode_t2s"].disk_bytes == 1000
    # Ten seconds of speech by the codec alone, and of five seconds S2A, on its own frames, and the codec; two bytes
    # for each sample.
    assert found["synthesize"].seconds == pytest.approx(10 / 5 + 5 / 5 + 5 * 75 * 0.2)
    assert found["synthesize"].disk_bytes == 15 * 16000 * 2
    assert found["score"].seconds == pytest.approx(5 / 10 + 250 * 0.1)


def test_what_was_not_measured_is_left_out(run):
    amounts = Amounts(run, [TEST], frame_rate=50.0)
    assert generation_stages(run.commands, amounts, GenerationMeasures(None, None, {})) == []


class Clock:
    """Time that passes only in the decoding: three seconds to begin with, half a second for each step and utterance."""

    def __init__(self):
        self.now, self.taken = 0.0, []

    def perf_counter(self):
        """As of ``time``."""
        return self.now

    monotonic = perf_counter

    def decode(self, num_utts, steps):
        """Take the time."""
        self.taken.append((num_utts, steps))
        self.now += 3 + 0.5 * steps * num_utts
        return steps


def test_a_few_steps_tell_the_time_of_all(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(decode_probe, "time", clock)
    timer = decode_probe._Timer(clock.decode, steps=8, wanted=100, device="cpu")
    assert timer(1) == pytest.approx(3 + 50) and timer(4) == pytest.approx(3 + 200)
    assert max(steps for _, steps in clock.taken) == 8


@pytest.mark.parametrize(("seconds", "num_utts"), [(0.0, 1), (1e6, 16)])
def test_as_many_utterances_are_decoded_at_once_as_there_is_time_for(monkeypatch, seconds, num_utts):
    clock = Clock()
    monkeypatch.setattr(decode_probe, "time", clock)
    timer = decode_probe._Timer(clock.decode, steps=2, wanted=10, device="cpu")
    found = decode_probe._measured("asr", timer, 50, most=20, seconds=seconds)
    assert found.num_utts == num_utts
    assert found.seconds_per_frame == pytest.approx((3 + 5 * num_utts) / (50 * num_utts))


def test_every_decoding_is_measured(make_asr, make_t2s, make_s2a):
    common = {"device": "cpu", "seconds": 0.0}
    for found in (
        measure_search(make_asr(), ASRDecodingConfig(beam_size=3), LENGTHS, SIZES, **common),
        measure_drawing(make_t2s(), T2SSamplingConfig(prompt_frames=5, retries=3), LENGTHS, SIZES, **common),
        measure_codes(make_s2a(), S2ADecodingConfig(prompt_frames=5), LENGTHS, SIZES, **common),
    ):
        assert found.seconds_per_frame > 0 and found.num_utts == 1


def test_guidance_and_more_passes_make_s2a_slower(make_s2a, monkeypatch):
    wanted = []
    timer = decode_probe._Timer
    monkeypatch.setattr(decode_probe, "_Timer", lambda *a, **k: wanted.append(k["wanted"]) or timer(*a, **k))
    for config in (S2ADecodingConfig(first_level_steps=4), S2ADecodingConfig(first_level_steps=4, guidance=1.0)):
        measure_codes(make_s2a(), config, LENGTHS, SIZES, device="cpu", seconds=0.0)
    assert wanted == [4 + 2, 2 * (4 + 2)]


@pytest.mark.parametrize("frames", [1, 4, 30])
def test_a_search_makes_the_steps_that_are_timed(make_asr, monkeypatch, frames):
    """Neither more, as of random weights that never end, nor fewer, as of those that end at once."""
    from tokenchain_toolkit.inference import asr_beam_search

    scored = []
    scorer = asr_beam_search._Scorer.__call__
    monkeypatch.setattr(
        asr_beam_search._Scorer, "__call__", lambda self, ids: scored.append(ids.shape[1]) or scorer(self, ids)
    )
    lengths = np.full(4, frames)
    measure_search(make_asr(input_layer="linear"), ASRDecodingConfig(), lengths, SIZES, device="cpu", seconds=0.0)
    # One step to warm up, one to begin with, and all of them.
    assert scored == [1, 1, *range(1, min(decode_probe.STEPS, frames) + 1)]


def test_the_folder_of_a_source_is_seen_in_the_commands(tmp_path):
    from tokenchain_toolkit.planning.recipe_run import _source_folder

    shown = ["python3 -m tokenchain_toolkit.bin.validate data/a --token_list ../../b/tokenchain1/data/token_list/mfcc"]
    assert _source_folder(tmp_path, parse_commands(shown)) == tmp_path / "../../b/tokenchain1"
    assert _source_folder(tmp_path, parse_commands(SHOWN)) is None
