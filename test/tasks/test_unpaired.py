"""Speech alone and text alone: the split, the batches, what is learned from them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.chain import BalanceConfig, UnpairedConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.unpaired import ChainDataModule, UnpairedData, split_paired
from tokenchain_toolkit.errors import ConfigError


def names(corpus):
    return {corpus.dump.utt_ids[index] for index in corpus.usable}


@pytest.fixture
def silent(make_corpus):
    """A corpus of speech alone."""
    corpus = make_corpus()
    corpus.texts = [np.zeros(0, np.int32)] * len(corpus.texts)
    return corpus


def test_the_split_depends_on_seed_and_names_alone(make_corpus):
    corpus = make_corpus()
    paired, rest = split_paired(corpus, share=0.5, seed=3)
    assert len(names(paired)) == 4 and names(paired) | names(rest) == names(corpus)
    assert not names(paired) & names(rest)
    # Whoever skips an utterance still agrees on the others.
    fewer = corpus.part(corpus.usable[1:])
    assert names(split_paired(fewer, share=0.5, seed=3)[0]) == names(paired) - {"utt0"}
    assert len({frozenset(names(split_paired(corpus, share=0.5, seed=seed)[0])) for seed in range(5)}) > 1
    assert names(split_paired(corpus, share=1.0, seed=0)[1]) == set()
    for share in (0.0, 1.2, 0.01):
        with pytest.raises(ConfigError, match=f"data.paired_share={share}"):
            split_paired(corpus, share=share, seed=0)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_unpaired_batches_go_round_their_corpus_at_the_ratio_asked_for(make_corpus, silent, ratio):
    paired = make_corpus(("abc", "cab de", "ea", "bad"))
    texts = [(f"text{index}", np.arange(2, 2 + index)) for index in range(1, 6)]
    unpaired = UnpairedData(speech=silent, texts=texts, speech_ratio=ratio, text_ratio=ratio)
    training = TrainingConfig(batch_frames=80, seed=1)
    data = ChainDataModule(paired, paired, unpaired=unpaired, data=DataConfig(), training=training)
    steps = list(data.train_dataloader())
    combined = [batches for batches, _, _ in steps]
    assert [sorted(batches) for batches in combined] == [["paired", "speech", "text"]] * len(combined)
    heard = [utt_id for batches in combined for utt_id in batches["paired"].utt_ids]
    assert sorted(heard) == ["utt0", "utt1", "utt2", "utt3"]
    for batches in combined:
        speech, text = batches["speech"], batches["text"]
        assert speech.text_BL.shape[1] == 0 and text.semantic_lengths_B.sum() == 0
        assert len(speech) == 1 or speech.semantic_BT.numel() <= 80 * ratio
        assert set(text.utt_ids) <= {name for name, _ in texts} and (text.text_lengths_B > 0).all()


def test_passes_over_speech_alone_follow_each_other(make_corpus, silent):
    class Epoch:
        global_rank, world_size = 0, 1

        def __init__(self, number):
            self.current_epoch = number

    paired = make_corpus(("abc", "cab de"))
    unpaired = UnpairedData(speech=silent, speech_ratio=1.0)
    data = ChainDataModule(
        paired, paired, unpaired=unpaired, data=DataConfig(), training=TrainingConfig(batch_frames=40)
    )
    heard = []
    for epoch in range(4):
        data.trainer = Epoch(epoch)
        steps = [batches for batches, _, _ in data.train_dataloader()]
        heard += [utt_id for batches in steps for utt_id in batches["speech"].utt_ids]
    assert len(set(heard[:8])) > 5, "an epoch goes on where the last one left off"


@pytest.mark.parametrize(
    ("feedback", "reading"), [("st_argmax", "ctc"), ("score_function", "free_running"), ("st_gumbel", "free_running")]
)
def test_speech_alone_trains_through_what_is_read_of_it(make_chain_task, run_fit, silent, tmp_path, feedback, reading):
    unpaired = UnpairedConfig(speech_ratio=1.0, feedback=feedback, reading=reading)
    task = make_chain_task("none", unpaired=unpaired, max_epochs=2)
    _, rows = run_fit(task, tmp_path, UnpairedData(speech=silent, speech_ratio=1.0))
    assert all(float(row["train/speech_rec_loss"]) > 0 for row in rows)
    assert "valid/rec_gradient" in rows[0] and "valid/link_entropy" not in rows[0]
    # What is fed back is looked at where it is used: not what the decoder reads after the transcript's history.
    assert all(0 < float(row["valid/speech_rec_loss"]) != float(row["valid/rec_loss_recognised"]) for row in rows)
    assert all(0 <= float(row["valid/speech_entropy"]) != float(row["valid/interface_entropy"]) for row in rows)
    assert "train/speech_asr_loss" not in rows[0] and "train/text_asr_loss" not in rows[0]


def test_labels_of_speech_alone_are_learned_without_feedback(make_chain_task, run_fit, make_corpus, tmp_path):
    task = make_chain_task("none", unpaired=UnpairedConfig(speech_ratio=1.0, labels="text"), max_epochs=2)
    _, rows = run_fit(task, tmp_path, UnpairedData(speech=make_corpus(), speech_ratio=1.0))
    assert float(rows[-1]["train/speech_asr_loss"]) > 0
    assert "train/speech_rec_loss" not in rows[0] and "valid/speech_rec_loss" not in rows[0]


def test_text_alone_is_spoken_by_t2s_and_read_by_the_asr(make_chain_task, run_fit, tmp_path, monkeypatch):
    from tokenchain_toolkit.inference.judged_draws import SampledSpeech
    from tokenchain_toolkit.tasks import chain

    calls = []

    def speak(t2s, text_BL, text_lengths_B, **options):
        calls.append((t2s.training, text_BL.shape))
        # Of each batch the longest text is cut off, the first is too short to be spelt; only others are of use.
        frames = [5, *[40] * (len(text_BL) - 1)]
        ended_B = text_lengths_B < text_lengths_B.max()
        return [
            SampledSpeech(torch.ones(length, dtype=torch.long), bool(ended))
            for length, ended in zip(frames, ended_B, strict=True)
        ]

    monkeypatch.setattr(chain, "sample_semantic", speak)
    texts = [(f"text{index}", np.array([2, 3, 4, 2] * 3)[: 3 + index]) for index in range(8)]
    unpaired = UnpairedConfig(text_ratio=3.0, sampling=T2SSamplingConfig(temperature=1.0))
    task = make_chain_task("none", unpaired=unpaired, max_epochs=2)
    _, rows = run_fit(task, tmp_path, UnpairedData(texts=texts, text_ratio=3.0))
    assert calls and not any(training for training, _ in calls)
    assert float(rows[-1]["train/text_asr_loss"]) > 0
    assert 0 < float(rows[-1]["train/text_unusable"]) < 1


def test_everything_is_learned_from_with_its_weight(make_chain_task, run_fit, make_corpus, tmp_path, monkeypatch):
    from tokenchain_toolkit.inference.judged_draws import SampledSpeech
    from tokenchain_toolkit.tasks import chain

    spoken = SampledSpeech(torch.arange(60) % 12, True)
    monkeypatch.setattr(chain, "sample_semantic", lambda t2s, text_BL, *_, **options: [spoken] * len(text_BL))
    settings = UnpairedConfig(1.0, 1.0, feedback="soft", labels="text")
    settings.label_weight, settings.reconstruction_weight, settings.text_weight = 0.5, 3.0, 0.25
    balance = BalanceConfig(kind="fixed", asr_weight=0.7, rec_weight=1.6)
    task = make_chain_task("st_argmax", balance=balance, unpaired=settings, max_epochs=1)
    texts = [(f"text{index}", np.array([2, 3, 4, 2])) for index in range(4)]
    unpaired = UnpairedData(speech=make_corpus(), texts=texts, speech_ratio=1.0, text_ratio=1.0)
    _, [row] = run_fit(task, tmp_path, unpaired)
    names = ("asr_loss", "speech_asr_loss", "text_asr_loss", "rec_loss", "speech_rec_loss", "loss")
    asr, labelled, read, rec, heard, loss = (float(row[f"train/{name}"]) for name in names)
    assert min(asr, labelled, read, rec, heard) > 0
    assert loss == pytest.approx(0.7 * (asr + 0.5 * labelled + 0.25 * read) + 1.6 * (rec + 3.0 * heard), rel=1e-4)


@pytest.mark.parametrize("feedback", ["none", "st_argmax", "soft"])
def test_two_passes_learn_from_speech_alone_as_one_does(make_chain_task, run_fit, make_corpus, tmp_path, feedback):
    def losses(device_frames):
        settings = UnpairedConfig(speech_ratio=1.0, feedback=feedback, labels="text")
        task = make_chain_task(feedback, unpaired=settings, max_epochs=2, batch_frames=160, device_frames=device_frames)
        task.chain.asr.config.num_time_masks, task.chain.t2s.config.history_dropout = 0, 0.0
        for module in task.chain.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        folder = tmp_path / f"{device_frames}"
        _, rows = run_fit(task, folder, UnpairedData(speech=make_corpus(), speech_ratio=1.0))
        names = [f"train/{name}" for name in ("loss", "asr_loss", "rec_loss", "speech_asr_loss")]
        return [[float(row[name]) for name in [*names, "valid/loss"]] for row in rows], rows[-1]["step"]

    (whole, steps), (passes, same_steps) = losses(0), losses(80)
    assert steps == same_steps
    assert passes == [pytest.approx(row, rel=1e-3) for row in whole]


def test_a_ratio_below_one_utterance_is_refused(make_corpus, silent):
    training = TrainingConfig(batch_frames=200)
    corpus, texts = make_corpus(), [("text", np.arange(2, 7))]
    for kind in ("speech", "text"):
        unpaired = UnpairedData(speech=silent if kind == "speech" else None, texts=texts if kind == "text" else ())
        unpaired = replace(unpaired, **{f"{kind}_ratio": 0.1})
        data = ChainDataModule(corpus, corpus, unpaired=unpaired, data=DataConfig(), training=training)
        with pytest.raises(ConfigError, match=f"unpaired.{kind}_ratio=0.1 of training.batch_frames=200 is less"):
            data.train_dataloader()


def test_alternating_training_moves_one_half_at_a_time(make_chain_task, run_fit, tmp_path):
    task = make_chain_task("st_argmax", model={"t2s_training": "alternating"}, max_epochs=2)
    seen = []

    def snapshot(batch, batch_idx):
        state = {half: [p.detach().clone() for p in getattr(task.chain, half).parameters()] for half in ("asr", "t2s")}
        seen.append(state)

    task.on_train_batch_end = lambda outputs, batch, batch_idx: snapshot(batch, batch_idx)
    run_fit(task, tmp_path)
    assert len(seen) > 3
    for step, (before, after) in enumerate(zip(seen, seen[1:], strict=False), start=1):
        moved = {
            half: any(not torch.equal(a, b) for a, b in zip(before[half], after[half], strict=True)) for half in before
        }
        assert moved == {"asr": step % 2 == 0, "t2s": step % 2 == 1}


def test_what_would_have_no_effect_is_refused(make_chain_task):
    with pytest.raises(ConfigError, match="unpaired.reading=teacher_forced"):
        make_chain_task("none", unpaired=UnpairedConfig(1.0, feedback="soft", reading="teacher_forced"))
    with pytest.raises(ConfigError, match="has no effect without unpaired.feedback"):
        make_chain_task("st_argmax", unpaired=UnpairedConfig(speech_ratio=1.0))
    with pytest.raises(ConfigError, match="raise unpaired.speech_ratio"):
        make_chain_task("st_argmax", unpaired=UnpairedConfig(feedback="soft"))
    with pytest.raises(ConfigError, match="reaches no CTC head"):
        make_chain_task("soft", model={"feedback_into": "decoder"}, unpaired=UnpairedConfig(1.0, feedback="soft"))
    # Without feedback nothing is read of speech alone.
    make_chain_task("soft", model={"feedback_into": "decoder"}, unpaired=UnpairedConfig(1.0, labels="text"))
    with pytest.raises(ConfigError, match="unpaired.text_ratio=-1.0 must be at least 0"):
        make_chain_task("none", unpaired=UnpairedConfig(text_ratio=-1.0))
    with pytest.raises(ConfigError, match=r"unpaired\.feedback=hard: choose one of none"):
        make_chain_task("none", unpaired=UnpairedConfig(1.0, feedback="hard"))
