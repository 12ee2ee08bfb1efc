"""The interface: exactly one-hot forward, the gradient of a tempered softmax backward."""

import pytest
import torch

from tokenchain_toolkit.models.straight_through import gumbel_noise, interface_probs, straight_through

CPU = torch.device("cpu")


def random_logits(*shape, seed=0):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_forward_is_exactly_the_look_up_of_the_argmax():
    logits_BLV = random_logits(3, 5, 11)
    weight_VD = random_logits(11, 6, seed=1)
    one_hot_BLV = straight_through(interface_probs(logits_BLV, temperature=0.7).requires_grad_())
    best_BL = logits_BLV.argmax(-1)
    assert torch.equal(one_hot_BLV, torch.nn.functional.one_hot(best_BL, 11).float())
    assert torch.equal(one_hot_BLV @ weight_VD, weight_VD[best_BL])


@pytest.mark.parametrize("temperature", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("noisy", [False, True])
def test_backward_is_the_softmax_jacobian_over_tau(temperature, noisy):
    logits_BLV = random_logits(2, 3, 7).requires_grad_()
    noise_BLV = gumbel_noise(logits_BLV.shape, device=CPU) if noisy else None
    weight_VD, upstream_BLD = random_logits(7, 4, seed=1), random_logits(2, 3, 4, seed=2)
    probs_BLV = interface_probs(logits_BLV, temperature=temperature, noise_BLV=noise_BLV)
    (straight_through(probs_BLV) @ weight_VD * upstream_BLD).sum().backward()

    p = probs_BLV.detach()
    gradient_BLV = upstream_BLD @ weight_VD.T  # with respect to y~
    expected_BLV = p * (gradient_BLV - (p * gradient_BLV).sum(-1, keepdim=True)) / temperature
    torch.testing.assert_close(logits_BLV.grad, expected_BLV)


def test_probs_are_the_tempered_softmax_in_float32():
    logits_BLV = random_logits(1, 2, 5)
    probs_BLV = interface_probs(logits_BLV.bfloat16(), temperature=0.5)
    assert probs_BLV.dtype == torch.float32
    torch.testing.assert_close(probs_BLV, (logits_BLV.bfloat16().float() / 0.5).softmax(-1))


def test_noise_follows_its_generator():
    def draw(seed):
        return gumbel_noise(torch.Size([4, 6]), generator=torch.Generator().manual_seed(seed), device=CPU)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_argmax_is_a_draw_from_the_softmax_whatever_the_temperature(temperature):
    logits_V = torch.tensor([1.0, 0.0, -1.0, 2.0])
    noise_NV = gumbel_noise(torch.Size([40000, 4]), generator=torch.Generator().manual_seed(0), device=CPU)
    drawn_NV = straight_through(interface_probs(logits_V.expand(40000, 4), temperature=temperature, noise_BLV=noise_NV))
    # Five standard errors of a share at most.
    torch.testing.assert_close(drawn_NV.mean(0), logits_V.softmax(-1), atol=0.0125, rtol=0)
