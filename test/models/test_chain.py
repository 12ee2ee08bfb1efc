"""The chain: where the gradient goes, what is frozen, what is random."""

import copy
import itertools
import math

import pytest
import torch

from tokenchain_toolkit.config.chain import ChainModelConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.asr_reading import Reading
from tokenchain_toolkit.models.chain import ChainModel, score_function
from tokenchain_toolkit.models.t2s import T2SOutput

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


@pytest.mark.parametrize(
    ("feedback", "reading"),
    [
        *itertools.product(["st_argmax", "st_gumbel", "soft"], ["teacher_forced", "free_running", "ctc"]),
        ("score_function", "free_running"),
        ("score_function", "ctc"),
    ],
)
def test_with_feedback_the_reconstruction_reaches_the_asr_up_to_its_input(make_chain, make_batch, feedback, reading):
    chain = make_chain(feedback, reading=reading)
    chain(make_batch(*LENGTHS), temperature=1.0, generator=torch.Generator().manual_seed(0)).t2s.loss.backward()
    found = gradients(chain.asr)
    assert found["embed.weight"].any() and found["encoder.embed.conv.0.weight"].any()
    silent = {name.partition(".")[0] for name, gradient in found.items() if gradient is None}
    assert silent == ({"decoder"} if reading == "ctc" else {"ctc"})


@pytest.mark.parametrize("reading", ["teacher_forced", "free_running", "ctc"])
@pytest.mark.parametrize("feedback", ["st_argmax", "st_gumbel"])
def test_the_gradient_at_the_scores_is_the_straight_through_one(make_chain, make_batch, feedback, reading):
    chain, batch, tau = make_chain(feedback, reading=reading).eval(), make_batch(*LENGTHS), 0.5
    link = chain(batch, temperature=tau, generator=torch.Generator().manual_seed(0)).link
    (found_BLV,) = torch.autograd.grad(link.t2s.loss, link.reading.logits_BLV)

    one_hot_BLV = torch.nn.functional.one_hot(link.reading.text_BL, found_BLV.shape[2]).float().requires_grad_()
    loss = chain.reconstruct(chain.t2s.read_weights(one_hot_BLV, link.reading.lengths_B), batch).loss
    assert float(loss.detach()) == pytest.approx(float(link.t2s.loss.detach()), rel=1e-5)
    (upstream_BLV,) = torch.autograd.grad(loss, one_hot_BLV)
    noise_BLV = link.reading.noise_BLV if feedback == "st_gumbel" else 0.0
    p_BLV = ((link.reading.logits_BLV + noise_BLV) / tau).softmax(-1).detach()
    expected_BLV = p_BLV * (upstream_BLV - (p_BLV * upstream_BLV).sum(-1, keepdim=True)) / tau
    torch.testing.assert_close(found_BLV, expected_BLV, rtol=1e-3, atol=1e-8)
    assert found_BLV.any()


def test_a_sample_is_measured_against_the_others_of_its_utterance(make_batch):
    batch = make_batch(*LENGTHS)
    loss_B, log_prob_B = torch.tensor([1.0, 4.0, 7.0, 2.0, 2.0, 8.0]), torch.zeros(6, requires_grad=True)
    t2s = T2SOutput(loss=loss_B.sum() / (3 * batch.size.semantic_targets), accuracy=torch.zeros(()), loss_B=loss_B)
    none = torch.zeros(6, 0)
    output = score_function(t2s, Reading(none, none, none, None, log_prob_B), batch, num_samples=3)
    assert output.loss == t2s.loss
    output.loss.backward()
    # Less the mean of the other two, and the mean over three samples: (L_k - b_k) / 3 for each target of the batch.
    expected_B = torch.tensor([-4.5, 0.0, 4.5, -3.0, -3.0, 6.0]) / 3 / batch.size.semantic_targets
    torch.testing.assert_close(log_prob_B.grad, expected_B)


def test_a_frozen_t2s_gets_no_gradient_and_passes_it_on(make_chain, make_batch):
    chain = make_chain("st_argmax", t2s_training="frozen")
    before = copy.deepcopy(chain.t2s.state_dict())
    chain(make_batch(*LENGTHS), temperature=1.0).t2s.loss.backward()
    assert all(gradient is None for gradient in gradients(chain.t2s).values())
    assert chain.asr.embed.weight.grad.any()
    assert all(torch.equal(value, before[name]) for name, value in chain.t2s.state_dict().items())


@pytest.mark.parametrize("freeze", [False, True])
def test_models_loaded_for_inference_train_again_and_a_frozen_one_does_not(make_chain, freeze):
    chain = make_chain("st_argmax", t2s_training="frozen" if freeze else "joint")  # built of models in evaluation mode
    for _ in range(2):
        assert all(module.training for module in chain.asr.modules())
        assert all(module.training != freeze for module in chain.t2s.modules())
        chain.eval()
        assert not any(module.training for module in chain.modules())
        chain.train()


@torch.no_grad()
@pytest.mark.parametrize("reading", ["teacher_forced", "free_running", "ctc"])
def test_argmax_feedback_equals_t2s_on_the_ids_that_were_read(make_chain, make_batch, reading):
    chain, batch = make_chain("st_argmax", reading=reading).eval(), make_batch(*LENGTHS)
    output = chain(batch, temperature=0.5)
    read = output.link.reading
    expected = chain.t2s(
        chain.t2s.read_ids(read.text_BL, read.lengths_B),
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
@pytest.mark.parametrize("reading", ["teacher_forced", "free_running", "ctc"])
def test_gumbel_noise_is_seeded_and_only_where_it_is_asked_for(make_chain, make_batch, reading):
    batch, chain = make_batch(*LENGTHS), make_chain("st_gumbel", reading=reading).eval()

    def rec_loss(seed):
        return chain(batch, temperature=1.0, generator=torch.Generator().manual_seed(seed)).t2s.loss

    assert torch.equal(rec_loss(1), rec_loss(1))
    assert len({float(rec_loss(seed)) for seed in range(4)}) > 1
    quiet = make_chain("st_argmax", reading=reading).eval()(batch, temperature=1.0).t2s.loss
    assert torch.equal(chain(batch, temperature=1.0).t2s.loss, quiet)


@torch.no_grad()
def test_the_entropy_is_that_of_the_units_that_t2s_knows(make_chain, make_batch):
    chain, batch = make_chain("st_argmax").eval(), make_batch(*LENGTHS)
    # Nine symbols, of which blank and sos/eos are no text.
    assert float(chain(batch, temperature=1e4).link.entropy) == pytest.approx(math.log(7), abs=1e-3)
    assert float(chain(batch, temperature=1e-4).link.entropy) == pytest.approx(0, abs=1e-3)


def test_an_unknown_feedback_is_refused(make_chain):
    with pytest.raises(ConfigError, match="feedback=hard: choose one of none"):
        make_chain("hard")
    with pytest.raises(ConfigError, match="model.feedback_into=encoder: choose one of asr"):
        make_chain("soft", feedback_into="encoder")
    with pytest.raises(ConfigError, match="reading=aloud: choose one of teacher_forced"):
        make_chain("soft", reading="aloud")
    with pytest.raises(ConfigError, match="reaches no CTC head"):
        make_chain("soft", reading="ctc", feedback_into="decoder")
    with pytest.raises(ConfigError, match="needs whole transcripts"):
        make_chain("score_function")
    with pytest.raises(ConfigError, match="at least 2 samples"):
        make_chain("score_function", reading="ctc", num_samples=1)
    with pytest.raises(ConfigError, match="forbids it"):
        make_chain("soft", t2s_training="frozen", supervised_t2s=1.0)


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
    probs_BLV = torch.softmax(output.link.reading.logits_BLV / 2.0, dim=-1)
    assert not probs_BLV[..., [0, -1]].any()
    expected = chain.reconstruct(chain.t2s.read_weights(probs_BLV, batch.text_lengths_B), batch)
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


def test_history_dropout_of_the_chain_takes_the_place_of_that_of_t2s(make_asr, make_t2s, make_batch):
    asr, batch = make_asr(dropout=0.0, num_time_masks=0), make_batch(*LENGTHS)

    def losses(dropout, t2s_dropout, *, training):
        config = ChainModelConfig(feedback="none", history_dropout=dropout, t2s_training="frozen")
        chain = ChainModel(config, asr=asr, t2s=make_t2s(history_dropout=t2s_dropout)).train(training)
        torch.manual_seed(0)
        return {float(chain(batch, temperature=1.0).t2s.loss) for _ in range(3)}

    (clean,) = losses(None, 0.9, training=True)  # a frozen T2S is in evaluation mode
    assert len(losses(0.5, 0.0, training=True)) == 3
    assert losses(0.0, 0.9, training=True) == losses(0.5, 0.9, training=False) == {clean}
