"""Histories in the network: each pooling against a plain loop over rows, whatever stands beside a row."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sk_finalmlp.nn import (
    AttentionPooling,
    FieldEmbedding,
    TransformerPooling,
    TwoStreamNetwork,
    embedding_parameters,
)
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

_D = 10
_FIELDS = [
    Field("liked", "history", n_codes=9, n_columns=4, of="item"),
    Field("user", "categorical", n_codes=5),
    Field("item", "categorical", n_codes=9),
    Field("age", "numeric"),
]
# Columns of user, item and history; the last two codes of the last row are beyond the table.
_CODES = torch.tensor([[1, 3, 5, 2, 7, 0], [4, 8, 0, 0, 0, 0], [2, 2, 3, 0, 4, 1], [0, 0, 6, 1, 9, 12]])
_VALUES = torch.tensor([[0.5], [1.0], [-1.0], [0.0]])
_DUAL = {"fusion": "sum", "feature_selection": False}
_POOLINGS = ["mean", "attention", "transformer"]


def _embedding(pooling, softmax=True, names=None):
    generator = torch.Generator().manual_seed(0)
    embedding = FieldEmbedding(_FIELDS, _D, names, generator, history_pooling=pooling, history_softmax=softmax)
    with torch.no_grad():
        for parameter in embedding.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        embedding.table[list(embedding.first_row.values())] = 0
    return embedding.eval()


def _rows_one_by_one(embedding, pool):
    """The vector of each row's history by a loop: of the query and the list of its known keys."""
    vectors = []
    for codes in _CODES:
        item = embedding.table[embedding.first_row["item"] + codes[1]]
        known = [(place, code) for place, code in enumerate(codes[2:]) if 0 < code < 9]
        keys = [(place, embedding.table[embedding.first_row["item"] + code]) for place, code in known]
        vectors.append(pool(item, keys) if keys else torch.zeros(_D))
    return torch.stack(vectors)


def _mean(query, keys):
    return sum(k for _, k in keys) / len(keys)


def _attention(pooling, query, keys):
    scores = []
    for _, k in keys:
        hidden = F.relu(pooling.hidden(torch.cat([query, k, query - k, query * k])[None]))
        scores.append(pooling.output(hidden)[0, 0])
    weights = torch.softmax(torch.stack(scores), 0) if pooling.softmax else scores
    return sum(w * k for w, (_, k) in zip(weights, keys, strict=True))


def _transformer(pooling, query, keys):
    """The whole layer over all places by torch's own attention, read at the place of the value at hand."""
    places = torch.stack([query + pooling.position[0], *(k + pooling.position[1 + place] for place, k in keys)])
    q = pooling.query(places)
    k, v = pooling.key_and_value(places).chunk(2, dim=1)
    heads = [x.view(len(places), 2, _D // 2).transpose(0, 1) for x in (q, k, v)]
    attended = F.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(len(places), _D)
    x = pooling.norm1(places + pooling.heads(attended))
    return pooling.norm2(x + pooling.feed_forward(x))[0]


@pytest.mark.parametrize(
    ("pooling", "softmax"), [("mean", True), ("attention", True), ("attention", False), ("transformer", True)]
)
def test_pooling_is_that_of_a_loop(pooling, softmax):
    embedding = _embedding(pooling, softmax)
    own = embedding.history_poolings[0]
    pool = {
        "mean": _mean,
        "attention": lambda q, keys: _attention(own, q, keys),
        "transformer": lambda q, keys: _transformer(own, q, keys),
    }[pooling]
    assert [field.name for field in embedding.fields] == ["user", "item", "liked", "age"]
    with torch.inference_mode():
        torch.testing.assert_close(embedding(_CODES, _VALUES)[:, 2], _rows_one_by_one(embedding, pool))


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_row_depends_neither_on_padding_nor_on_rows_beside_it(pooling):
    network = TwoStreamNetwork(_FIELDS, history_pooling=pooling, generator=torch.Generator().manual_seed(0)).eval()
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 9, (320, 6)) * (rng.random((320, 6)) < 0.5))
    values = torch.randn(320, 1, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = network(codes, values)
        for part in (slice(0, 32), slice(64, 128)):
            torch.testing.assert_close(network(codes[part], values[part]), together[part], rtol=0, atol=0)
    if pooling == "transformer":
        return
    wider = [Field("liked", "history", n_codes=9, n_columns=7, of="item"), *_FIELDS[1:]]
    more = TwoStreamNetwork(wider, history_pooling=pooling).eval()
    more.load_state_dict(network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(more(F.pad(codes, (0, 3)), values), together, rtol=0, atol=0)


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_gradients_are_those_of_finite_differences(pooling):
    embedding = _embedding(pooling).double().train()
    codes = _CODES.clone()
    # The row of what is unknown gets no gradient.
    codes[3, 1] = 5

    def pooled(table):
        return torch.func.functional_call(embedding, {"table": table}, (codes, _VALUES.double()))[:, 2]

    table = embedding.table.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(pooled, (table,))
    pooled(table).square().sum().backward()
    assert not table.grad[list(embedding.first_row.values())].any()
    assert table.grad[embedding.first_row["item"] + 5].any()


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_batch_without_any_history(pooling):
    embedding = _embedding(pooling).train()
    vectors = embedding(F.pad(_CODES[:, :2], (0, 4)), _VALUES)
    assert not vectors[:, 2].any()
    vectors.sum().backward()


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_sparse_gradient_is_the_dense_one(pooling):
    embedding = _embedding(pooling).train()
    embedding(_CODES, _VALUES).square().sum().backward()
    dense, embedding.table.grad = embedding.table.grad, None
    embedding.sparse_gradient = True
    embedding(_CODES, _VALUES).square().sum().backward()
    torch.testing.assert_close(embedding.table.grad.to_dense(), dense)


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_history_without_the_field_beside_it_has_its_table(pooling):
    alone, both = _embedding(pooling, names=["liked"]), _embedding(pooling, names=["liked", "item"])
    alone.load_state_dict(both.state_dict())
    assert [field.name for field in alone.tables] == ["item"]
    with torch.inference_mode():
        torch.testing.assert_close(alone(_CODES, _VALUES), both(_CODES, _VALUES)[:, 1:])


def test_parameters_of_poolings():
    with torch.device("meta"):
        sizes = {
            p: sum(x.numel() for x in TwoStreamNetwork(_FIELDS, **_DUAL, history_pooling=p).parameters())
            for p in _POOLINGS
        }
        without = sum(x.numel() for x in TwoStreamNetwork(_FIELDS[1:], **_DUAL).parameters())
        attention, din = (sum(x.numel() for x in AttentionPooling(_D, s).parameters()) for s in (True, False))
        transformer = sum(x.numel() for x in TransformerPooling(_D, 4).parameters())
    # One field more for both streams, and no table.
    assert sizes["mean"] - without == 2 * 128 * _D
    assert (attention, din) == (32 * 4 * _D + 32 + 32, 32 * 4 * _D + 32 + 32 + 1)
    assert transformer == 5 * _D + 4 * (_D * _D + _D) + 4 * _D + (4 * _D * _D + 4 * _D) + (4 * _D * _D + _D)
    assert sizes["attention"] - sizes["mean"] == attention
    assert sizes["transformer"] - sizes["mean"] == transformer


def test_penalty_of_embeddings_is_not_on_the_pooling():
    network = TwoStreamNetwork(_FIELDS, **_DUAL, history_pooling="attention")
    assert sum(parameter.numel() for parameter in embedding_parameters(network)) == (5 + 9 + 1) * _D


def test_gates_and_linear_term_and_own_tables_take_histories():
    network = TwoStreamNetwork(
        _FIELDS,
        MLP(),
        MLP(),
        stream1_fields=["liked", "user"],
        stream_embeddings="own",
        fs1_context=["liked"],
        fs2_context=["item"],
        linear_term=True,
        history_pooling="attention",
    )
    assert [field.name for field in network.linear_term.fields] == ["user", "item", "age"]
    network(_CODES, _VALUES).sum().backward()
    assert network.embedding.history_poolings[0].hidden.weight.grad.any()
    assert network.gate1.context_embedding.table.grad.any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (_FIELDS[:2], "'liked' is a history of 'item', which must be a categorical field"),
        ([_FIELDS[0], Field("item", "categorical", n_codes=8)], "n_codes=9, and 'item' 8"),
    ],
)
def test_history_needs_the_field_whose_values_it_holds(fields, message):
    with pytest.raises(ValueError, match=message):
        FieldEmbedding(fields, _D)


def test_unknown_pooling():
    with pytest.raises(ValueError, match="'mean', 'attention' or 'transformer', got 'sum'"):
        FieldEmbedding(_FIELDS, _D, history_pooling="sum")
