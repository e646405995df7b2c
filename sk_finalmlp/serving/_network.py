"""A fitted classifier as nodes of a graph: its fields, embeddings, gates, fusion, and the pooling of histories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import sqrt
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ..estimators import TableReader
from ..nn import (
    AttentionPooling,
    ConcatFusion,
    FeatureGate,
    FieldEmbedding,
    Linear,
    MeanPooling,
    MultiHeadBilinearFusion,
    PretrainedVectors,
    ProductFusion,
    SumFusion,
    TransformerPooling,
    TwoStreamNetwork,
    VectorProjection,
    members_of,
    votes_of,
)
from ..schema import Field
from ._graph import ONE, Graph, Unsupported, Value, as_array

_NEVER: Final = -1e30


class _FieldRows:
    """The columns of the encoded table, each of shape (n, 1), as the network reads them."""

    def __init__(self, graph: Graph, readers: TableReader, columns: Sequence[Value]) -> None:
        self.graph = graph
        self.statistics = [reader.field for reader in readers if reader.field.kind == "statistic"]
        self._row_of_code = {reader.field.name: reader.row_of_code for reader in readers}
        self._columns = {reader.field.name: [columns[position] for position in reader.positions] for reader in readers}

    def columns(self, fields: Sequence[Field]) -> list[Value]:
        """Return columns of codes or of floats."""
        return [column for field in fields for column in self._columns[field.name]]

    def rows(self, fields: Sequence[Field], first_row: Mapping[str, int]) -> Value:
        """Return rows of a table of embeddings, one for each column of codes; 0 for an unknown code."""
        tables, firsts, largest = [], [], []
        first = 0
        for field in fields:
            row_of_code = self._row_of_code[field.name]
            is_known = (row_of_code > 0) & (row_of_code < field.n_codes)
            tables.append(np.where(is_known, row_of_code + first_row[field.table], 0))
            firsts += [first] * field.n_columns
            largest += [len(row_of_code) - 1] * field.n_columns
            first += len(row_of_code)
        # In this order, no code overflows.
        codes = self.graph.concat(self.columns(fields))
        places = self.graph.node("Min", codes, np.array([largest])) + np.array([firsts])
        return self.graph.gather(np.concatenate(tables).astype(np.int64), places)


def add_logits(graph: Graph, network: nn.Module, readers: TableReader, columns: Sequence[Value]) -> Value:
    """Return the logits of a network in evaluation mode, (n, C), from columns of the encoded table, (n, 1)."""
    rows = _FieldRows(graph, readers, columns)
    logits = [
        _member_logits(rows, member) * np.float32(vote)
        for member, vote in zip(members_of(network), votes_of(network), strict=True)
    ]
    return logits[0] if len(logits) == 1 else graph.node("Sum", *logits)


def _member_logits(rows: _FieldRows, network: nn.Module) -> Value:
    if not isinstance(network, TwoStreamNetwork):
        raise Unsupported(
            f"A network {type(network).__name__} can't be exported, only networks of two streams. Export its encoder "
            "alone, and the network with torch.onnx."
        )
    outputs = [_stream_output(rows, path) for path in network.paths]
    logits = _one_of(_FUSIONS, network.fusion)(rows.graph, network.fusion, *outputs)
    if network.linear_term is None or not network.linear_term.fields:
        return logits
    return logits + rows.graph.sum(_embedded(rows, network.linear_term), 1)


def _stream_output(rows: _FieldRows, path: Any) -> Value:
    graph = rows.graph
    # A stream may read statistics alone.
    vectors = [graph.node("Flatten", _embedded(rows, path.embedding), axis=1)] if path.embedding.fields else []
    every = graph.concat([*vectors, *rows.columns(rows.statistics)])
    features = graph.concat([graph.columns(every, part.start, part.stop) for part in path.fields.parts])
    return graph.layer(features if path.gate is None else _gated(rows, features, path.gate), path.stream)


def _embedded(rows: _FieldRows, embedding: FieldEmbedding) -> Value:
    """Return vectors of fields, (n, F, d)."""
    graph = rows.graph
    parts = _of_codes(rows, embedding) if embedding.tables or embedding.histories else {}
    pretrained: Any
    for pretrained in embedding.pretrained:
        found, field = _pretrained(rows, pretrained), pretrained.field
        if field.of:
            parts[field.of] = parts[field.of] + found
        else:
            parts[field.name] = found
    of_fields = list(parts.values())
    if numeric := [field for field in embedding.fields if field.kind == "numeric"]:
        of_fields.append(graph.unsqueeze(graph.concat(rows.columns(numeric)), 2) * embedding.numeric[np.newaxis])
    of_vectors = [field for field in embedding.fields if field.kind == "vector"]
    projections: Any = embedding.vectors
    of_fields += [_projected(rows, field, vectors) for field, vectors in zip(of_vectors, projections, strict=True)]
    return graph.concat(of_fields)


def _of_codes(rows: _FieldRows, embedding: FieldEmbedding) -> dict[str, Value]:
    """Return vectors of categorical fields, and the pooled ones of multi-valued fields and histories, (n, 1, d)."""
    graph, fields = rows.graph, [*embedding.tables, *embedding.histories]
    at = rows.rows(fields, embedding.first_row)
    # Row 0 is for unknown codes.
    table = as_array(embedding.table).copy()
    table[0] = 0
    n_columns = sum(field.n_columns for field in fields)
    vectors = iter(graph.split(graph.gather(table, at), n_columns))
    is_known = iter(graph.split((at > 0).cast("float"), n_columns))
    poolings: Any = dict(zip([field.name for field in embedding.histories], embedding.history_poolings, strict=True))
    parts: dict[str, Value] = {}
    for field in fields:
        own, mask = (graph.concat(list(islice(columns, field.n_columns))) for columns in (vectors, is_known))
        if field.kind != "categorical":
            pooling = poolings.get(field.name, MeanPooling())
            add_pooling = _one_of(_POOLINGS, pooling)
            own = add_pooling(graph, pooling, parts.get(field.of), own, graph.unsqueeze(mask, 2))
        parts[field.name] = own
    # A history looks up the value at hand also where that isn't a field of its own.
    read = {field.name for field in embedding.fields}
    return {name: part for name, part in parts.items() if name in read}


def _pretrained(rows: _FieldRows, vectors: PretrainedVectors) -> Value:
    """Return embeddings of codes, (n, 1, d): the table holds embeddings, which are shorter than the vectors."""
    embeddings = as_array(vectors(torch.arange(vectors.field.n_codes)))
    return rows.graph.gather(embeddings, rows.rows([vectors.field], {vectors.field.name: 0}))


def _projected(rows: _FieldRows, field: Field, vectors: VectorProjection) -> Value:
    """Project vectors, (n, 1, d); a vector of zeros has a learned embedding."""
    graph = rows.graph
    x = graph.concat(rows.columns([field]))
    largest = graph.node("ReduceMax", graph.node("Abs", x), np.array([1]), keepdims=1)
    missing = graph.node("Equal", largest, np.float32(0)).cast("float") * vectors.missing[np.newaxis]
    return graph.unsqueeze(graph.node("MatMul", x, vectors.projection.T) + missing, 1)


def _gated(rows: _FieldRows, features: Value, gate: FeatureGate) -> Value:
    graph = rows.graph
    if gate.context_embedding is None:
        return graph.scaled(features, as_array(gate.of_all_rows())[0].astype(np.float64))
    context = graph.node("Flatten", _embedded(rows, gate.context_embedding), axis=1)
    return features * (graph.node("Sigmoid", graph.layer(context, gate.gate.mlp)) * np.float32(2))


def _one_of(table: Mapping[type[nn.Module], Callable[..., Value]], module: nn.Module) -> Callable[..., Value]:
    """Return the exporter of a module's exact class: a derived one may have a forward of its own."""
    if type(module) not in table:
        raise Unsupported(f"A {type(module).__name__} can't be exported; these can: {[c.__name__ for c in table]}.")
    return table[type(module)]


def _sum(graph: Graph, fusion: Any, x: Value, y: Value) -> Value:
    return graph.linear(x, fusion.linear_x) + graph.linear(y, fusion.linear_y)


def _bilinear(graph: Graph, fusion: Any, x: Value, y: Value) -> Value:
    n_heads, x_head, n_outputs, y_head = fusion.bilinear.shape
    x_heads = graph.node("Transpose", graph.reshape(x, -1, n_heads, x_head), perm=[1, 0, 2])
    projected = graph.node("MatMul", x_heads, fusion.bilinear.flatten(start_dim=2))
    projected = graph.reshape(projected, n_heads, -1, n_outputs, y_head)
    y_heads = graph.node("Transpose", graph.reshape(y, -1, n_heads, 1, y_head), perm=[1, 0, 2, 3])
    return _sum(graph, fusion, x, y) + graph.sum(projected * y_heads, 0, 3)


_FUSIONS: Final[dict[type[nn.Module], Callable[..., Value]]] = {
    MultiHeadBilinearFusion: _bilinear,
    SumFusion: _sum,
    ConcatFusion: lambda graph, fusion, x, y: graph.linear(graph.concat([x, y]), fusion),
    ProductFusion: lambda graph, fusion, x, y: graph.linear(x * y, fusion),
    Linear: lambda graph, fusion, x: graph.linear(x, fusion),
}


# Poolings of padded elements: from the vectors of the value at hand, (n, 1, d), and the elements, (n, L, d), and a mask
# of floats, 1 where there is an element, (n, L, 1), to one vector, (n, 1, d).


def _mean(graph: Graph, pooling: Any, query: Value, keys: Value, mask: Value) -> Value:
    # The vector of unknown codes is zero.
    return graph.sum(keys, 1, keepdims=1) / graph.node("Max", graph.sum(mask, 1, keepdims=1), ONE[..., np.newaxis])


def _attention(graph: Graph, pooling: Any, query: Value, keys: Value, mask: Value) -> Value:
    of_q, of_k, of_difference, of_product = pooling.hidden.weight.chunk(4, dim=1)
    features = graph.node("Concat", keys, query * keys, axis=2)
    hidden = graph.node("MatMul", features, torch.cat([of_k - of_difference, of_product], dim=1).T)
    own = _linear(query, of_q + of_difference, pooling.hidden.bias)
    scores = _layer(graph.node("Relu", hidden + own), pooling.output)
    weights = _softmax(scores, mask) if pooling.softmax else scores
    return graph.sum(weights * mask * keys, 1, keepdims=1)


def _softmax(scores: Value, mask: Value) -> Value:
    return scores.graph.node("Softmax", scores.where(mask > np.float32(0), np.float32(_NEVER)), axis=1)


def _linear(values: Value, weight: Any, bias: Any) -> Value:
    """(n, L, d) -> (n, L, d')."""
    product = values.graph.node("MatMul", values, weight.T)
    return product if bias is None else product + bias


def _layer(values: Value, layer: nn.Linear) -> Value:
    return _linear(values, layer.weight, layer.bias)


def _transformer(graph: Graph, pooling: Any, query: Value, keys: Value, mask: Value) -> Value:
    """The value at hand precedes the history, and is never masked."""
    n_heads, d = pooling.n_heads, pooling.position.shape[1]
    own, others = query + pooling.position[np.newaxis, :1], keys + pooling.position[np.newaxis, 1:]
    one = graph.sum(mask, 1, keepdims=1) * np.float32(0) + ONE[..., np.newaxis]
    every, is_there = graph.node("Concat", own, others, axis=1), graph.node("Concat", one, mask, axis=1)
    by_head = 0, 0, n_heads, d // n_heads
    q = graph.reshape(_layer(own, pooling.query), *by_head)
    both = pooling.key_and_value.weight.chunk(2), pooling.key_and_value.bias.chunk(2)
    k, v = (graph.reshape(_linear(every, weight, bias), *by_head) for weight, bias in zip(*both, strict=True))
    scores = graph.sum(q * k, 3) * np.float32(1 / sqrt(d // n_heads))
    weights = graph.unsqueeze(_softmax(scores, is_there), 3)
    attended = graph.reshape(graph.sum(weights * v, 1), -1, 1, d)
    x = graph.layer(own + _layer(attended, pooling.heads), pooling.norm1)
    first, _, second = pooling.feed_forward
    x = graph.layer(x + _layer(graph.node("Relu", _layer(x, first)), second), pooling.norm2)
    return x * graph.node("ReduceMax", mask, np.array([1]), keepdims=1)


_POOLINGS: Final[dict[type[nn.Module], Callable[..., Value]]] = {
    MeanPooling: _mean,
    AttentionPooling: _attention,
    TransformerPooling: _transformer,
}
