"""The networks against the paper: parameter totals, gradients, start."""

import numpy as np
import pytest
import torch

from sk_finalmlp.nn import Ensemble, Stream, TwoStreamNetwork, embedding_parameters
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

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


DUAL = {"fusion": "sum", "feature_selection": False}
CONTEXTS = {
    "no context": {},
    "one field": {"fs1_context": ["user"], "fs2_context": ["item"]},
    "several kinds": {"fs1_context": ["user", "genres"], "fs2_context": ["age", "item"]},
}


@pytest.mark.parametrize("contexts", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_gradients_reach_every_parameter_of_finalmlp(contexts, n_outputs):
    network = TwoStreamNetwork(FIELDS, MLP((16, 8)), MLP((12,)), num_heads=2, n_outputs=n_outputs, **contexts)
    network(*batch()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert not parameter.numel() or parameter.grad.any(), name


def test_gradients_reach_every_parameter_of_dualmlp():
    network = TwoStreamNetwork(FIELDS, MLP((16, 8)), MLP((12,)), **DUAL)
    network(*batch()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.any(), name


def test_unknown_codes_get_no_gradient():
    network = TwoStreamNetwork(FIELDS, MLP((8,)), MLP((8,)), fs1_context=["user"])
    network(*batch()).sum().backward()
    for embedding in (network.embedding, network.gate1.context_embedding):
        for first_row in embedding.first_row.values():
            assert not embedding.table[first_row].any()
            assert not embedding.table.grad[first_row].any()


def test_dualmlp_is_finalmlp_without_gates_and_bilinear_term():
    streams = [MLP((8,), dropout=0.0)] * 2
    dual = TwoStreamNetwork(FIELDS, *streams, **DUAL)
    final = TwoStreamNetwork(FIELDS, *streams, feature_selection=False)
    weights = {
        name.replace("output1", "fusion.linear_x").replace("output2", "fusion.linear_y"): value
        for name, value in dual.state_dict().items()
    }
    final.load_state_dict({**weights, "fusion.bilinear": torch.zeros_like(final.fusion.bilinear)})
    torch.testing.assert_close(final(*batch()), dual(*batch()))


def test_start_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first, second = (
        TwoStreamNetwork(FIELDS, fs1_context=["user"], generator=torch.Generator().manual_seed(7)).state_dict()
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def test_unknown_context_names_the_fields_there_are():
    with pytest.raises(ValueError, match=r"'usr'.*'user', 'item', 'genres', 'age'"):
        TwoStreamNetwork([FIELDS[1], FIELDS[3], FIELDS[2], FIELDS[0]], fs1_context=["usr"])


def test_a_statistic_can_not_be_a_context():
    with pytest.raises(ValueError, match=r"'user@rate'.*'age', 'user', 'genres', 'item', 'price'\]"):
        TwoStreamNetwork([*FIELDS, Field("user@rate", "statistic")], fs1_context=["user@rate"])


@pytest.mark.parametrize("parameters", [{}, DUAL])
def test_a_stream_reads_its_own_fields_alone(parameters):
    fields = [*FIELDS, Field("user@rate", "statistic")]
    chosen = {"stream1_fields": ["user", "age"], "stream2_fields": ["price", "user@rate"]}
    network = TwoStreamNetwork(fields, **chosen, **parameters).eval()
    codes, values = batch()
    values = torch.cat([values, torch.ones(len(values), 1)], dim=1).requires_grad_()
    e = network.embedding.features(codes, values)
    for stream, selection, reads in (
        (network.stream1, network.fields1, [True, False, False]),
        (network.stream2, network.fields2, [False, True, True]),
    ):
        (gradient,) = torch.autograd.grad(stream(selection(e)).sum(), values, retain_graph=True)
        assert gradient.any(dim=0).tolist() == reads
    assert torch.autograd.grad(network(codes, values).sum(), values)[0].any(dim=0).all()


class Plain:
    """Builder of a stream of one layer."""

    def __init__(self, width=8):
        self.width = width

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        return Stream(n_fields * embedding_dim + n_statistics, [self.width], generator=generator)


def test_streams_are_those_of_mlp_by_default():
    first, second = TwoStreamNetwork(FIELDS), TwoStreamNetwork(FIELDS, MLP(), MLP())
    assert repr(first) == repr(second)


LOGITS = {
    "sum": lambda f, x, y: f.linear_x(x) + f.linear_y(y),
    "concat": lambda f, x, y: torch.cat([x, y], dim=1) @ f.weight.T + f.bias,
    "product": lambda f, x, y: (x * y) @ f.weight.T + f.bias,
}


@pytest.mark.parametrize("fusion", LOGITS)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_fusions(fusion, n_outputs):
    network = TwoStreamNetwork(FIELDS, Plain(), Plain(), fusion, feature_selection=False, n_outputs=n_outputs)
    o = [path.stream(x) for path, x in zip(network.paths, network.features(*batch()), strict=True)]
    torch.testing.assert_close(network(*batch()), LOGITS[fusion](network.fusion, *o))


def test_a_stream_alone_has_a_linear_logit():
    network = TwoStreamNetwork(FIELDS, Plain(), None, fs1_context=["user"], stream_loss=1.0, stream_embeddings="own")
    (path,) = network.paths
    (x,) = network.gated(network.features(*batch()), *batch())
    torch.testing.assert_close(network(*batch()), network.fusion(path.stream(x)))


@pytest.mark.parametrize("feature_selection", ["stream1", "stream2"])
def test_one_stream_may_have_a_gate_and_the_other_none(feature_selection):
    network = TwoStreamNetwork(FIELDS, Plain(), Plain(), feature_selection=feature_selection, fs2_context=["user"])
    assert [path.gate is not None for path in network.paths] == [
        feature_selection == "stream1",
        feature_selection == "stream2",
    ]
    network(*batch()).sum().backward()


def test_streams_with_own_embeddings_have_tables_of_the_fields_they_read():
    fields = [*FIELDS, Field("user@rate", "statistic")]
    codes, values = batch()
    values = torch.cat([values, torch.randn(len(values), 1)], dim=1)
    chosen = {"stream1_fields": ["user", "price"], "stream2_fields": ["item", "age", "user@rate"]}
    own, shared = (
        TwoStreamNetwork(fields, Plain(), Plain(), **chosen, feature_selection=False, stream_embeddings=kind)
        for kind in ("own", "shared")
    )
    assert [[field.name for field in layer.fields] for layer in own.embeddings] == [["user", "price"], ["item", "age"]]
    # With the same vectors, the logits are the same.
    with torch.no_grad():
        for layer in own.embeddings:
            for field in layer.fields:
                _vector_of(layer, field).copy_(_vector_of(shared.embedding, field))
    weights = {name: value for name, value in shared.state_dict().items() if not name.startswith("embedding")}
    own.load_state_dict(weights, strict=False)
    torch.testing.assert_close(own(codes, values), shared(codes, values))


def _vector_of(layer, field):
    if field.has_codes:
        return layer.table[layer.first_row[field.name] :][: field.n_codes]
    return layer.numeric[[other.name for other in layer.fields if not other.has_codes].index(field.name)]


def test_a_stream_that_reads_statistics_alone_has_no_table_of_its_own():
    fields = [FIELDS[1], Field("user@rate", "statistic"), Field("user@count", "statistic")]
    network = TwoStreamNetwork(fields, Plain(), Plain(), stream2_fields=["user@count"], stream_embeddings="own")
    codes, values = torch.tensor([[3], [0]]), torch.ones(2, 2)
    assert network(codes, values).shape == (2, 1)
    assert not network.embedding2.fields


def test_streams_with_losses_of_their_own_give_their_logits_in_training_alone():
    network = TwoStreamNetwork(FIELDS, Plain(), Plain(), stream_loss=0.5, n_outputs=3)
    assert network(*batch()).shape == (3, 64, 3)
    assert network.loss_weights == (1.0, 0.5, 0.5)
    assert network.eval()(*batch()).shape == (64, 3)
    assert Ensemble([network, network]).train()(*batch()).shape == (2, 3, 64, 3)
    assert TwoStreamNetwork(FIELDS).loss_weights is None
    before = network.train()(*batch())
    network.start_at(torch.tensor([-3.0, 2.0, 0.5]))
    torch.testing.assert_close(network(*batch()) - before, torch.tensor([-3.0, 2.0, 0.5]).expand(3, 64, 3))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_linear_term_adds_a_weight_of_each_code_and_number(n_outputs):
    network = TwoStreamNetwork(FIELDS, Plain(), Plain(), linear_term=True, n_outputs=n_outputs).eval()
    codes, values = batch()
    with torch.no_grad():
        before = network(codes, values)
        user, age = network.linear_term.first_row["user"] + 7, 0
        network.linear_term.table[user] += 2
        network.linear_term.numeric[age] += 3
    difference = 2 * (codes[:, :1] == 7) + 3 * values[:, :1]
    torch.testing.assert_close(network(codes, values) - before, difference.expand(-1, n_outputs), atol=1e-5, rtol=1e-4)


def test_embedding_parameters_are_those_of_all_tables():
    network = TwoStreamNetwork(
        FIELDS, Plain(), Plain(), fs1_context=["user"], stream_embeddings="own", linear_term=True
    )
    tables = (network.embedding, network.embedding2, network.gate1.context_embedding, network.linear_term)
    expected = {id(parameter) for table in tables for parameter in table.parameters()}
    assert {id(parameter) for parameter in embedding_parameters(network)} == expected
    assert len(embedding_parameters(Ensemble([network, TwoStreamNetwork(FIELDS)]))) == len(expected) + 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fusion": "mean"}, r"fusion must be one of \['bilinear', 'sum', 'concat', 'product'\], got 'mean'"),
        ({"fusion": "product"}, r"fusion='product' .* their widths are 8 and 12"),
        (
            {"stream2_fields": ["usr"], "stream_embeddings": "own"},
            r"'usr', but the fields are \['age', 'user'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_an_error(parameters, message):
    with pytest.raises(ValueError, match=message):
        TwoStreamNetwork(FIELDS, Plain(8), Plain(12), **{"num_heads": 2, **parameters})


def test_a_stream_must_say_how_wide_it_is():
    class Silent(MLP):
        def build(self, *args, **kwargs):
            return torch.nn.Sequential(super().build(*args, **kwargs))

    with pytest.raises(TypeError, match=r"The stream Sequential has no integer attribute out_features"):
        TwoStreamNetwork(FIELDS, Silent(), Plain())


class Returning:
    """Builder of a stream that gives what a function makes of its input, and says to be of width 3."""

    def __init__(self, function):
        self.function = function

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        stream = torch.nn.Module()
        stream.forward = self.function
        stream.out_features = 3
        return stream


@pytest.mark.parametrize("fusion", ["bilinear", "sum", "concat", "product"])
@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda x: x[:1, :3], r"\(1, 3\)"),
        (lambda x: x[:, :2], r"\(2, 2\)"),
        (lambda x: x.sum(dim=1), r"\(2,\)"),
        (lambda x: (x[:, :3], None), "a tuple"),
    ],
    ids=["one row", "another width", "a vector", "two things"],
)
def test_a_stream_must_give_what_it_says(function, got, fusion):
    network = TwoStreamNetwork(FIELDS, Plain(3), Returning(function), fusion, num_heads=1)
    codes, values = torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2, 2)
    with pytest.raises(ValueError, match=rf"out_features\), here \(2, 3\); it is {got}"):
        network(codes, values)


def test_an_error_of_a_stream_tells_the_shape_of_its_input():
    network = TwoStreamNetwork(FIELDS, Plain(3), Returning(torch.nn.Linear(7, 3).forward), num_heads=1)
    codes, values = torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2, 2)
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        network(codes, values)
    (features,) = network.features(codes, values)[1:]
    assert caught.value.__notes__ == [f"The input of the stream Module has the shape {tuple(features.shape)}."]


@pytest.mark.parametrize("nothing", [None, lambda x: x])
def test_build_must_return_a_module(nothing):
    class Forgetful:
        def build(self, *args, **kwargs):
            return nothing

    with pytest.raises(TypeError, match=r"build of Forgetful must return the stream, a torch.nn.Module; it returned"):
        TwoStreamNetwork(FIELDS, Plain(), Forgetful())


def test_a_width_may_be_an_integer_of_numpy():
    class Numpys(Plain):
        def build(self, *args, **kwargs):
            stream = super().build(*args, **kwargs)
            stream.out_features = np.int64(stream.out_features)
            return stream

    assert TwoStreamNetwork(FIELDS, Numpys(8), Plain(8), num_heads=2).fusion.linear_x.in_features == 8
