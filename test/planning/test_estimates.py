"""Probe and estimates: batches like training's, figures that follow from them by frames and epochs."""

import gc
import re
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig, UnpairedConfig
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.s2a import S2AConfig, S2AModelConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.tokenizer import CodecConfig, HeadConfig, SemanticConfig, TokenizerConfig
from tokenchain_toolkit.config.training import DataConfig, OptimConfig, TrainingConfig
from tokenchain_toolkit.models.sequences import ctc_frames_needed
from tokenchain_toolkit.planning import probe as probe_module
from tokenchain_toolkit.planning.amount import typical_seconds
from tokenchain_toolkit.planning.estimates import (
    Epoch,
    describe_stages,
    epoch_of,
    evaluation_seconds,
    extraction_stage,
    frames_at_once,
    learning_stage,
    training_stage,
    warmup_fault,
)
from tokenchain_toolkit.planning.findings import OK, WARN
from tokenchain_toolkit.planning.probe import TRAINED_BYTES, StepMeasure, StepProbe, _update_seconds, measure_step
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.tokenizer_probe import (
    ExtractionMeasure,
    HeadMeasure,
    has_head,
    measure_extraction,
    measure_head,
    measure_vocoding,
)
from tokenchain_toolkit.planning.trainees import asr_trainee, chain_trainee, random_batch, s2a_trainee, t2s_trainee

SIZES = TokenSizes(num_semantic=12, vocab_size=9, num_quantizers=3, codebook_size=7, frames_per_unit=6.0)
LENGTHS = np.arange(20, 60)
TRAINING = {"batch_frames": 400, "accelerator": "cpu", "precision": "32-true", "max_epochs": 5}
FIGURES = {"seconds": 2.0, "update_seconds": 0.0, "fixed_bytes": 70.0, "kept_bytes": 50.0, "flops": 7.0}
MEASURE = StepMeasure("asr", "CPU", "32-true", 1000, 3, 100, **FIGURES)


@pytest.fixture
def trainees(make_asr, make_t2s):
    """Tiny models of every kind."""
    common = {"training": TrainingConfig(**TRAINING), "data": DataConfig(min_prompt_frames=2, max_prompt_frames=6)}
    asr = ASRConfig(model=make_asr().config, **common)
    t2s = T2SConfig(model=make_t2s().config, **common)
    s2a = S2AModelConfig(hidden_dim=16, num_layers=1, num_heads=2, feed_forward_dim=32, conv_kernel=3)
    return [
        asr_trainee(asr, SIZES),
        t2s_trainee(t2s, SIZES),
        chain_trainee("chain_st_argmax", ChainConfig(**common), asr, t2s, SIZES),
        s2a_trainee(S2AConfig(model=s2a, **common), SIZES),
    ]


def test_random_batches_have_the_lengths_and_texts_that_ctc_can_spell():
    batch = random_batch(
        np.array([30, 50]), SIZES, DataConfig(min_prompt_frames=2, max_prompt_frames=6), input_layer="conv1d2"
    )
    assert batch.semantic_lengths_B.tolist() == [30, 50] and batch.prompt_lengths_B.tolist() == [4, 4]
    assert batch.text_lengths_B.tolist() == [5, 8] and batch.codes_BTQ.shape == (2, 50, 3)
    dense = random_batch(np.array([40]), TokenSizes(frames_per_unit=1.0), DataConfig(), input_layer="conv1d2")
    assert ctc_frames_needed(dense.text_BL[0]) <= 18


def test_every_model_is_measured_on_batches_that_training_could_have(trainees):
    for trainee in trainees:
        probe = StepProbe(trainee, LENGTHS, SIZES, input_layer="conv1d2")
        before = [parameter.detach().clone() for parameter in trainee.module.parameters()]
        found = measure_step(probe, seconds=0.5, count_flops=True)
        assert found.name == trainee.name and found.seconds > 0 and not found.on_gpu
        assert found.frames <= 400 and found.kept_bytes > 0
        # About six operations for every weight of a position, and there are fewer positions of text than frames.
        assert 0.5 < found.flops / found.num_parameters < 60
        after = trainee.module.parameters()
        assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True)), "a step changes the weights"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_memory_grows_by_the_frames_and_not_by_the_weights(trainees, precision):
    """Of a batch that was not measured, what is kept is foretold; copies of the weights do not grow with the batch."""
    for trainee in trainees:
        training = replace(trainee.config.training, precision=precision)
        trainee = replace(trainee, config=replace(trainee.config, training=training))
        probe = StepProbe(trainee, np.full(8, 40), SIZES, input_layer="conv1d2")
        found = measure_step(probe, seconds=0.0)
        weights = found.num_parameters * TRAINED_BYTES
        for num_utts in (1, 8):
            kept = probe.kept(probe.batch(num_utts))
            assert found.memory(probe.frames(num_utts)) - weights == pytest.approx(kept, rel=0.02), trainee.name
        # Copies in half precision of most of the weights: two bytes each.
        assert (found.fixed_bytes > found.num_parameters) == (precision == "bf16-mixed"), trainee.name
        assert found.frames_in(found.memory(5500)) == 5000


def test_a_model_that_was_measured_is_gone_with_its_gigabytes(trainees):
    left = []
    while trainees:
        probe = StepProbe(trainees.pop(), np.full(8, 40), SIZES, input_layer="conv1d2")
        measure_step(probe, seconds=0.0, count_flops=True)
        left.append(weakref.ref(probe.trainee.module))
        left += [weakref.ref(parameter) for parameter in probe.trainee.module.parameters()]
        del probe
    gc.collect()
    assert not any(each() is not None for each in left)


def test_where_time_is_short_utterances_are_cut(trainees, monkeypatch):
    monkeypatch.setattr(probe_module, "CHEAP_SECONDS", 0.0)
    probe = StepProbe(trainees[1], np.full(8, 2000), SIZES, input_layer="conv1d2")
    found = measure_step(probe, seconds=0.0)
    assert found.frames == 100 + 6 and found.num_steps == 1


def test_steps_that_take_no_time_are_made_on_a_fair_share_of_a_batch(trainees, monkeypatch):
    monkeypatch.setattr(probe_module, "CHEAP_SECONDS", 60.0)
    for trainee in trainees:
        found = measure_step(StepProbe(trainee, np.full(16, 20), SIZES, input_layer="conv1d2"), seconds=0.0)
        assert 0.25 * 400 <= found.frames <= 0.5 * 400


@pytest.mark.parametrize(("room", "num_utts"), [(3.9, 1), (4.1, 2)])
def test_a_batch_grows_only_into_memory_of_which_half_stays_free(trainees, monkeypatch, room, num_utts):
    monkeypatch.setattr(probe_module, "CHEAP_SECONDS", 60.0)
    for trainee in trainees:
        probe = StepProbe(trainee, np.full(16, 20), SIZES, input_layer="conv1d2")
        free = room * probe.kept(probe.batch(1))
        monkeypatch.setattr(probe_module, "available_memory", lambda free=free: free)
        assert measure_step(probe, seconds=0.0).frames == probe.frames(num_utts), trainee.name


def test_what_an_update_takes_is_told_from_what_frames_take():
    assert _update_seconds(100, 0.3, 1100, 1.3) == pytest.approx(0.2)
    assert _update_seconds(100, 0.3, 100, 0.3) == 0.0, "one length tells nothing"
    assert _update_seconds(100, 0.3, 1100, 4.0) == 0.0, "time grows faster than frames"
    assert _update_seconds(100, 0.3, 1100, 0.25) == pytest.approx(0.2), "noise: no less than a fifth is for frames"


def test_updates_of_short_batches_take_their_own_time():
    config = ASRConfig(training=TrainingConfig(batch_frames=1000, max_epochs=2, accelerator="cpu"))
    frames = {"train_frames": np.full(40, 100), "valid_frames": np.full(10, 100)}
    slow = replace(MEASURE, update_seconds=1.5)
    plain, with_updates = (training_stage(each, config, **frames) for each in (MEASURE, slow))
    assert plain.seconds == pytest.approx(2 * (4000 + 1000 / 3) * 0.02)
    assert with_updates.seconds == pytest.approx(2 * ((4000 + 1000 / 3) * 0.005 + (4 + 1 / 3) * 1.5))
    assert "far from 1,000, so this is rough" in plain.basis
    fair = training_stage(replace(MEASURE, frames=250), config, **frames)
    assert "rough" not in fair.basis
    told = {each.is_rough: describe_stages([each])[0] for each in (plain, fair)}
    assert told[True].status == WARN and "may be far too high" in told[True].remedy
    assert "may be far too high" not in told[False].remedy


def test_a_longer_batch_counts_as_many_operations_for_each_frame(trainees):
    probe = StepProbe(trainees[1], np.full(8, 40), SIZES, input_layer="conv1d2")
    one, four = (probe.flops(probe.batch(count)) / probe.frames(count) for count in (1, 4))
    assert one == pytest.approx(four, rel=0.01)


def test_features_are_faster_than_speech():
    config = TokenizerConfig(codec=CodecConfig(enabled=False))
    found = measure_extraction(config, device="cpu", seconds=0.1)
    assert found.speed > 1 and found.what == "mfcc features"
    spectral = measure_extraction(TokenizerConfig(), device="cpu", seconds=0.1)
    assert spectral.what == "mfcc features and log-mel frames, without the codec's codes"
    of_codec = TokenizerConfig(semantic=SemanticConfig(kind="codec"))
    assert measure_extraction(of_codec, device="cpu", seconds=0.1).what.startswith("log-mel frames")


@pytest.mark.parametrize("steps", [0, 3])
def test_the_codec_that_is_measured_makes_audio_with_and_without_a_head(steps):
    head = HeadConfig(steps=steps, hidden_dim=8, num_layers=1)
    config = TokenizerConfig(codec=CodecConfig(head=head, griffin_lim_iterations=2))
    found = measure_vocoding(config, device="cpu", seconds=0.1)
    assert found.speed > 1 and found.sample_rate == 16000


def test_an_epoch_is_its_padded_batches():
    config = ASRConfig(training=TrainingConfig(batch_frames=1000, max_batch_size=10))
    assert epoch_of(np.full(20, 50), config) == Epoch(20 * 50, updates=2)
    assert epoch_of(np.full(20, 5000), config) == Epoch(0, 0), "longer than data.max_frames"
    prompted = ASRConfig(training=config.training, data=DataConfig(max_prompt_frames=10, paired_share=0.5))
    assert epoch_of(np.full(20, 50), prompted) == Epoch(10 * 60, updates=1)
    assert epoch_of(np.full(20, 50), prompted, is_training=False).frames == 20 * 60
    beside = ChainConfig(training=config.training, unpaired=UnpairedConfig(1.0, 0.5, feedback="soft"))
    assert epoch_of(np.full(20, 50), beside) == Epoch(2500, updates=2, drawn_frames=500)
    assert epoch_of(np.full(20, 50), beside, is_training=False) == Epoch(1000, updates=2)


def test_s2a_takes_all_utterances_whatever_the_paired_share():
    data = DataConfig(paired_share=0.25)
    frames = {kind: epoch_of(np.full(20, 50), kind(data=data)).frames for kind in (ASRConfig, S2AConfig)}
    assert frames[S2AConfig] == 4 * frames[ASRConfig]


def test_what_is_drawn_for_text_alone_takes_its_time_in_every_epoch():
    common = {"training": TrainingConfig(**TRAINING), "unpaired": UnpairedConfig(text_ratio=0.5)}
    frames = {"train_frames": np.full(20, 40), "valid_frames": np.full(6, 40)}
    without, with_drawing = (training_stage(MEASURE, ChainConfig(**common), **frames, drawing=d) for d in (0.0, 0.1))
    assert with_drawing.seconds - without.seconds == pytest.approx(5 * 400 * 0.1) and "drawn" in with_drawing.basis


def test_a_run_takes_its_frames_times_its_epochs():
    config = ASRConfig(training=TrainingConfig(**TRAINING, average_best=2))
    found = training_stage(MEASURE, config, train_frames=np.full(20, 40), valid_frames=np.full(6, 40))
    assert found.stage == "train_asr" and found.seconds == pytest.approx(5 * (800 + 240 / 3) * 2.0 / 100)
    # Three checkpoints of weights and two moments, and the weights; weights, gradients, moments and 400 frames.
    assert found.disk_bytes == 3 * 12 * 1000 + 4000 and found.memory_bytes == 16 * 1000 + 70 + 50 * 400


@pytest.mark.parametrize(
    ("devices", "device_frames", "expected"), [(1, 0, 400), (4, 0, 100), (1, 150, 134), (4, 150, 100)]
)
def test_a_pass_holds_a_share_of_the_batch(devices, device_frames, expected):
    config = ASRConfig(training=TrainingConfig(batch_frames=400, device_frames=device_frames))
    assert frames_at_once(config, num_devices=devices) == expected


EXTRACTION = ExtractionMeasure(speed=100.0, what="mfcc features")
AMOUNT = {"train_seconds": 1e6, "sizes": TokenSizes(num_quantizers=8)}


def test_tokens_take_two_bytes_each():
    learn = learning_stage(TokenizerConfig(), EXTRACTION, None, **AMOUNT)
    extract = extraction_stage(TokenizerConfig(), EXTRACTION, seconds=2e6, sizes=AMOUNT["sizes"])
    assert (learn.stage, learn.seconds, learn.disk_bytes) == ("learn_tokenizer", 500_000 / 50 / 100, 0)
    assert (extract.stage, extract.seconds) == ("extract_tokens", 2e4) and extract.disk_bytes == 2e6 * 50 * 9 * 2
    faster = TokenSizes(num_quantizers=8, acoustic_rate=75.0)
    extract = extraction_stage(TokenizerConfig(), EXTRACTION, seconds=2e6, sizes=faster)
    assert extract.disk_bytes == 2e6 * (50 + 8 * 75) * 2


def test_the_head_takes_its_updates_and_its_weights():
    head = HeadMeasure(step_seconds=0.25, num_steps=400, num_parameters=1000)
    without, with_head = (learning_stage(TokenizerConfig(), EXTRACTION, each, **AMOUNT) for each in (None, head))
    assert with_head.seconds - without.seconds == 100 and with_head.disk_bytes == 4000
    assert "400 updates of the codec's head" in with_head.basis


def test_a_codec_is_learned_also_where_its_first_codebook_is_the_semantic_tokens():
    of_codec = SemanticConfig(kind="codec")
    head = HeadMeasure(step_seconds=0.25, num_steps=400, num_parameters=1000)
    learn = learning_stage(TokenizerConfig(semantic=of_codec), EXTRACTION, head, **AMOUNT)
    assert learn.seconds == 200_000 / 50 / 100 + 100 and learn.disk_bytes == 4000 and learn.memory_bytes == 0
    pretrained = TokenizerConfig(semantic=of_codec, codec=CodecConfig(kind="encodec", model="there"))
    assert learning_stage(pretrained, EXTRACTION, None, **AMOUNT) is None


def test_the_head_that_is_measured_is_that_of_the_settings():
    sizes = {"hidden_dim": 8, "num_layers": 1, "batch_size": 2}
    config = TokenizerConfig(codec=CodecConfig(head=HeadConfig(steps=3, segment_frames=600, **sizes)))
    assert has_head(config)
    found = measure_head(config, device="cpu", seconds=0.1)
    assert found.num_steps == 3 and found.step_seconds > 0 and found.num_parameters > 8 * config.codec.num_mels
    assert not has_head(TokenizerConfig(codec=CodecConfig(head=HeadConfig(steps=0))))
    assert not has_head(TokenizerConfig(codec=CodecConfig(kind="encodec", model="there")))


@pytest.mark.parametrize(
    ("warmup_steps", "told"), [(5, ""), (6, "at its peak after 60% of the run"), (11, "never gets to its peak")]
)
def test_a_learning_rate_that_rises_for_too_long_is_a_warning(warmup_steps, told):
    frames = np.full(20, 40)  # two batches, five epochs
    config = ASRConfig(training=TrainingConfig(**TRAINING), optim=OptimConfig(warmup_steps=warmup_steps))
    (found, _) = describe_stages([training_stage(MEASURE, config, train_frames=frames, valid_frames=frames)])
    assert "5 epochs, 10 updates" in found.found and found.status == (WARN if told else OK)
    assert told in found.remedy and ("train_asr.yaml: " in found.remedy) == bool(told)


@pytest.mark.parametrize("updates", [0, 1, 2, 7, 100, 12_345])
def test_the_warmup_that_is_advised_is_no_fault(updates):
    told = warmup_fault(ASRConfig(optim=OptimConfig(warmup_steps=10**6)), updates)
    advised = int(re.search(r"set optim.warmup_steps=(\d+)", told)[1])
    assert 1 <= advised and not warmup_fault(ASRConfig(optim=OptimConfig(warmup_steps=advised)), updates)


def test_an_evaluation_reads_some_utterances_by_every_head_and_reads_what_it_draws():
    config = ChainConfig(evaluation=EvaluationConfig(heads=["joint", "ctc"], max_utts=5, t2s_utts=3))
    sets, speeds = [np.full(20, 40), np.full(2, 10)], {"reading": 0.1, "drawing": 0.01}
    expected = 40 * (5 * 2 * 0.1 + 3 * 0.11) + 10 * (2 * 2 * 0.1 + 2 * 0.11)
    assert evaluation_seconds(config, sets, **speeds) == pytest.approx(expected)
    whole = replace(config, evaluation=replace(config.evaluation, max_utts=0, t2s_utts=0))
    assert evaluation_seconds(whole, sets[:1], **speeds) == pytest.approx(40 * 20 * 2 * 0.1)
    assert evaluation_seconds(ASRConfig(), sets, **speeds) == 0 == evaluation_seconds(config, [], **speeds)


def test_codes_have_frames_of_their_own():
    sizes = TokenSizes(frame_rate=50.0, acoustic_rate=75.0)
    assert sizes.of_codes(np.array([100, 3])).tolist() == [150, 4]


def test_evaluations_take_their_time_before_training_and_after_every_epoch():
    config, frames = ASRConfig(training=TrainingConfig(**TRAINING)), np.full(20, 40)
    common = {"train_frames": frames, "valid_frames": frames}
    without, evaluated = (training_stage(MEASURE, config, evaluating=each, **common) for each in (0.0, 30.0))
    assert evaluated.seconds - without.seconds == pytest.approx(6 * 30)
    assert "each evaluation takes 30 seconds" in evaluated.basis and "evaluation" not in without.basis


def test_more_than_a_week_is_a_warning():
    config = ASRConfig(training=TrainingConfig(**TRAINING), optim=OptimConfig(warmup_steps=1))
    frames = np.full(20, 40)
    short = training_stage(MEASURE, config, train_frames=frames, valid_frames=frames)
    slow = StepMeasure(**{**vars(MEASURE), "seconds": 1e5})
    long = training_stage(slow, config, train_frames=frames, valid_frames=frames)
    assert [each.status for each in describe_stages([short, long])] == [OK, WARN, OK]


def test_typical_speech_has_the_hours_and_the_mean_asked_for():
    seconds = typical_seconds(10.0, mean_seconds=8.0)
    assert seconds.sum() == pytest.approx(36_000, rel=0.01) and seconds.mean() == pytest.approx(8.0)
    assert seconds.min() > 0
