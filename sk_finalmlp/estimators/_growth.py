"""Embedding tables that grow with the codes, and the excerpt of them that some rows touch.

A day's rows change only the vectors of their codes. So the network of a day has tables of these codes and no others:
the cost of training depends on the rows, however large the full tables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..nn import FieldEmbedding
from ..schema import UNKNOWN_CODE, Field, Schema, by_kind
from ..training import Moments
from ._field_readers import (
    FIRST_CODE,
    FieldReader,
    check_largest_code,
    with_histories_of,
    with_more_vectors,
)
from ._input_columns import InputColumn, read_codes
from ._network import Network, NetworkClass, make_network

#: A table that is too small grows to this many times its size, so that growing costs little per code.
_GROWTH = 1.5

#: Rows of the table of each field that has codes.
RowsOf = Mapping[str, NDArray[np.int64]]


def grown_readers(
    readers: Sequence[FieldReader], columns: Sequence[InputColumn], schema: Schema | None
) -> list[FieldReader]:
    """Return the readers after more rows: their codes are known from now on, and outgrown tables get room for more."""
    tables = {} if schema is None else schema.vectors
    others = [
        with_more_vectors(reader, columns, tables.get(reader.field.name)) if reader.vectors is not None else reader
        for reader in readers
        if reader.field.kind != "history"
    ]
    grow = [reader.field.has_table and not reader.is_replaced for reader in others]
    grown = [_grown_reader(reader, columns) if grows else reader for reader, grows in zip(others, grow, strict=True)]
    return with_histories_of(readers, grown)


def _grown_reader(reader: FieldReader, columns: Sequence[InputColumn]) -> FieldReader:
    codes = np.unique(np.concatenate([read_codes(columns[position]) for position in reader.positions]))
    size, first = len(reader.row_of_code) - 1, FIRST_CODE[reader.field.kind]
    new = codes[(codes >= size) | (reader.row_of_code[np.minimum(codes, size)] == UNKNOWN_CODE)]
    if not len(new):
        return reader
    largest = int(new[-1])
    check_largest_code(reader.field.name, largest, len(columns[0].values), n_known=size)
    if largest >= size:
        size = max(largest + 1, int(_GROWTH * size))
    row_of_code = np.full(size + 1, UNKNOWN_CODE, np.int32)
    row_of_code[: len(reader.row_of_code)] = reader.row_of_code
    row_of_code[new] = new + first
    return replace(reader, field=replace(reader.field, n_codes=size + first), row_of_code=row_of_code)


def grown_network(
    network_class: NetworkClass, arguments: Mapping[str, Any], network: nn.Module, generator: torch.Generator
) -> Network:
    """Return a network with larger tables; it keeps old rows and all other weights."""
    grown = make_network(network_class, arguments, generator)
    copy_rows(Weights.of(network), all_rows(network), Weights.of(grown), all_rows(network))
    return grown.to(next(network.parameters()).device).eval()


def grown_moments(moments: Moments, network: nn.Module, larger: nn.Module) -> Moments:
    """Return Adam's moments for a network with larger tables, 0 for new rows."""
    grown = Moments.zeros(larger)
    copy_moments(moments, network, all_rows(network), grown, larger, all_rows(network))
    return grown


def all_rows(network: nn.Module) -> RowsOf:
    """The rows of each field's table."""
    fields = [field for _, embedding in _embeddings(network) for field in embedding.tables]
    return {field.name: np.arange(field.n_codes) for field in fields}


@dataclass(frozen=True)
class Excerpt:
    """The table rows of some impressions' codes, in ascending order with row 0, and the codes renumbered."""

    fields: list[Field]
    rows: RowsOf
    codes: NDArray[np.int32]

    @property
    def own_rows(self) -> RowsOf:
        """The same rows as they are numbered in the excerpt."""
        return {name: np.arange(len(rows)) for name, rows in self.rows.items()}

    def places_of(self, some: RowsOf) -> RowsOf:
        """Some of the rows as they are numbered in the excerpt."""
        return {name: np.searchsorted(self.rows[name], rows) for name, rows in some.items()}


def take_excerpt(fields: Sequence[Field], codes: NDArray[np.int32], others: Mapping[str, NDArray[np.int64]]) -> Excerpt:
    """Return the excerpt for codes as the network takes them; `others` are rows that are in it in any case."""
    # A history has the table of its field.
    own, start = {}, 0
    found: dict[str, list[NDArray[Any]]] = {}
    for field in by_kind(fields):
        if field.has_codes:
            own[field.name] = codes[:, start : (start := start + field.n_columns)]
            if field.kind == "pretrained":
                # Its vectors aren't weights, or their number stays.
                continue
            found.setdefault(field.table, [others.get(field.table, np.empty(0, np.int64))]).append(
                own[field.name].ravel()
            )
    rows = {
        table: np.unique(np.concatenate([*parts, [UNKNOWN_CODE]])).astype(np.int64) for table, parts in found.items()
    }
    renumbered = [
        own[f.name] if f.kind == "pretrained" else np.searchsorted(rows[f.table], own[f.name])
        for f in by_kind(fields)
        if f.has_codes
    ]
    taken = [replace(f, n_codes=len(rows[f.table])) if f.has_codes and f.kind != "pretrained" else f for f in fields]
    return Excerpt(taken, rows, np.hstack([np.empty((len(codes), 0)), *renumbered]).astype(np.int32))


class Weights(NamedTuple):
    """Weights of a network, or moments of them, by name, and the first row of each field in each embedding layer."""

    tensors: Mapping[str, Tensor]
    first_rows: dict[str, dict[str, int]]

    @classmethod
    def of(cls, network: nn.Module, moments: Mapping[str, NDArray[np.float32]] | None = None) -> Weights:
        """The weights of a network, or their moments, as views to write to."""
        first_rows = {name: embedding.first_row for name, embedding in _embeddings(network)}
        if moments is None:
            return cls(network.state_dict(), first_rows)
        return cls({name: torch.from_numpy(array) for name, array in moments.items()}, first_rows)


def copy_rows(source: Weights, from_rows: RowsOf, target: Weights, to_rows: RowsOf) -> None:
    """Copy rows of each field's table, and all other tensors, between networks with tables of different sizes."""
    sized = set()
    for name, first_rows in source.first_rows.items():
        sized |= {f"{name}.{of_table}" for of_table in ("table", "_row_offsets", "_n_codes")}
        table, other = source.tensors[f"{name}.table"], target.tensors[f"{name}.table"]
        for field, first in first_rows.items():
            rows = table[torch.from_numpy(first + from_rows[field]).to(table.device)]
            places = torch.from_numpy(target.first_rows[name][field] + to_rows[field]).to(other.device)
            other.index_copy_(0, places, rows.to(other.device))
    for name in source.tensors.keys() - sized:
        tensor, other = source.tensors[name], target.tensors[name]
        # Of vectors that are trained there may be more, with rows of their own.
        (other[: len(tensor)] if tensor.ndim else other).copy_(tensor)


def copy_moments(
    source: Moments, network: nn.Module, from_rows: RowsOf, target: Moments, other: nn.Module, to_rows: RowsOf
) -> None:
    """Copy Adam's moments between networks, as `copy_rows` copies weights."""
    for one, another in ((source.exp_avg, target.exp_avg), (source.exp_avg_sq, target.exp_avg_sq)):
        copy_rows(Weights.of(network, one), from_rows, Weights.of(other, another), to_rows)
    target.n_steps = source.n_steps


def draw_again(network: nn.Module, moments: Moments, rows: RowsOf, generator: torch.Generator) -> None:
    """Give rows of the tables fresh initial weights, and no moments."""
    for name, embedding in _embeddings(network):
        for field, first in embedding.first_row.items():
            if field in rows:
                embedding.draw_rows(torch.from_numpy(first + rows[field]), generator)
                for moment in (moments.exp_avg, moments.exp_avg_sq):
                    moment[f"{name}.table"][first + rows[field]] = 0


def _embeddings(network: nn.Module) -> Iterator[tuple[str, FieldEmbedding]]:
    return ((name, module) for name, module in network.named_modules() if isinstance(module, FieldEmbedding))
