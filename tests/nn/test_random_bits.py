"""Dropout masks from random numbers of 16 bits."""

import pytest
import torch

from sk_finalmlp.nn import Activation, Dropout, dropout_generator
from sk_finalmlp.nn._layers import RandomBits


def draw(*shape, p=0.5, seed=0):
    return RandomBits(torch.Generator().manual_seed(seed)).drop_(torch.ones(shape), p)


@pytest.mark.parametrize("p", [2**-16, 0.1, 0.5, 0.9])
def test_so_many_elements_are_dropped_and_the_others_scaled(p):
    mask = draw(2**22, p=p)
    assert mask.unique().tolist() == [0, pytest.approx(1 / (1 - p))]
    deviation = (p * (1 - p) / mask.numel()) ** 0.5
    assert (mask == 0).float().mean().item() == pytest.approx(p, abs=4 * deviation)


def test_elements_beside_each_other_are_independent():
    mask = draw(2**20) - 1
    for lag in (1, 2, 3, 4, 400, 65_536):
        assert abs((mask[lag:] * mask[:-lag]).mean().item()) < 0.005


@pytest.mark.parametrize("n", [1, 3, 65_536, 65_537])
def test_fills_tensors_of_any_shape(n):
    assert torch.equal(draw(n, 2).view(-1), draw(2 * n))
    assert draw(n).shape == (n,)


def test_the_seed_comes_from_the_generator_alone():
    state = torch.get_rng_state()
    assert torch.equal(draw(100), draw(100))
    assert not torch.equal(draw(100), draw(100, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_an_activation_drops_as_relu_and_dropout_one_after_the_other(batch_norm, dtype):
    activation = Activation(6, dropout=0.5, batch_norm=batch_norm).to(dtype)
    x = torch.randn(6, 40, generator=torch.Generator().manual_seed(1)).to(dtype).t()
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    before = x.clone()
    outputs = []
    for own, activate in zip(inputs, (activation, _one_after_the_other(activation)), strict=True):
        with dropout_generator(activation, torch.Generator().manual_seed(0)):
            outputs.append(activate(own))
        outputs[-1].square().sum().backward()
    assert torch.equal(*outputs)
    assert (outputs[0] == 0).any()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    assert torch.equal(inputs[0], before)


def _one_after_the_other(activation):
    normalise = activation.norm or torch.nn.Identity()
    return lambda x: activation.dropout(torch.relu(normalise(x)))


def test_dropout_of_a_tensor_leaves_it_as_it_was():
    x = torch.ones(50, 3, requires_grad=True)
    dropped = Dropout(0.3)(x)
    dropped.sum().backward()
    assert torch.equal(x, torch.ones(50, 3))
    assert torch.equal(x.grad, dropped)


def test_what_is_not_finite_stays_so_without_a_warning():
    dropped = Activation(500, dropout=0.5)(torch.full((1, 500), torch.inf))
    assert dropped.isnan().any()
    assert dropped.isinf().any()
