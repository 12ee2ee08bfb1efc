"""What T2S hears of the text, and the gradients at the ASR."""

import pytest
import torch

from tokenchain_toolkit.config.chain import ChainModelConfig
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.chain_diagnostics import feedback_gradients, text_dependence

LENGTHS = ([30, 18], [6, 5], [3, 5])


@pytest.fixture
def make_chain(make_asr, make_t2s):
    def build(feedback):
        asr = make_asr(dropout=0.0, num_time_masks=0)
        return ChainModel(ChainModelConfig(feedback=feedback), asr=asr, t2s=make_t2s()).eval()

    return build


def losses_of(chain, batch, recognised_BL):
    found = text_dependence(chain, batch, recognised_BL, generator=torch.Generator().manual_seed(0))
    return [float(found[f"rec_loss_{name}"]) for name in ("true", "recognised", "shuffled")]


def test_the_loss_follows_the_text_unless_t2s_is_deaf_to_it(make_chain, make_batch):
    chain, batch = make_chain("st_argmax"), make_batch(*LENGTHS)
    true, same, shuffled = losses_of(chain, batch, batch.text_BL)
    assert true == same != shuffled
    assert losses_of(chain, batch, (batch.text_BL + 1) % 5)[1] != true
    with torch.no_grad():
        chain.t2s.embed_text.weight.zero_()
    assert len(set(losses_of(chain, batch, (batch.text_BL + 1) % 5))) == 1


def test_shuffling_moves_only_real_units(make_chain, make_batch, monkeypatch):
    chain, batch = make_chain("st_argmax"), make_batch(*LENGTHS)
    seen = []
    embed = chain.t2s.embed_text.forward
    monkeypatch.setattr(chain.t2s.embed_text, "forward", lambda text_BL: (seen.append(text_BL), embed(text_BL))[1])
    losses_of(chain, batch, batch.text_BL)
    shuffled_BL = seen[-1]
    for row, length in enumerate(batch.text_lengths_B.tolist()):
        assert sorted(shuffled_BL[row, :length].tolist()) == sorted(batch.text_BL[row, :length].tolist())
        assert torch.equal(shuffled_BL[row, length:], batch.text_BL[row, length:])


@pytest.mark.parametrize("feedback", ["st_argmax", "st_gumbel", "soft"])
def test_gradients_are_those_of_the_losses_and_leave_nothing_behind(make_chain, make_batch, feedback):
    chain, batch = make_chain(feedback), make_batch(*LENGTHS)
    with torch.inference_mode():
        found = feedback_gradients(chain, batch, temperature=1.0)
    assert all(parameter.grad is None for parameter in chain.parameters())
    chain(batch, temperature=1.0).t2s.loss.backward()
    squares = [p.grad.square().sum() for p in chain.asr.parameters() if p.grad is not None]
    assert found["rec_gradient"] == pytest.approx(float(torch.stack(squares).sum().sqrt()), rel=1e-4)
    assert -1 <= found["gradient_cosine"] <= 1 and found["asr_gradient"] > 0
    if feedback == "soft":
        assert found["estimator_cosine"] == pytest.approx(1, abs=1e-5)
    else:
        assert found["estimator_cosine"] < 0.999
