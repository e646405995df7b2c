"""The weights by which the members of an ensemble vote."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sk_finalmlp.nn import Ensemble
from sk_finalmlp.training import Impressions
from sk_finalmlp.training._scores import weigh_members

N_ROWS = 2000


class Logits(nn.Module):
    """A network whose logits are some of the values."""

    def __init__(self, *columns):
        super().__init__()
        self.columns = columns
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, codes, values):
        return self.scale * values[:, list(self.columns)]


def rows(n_values, n_classes=2, weight=None):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(N_ROWS, n_values, generator=generator)
    logits = torch.nn.functional.pad(values[:, :1], (1, 0)) if n_classes == 2 else values[:, :n_classes]
    target = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return Impressions(torch.empty(N_ROWS, 0), values, target, torch.ones(N_ROWS) if weight is None else weight)


def weigh(members, impressions):
    ensemble = Ensemble(members).eval()
    weigh_members(ensemble, impressions)
    assert (ensemble.weights >= 0).all()
    assert ensemble.weights.sum().item() == pytest.approx(1)
    return ensemble.weights.tolist()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_member_that_knows_has_nearly_all_the_weight(position):
    columns = [1, 2, 3]
    columns[position] = 0
    assert weigh([Logits(column) for column in columns], rows(4))[position] > 0.85


def test_the_member_that_knows_of_several_classes():
    assert weigh([Logits(3, 4, 5), Logits(0, 1, 2)], rows(6, n_classes=3))[1] > 0.85


def test_members_that_say_the_same_vote_alike():
    assert weigh([Logits(0)] * 4, rows(1)) == pytest.approx([0.25] * 4)


def test_the_mean_of_two_halves_is_better_than_either():
    impressions = rows(1)
    halves = impressions.values + torch.tensor([[2.0, -2.0]]) * torch.randn(
        N_ROWS, 1, generator=torch.Generator().manual_seed(1)
    )
    impressions = Impressions(impressions.codes, halves, impressions.target, impressions.weight)
    assert weigh([Logits(0), Logits(1)], impressions) == pytest.approx([0.5, 0.5], abs=0.05)


def test_rows_without_weight_say_nothing():
    weight = (torch.arange(N_ROWS) < N_ROWS // 2).float()
    impressions = rows(2, weight=weight)
    # In the other half the second member is right.
    swapped = torch.where(weight[:, None] > 0, impressions.values, impressions.values.flip(1) * 100)
    impressions = Impressions(impressions.codes, swapped, impressions.target, weight)
    assert weigh([Logits(0), Logits(1)], impressions)[0] > 0.85


def test_what_has_hindsight_decides_how_much_a_difference_counts():
    # The prior is the same for both.
    impressions = replace(rows(2), hindsight="statistics")
    of_statistics = weigh([Logits(0), Logits(1)], impressions)
    of_codes = weigh([Logits(0), Logits(1)], replace(impressions, hindsight="codes"))
    assert 0.5 < of_statistics[0] < weigh([Logits(0), Logits(1)], rows(2))[0]
    odds = [first / second for first, second in (of_statistics, of_codes)]
    assert odds[1] == pytest.approx(odds[0] ** 3, rel=1e-3)


def first(n_rows, impressions):
    return impressions.take(torch.arange(n_rows))


def test_what_sets_members_apart_by_chance_counts_little():
    # Neither knows anything.
    assert weigh([Logits(1), Logits(2)], first(20, rows(3))) == pytest.approx([0.5, 0.5], abs=0.2)


def test_the_more_rows_there_are_the_more_a_difference_counts():
    weights = [weigh([Logits(0), Logits(1)], first(n_rows, rows(2)))[0] for n_rows in (10, 100, N_ROWS)]
    assert weights == sorted(weights)
    assert weights[0] < 0.75
    assert weights[-1] > 0.85


@pytest.mark.parametrize("n_rows", [5, 100, 1_000])
def test_rows_almost_without_weight_are_as_good_as_absent(n_rows):
    weight = torch.ones(N_ROWS)
    weight[n_rows:] = 1e-6
    uneven = weigh([Logits(0), Logits(1)], rows(2, weight=weight))
    assert uneven == pytest.approx(weigh([Logits(0), Logits(1)], first(n_rows, rows(2))), abs=1e-3)


def test_rows_of_uneven_weights_count_as_fewer():
    # On all of them, so that both losses are about the same, and the penalty alone sets them apart.
    weight = torch.exp(2 * torch.randn(N_ROWS, generator=torch.Generator().manual_seed(1)))
    even, uneven = (weigh([Logits(0), Logits(1)], rows(2, weight=weights))[0] for weights in (None, weight))
    assert 0.5 < uneven < even


def test_the_unit_of_weights_does_not_matter():
    light, heavy = (weigh([Logits(0), Logits(1)], rows(2, weight=torch.full((N_ROWS,), unit))) for unit in (0.01, 100))
    assert light == pytest.approx(heavy, abs=1e-4)
