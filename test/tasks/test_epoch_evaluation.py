"""Evaluation at every epoch: written for each, and training does not notice."""

import json
from types import SimpleNamespace

import pytest
import torch

from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.tasks.epoch_evaluation import EpochEvaluation, evaluation_file

LETTERS = "abcde "
QUICK = EvaluationConfig(beam_size=2, t2s_utts=3, t2s=T2SSamplingConfig(max_frames_per_token=6.0))


@pytest.fixture
def make_callback(make_asr, make_corpus):
    """A function that builds the callback for the corpus that the tasks are trained on."""
    corpus = make_corpus()
    spell = SimpleNamespace(decode=lambda ids: "".join(LETTERS[index - 2] for index in ids if index >= 2))
    texts = {utt_id: spell.decode(ids) for utt_id, ids in zip(corpus.dump.utt_ids, corpus.texts, strict=True)}

    def build(folder, config=QUICK):
        sets, references = {"read": corpus}, {"read": texts}
        judge = make_asr(seed=1)
        return EpochEvaluation(folder, sets, references=references, judge=judge, text_tokenizer=spell, config=config)

    return build


@pytest.fixture
def train(make_corpus):
    """A function that trains a task in a folder with some callbacks and gives its weights."""
    from tokenchain_toolkit.data.unpaired import ChainDataModule, UnpairedData
    from tokenchain_toolkit.tasks.fit import fit

    def run(task, folder, *callbacks):
        corpus, config = make_corpus(), task.config
        settings = {"unpaired": UnpairedData(), "data": config.data, "training": config.training}
        return fit(task, ChainDataModule(corpus, corpus, **settings), folder=folder, callbacks=callbacks)

    return run


def test_a_run_with_and_without_evaluation_gives_the_same_weights(make_chain_task, make_callback, train, tmp_path):
    plain = train(make_chain_task(max_epochs=2), tmp_path / "plain")
    evaluated = train(make_chain_task(max_epochs=2), tmp_path, make_callback(tmp_path))
    assert not [name for name, value in plain.items() if not torch.equal(evaluated[name], value)]


def test_every_epoch_and_the_state_before_have_a_file(make_chain_task, make_callback, train, tmp_path, caplog):
    caplog.set_level("INFO", logger="tokenchain_toolkit")
    train(make_chain_task(max_epochs=2), tmp_path / "chain", make_callback(tmp_path / "chain"))
    found = [json.loads(path.read_text()) for path in sorted((tmp_path / "chain" / "evaluation").iterdir())]
    assert [entry["epoch"] for entry in found] == [0, 1, 2]
    for entry in found:
        assert entry["sets"].keys() == {"read"}
        assert entry["sets"]["read"].keys() == {"joint", "attention", "ctc", "t2s", "t2s_unfinished"}
        assert len(entry["sets"]["read"]["joint"]) == 8 and len(entry["sets"]["read"]["t2s"]) == 3
    assert found[0]["sets"] != found[1]["sets"] != found[2]["sets"]
    assert "chain epoch 2  read WER joint " in caplog.text


def test_an_evaluation_before_training_that_is_there_is_kept(make_chain_task, make_callback, train, tmp_path):
    evaluation_file(tmp_path, 0).parent.mkdir()
    evaluation_file(tmp_path, 0).write_text("kept")
    train(make_chain_task(max_epochs=1), tmp_path, make_callback(tmp_path))
    assert evaluation_file(tmp_path, 0).read_text() == "kept" and evaluation_file(tmp_path, 1).is_file()


def test_modes_and_random_state_are_restored(make_chain_task, make_callback, monkeypatch, tmp_path):
    task, callback = make_chain_task(), make_callback(tmp_path)
    task.chain.train()
    task.chain.t2s.eval()
    task.chain.asr.ctc.eval()
    modes = [module.training for module in task.chain.modules()]
    seen = []

    def noisy(asr, t2s, **others):
        seen.append({module.training for model in (asr, t2s, others["judge"]) for module in model.modules()})
        torch.rand(5)
        return {}

    monkeypatch.setattr("tokenchain_toolkit.tasks.epoch_evaluation.evaluate", noisy)
    state = torch.get_rng_state()
    trainer = SimpleNamespace(is_global_zero=True, current_epoch=0)
    callback.on_train_epoch_end(trainer, task)
    assert seen == [{False}]
    assert [module.training for module in task.chain.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


def test_of_several_processes_one_evaluates(make_chain_task, make_callback, tmp_path):
    trainer = SimpleNamespace(is_global_zero=False, current_epoch=0)
    make_callback(tmp_path).on_train_start(trainer, make_chain_task())
    make_callback(tmp_path).on_train_epoch_end(trainer, make_chain_task())
    assert not list(tmp_path.iterdir())


def test_an_unknown_head_is_refused_before_training(make_callback, tmp_path):
    with pytest.raises(ConfigError, match="rnnt"):
        make_callback(tmp_path, EvaluationConfig(heads=["rnnt"]))
