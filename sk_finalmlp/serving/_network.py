"""A fitted classifier as nodes of a graph: the fields that it reads, and its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ..estimators import TableReader
from ..nn import (
    ConcatFusion,
    FeatureGate,
    FieldEmbedding,
    FieldSelection,
    Linear,
    MultiHeadBilinearFusion,
    PretrainedVectors,
    ProductFusion,
    SumFusion,
    TwoStreamNetwork,
    VectorProjection,
    members_of,
    votes_of,
)
from ..schema import Field
from ._encoder import Unsupported
from ._graph import Graph
from ._histories import add_pooling
from ._layers import add_layer, add_linear, as_array
from ._streams import add_stream


class _FieldRows:
    """Rows of a batch as the network reads them; `statistics` are the fields without vectors.

    Parameters
    ----------
    graph : Graph
        The graph.
    readers : TableReader
        How the classifier reads its fields.
    columns : sequence of str
        Columns of the encoded table, each of shape (n, 1).
    """

    def __init__(self, graph: Graph, readers: TableReader, columns: Sequence[str]) -> None:
        self.graph = graph
        self.statistics = [reader.field for reader in readers if reader.field.kind == "statistic"]
        self._row_of_code = {reader.field.name: reader.row_of_code for reader in readers}
        self._columns = {reader.field.name: [columns[position] for position in reader.positions] for reader in readers}

    def values(self, fields: Sequence[Field]) -> str:
        """Columns of floats, (n, number of columns)."""
        return self.graph.concat([column for field in fields for column in self._columns[field.name]])

    def rows(self, fields: Sequence[Field], first_row: Mapping[str, int]) -> str:
        """For each column of codes, the row of a table of embeddings, 0 for what isn't known."""
        tables, firsts, lasts = [], [], []
        for field in fields:
            row_of_code = self._row_of_code[field.name]
            is_known = (row_of_code > 0) & (row_of_code < field.n_codes)
            tables.append(np.where(is_known, row_of_code + first_row[field.table], 0))
        ends = list(accumulate(map(len, tables)))
        for field, table, end in zip(fields, tables, ends, strict=True):
            firsts += [end - len(table)] * field.n_columns
            lasts += [end - 1] * field.n_columns
        graph = self.graph
        codes = graph.concat([column for field in fields for column in self._columns[field.name]])
        places = graph.node("Add", codes, graph.constant([firsts], np.int64))
        places = graph.node("Min", places, graph.constant([lasts], np.int64))
        return graph.gather(np.concatenate(tables).astype(np.int64), places)


def add_logits(graph: Graph, network: nn.Module, readers: TableReader, columns: Sequence[str]) -> str:
    """Logits of a network, (n, C).

    Parameters
    ----------
    graph : Graph
        The graph.
    network : torch.nn.Module
        The network of a classifier, in evaluation mode.
    readers : TableReader
        How the classifier reads its fields.
    columns : sequence of str
        Columns of the encoded table, each of shape (n, 1).
    """
    rows = _FieldRows(graph, readers, columns)
    logits = [
        graph.node("Mul", _member_logits(rows, member), graph.constant(vote, np.float32))
        for member, vote in zip(members_of(network), votes_of(network), strict=True)
    ]
    return logits[0] if len(logits) == 1 else graph.node("Sum", *logits)


def _member_logits(rows: _FieldRows, network: nn.Module) -> str:
    if not isinstance(network, TwoStreamNetwork):
        raise Unsupported(
            f"A network {type(network).__name__} can't be exported, only networks of two streams. Export its encoder "
            "alone, and the network with torch.onnx."
        )
    outputs = []
    for path in network.paths:
        features = _selected(rows.graph, path.fields, _features(rows, path.embedding))
        if path.gate is not None:
            features = _gated(rows, features, path.gate)
        outputs.append(add_stream(rows.graph, features, path.stream))
    logits = _fused(rows.graph, network.fusion, outputs)
    if network.linear_term is None:
        return logits
    weights = _embedded(rows, network.linear_term)
    summed = rows.graph.node("ReduceSum", weights, rows.graph.constant([1], np.int64), keepdims=0)
    return rows.graph.node("Add", logits, summed)


def _embedded(rows: _FieldRows, embedding: FieldEmbedding) -> str:
    """Vectors of fields, (n, F, d)."""
    graph = rows.graph
    coded = [*embedding.tables, *embedding.histories]
    numeric = [field for field in embedding.fields if field.kind == "numeric"]
    parts = []
    if coded:
        at = rows.rows(coded, embedding.first_row)
        # Row 0 is the one of what isn't known.
        table = as_array(embedding.table).copy()
        table[0] = 0
        vectors = graph.gather(table, at)
        parts += _pooled(graph, vectors, at, embedding)
    pretrained: Any
    for pretrained in embedding.pretrained:
        found = _pretrained(rows, pretrained)
        if pretrained.field.of:
            categorical = [field.name for field in embedding.fields if field.kind == "categorical"]
            parts[0] = _added(graph, parts[0], found, categorical.index(pretrained.field.of), len(categorical))
        else:
            parts.append(found)
    if numeric:
        values = graph.node("Unsqueeze", rows.values(numeric), graph.constant([2], np.int64))
        parts.append(graph.node("Mul", values, graph.constant(as_array(embedding.numeric)[np.newaxis])))
    of_vectors = [field for field in embedding.fields if field.kind == "vector"]
    projections: Any = embedding.vectors
    parts += [_projected(rows, field, vectors) for field, vectors in zip(of_vectors, projections, strict=True)]
    return graph.concat(parts)


def _pretrained(rows: _FieldRows, vectors: PretrainedVectors) -> str:
    """Embeddings of codes, (n, 1, d): a table of all vectors as embeddings, which are shorter than the vectors."""
    embeddings = as_array(vectors(torch.arange(vectors.field.n_codes)))
    return rows.graph.gather(embeddings, rows.rows([vectors.field], {vectors.field.name: 0}))


def _added(graph: Graph, vectors: str, more: str, place: int, n_fields: int) -> str:
    """Vectors of fields, (n, F, d), with others, (n, 1, d), added to those of the field at a place."""
    is_place = np.zeros((1, n_fields, 1), np.float32)
    is_place[0, place] = 1
    return graph.node("Add", vectors, graph.node("Mul", more, graph.constant(is_place)))


def _projected(rows: _FieldRows, field: Field, vectors: VectorProjection) -> str:
    """Embeddings of vectors, (n, 1, d), and a learned one where a vector is zeros."""
    graph = rows.graph
    x = rows.values([field])
    projected = graph.node("MatMul", x, graph.constant(as_array(vectors.projection).T))
    largest = graph.node("ReduceMax", graph.node("Abs", x), graph.constant([1], np.int64), keepdims=1)
    is_missing = graph.cast(graph.node("Equal", largest, graph.constant([[0]], np.float32)), "float")
    missing = graph.node("Mul", is_missing, graph.constant(as_array(vectors.missing)[np.newaxis]))
    return graph.node("Unsqueeze", graph.node("Add", projected, missing), graph.constant([1], np.int64))


def _pooled(graph: Graph, vectors: str, at: str, embedding: FieldEmbedding) -> list[str]:
    """Vectors of categorical fields, the mean over known codes of multi-valued ones, and the pooled histories."""
    categorical = [field for field in embedding.tables if field.kind == "categorical"]
    multi_valued = embedding.tables[len(categorical) :]
    if not multi_valued and not embedding.histories:
        return [vectors]
    place = {field.name: position for position, field in enumerate(categorical)}
    embedded = [position for position, field in enumerate(categorical) if field in embedding.fields]
    if len(embedded) == len(categorical):
        parts = [graph.columns(vectors, 0, len(categorical))] if categorical else []
    else:
        parts = [graph.columns_of(vectors, position) for position in embedded]
    is_known = graph.cast(graph.node("Greater", at, graph.constant([[0]], np.int64)), "float")
    first = len(categorical)
    axis = graph.constant([1], np.int64)
    for field in multi_valued:
        last = first + field.n_columns
        total = graph.node("ReduceSum", graph.columns(vectors, first, last), axis, keepdims=1)
        n_known = graph.node("ReduceSum", graph.columns(is_known, first, last), axis, keepdims=1)
        n_known = graph.node("Max", n_known, graph.constant([[1]], np.float32))
        parts.append(graph.node("Div", total, graph.node("Unsqueeze", n_known, graph.constant([2], np.int64))))
        first = last
    for field, pooling in zip(embedding.histories, embedding.history_poolings or (), strict=True):
        last = first + field.n_columns
        mask = graph.node("Unsqueeze", graph.columns(is_known, first, last), graph.constant([2], np.int64))
        query, keys = graph.columns_of(vectors, place[field.of]), graph.columns(vectors, first, last)
        parts.append(add_pooling(graph, pooling, query, keys, mask))
        first = last
    return parts


def _features(rows: _FieldRows, embedding: FieldEmbedding) -> str:
    """Vectors side by side, and all statistics behind them."""
    vectors = rows.graph.node("Flatten", _embedded(rows, embedding), axis=1)
    return rows.graph.concat([vectors, rows.values(rows.statistics)] if rows.statistics else [vectors])


def _selected(graph: Graph, selection: FieldSelection, features: str) -> str:
    return graph.concat([graph.columns(features, part.start, part.stop) for part in selection.parts])


def _gated(rows: _FieldRows, features: str, gate: FeatureGate) -> str:
    graph = rows.graph
    if gate.context_embedding is None:
        return graph.scaled(features, as_array(gate.of_all_rows())[0].astype(np.float64))
    hidden = graph.node("Flatten", _embedded(rows, gate.context_embedding), axis=1)
    for layer in gate.gate.mlp:
        hidden = add_layer(graph, hidden, layer)
    gates = graph.node("Mul", graph.node("Sigmoid", hidden), graph.constant(2, np.float32))
    return graph.node("Mul", features, gates)


def _fused(graph: Graph, fusion: nn.Module, outputs: list[str]) -> str:
    for cls, fuse in _FUSIONS.items():
        if type(fusion) is cls:
            return fuse(graph, fusion, outputs)
    raise Unsupported(f"A fusion {type(fusion).__name__} can't be exported yet.")


def _sum(graph: Graph, fusion: Any, outputs: list[str]) -> str:
    x, y = outputs
    return graph.node("Add", add_linear(graph, x, fusion.linear_x), add_linear(graph, y, fusion.linear_y))


def _bilinear(graph: Graph, fusion: Any, outputs: list[str]) -> str:
    """All heads in one product, with a matrix of a block per head."""
    heads = as_array(fusion.bilinear)
    n_heads, x_head, n_outputs, y_head = heads.shape
    blocks = np.zeros((n_heads * x_head, n_outputs, n_heads * y_head), np.float32)
    for head in range(n_heads):
        blocks[head * x_head : (head + 1) * x_head, :, head * y_head : (head + 1) * y_head] = heads[head]
    x, y = outputs
    flat = graph.node("MatMul", x, graph.constant(blocks.reshape(len(blocks), -1)))
    projected = graph.node("Reshape", flat, graph.constant([-1, n_outputs, n_heads * y_head], np.int64))
    product = graph.node("Mul", projected, graph.node("Unsqueeze", y, graph.constant([1], np.int64)))
    term = graph.node("ReduceSum", product, graph.constant([2], np.int64), keepdims=0)
    return graph.node("Add", _sum(graph, fusion, outputs), term)


def _concatenated(graph: Graph, fusion: Any, outputs: list[str]) -> str:
    return add_linear(graph, graph.concat(outputs), fusion.linear)


def _product(graph: Graph, fusion: Any, outputs: list[str]) -> str:
    return add_linear(graph, graph.node("Mul", *outputs), fusion.linear)


def _alone(graph: Graph, fusion: Any, outputs: list[str]) -> str:
    return add_linear(graph, outputs[0], fusion)


_FUSIONS: Final[dict[type[nn.Module], Callable[[Graph, Any, list[str]], str]]] = {
    MultiHeadBilinearFusion: _bilinear,
    SumFusion: _sum,
    ConcatFusion: _concatenated,
    ProductFusion: _product,
    Linear: _alone,
}
