"""The columns that an encoder has learned, and what they make of a table: codes, floats, fields and vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..schema import Field, VectorTable, column_names, pretrained_name
from ._calendar import UnknownDates, date_parts
from ._column import Column
from ._column_encoder import ColumnEncoder, are_numeric, errors_naming
from ._lists import HistoryEncoder
from ._raw_column import read_column
from ._reading import Reading
from ._table import write_table
from ._vectors import PretrainedEncoder
from ._vocabulary import Vocabulary


@dataclass(frozen=True)
class FittedColumn:
    """How a column is read, what encodes it, None where it is dropped, and its dates that are too rare for a code."""

    name: str
    reading: Reading
    encoder: ColumnEncoder | None
    rare_dates: Mapping[str, pa.Array]

    def fields(self, name: str | None = None) -> list[Field]:
        """Return the fields of its output, for a column of another name if there is one."""
        return [] if self.encoder is None else self.encoder.output_fields(self.name if name is None else name)

    def encode(self, values: Column) -> dict[str, np.ndarray]:
        """Return the output columns of rows as they are read, by name."""
        if self.encoder is None:
            return {}
        with errors_naming(self.name):
            return self._named(self.encoder.transform(values))

    def encode_raw(self, raw: Any, unknown: UnknownDates | None = None) -> dict[str, np.ndarray]:
        """Return the output columns of a Series or array of any library."""
        assert self.encoder is not None
        column = read_column(self.name, raw)
        with errors_naming(self.name):
            values = self.reading.read(column)
            outputs = self.encoder.transform(values)
        if unknown is not None:
            unknown.look(self.encoder, values, outputs)
        return self._named(outputs)

    def _named(self, outputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(column_names(self.fields()), outputs, strict=True))


Columns = Sequence[FittedColumn]


def encode_columns(columns: Columns, raws: Iterable[Any], unknown: UnknownDates) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and output columns of a table, whose columns come one at a time."""
    for column, raw in zip(columns, raws, strict=True):
        if column.encoder is not None:
            yield from column.encode_raw(raw, unknown).items()


def watch_dates(columns: Columns) -> UnknownDates:
    """Return what watches a table for parts of dates that fit hardly saw."""
    return UnknownDates({part: values for column in columns for part, values in column.rare_dates.items()})


def names_of_dates(columns: Columns) -> set[str]:
    """Return the names of the fields that are parts of dates."""
    return {part for column in columns for part in date_parts(column.name, column.encoder)}


def fields_by_column(columns: Columns, names: Sequence[str]) -> list[list[Field]]:
    """Return the fields of each column, for columns of these names."""
    name_of = {column.name: name for column, name in zip(columns, names, strict=True)}
    fields_of = [column.fields(name) for column, name in zip(columns, names, strict=True)]
    # Vectors are of the column itself, and have its new name already.
    return [[replace(f, of=name_of[f.of]) if f.kind == "history" else f for f in fields] for fields in fields_of]


def vector_tables(columns: Columns) -> dict[str, VectorTable]:
    """Return the vectors that codes stand for, by the name of their field."""
    return {
        pretrained_name(column.name): column.encoder.vector_table
        for column in columns
        if isinstance(column.encoder, PretrainedEncoder)
    }


def known_values(columns: Columns) -> dict[str, np.ndarray]:
    """Return the known values of each field whose codes stand for values."""
    return {
        field: vocabulary.values.to_numpy(zero_copy_only=False)
        for column in columns
        if column.encoder is not None
        for field, vocabulary in column.encoder.vocabularies(column.name).items()
        if isinstance(vocabulary, Vocabulary)
    }


def bind_histories(columns: Iterable[FittedColumn]) -> list[FittedColumn]:
    """Give each history the encoder of the column whose values it holds, which files hold once."""
    columns = list(columns)
    encoder_of = {column.name: column.encoder for column in columns}
    return [
        replace(column, encoder=column.encoder.bound_to(encoder_of[column.encoder.of]))
        if isinstance(column.encoder, HistoryEncoder)
        else column
        for column in columns
    ]


def write_outputs(outputs: Iterator[tuple[str, np.ndarray]], fields: Sequence[Field], X: Any, library: str) -> Any:
    """Put output columns of these fields into the container that is asked for, "default" for that of X."""
    is_named = any(field.has_several_columns or field.kind == "pretrained" for field in fields)
    return write_table(outputs, are_numeric(fields), is_named, X, library)
