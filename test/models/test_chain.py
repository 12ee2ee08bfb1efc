"""The chain: where the gradient goes, what is frozen, what is random."""

import copy

import pytest
import torch

from tokenchain_toolkit.config.chain import ChainModelConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.chain import ChainModel

LENGTHS = ([30, 18], [4, 2], [3, 5])


@pytest.fixture
def make_chain(make_asr, make_t2s):
    def build(feedback, **changes):
        config = ChainModelConfig(feedback=feedback, **changes)
        return ChainModel(config, asr=make_asr(dropout=0.0, num_time_masks=0), t2s=make_t2s())

    return build


def gradients(module):
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def test_without_feedback_no_gradient_goes_from_t2s_to_asr(make_chain, make_batch):
    chain = make_chain("none")
    chain(make_batch(*LENGTHS), temperature=1.0).t2s.loss.backward()
    assert all(gradient is None for gradient in gradients(chain.asr).values())
    assert chain.t2s.head.weight.grad.any()


@pytest.mark.parametrize("feedback", ["st_argmax", "st_gumbel", "soft"])
def test_with_feedback_the_reconstruction_reaches_the_whole_asr(make_chain, make_batch, feedback):
    chain = make_chain(feedback)
    chain(make_batch(*LENGTHS), temperature=1.0).t2s.loss.backward()
    found = gradients(chain.asr)
    assert found["embed.weight"].any() and found["encoder.embed.conv.0.weight"].any()
    silent = [name for name, gradient in found.items() if gradient is None]
    assert silent == ["ctc.ctc_lo.weight", "ctc.ctc_lo.bias"]


def test_a_frozen_t2s_gets_no_gradient_and_passes_it_on(make_chain, make_batch):
    chain = make_chain("st_argmax", freeze_t2s=True)
    before = copy.deepcopy(chain.t2s.state_dict())
    chain(make_batch(*LENGTHS), temperature=1.0).t2s.loss.backward()
    assert all(gradient is None for gradient in gradients(chain.t2s).values())
    assert chain.asr.embed.weight.grad.any()
    assert all(torch.equal(value, before[name]) for name, value in chain.t2s.state_dict().items())


@pytest.mark.parametrize("freeze", [False, True])
def test_models_loaded_for_inference_train_again_and_a_frozen_one_does_not(make_chain, freeze):
    chain = make_chain("st_argmax", freeze_t2s=freeze)  # built of models in evaluation mode
    for _ in range(2):
        assert all(module.training for module in chain.asr.modules())
        assert all(module.training != freeze for module in chain.t2s.modules())
        chain.eval()
        assert not any(module.training for module in chain.modules())
        chain.train()


@torch.no_grad()
def test_argmax_feedback_equals_t2s_on_the_recognised_ids(make_chain, make_batch):
    chain, batch = make_chain("st_argmax").eval(), make_batch(*LENGTHS)
    output = chain(batch, temperature=0.5)
    recognised_BL = output.asr.logits_BLV[:, :-1].argmax(-1)
    expected = chain.t2s(
        chain.t2s.embed_text(recognised_BL),
        batch.text_lengths_B,
        batch.semantic_BT,
        batch.semantic_lengths_B,
        prefix_BP=batch.prompt_BP,
        prefix_lengths_B=batch.prompt_lengths_B,
    )
    torch.testing.assert_close(output.t2s.loss, expected.loss)
    supervised = make_chain("none").eval()(batch, temperature=0.5)
    assert not torch.allclose(supervised.t2s.loss, expected.loss)
    torch.testing.assert_close(supervised.asr.loss, output.asr.loss)


@torch.no_grad()
def test_gumbel_noise_is_seeded_and_only_in_training(make_chain, make_batch):
    batch, chain = make_batch(*LENGTHS), make_chain("st_gumbel").train()

    def rec_loss(seed):
        return chain(batch, temperature=1.0, generator=torch.Generator().manual_seed(seed)).t2s.loss

    assert torch.equal(rec_loss(1), rec_loss(1))
    assert len({float(rec_loss(seed)) for seed in range(4)}) > 1
    quiet = make_chain("st_argmax").eval()(batch, temperature=1.0).t2s.loss
    chain.eval()
    assert torch.equal(rec_loss(1), quiet) and torch.equal(rec_loss(2), quiet)


@torch.no_grad()
def test_the_interface_is_described_at_real_positions(make_chain, make_batch):
    chain, batch = make_chain("st_argmax").eval(), make_batch(*LENGTHS)
    hot = chain(batch, temperature=1e4)
    assert float(hot.interface_entropy) == pytest.approx(torch.log(torch.tensor(9.0)).item(), abs=1e-3)
    best_BL = hot.asr.logits_BLV[:, :-1].argmax(-1)
    hits = [(best_BL[b, :n] == batch.text_BL[b, :n]) for b, n in enumerate(batch.text_lengths_B.tolist())]
    assert float(hot.interface_accuracy) == pytest.approx(torch.cat(hits).float().mean().item())


def test_an_unknown_feedback_is_refused(make_chain):
    with pytest.raises(ConfigError, match="model.feedback=hard: choose one of none"):
        make_chain("hard")
    with pytest.raises(ConfigError, match="model.feedback_into=encoder: choose one of asr"):
        make_chain("soft", feedback_into="encoder")
    with pytest.raises(ConfigError, match="forbids it"):
        make_chain("soft", freeze_t2s=True, supervised_t2s=1.0)


@pytest.mark.parametrize("feedback", ["st_argmax", "soft"])
def test_feedback_into_the_decoder_leaves_encoder_and_embedding_alone(make_chain, make_batch, feedback):
    chain, batch = make_chain(feedback, feedback_into="decoder").eval(), make_batch(*LENGTHS)
    output = chain(batch, temperature=1.0)
    torch.testing.assert_close(output.t2s.loss, make_chain(feedback).eval()(batch, temperature=1.0).t2s.loss)
    output.t2s.loss.backward()
    for name, gradient in gradients(chain.asr).items():
        assert (gradient is not None) == name.startswith("decoder."), name


def test_soft_feedback_is_the_expected_embedding_and_its_gradient_lowers_the_loss(make_chain, make_batch):
    chain, batch = make_chain("soft").eval(), make_batch(*LENGTHS)
    output = chain(batch, temperature=2.0)
    probs_BLV = torch.softmax(output.asr.logits_BLV[:, :-1] / 2.0, dim=-1)
    expected = chain.reconstruct(probs_BLV @ chain.t2s.embed_text.weight, batch)
    torch.testing.assert_close(output.t2s.loss, expected.loss)
    output.t2s.loss.backward()
    with torch.no_grad():
        for parameter in chain.asr.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    assert chain(batch, temperature=2.0).t2s.loss < output.t2s.loss


def test_the_supervised_loss_of_t2s_is_that_of_the_baseline(make_chain, make_batch):
    batch = make_batch(*LENGTHS)
    output = make_chain("st_argmax", supervised_t2s=0.5).eval()(batch, temperature=1.0)
    baseline = make_chain("none", supervised_t2s=0.5).eval()(batch, temperature=1.0)
    torch.testing.assert_close(output.supervised.loss, baseline.t2s.loss)
    assert baseline.supervised is None and make_chain("soft")(batch, temperature=1.0).supervised is None
