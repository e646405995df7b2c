"""Several networks in one."""

import pytest
import torch

from sk_finalmlp.nn import Ensemble, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

FIELDS = [Field("user", "categorical", n_codes=9), Field("age", "numeric"), Field("user@rate", "statistic")]
WIDTHS = {"stream1": MLP((8,)), "stream2": MLP((8,))}


def batch(n_rows=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 9, (n_rows, 1), generator=generator), torch.randn(n_rows, 2, generator=generator)


def ensemble(n_members=3, n_outputs=1):
    fields = [{"stream1_fields": ["user"]}, {}, {"stream2_fields": ["age", "user@rate"]}]
    return Ensemble(TwoStreamNetwork(FIELDS, **WIDTHS, **fields[i % 3], n_outputs=n_outputs) for i in range(n_members))


@pytest.mark.parametrize("n_outputs", [1, 4])
def test_gives_the_logits_of_each_member_in_training_and_their_mean_in_evaluation(n_outputs):
    network = ensemble(n_outputs=n_outputs)
    assert network(*batch()).shape == (3, 5, n_outputs)
    network.eval()
    each = torch.stack([member(*batch()) for member in network.members])
    torch.testing.assert_close(network(*batch()), each.mean(dim=0))
    network.weights.copy_(torch.tensor([0.7, 0.0, 0.3]))
    torch.testing.assert_close(network(*batch()), 0.7 * each[0] + 0.3 * each[2])


def test_members_vote_alike_until_weighed_and_their_weights_are_saved_but_not_learned():
    network = ensemble(n_members=4)
    assert network.weights.tolist() == [0.25] * 4
    assert "weights" in network.state_dict()
    assert "weights" not in dict(network.named_parameters())


def test_gradients_reach_all_members():
    network = ensemble()
    # So many rows that dropout and ReLU leave a product of each head.
    network(*batch(100)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert not parameter.numel() or parameter.grad.any(), name


@pytest.mark.parametrize("fusion", ["bilinear", "sum"])
def test_all_members_start_at_the_same_logits(fusion):
    network = Ensemble(TwoStreamNetwork(FIELDS, fusion=fusion, **WIDTHS, n_outputs=2) for _ in range(2)).eval()
    before = torch.stack([member(*batch()) for member in network.members])
    network.start_at(torch.tensor([-3.0, 2.0]))
    after = torch.stack([member(*batch()) for member in network.members])
    torch.testing.assert_close(after - before, torch.tensor([-3.0, 2.0]).expand(2, 5, 2))
