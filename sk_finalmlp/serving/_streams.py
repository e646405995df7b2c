"""Streams as nodes of a graph, each as its `forward` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from torch import nn

from ..nn import Stream, StreamChain
from ..streams._attention import SelfAttentionStream
from ..streams._base import FieldVectors
from ..streams._cin import CINStream
from ..streams._cross import CrossNetMixStream, CrossNetStream, GatedCrossNetStream
from ..streams._final import FinalStream
from ..streams._mask import MaskNetStream
from ..streams._products import FMStream, ProductStream
from ..streams._quadratic import QNNStream
from ._encoder import Unsupported
from ._graph import Graph
from ._layers import add_layer, add_layers, add_linear, as_array


def add_stream(graph: Graph, x: str, stream: nn.Module) -> str:
    """Output of a stream, (n, D) -> (n, out_features)."""
    if type(stream) not in _STREAMS:
        raise Unsupported(
            f"A stream {type(stream).__name__} can't be exported; these can: "
            f"{sorted(cls.__name__ for cls in _STREAMS)}. Serve the pipeline in Python, or use one of these."
        )
    return _STREAMS[type(stream)](graph, x, stream)


def _axes(graph: Graph, *axes: int) -> str:
    return graph.constant(axes, np.int64)


def _reshape(graph: Graph, values: str, *shape: int) -> str:
    return graph.node("Reshape", values, graph.constant(shape, np.int64))


def _sum(graph: Graph, values: str, axis: int) -> str:
    return graph.node("ReduceSum", values, _axes(graph, axis), keepdims=0)


def _crossed(graph: Graph, x: str, x0: str, factor: str) -> str:
    return graph.node("Add", x, graph.node("Mul", x0, factor))


def _chain(graph: Graph, x: str, stream: Any) -> str:
    for module in stream:
        x = add_stream(graph, x, module) if type(module) in _STREAMS else add_layer(graph, x, module)
    return x


def _cross_net(graph: Graph, x0: str, stream: Any) -> str:
    x = x0
    for layer in stream.layers:
        x = _crossed(graph, x, x0, add_layer(graph, x, layer.linear))
        if hasattr(layer, "bias"):
            x = graph.node("Add", x, graph.constant(as_array(layer.bias)[np.newaxis]))
    return x


def _cross_net_mix(graph: Graph, x0: str, stream: Any) -> str:
    x = x0
    for layer in stream.layers:
        gate = graph.node("Softmax", add_linear(graph, x, stream.gate), axis=1)
        u, v, c = (graph.constant(as_array(matrix)) for matrix in (layer.u, layer.v, layer.c))
        hidden = graph.node("Tanh", graph.node("Einsum", x, v, equation="bd,kdr->bkr"))
        hidden = graph.node("Tanh", graph.node("Einsum", hidden, c, equation="bkr,ksr->bks"))
        weighted = graph.node("Mul", graph.node("Unsqueeze", gate, _axes(graph, 2)), hidden)
        mixed = graph.node("Einsum", weighted, u, equation="bks,kds->bd")
        x = _crossed(graph, x, x0, graph.node("Add", mixed, graph.constant(as_array(layer.bias)[np.newaxis])))
    return x


def _gated_cross_net(graph: Graph, x0: str, stream: Any) -> str:
    x = x0
    for cross, gate in zip(stream.crosses, stream.gates, strict=True):
        gated = graph.node("Mul", add_linear(graph, x, cross), graph.node("Sigmoid", add_linear(graph, x, gate)))
        x = _crossed(graph, x, x0, gated)
    return x


def _split(graph: Graph, x: str, reads: Any) -> tuple[str, str]:
    """Vectors, (n, F, d), and statistics, (n, S)."""
    n_fields, embedding_dim, n_statistics = reads[:3]
    n_features = n_fields * embedding_dim
    vectors = graph.columns(x, 0, n_features) if n_statistics else x
    return _reshape(graph, vectors, -1, n_fields, embedding_dim), graph.columns(
        x, n_features, n_features + n_statistics
    )


def _vectors(graph: Graph, x: str, vectors: FieldVectors) -> str:
    """Vectors of fields and statistics, (n, number of vectors, d)."""
    reads = vectors.reads
    if not reads.n_fields:
        return _vectors_of_statistics(graph, x, vectors)
    of_fields, statistics = _split(graph, x, reads)
    if not reads.n_statistics:
        return of_fields
    return graph.concat([of_fields, _vectors_of_statistics(graph, statistics, vectors)])


def _vectors_of_statistics(graph: Graph, statistics: str, vectors: FieldVectors) -> str:
    columns = graph.node("Unsqueeze", statistics, _axes(graph, 2))
    return graph.node("Mul", columns, graph.constant(as_array(vectors.statistics)[np.newaxis]))


def _factorization_machine(graph: Graph, x: str, stream: Any) -> str:
    v = _vectors(graph, x, stream.vectors)
    total = _sum(graph, v, 1)
    squares = graph.node("Sub", graph.node("Mul", total, total), _sum(graph, graph.node("Mul", v, v), 1))
    return graph.node("Mul", squares, graph.constant([[0.5]], np.float32))


def _products(graph: Graph, x: str, stream: Any) -> str:
    v = _vectors(graph, x, stream.vectors)
    first, second = (
        graph.node("Gather", v, graph.constant(as_array(positions), np.int64), axis=1)
        for positions in (stream.first, stream.second)
    )
    products = graph.node("Mul", first, second)
    if stream.form == "elementwise":
        return graph.node("Flatten", products, axis=1)
    return graph.concat([x, _sum(graph, products, 2)])


def _quadratic(graph: Graph, x: str, stream: Any) -> str:
    for layer in stream.layers:
        factors = add_layer(graph, add_linear(graph, x, layer.linear), layer.activation)
        factors = _reshape(graph, factors, -1, layer.n_terms, stream.out_features)
        x = _crossed(graph, x, x, _sum(graph, factors, 1))
    return x


def _compressed_interactions(graph: Graph, x: str, stream: Any) -> str:
    n_vectors, length = stream.vectors.n_vectors, stream.vectors.reads.embedding_dim
    x0 = graph.node("Transpose", _vectors(graph, x, stream.vectors), perm=[0, 2, 1])
    x0 = _reshape(graph, x0, -1, n_vectors)
    rows, pooled = x0, []
    for layer in stream.layers:
        pairs = graph.node(
            "Mul", graph.node("Unsqueeze", rows, _axes(graph, 2)), graph.node("Unsqueeze", x0, _axes(graph, 1))
        )
        rows = add_linear(graph, graph.node("Flatten", pairs, axis=1), layer)
        pooled.append(_sum(graph, _reshape(graph, rows, -1, length, layer.out_features), 1))
    return graph.concat(pooled)


def _final(graph: Graph, x: str, stream: Any) -> str:
    if stream.gate is not None:
        x = _field_gate(graph, x, stream)
    for layer in stream.layers:
        x = _final_layer(graph, x, layer) if hasattr(layer, "form") else add_layer(graph, x, layer)
    return x


def _field_gate(graph: Graph, x: str, stream: Any) -> str:
    n_fields, embedding_dim, n_statistics, _ = stream.gate.reads
    vectors, statistics = _split(graph, x, stream.gate.reads)
    elements = _reshape(graph, graph.node("Transpose", vectors, perm=[0, 2, 1]), -1, n_fields)
    gates = _reshape(graph, add_linear(graph, elements, stream.gate.linear), -1, embedding_dim, n_fields)
    gated = graph.node("Mul", vectors, graph.node("Transpose", gates, perm=[0, 2, 1]))
    both = [graph.node("Flatten", part, axis=1) for part in (vectors, gated)]
    return graph.concat([*both, *([statistics] if n_statistics else [])])


def _final_layer(graph: Graph, x: str, layer: Any) -> str:
    hidden, width = add_linear(graph, x, layer.linear), layer.linear.out_features
    h2, h1 = graph.columns(hidden, 0, width // 2), graph.columns(hidden, width // 2, width)
    if layer.form == "sum":
        return _crossed(graph, h2, h1, h2)
    return graph.concat([h2, graph.node("Mul", h1, h2)])


def _layer_norm(graph: Graph, values: str, norm: nn.LayerNorm) -> str:
    scale, shift = (graph.constant(as_array(parameter)) for parameter in (norm.weight, norm.bias))
    return graph.node("LayerNormalization", values, scale, shift, axis=-1, epsilon=norm.eps)


def _mask_net(graph: Graph, x: str, stream: Any) -> str:
    hidden = x if stream.norm is None else _field_norm(graph, x, stream)
    if stream.mlp is not None:
        blocks = [_mask_block(graph, x, hidden, block) for block in stream.blocks]
        return add_layers(graph, graph.concat(blocks), stream.mlp)
    for block in stream.blocks:
        hidden = _mask_block(graph, x, hidden, block)
    return hidden


def _mask_block(graph: Graph, x: str, hidden: str, block: Any) -> str:
    masked = add_linear(graph, graph.node("Mul", add_layers(graph, x, block.mask), hidden), block.hidden)
    return graph.node("Relu", masked if block.norm is None else _layer_norm(graph, masked, block.norm))


def _field_norm(graph: Graph, x: str, stream: Any) -> str:
    n_fields, embedding_dim, n_statistics, _ = stream.norm.reads
    if not n_fields:
        return x
    vectors, statistics = _split(graph, x, stream.norm.reads)
    ones = graph.constant(np.ones(embedding_dim), np.float32)
    normalised = graph.node("LayerNormalization", vectors, ones, axis=-1, epsilon=1e-5)
    scaled = graph.node("Mul", normalised, graph.constant(as_array(stream.norm.weight)[np.newaxis]))
    shifted = graph.node("Add", scaled, graph.constant(as_array(stream.norm.bias)[np.newaxis]))
    return graph.concat([graph.node("Flatten", shifted, axis=1), *([statistics] if n_statistics else [])])


def _self_attention(graph: Graph, x: str, stream: Any) -> str:
    v = _vectors(graph, x, stream.vectors)
    for layer in stream.layers:
        v = _attention_layer(graph, v, layer, stream.vectors.n_vectors)
    return graph.node("Flatten", v, axis=1)


def _attention_layer(graph: Graph, v: str, layer: Any, n_vectors: int) -> str:
    n_features, width = layer.query.in_features, layer.query.out_features
    flat = _reshape(graph, v, -1, n_features)

    def heads(linear: nn.Linear, *order: int) -> str:
        cut = _reshape(graph, add_linear(graph, flat, linear), -1, n_vectors, layer.n_heads, width // layer.n_heads)
        return graph.node("Transpose", cut, perm=list(order))

    scores = graph.node("MatMul", heads(layer.query, 0, 2, 1, 3), heads(layer.key, 0, 2, 3, 1))
    scores = graph.node("Mul", scores, graph.constant(layer.scale, np.float32))
    means = graph.node("MatMul", graph.node("Softmax", scores, axis=3), heads(layer.value, 0, 2, 1, 3))
    attended = _reshape(graph, graph.node("Transpose", means, perm=[0, 2, 1, 3]), -1, width)
    residual = flat if layer.residual is None else add_linear(graph, flat, layer.residual)
    attended = graph.node("Add", attended, residual)
    if layer.norm is not None:
        attended = _layer_norm(graph, attended, layer.norm)
    return _reshape(graph, graph.node("Relu", attended), -1, n_vectors, width)


_STREAMS: Final[dict[type[nn.Module], Callable[[Graph, str, Any], str]]] = {
    CINStream: _compressed_interactions,
    CrossNetMixStream: _cross_net_mix,
    CrossNetStream: _cross_net,
    FMStream: _factorization_machine,
    FinalStream: _final,
    GatedCrossNetStream: _gated_cross_net,
    MaskNetStream: _mask_net,
    ProductStream: _products,
    QNNStream: _quadratic,
    SelfAttentionStream: _self_attention,
    Stream: add_layers,
    StreamChain: _chain,
}
