"""Each stream against its formula, written as a plain loop over rows, fields and layers."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from sk_finalmlp.nn import Activation, dropout_generator
from sk_finalmlp.streams import CIN, FM, QNN, CrossNet, Final, GatedCrossNet, MaskNet, Product, SelfAttention

N_FIELDS, DIM, N_STATISTICS, N_ROWS = 4, 6, 2, 9
WIDTH = N_FIELDS * DIM + N_STATISTICS

PLAIN = {"dropout": 0.0}
STREAMS = {
    "cross v1": CrossNet(version="v1"),
    "cross v2": CrossNet(),
    "cross of low rank": CrossNet(rank=2),
    "mixture of crosses": CrossNet(rank=2, n_experts=3),
    "gated cross": GatedCrossNet(2),
    "CIN": CIN([5, 3]),
    "FM": FM(),
    "inner product": Product("inner", ()),
    "elementwise product": Product("elementwise", ()),
    "attention": SelfAttention(attention_dim=8),
    "attention with norm": SelfAttention(attention_dim=6, scaled=True, layer_norm=True),
    "final": Final([8, 6], field_gate=True, **PLAIN),
    "final as a sum": Final([8, 5], form="sum", activation=None, **PLAIN),
    "serial masks": MaskNet([8, 5], reduction_ratio=0.5, **PLAIN),
    "parallel masks": MaskNet([7], n_blocks=2, block_units=4, layer_norm=False, embedding_norm=False, **PLAIN),
    "QNN": QNN(n_terms=3, **PLAIN),
}


def build(stream, n_fields=N_FIELDS, embedding_dim=DIM, n_statistics=N_STATISTICS, **generator):
    return stream.build(n_fields, embedding_dim, n_statistics, **generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n_rows=N_ROWS, seed=1):
    return torch.randn(n_rows, WIDTH, generator=seeded(seed), dtype=torch.float64)


def make(name):
    """A stream in float64, with all weights drawn, also those that start at zero or tiny."""
    stream = build(STREAMS[name], generator=seeded()).double()
    with torch.no_grad():
        for seed, parameter in enumerate(stream.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(seed + 10)) * 0.4)
    return stream


def vectors_of(row, statistics):
    """The vectors of a row: of its fields, and of its statistics times their value."""
    fields = list(row[: N_FIELDS * DIM].view(N_FIELDS, DIM))
    return fields + [value * vector for value, vector in zip(row[N_FIELDS * DIM :], statistics, strict=True)]


def cross_v1(stream, x0):
    x = x0
    for layer in stream.layers:
        x = x0 * (layer.linear.weight[0] @ x) + layer.bias + x
    return x


def cross_v2(stream, x0):
    x = x0
    for layer in stream.layers:
        x = x0 * (layer.linear.weight @ x + layer.linear.bias) + x
    return x


def cross_of_low_rank(stream, x0):
    x = x0
    for layer in stream.layers:
        v, u = layer.linear
        x = x0 * (u.weight @ v.weight @ x + u.bias) + x
    return x


def mixture_of_crosses(stream, x0):
    x = x0
    for layer in stream.layers:
        experts = [
            x0 * (layer.u[i] @ torch.tanh(layer.c[i] @ torch.tanh(layer.v[i].T @ x)) + layer.bias) for i in range(3)
        ]
        gates = torch.softmax(torch.stack([stream.gate.weight[i] @ x for i in range(3)]), dim=0)
        x = sum(gate * expert for gate, expert in zip(gates, experts, strict=True)) + x
    return x


def gated_cross(stream, c0):
    c = c0
    for layer in stream.layers:
        c = c0 * (layer.cross.weight @ c + layer.cross.bias) * torch.sigmoid(layer.gate.weight @ c) + c
    return c


def cin(stream, row):
    x0 = vectors_of(row, stream.vectors.statistics)
    rows, output = x0, []
    for layer in stream.layers:
        weights = layer.weight.view(len(layer.weight), len(rows), len(x0))
        rows = [
            sum(w[i, j] * rows[i] * x0[j] for i in range(len(rows)) for j in range(len(x0))) + b
            for w, b in zip(weights, layer.bias, strict=True)
        ]
        output += [vector.sum() for vector in rows]
    return torch.stack(output)


def fm(stream, row):
    pairs = itertools.combinations(vectors_of(row, stream.vectors.statistics), 2)
    return sum(first * second for first, second in pairs)


def inner_product(stream, row):
    pairs = itertools.combinations(vectors_of(row, stream.vectors.statistics), 2)
    return torch.cat([row, torch.stack([first @ second for first, second in pairs])])


def elementwise_product(stream, row):
    pairs = itertools.combinations_with_replacement(vectors_of(row, stream.vectors.statistics), 2)
    return torch.cat([first * second for first, second in pairs])


def attention(stream, row):
    vectors = vectors_of(row, stream.vectors.statistics)
    for layer in stream.layers:
        query, key, value = ([linear.weight @ v for v in vectors] for linear in (layer.query, layer.key, layer.value))
        size = len(query[0]) // layer.n_heads
        attended = []
        for i, vector in enumerate(vectors):
            heads = []
            for part in (slice(head * size, (head + 1) * size) for head in range(layer.n_heads)):
                scores = torch.stack([query[i][part] @ k[part] for k in key])
                if layer.norm is not None:
                    scores = scores / size**0.5
                weights = torch.softmax(scores, dim=0)
                heads.append(sum(w * v[part] for w, v in zip(weights, value, strict=True)))
            residual = vector if layer.residual is None else layer.residual.weight @ vector
            total = torch.cat(heads) + residual
            if layer.norm is not None:
                total = F.layer_norm(total, total.shape, layer.norm.weight, layer.norm.bias)
            attended.append(torch.relu(total))
        vectors = attended
    return torch.cat(vectors)


def final(stream, row):
    """In evaluation mode, where batch norm is a fixed map of each unit."""
    fields, statistics = row[: N_FIELDS * DIM].view(N_FIELDS, DIM), row[N_FIELDS * DIM :]
    x, (*gates, first, second) = row, stream
    for gate in gates:
        weight, bias = gate.linear.weight, gate.linear.bias
        gated = [fields[i] * (weight[i] @ fields + bias[i]) for i in range(N_FIELDS)]
        x = torch.cat([*fields, *gated, statistics])
    for layer in (first, second):
        h = layer.linear.weight @ x + layer.linear.bias
        h2, h1 = h[: len(h) // 2], h[len(h) // 2 :]
        x = torch.cat([h2, h1 * h2]) if layer.form == "concat" else h2 + h1 * h2
        after = layer.activation
        x = torch.relu(_normalised(x, after.norm)) if isinstance(after, Activation) else _normalised(x, after[0])
    return x


def _normalised(x, norm):
    return (x - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight + norm.bias


def _mask_block(block, x, hidden):
    first, _, second = block.mask
    mask = second.weight @ torch.relu(first.weight @ x + first.bias) + second.bias
    masked = block.hidden.weight @ (mask * hidden)
    if block.norm is not None:
        masked = F.layer_norm(masked, masked.shape, block.norm.weight, block.norm.bias)
    return torch.relu(masked)


def serial_masks(stream, row):
    hidden = []
    for i, vector in enumerate(row[: N_FIELDS * DIM].view(N_FIELDS, DIM)):
        hidden.append(F.layer_norm(vector, vector.shape, stream.norm.weight[i], stream.norm.bias[i]))
    hidden = torch.cat([*hidden, row[N_FIELDS * DIM :]])
    for block in stream.blocks:
        hidden = _mask_block(block, row, hidden)
    return hidden


def parallel_masks(stream, row):
    side_by_side = torch.cat([_mask_block(block, row, row) for block in stream.blocks])
    return torch.relu(stream.mlp[0].weight @ side_by_side + stream.mlp[0].bias)


def qnn(stream, x):
    for layer in stream:
        h = layer.linear.weight @ x + layer.linear.bias
        factors = torch.relu(_normalised(h, layer.activation.norm)).view(layer.n_terms, -1)
        x = x + sum(x * factor for factor in factors)
    return x


LOOPS = {
    "cross v1": cross_v1,
    "cross v2": cross_v2,
    "cross of low rank": cross_of_low_rank,
    "mixture of crosses": mixture_of_crosses,
    "gated cross": gated_cross,
    "CIN": cin,
    "FM": fm,
    "inner product": inner_product,
    "elementwise product": elementwise_product,
    "attention": attention,
    "attention with norm": attention,
    "final": final,
    "final as a sum": final,
    "serial masks": serial_masks,
    "parallel masks": parallel_masks,
    "QNN": qnn,
}


@pytest.mark.parametrize("name", STREAMS)
def test_is_its_formula_row_by_row(name):
    stream = make(name)
    stream(batch(50, seed=2))  # moves the running statistics of batch norm
    x, loop = batch(), LOOPS[name]
    output = stream.eval()(x)
    assert output.shape == (N_ROWS, stream.out_features)
    torch.testing.assert_close(output, torch.stack([loop(stream, row) for row in x]))


@pytest.mark.parametrize("name", STREAMS)
def test_gradients_reach_every_parameter(name):
    stream = make(name)
    stream(batch()).square().sum().backward()
    for parameter_name, parameter in stream.named_parameters():
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("name", STREAMS)
def test_start_weights_come_from_the_generator_alone(name):
    state = torch.get_rng_state()
    first, second = (build(STREAMS[name], generator=seeded()).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[parameter], second[parameter]) for parameter in first)


@pytest.mark.parametrize(
    "stream",
    [
        SelfAttention(dropout=0.5),
        Final([8], dropout=0.5),
        Final([8], dropout=0.5, activation=None),
        MaskNet([8], dropout=0.5),
        QNN(1, dropout=0.5),
    ],
    ids=repr,
)
def test_dropout_draws_from_the_generator_that_is_lent(stream):
    x, stream = batch().float(), build(stream)
    outputs = []
    for seed in (0, 0, 1):
        with dropout_generator(stream, seeded(seed)):
            outputs.append(stream(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


D, r, K, L = 30, 5, 3, 4
SIZES = {
    "cross v1": (CrossNet(L, "v1"), L * 2 * D),
    "cross v2": (CrossNet(L), L * (D**2 + D)),
    "cross of low rank": (CrossNet(L, rank=r), L * (2 * D * r + D)),
    "mixture": (CrossNet(L, rank=r, n_experts=K), L * (2 * K * D * r + K * r**2 + D) + K * D),
    "gated cross": (GatedCrossNet(L), L * (2 * D**2 + D)),
    "CIN": (CIN([8, 6]), (3 * 3 * 8 + 8) + (3 * 8 * 6 + 6)),
    "FM": (FM(), 0),
    "product": (Product(hidden_units=()), 0),
    "attention": (
        SelfAttention(3, 2, 16, layer_norm=True),
        (4 * 10 * 16 + 2 * 16) + 2 * (3 * 16**2 + 2 * 16),
    ),
    "final": (Final([8], field_gate=True), (9 + 3) + (60 * 8 + 8) + 16),
    "final as a sum": (Final([8], form="sum"), (30 * 16 + 16) + 16),
    "mask": (
        MaskNet([8], reduction_ratio=2, embedding_norm=False),
        (30 * 60 + 60) + (60 * 30 + 30) + 30 * 8 + 2 * 8,
    ),
    "QNN": (QNN(L, n_terms=2), L * (2 * (D**2 + D) + 2 * 2 * D)),
}


@pytest.mark.parametrize("name", SIZES)
def test_number_of_parameters(name):
    stream, expected = SIZES[name]
    assert sum(parameter.numel() for parameter in build(stream, 3, 10, 0).parameters()) == expected


@pytest.mark.parametrize("name", STREAMS)
def test_statistics_alone_have_vectors_too(name):
    stream = build(STREAMS[name], 0, 5, 2)
    assert stream(torch.ones(3, 2)).shape == (3, stream.out_features)


def test_halves_need_an_even_width():
    with pytest.raises(ValueError, match="split in half, so its width can't be odd, as 7"):
        build(Final([7]))
