"""Dropout masks from random numbers of 16 bits."""

import pytest
import torch

from sk_finalmlp.nn._layers import RandomBits


def draw(*shape, p=0.5, seed=0):
    return RandomBits(torch.Generator().manual_seed(seed)).mask(shape, p)


@pytest.mark.parametrize("p", [2**-16, 0.1, 0.5, 0.9])
def test_so_many_elements_are_dropped_and_the_others_scaled(p):
    mask = draw(2**22, p=p)
    assert mask.unique().tolist() == [0, pytest.approx(1 / (1 - p))]
    deviation = (p * (1 - p) / mask.numel()) ** 0.5
    assert (mask == 0).float().mean().item() == pytest.approx(p, abs=4 * deviation)


def test_elements_beside_each_other_are_independent():
    mask = draw(2**20) - 1
    for lag in (1, 2, 3, 4, 400, 32_768):
        assert abs((mask[lag:] * mask[:-lag]).mean().item()) < 0.005


@pytest.mark.parametrize("n", [1, 3, 32_768, 32_769])
def test_fills_tensors_of_any_shape(n):
    assert torch.equal(draw(n, 2).view(-1), draw(2 * n))
    assert draw(n).shape == (n,)


def test_the_seed_comes_from_the_generator_alone():
    state = torch.get_rng_state()
    assert torch.equal(draw(100), draw(100))
    assert not torch.equal(draw(100), draw(100, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
