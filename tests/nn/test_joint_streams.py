"""Two MLP streams in one product give what each gives by itself."""

import copy

import pytest
import torch

from sk_finalmlp.nn import Stream, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

FIELDS = [
    Field("user", "categorical", n_codes=9),
    Field("item", "categorical", n_codes=9),
    Field("age", "numeric"),
    Field("user@rate", "statistic"),
    Field("item@rate", "statistic"),
]
NETWORKS = {
    "all fields": {},
    "fields apart": {"stream1_fields": ["user", "item@rate"], "stream2_fields": ["item", "age"]},
    "no statistics": {"stream1_fields": ["user", "item"], "stream2_fields": ["item", "age"]},
    "several layers": {"stream1": MLP((6, 8), dropout=0.0)},
    "no batch norm": {"stream1": MLP((16,), 0.0, batch_norm=False), "stream2": MLP((8,), 0.0, batch_norm=False)},
    "own tables": {"stream_embeddings": "own"},
}


def make(**parameters):
    streams = {"stream1": MLP((16,), dropout=0.0), "stream2": MLP((8,), dropout=0.0)}
    return TwoStreamNetwork(FIELDS, generator=torch.Generator().manual_seed(0), **{**streams, **parameters}).double()


def batch():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 9, (600, 2), generator=generator)
    return codes, torch.randn(600, 3, generator=generator, dtype=torch.float64)


def each_by_itself(network):
    x = network.gated(network.features(*batch()), *batch())
    return network.fusion(*(path.stream(own) for path, own in zip(network.paths, x, strict=True)))


def logits_and_gradients(network, forward):
    logits = forward(network)
    return logits, torch.autograd.grad(logits.square().sum(), [p for p in network.parameters() if p.numel()])


@pytest.mark.parametrize("kind", [{}, {"fusion": "sum", "feature_selection": False}])
@pytest.mark.parametrize("parameters", NETWORKS.values(), ids=NETWORKS)
def test_logits_gradients_and_running_statistics_are_the_same(kind, parameters):
    joint = make(**kind, **parameters)
    apart = copy.deepcopy(joint)
    of_joint = logits_and_gradients(joint, lambda network: network(*batch()))
    torch.testing.assert_close(of_joint, logits_and_gradients(apart, each_by_itself))
    torch.testing.assert_close(joint.state_dict(), apart.state_dict())
    torch.testing.assert_close(joint.eval()(*batch()), each_by_itself(apart.eval()))


def test_an_mlp_with_a_forward_of_its_own_is_asked_for_it():
    class Doubled(Stream):
        def forward(self, x):
            return 2 * super().forward(x)

    class Builder:
        def __init__(self, stream_class):
            self.stream_class = stream_class

        def build(self, n_fields, embedding_dim, n_statistics, generator=None):
            return self.stream_class(n_fields * embedding_dim + n_statistics, [16], generator=generator)

    network = TwoStreamNetwork(FIELDS, Builder(Stream), Builder(Doubled), fusion="sum").double().eval()
    torch.testing.assert_close(network(*batch()), each_by_itself(network))
