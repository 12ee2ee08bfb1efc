"""T2S's pretraining: some utterances are spoken without their text, so that the model knows speech as such."""

from dataclasses import replace

import pytest
import torch


@pytest.mark.parametrize(("share", "hears"), [(0.0, True), (1.0, False)])
def test_utterances_without_their_text_do_not_hear_it(make_t2s_task, make_batch, monkeypatch, share, hears):
    task = make_t2s_task()
    task.t2s.config.text_dropout = share
    monkeypatch.setattr(task, "_log", lambda *_: None)
    monkeypatch.setattr(task, "checked", lambda loss, _: loss)
    batch = make_batch([5, 3], [4, 2])
    losses = []
    for text_BL in (batch.text_BL, batch.text_BL.roll(1, dims=1) + 1):
        torch.manual_seed(0)
        losses.append(float(task.training_step(replace(batch, text_BL=text_BL), 0).detach()))
    assert (losses[0] != losses[1]) == hears


def test_validation_hears_every_text(make_t2s_task, make_batch, monkeypatch):
    task = make_t2s_task().eval()
    task.t2s.config.text_dropout = 1.0
    found = []
    monkeypatch.setattr(task, "_log", lambda _, output, __: found.append(float(output.loss)))
    batch = make_batch([5, 3], [4, 2])
    with torch.no_grad():
        for text_BL in (batch.text_BL, batch.text_BL.roll(1, dims=1) + 1):
            task.validation_step(replace(batch, text_BL=text_BL), 0)
    assert found[0] != found[1]
