"""Random numbers of 16 bits."""

import pytest
import torch

from sk_finalmlp.nn._layers import RandomBits


def draw(n, seed=0, dtype=torch.float32):
    return RandomBits(torch.Generator().manual_seed(seed)).fill(torch.empty(n, dtype=dtype))


def test_all_numbers_of_16_bits_are_equally_likely():
    counts = torch.bincount(draw(2**22).long(), minlength=2**16)
    assert len(counts) == 2**16
    # The mean count is 64, and its square over the mean has a chi-squared distribution.
    assert (counts - 64).square().sum().item() / 64 == pytest.approx(2**16, rel=0.03)


def test_numbers_beside_each_other_are_independent():
    numbers = draw(2**20) - 32767.5
    for lag in (1, 2, 3, 4, 400, 32_768):
        correlation = (numbers[lag:] * numbers[:-lag]).mean() / numbers.square().mean()
        assert abs(correlation.item()) < 0.005


@pytest.mark.parametrize("n", [1, 3, 32_768, 32_769])
def test_fills_tensors_of_any_size_the_same_in_any_dtype(n):
    assert torch.equal(draw(n), draw(n, dtype=torch.float64).float())
    assert not torch.equal(draw(n), draw(n, seed=1))


def test_the_seed_comes_from_the_generator_alone():
    state = torch.get_rng_state()
    assert torch.equal(draw(100), draw(100))
    assert torch.equal(torch.get_rng_state(), state)
