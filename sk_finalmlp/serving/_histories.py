"""Poolings of histories as nodes of a graph. Histories are padded here: a place without a value has the mask 0."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, Final

import numpy as np
from torch import nn

from ..nn import AttentionPooling, MeanPooling, TransformerPooling
from ._encoder import Unsupported
from ._graph import Graph
from ._layers import as_array

_NEVER: Final = -1e30


def add_pooling(graph: Graph, pooling: nn.Module, query: str, keys: str, mask: str) -> str:
    """The vector of a history, (n, 1, d).

    Parameters
    ----------
    graph : Graph
        The graph.
    pooling : torch.nn.Module
        What pools it.
    query : str
        Vector of the value at hand, (n, 1, d).
    keys : str
        Vectors of the history, (n, L, d).
    mask : str
        1 where there is a value, else 0: floats of shape (n, L, 1).
    """
    for cls, pool in _POOLINGS.items():
        if type(pooling) is cls:
            return pool(graph, pooling, query, keys, mask)
    raise Unsupported(f"A pooling {type(pooling).__name__} of a history can't be exported.")


def _sum(graph: Graph, values: str, keepdims: int = 1) -> str:
    return graph.node("ReduceSum", values, graph.constant([1], np.int64), keepdims=keepdims)


def _mean(graph: Graph, pooling: Any, query: str, keys: str, mask: str) -> str:
    n_known = graph.node("Max", _sum(graph, mask), graph.constant([[[1]]], np.float32))
    return graph.node("Div", _sum(graph, graph.node("Mul", keys, mask)), n_known)


def _attention(graph: Graph, pooling: Any, query: str, keys: str, mask: str) -> str:
    of_q, of_k, of_difference, of_product = np.split(as_array(pooling.hidden.weight), 4, axis=1)
    features = graph.node("Concat", keys, graph.node("Mul", query, keys), axis=2)
    hidden = _linear(graph, features, np.concatenate([of_k - of_difference, of_product], axis=1), None)
    own = _linear(graph, query, of_q + of_difference, as_array(pooling.hidden.bias))
    hidden = graph.node("Relu", graph.node("Add", hidden, own))
    bias = None if pooling.output.bias is None else as_array(pooling.output.bias)
    scores = _linear(graph, hidden, as_array(pooling.output.weight), bias)
    weights = _softmax(graph, scores, mask) if pooling.softmax else scores
    return _sum(graph, graph.node("Mul", graph.node("Mul", weights, mask), keys))


def _softmax(graph: Graph, scores: str, mask: str) -> str:
    is_there = graph.node("Greater", mask, graph.constant([[[0]]], np.float32))
    scores = graph.node("Where", is_there, scores, graph.constant(_NEVER, np.float32))
    return graph.node("Softmax", scores, axis=1)


def _linear(graph: Graph, values: str, weight: Any, bias: Any) -> str:
    """(n, L, d) -> (n, L, d')."""
    product = graph.node("MatMul", values, graph.constant(weight.T, np.float32))
    return product if bias is None else graph.node("Add", product, graph.constant(bias, np.float32))


def _layer(graph: Graph, values: str, layer: nn.Linear) -> str:
    return _linear(graph, values, as_array(layer.weight), as_array(layer.bias))


def _normalised(graph: Graph, values: str, norm: nn.LayerNorm) -> str:
    weight, bias = (graph.constant(as_array(parameter), np.float32) for parameter in (norm.weight, norm.bias))
    return graph.node("LayerNormalization", values, weight, bias, axis=-1, epsilon=norm.eps)


def _transformer(graph: Graph, pooling: Any, query: str, keys: str, mask: str) -> str:
    """The value at hand goes before the history, and is never masked."""
    position = as_array(pooling.position)
    n_heads, d = pooling.n_heads, position.shape[1]
    own = graph.node("Add", query, graph.constant(position[np.newaxis, :1]))
    others = graph.node("Add", keys, graph.constant(position[np.newaxis, 1:]))
    one = graph.node("Add", graph.node("Mul", _sum(graph, mask), graph.constant(0, np.float32)), _one(graph))
    every, is_there = graph.node("Concat", own, others, axis=1), graph.node("Concat", one, mask, axis=1)
    by_head = graph.constant([0, 0, n_heads, d // n_heads], np.int64)
    q = graph.node("Reshape", _layer(graph, own, pooling.query), by_head)
    both = np.split(as_array(pooling.key_and_value.weight), 2), np.split(as_array(pooling.key_and_value.bias), 2)
    k, v = (
        graph.node("Reshape", _linear(graph, every, weight, bias), by_head) for weight, bias in zip(*both, strict=True)
    )
    products = graph.node("ReduceSum", graph.node("Mul", q, k), graph.constant([3], np.int64), keepdims=0)
    scores = graph.node("Mul", products, graph.constant(1 / sqrt(d // n_heads), np.float32))
    weights = graph.node("Unsqueeze", _softmax(graph, scores, is_there), graph.constant([3], np.int64))
    attended = _sum(graph, graph.node("Mul", weights, v), keepdims=0)
    attended = graph.node("Reshape", attended, graph.constant([-1, 1, d], np.int64))
    x = _normalised(graph, graph.node("Add", own, _layer(graph, attended, pooling.heads)), pooling.norm1)
    first, _, second = pooling.feed_forward
    further = _layer(graph, graph.node("Relu", _layer(graph, x, first)), second)
    x = _normalised(graph, graph.node("Add", x, further), pooling.norm2)
    return graph.node("Mul", x, graph.node("ReduceMax", mask, graph.constant([1], np.int64), keepdims=1))


def _one(graph: Graph) -> str:
    return graph.constant([[[1]]], np.float32)


_POOLINGS: Final[dict[type[nn.Module], Callable[[Graph, Any, str, str, str], str]]] = {
    MeanPooling: _mean,
    AttentionPooling: _attention,
    TransformerPooling: _transformer,
}
