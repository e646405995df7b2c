"""The networks against the paper: parameter totals, gradients, start."""

import inspect

import pytest
import torch

from sk_finalmlp import finalmlp_configs
from sk_finalmlp.fields import Field
from sk_finalmlp.nn import DualMLP, FinalMLP


def split_vocabulary(n_codes, n_fields, **fixed):
    """Categorical fields with `n_codes` table rows in all: those of `fixed`, and the rest by equal parts."""
    n_others = n_fields - len(fixed)
    rest = n_codes - sum(fixed.values())
    sizes = [rest // n_others + (position < rest % n_others) for position in range(n_others)]
    named = {**fixed, **{f"C{position}_": size for position, size in enumerate(sizes)}}
    return [Field(name, "categorical", n_codes=size) for name, size in named.items()]


CRITEO_NUMERIC = [Field(f"I{position}", "numeric") for position in range(1, 14)]

# name: fields, published total
PUBLISHED = {
    "criteo_x1": ([*CRITEO_NUMERIC, *split_vocabulary(2_086_329, 26, C6=23)], 22_478_162),
    "criteo_x4": (split_vocabulary(910_747, 39), 19_524_954),
    "avazu_x1": (split_vocabulary(1_298_621, 22), 13_979_472),
    "avazu_x4": (split_vocabulary(3_750_999, 24), 69_046_986),
    "frappe": (split_vocabulary(5_399, 10, user=956, item=4_084), 253_392),
    "movielens": (split_vocabulary(90_242, 3), 1_040_902),
}


def published_biases_before_batch_norm(parameters):
    """The reference keeps a bias before each batch norm; our streams leave it out."""
    return sum(
        sum(parameters[f"{stream}_hidden_units"]) for stream in ("mlp1", "mlp2") if parameters[f"{stream}_batch_norm"]
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_totals_are_the_published_ones(name):
    fields, published = PUBLISHED[name]
    of_network = inspect.signature(FinalMLP).parameters
    parameters = {key: value for key, value in finalmlp_configs[name].items() if key in of_network}
    with torch.device("meta"):
        network = FinalMLP(fields, **parameters)
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total + published_biases_before_batch_norm(parameters) == published


FIELDS = [
    Field("age", "numeric"),
    Field("user", "categorical", n_codes=20),
    Field("genres", "multi-valued", n_codes=6, n_columns=3),
    Field("item", "categorical", n_codes=30),
    Field("price", "numeric"),
]


def batch(n_rows=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(0, n_codes, (n_rows, 1), generator=generator) for n_codes in (20, 30, 6, 6, 6)]
    return torch.cat(codes, dim=1), torch.randn(n_rows, 2, generator=generator)


CONTEXTS = {
    "no context": {},
    "one field": {"fs1_context": ["user"], "fs2_context": ["item"]},
    "several kinds": {"fs1_context": ["user", "genres"], "fs2_context": ["age", "item"]},
}


@pytest.mark.parametrize("contexts", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_gradients_reach_every_parameter_of_finalmlp(contexts, n_outputs):
    network = FinalMLP(
        FIELDS, mlp1_hidden_units=(16, 8), mlp2_hidden_units=(12,), num_heads=2, n_outputs=n_outputs, **contexts
    )
    network(*batch()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert not parameter.numel() or parameter.grad.any(), name


def test_gradients_reach_every_parameter_of_dualmlp():
    network = DualMLP(FIELDS, mlp1_hidden_units=(16, 8), mlp2_hidden_units=(12,))
    network(*batch()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.any(), name


def test_unknown_codes_get_no_gradient():
    network = FinalMLP(FIELDS, mlp1_hidden_units=(8,), mlp2_hidden_units=(8,), fs1_context=["user"])
    network(*batch()).sum().backward()
    for embedding in (network.embedding, network.gate1.context_embedding):
        for first_row in embedding.first_row.values():
            assert not embedding.table[first_row].any()
            assert not embedding.table.grad[first_row].any()


def test_dualmlp_is_finalmlp_without_gates_and_bilinear_term():
    widths = {"mlp1_hidden_units": (8,), "mlp2_hidden_units": (8,), "mlp1_dropout": 0.0, "mlp2_dropout": 0.0}
    dual = DualMLP(FIELDS, **widths)
    final = FinalMLP(FIELDS, **widths, feature_selection=False)
    weights = {
        name.replace("output1", "fusion.linear_x").replace("output2", "fusion.linear_y"): value
        for name, value in dual.state_dict().items()
    }
    final.load_state_dict({**weights, "fusion.bilinear": torch.zeros_like(final.fusion.bilinear)})
    torch.testing.assert_close(final(*batch()), dual(*batch()))


def test_start_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first, second = (
        FinalMLP(FIELDS, fs1_context=["user"], generator=torch.Generator().manual_seed(7)).state_dict()
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def test_unknown_context_names_the_fields_there_are():
    with pytest.raises(ValueError, match=r"'usr'.*'user', 'item', 'genres', 'age'"):
        FinalMLP([FIELDS[1], FIELDS[3], FIELDS[2], FIELDS[0]], fs1_context=["usr"])


def test_a_statistic_can_not_be_a_context():
    with pytest.raises(ValueError, match=r"'rate\(user\)'.*'age', 'user', 'genres', 'item', 'price'\]"):
        FinalMLP([*FIELDS, Field("rate(user)", "statistic")], fs1_context=["rate(user)"])


@pytest.mark.parametrize("network_class", [FinalMLP, DualMLP])
def test_a_stream_reads_its_own_fields_alone(network_class):
    fields = [*FIELDS, Field("rate(user)", "statistic")]
    network = network_class(fields, mlp1_fields=["user", "age"], mlp2_fields=["price", "rate(user)"]).eval()
    codes, values = batch()
    values = torch.cat([values, torch.ones(len(values), 1)], dim=1).requires_grad_()
    e = network.embedding.features(codes, values)
    for stream, selection, reads in (
        (network.mlp1, network.fields1, [True, False, False]),
        (network.mlp2, network.fields2, [False, True, True]),
    ):
        (gradient,) = torch.autograd.grad(stream(selection(e)).sum(), values, retain_graph=True)
        assert gradient.any(dim=0).tolist() == reads
    assert torch.autograd.grad(network(codes, values).sum(), values)[0].any(dim=0).all()
