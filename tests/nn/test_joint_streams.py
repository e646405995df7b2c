"""Two MLP streams in one product give what each gives by itself."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

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


def predict(network):
    with torch.inference_mode():
        return network(*batch())


def load_other_weights(network):
    network.load_state_dict(make().state_dict() | {"stream1.0.weight": network.stream1[0].weight / 2})


def assign_other_weights(network):
    state = {
        name: tensor.clone() / 2 if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)


def train_by_a_fused_optimizer(network):
    optimizer = torch.optim.Adam(network.train().parameters(), lr=0.1, fused=True)
    network(*batch()).square().sum().backward()
    # As another thread may do.
    network.eval()
    predict(network)
    network.train()
    optimizer.step()
    network.eval()


def train_in_evaluation_mode(network):
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, fused=True)
    network(*batch()).square().sum().backward()
    optimizer.step()


@torch.no_grad()
def change_in_place(network):
    network.stream2[1].norm.running_mean += 1


def replace_data(network):
    network.gate1.context_vector.data = network.gate1.context_vector.data + 1


def change_data_in_place(network):
    network.stream1[0].weight.data.mul_(2)


def change_an_array(network):
    network.state_dict()["gate1.context_vector"].numpy()[:] += 1


def permute_an_array(network):
    array = network.state_dict()["stream1.0.weight"].numpy()
    array[:] = array[:, ::-1].copy()


CHANGES = [
    load_other_weights,
    assign_other_weights,
    train_by_a_fused_optimizer,
    train_in_evaluation_mode,
    change_in_place,
    replace_data,
    change_data_in_place,
    change_an_array,
    permute_an_array,
]


# These write to weights past the methods of a network.
BY_HAND = CHANGES[4:]


@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_change_after_a_prediction_count_in_the_next(change):
    network = make().eval()
    before = predict(network)
    change(network)
    assert not torch.equal(predict(network), before)
    torch.testing.assert_close(predict(network), each_by_itself(network))


@pytest.mark.parametrize("change", CHANGES)
def test_a_folded_network_predicts_by_its_weights(change):
    network = make().eval()
    network.fold()
    predict(network)
    change(network)
    if change in BY_HAND:
        network.eval()
    torch.testing.assert_close(predict(network), each_by_itself(network))


def test_a_folded_network_predicts_the_same_bits():
    network = make().eval()
    before = predict(network)
    network.fold()
    assert torch.equal(predict(network), before)


def test_a_copy_of_a_folded_network_predicts_by_its_weights():
    network = make().eval()
    network.fold()
    other = copy.deepcopy(network)
    change_in_place(other)
    torch.testing.assert_close(predict(other), each_by_itself(other))


def test_another_epsilon_of_batch_norm_counts():
    network = make().eval()
    before = predict(network)
    network.stream1[1].norm.eps = 1.0
    assert not torch.equal(predict(network), before)
    torch.testing.assert_close(predict(network), each_by_itself(network))


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("part", ["stream1", "stream1.0", "stream2.1.norm", "gate1", "gate2.gate.mlp.0", "fields1"])
def test_hooks_of_each_part_are_called(part, is_training):
    network = make().train(is_training)
    network.fold()
    seen = []
    network.get_submodule(part).register_forward_hook(lambda *args: seen.append(args))
    predict(network)
    assert len(seen) == 1


def test_predictions_keep_the_precision_that_a_network_was_converted_to():
    network = make().eval()
    predict(network)
    codes, values = batch()
    with torch.inference_mode():
        assert network.float()(codes, values.float()).dtype == torch.float32


def test_networks_made_in_inference_mode_predict():
    with torch.inference_mode():
        network = make().eval()
        before = network(*batch())
        network.stream1[0].weight.mul_(2)
        assert not torch.equal(network(*batch()), before)


def test_a_prediction_changes_neither_the_pickle_of_a_network_nor_its_gradients():
    network = make().eval()
    before = pickle.dumps(network)
    predicted = predict(network)
    assert pickle.dumps(network) == before
    assert torch.equal(predict(pickle.loads(before)), predicted)
    torch.testing.assert_close(*(logits_and_gradients(n, lambda n: n(*batch())) for n in (network, make().eval())))


def test_threads_predict_the_same():
    network = make().eval()
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(predict, [network] * 16)
    assert all(torch.equal(first, other) for other in others)
