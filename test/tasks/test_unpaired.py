"""Speech alone and text alone: the split, the batches, what is learned from them, and what is refused."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.chain import UnpairedConfig
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
    assert "train/speech_asr_loss" not in rows[0] and "train/text_asr_loss" not in rows[0]


def test_labels_of_speech_alone_are_learned_without_feedback(make_chain_task, run_fit, make_corpus, tmp_path):
    task = make_chain_task("none", unpaired=UnpairedConfig(speech_ratio=1.0, labels="text"), max_epochs=2)
    _, rows = run_fit(task, tmp_path, UnpairedData(speech=make_corpus(), speech_ratio=1.0))
    assert float(rows[-1]["train/speech_asr_loss"]) > 0 and "train/speech_rec_loss" not in rows[0]


def test_text_alone_is_spoken_by_t2s_and_read_by_the_asr(make_chain_task, run_fit, tmp_path, monkeypatch):
    from tokenchain_toolkit.inference.t2s_sampling import SampledSpeech
    from tokenchain_toolkit.tasks import chain

    calls = []

    def speak(t2s, text_BL, text_lengths_B, **options):
        calls.append((t2s.training, text_BL.shape))
        # Of each batch the first is cut off, the second too short to be spelt; only further ones are of use.
        lengths = [40, 5, *[40] * len(text_BL)][: len(text_BL)]
        return [SampledSpeech(torch.ones(length, dtype=torch.long), index > 0) for index, length in enumerate(lengths)]

    monkeypatch.setattr(chain, "sample_semantic", speak)
    texts = [(f"text{index}", np.array([2, 3, 4, 2])) for index in range(6)]
    unpaired = UnpairedConfig(text_ratio=1.5, sampling=T2SSamplingConfig(temperature=1.0))
    task = make_chain_task("none", unpaired=unpaired, max_epochs=2)
    _, rows = run_fit(task, tmp_path, UnpairedData(texts=texts, text_ratio=1.5))
    assert calls and not any(training for training, _ in calls)
    assert float(rows[-1]["train/text_asr_loss"]) > 0
    assert 0 < float(rows[-1]["train/text_unusable"]) < 1


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
