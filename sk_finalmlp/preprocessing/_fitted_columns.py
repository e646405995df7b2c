"""The columns that an encoder has learned: they encode tables and learn more rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa

from .._checks import errors_about
from ..schema import Field, VectorTable, column_names, is_cross_of, pretrained_name
from ._column import Column, read_column, rows_with_weight
from ._keys import Changes
from ._lists import HistoryEncoder
from ._reading import Reading
from ._table import are_numeric
from ._target import LabelledRows
from ._vectors import GivenVectors, PretrainedEncoder, vectors_to_come
from ._vocabulary import ColumnEncoder, Vocabulary

#: Codes, by the name of their field or column.
CodesOf = dict[str, np.ndarray]


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
        with errors_about(f"Column {self.name!r}"):
            return dict(zip(column_names(self.fields()), self.encoder.transform(values), strict=True))

    def read(self, raw: Any) -> Column:
        """Return the values of a Series or array of any library."""
        column = read_column(self.name, raw)
        with errors_about(f"Column {self.name!r}"):
            return self.reading.read(column)

    def decode(self, outputs: Iterator[np.ndarray]) -> pa.Array:
        """Return the values of the next output columns."""
        assert self.encoder is not None
        numeric = are_numeric(self.fields())
        with errors_about(f"Column {self.name!r}"):
            return self.encoder.inverse_transform(
                [_as_floats_or_codes(next(outputs), is_float) for is_float in numeric]
            )

    def grow(
        self, raw: Any, weights: np.ndarray | None, vectors: GivenVectors | None, decay: float
    ) -> tuple[FittedColumn, Column, CodesOf]:
        """Return the column after more rows, their values, and the codes that stand for other values now."""
        encoder, values = self.encoder, self.read(raw)
        assert encoder is not None
        with errors_about(f"Column {self.name!r}"):
            if vectors is not None:
                assert isinstance(encoder, PretrainedEncoder)
                encoder = encoder.learn_more_vectors(vectors, self.reading)
            counted, _ = rows_with_weight(values, weights)
            encoder, codes = encoder.grow(counted, decay)
        after = replace(self, encoder=encoder)
        coded = [field.name for field in after.fields() if field.has_codes]
        return after, values, {name: of_field for name, of_field in zip(coded, codes, strict=False) if len(of_field)}

    @property
    def n_codes(self) -> int:
        """Number of codes that stand for its values, code 0 of each of its fields included."""
        return sum(field.n_codes for field in self.fields() if field.kind != "pretrained")


def _as_floats_or_codes(output: np.ndarray, is_float: bool) -> np.ndarray:
    if is_float:
        return output.astype(np.float64)
    with np.errstate(invalid="ignore"):
        codes = output.astype(np.int64)
    if not np.array_equal(codes, output):
        raise ValueError(f"{output[codes != output][0]!r} is not a code")
    return codes


def fields_named(columns: Sequence[FittedColumn], names: Sequence[str]) -> list[Field]:
    """Return the fields of columns, where these have other names."""
    name_of = {column.name: name for column, name in zip(columns, names, strict=True)}
    fields = [field for column in columns for field in column.fields(name_of[column.name])]
    # Vectors are of the column itself, and have its new name already.
    return [replace(field, of=name_of[field.of]) if field.kind == "history" else field for field in fields]


def vector_tables(columns: Sequence[FittedColumn]) -> dict[str, VectorTable]:
    """Return the vectors that codes stand for, by the name of their field."""
    return {
        pretrained_name(column.name): column.encoder.vector_table
        for column in columns
        if isinstance(column.encoder, PretrainedEncoder)
    }


def known_values(columns: Sequence[FittedColumn]) -> dict[str, np.ndarray]:
    """Return the known values of each field with codes for values."""
    return {
        field: vocabulary.values.to_numpy(zero_copy_only=False)
        for column in columns
        if column.encoder is not None
        for field, vocabulary in column.encoder.vocabularies(column.name).items()
        if isinstance(vocabulary, Vocabulary)
    }


def bind_histories(columns: Iterable[FittedColumn]) -> list[FittedColumn]:
    """Give each history the encoder of its column, which files hold once."""
    columns = list(columns)
    encoder_of = {column.name: column.encoder for column in columns}
    return [
        replace(column, encoder=column.encoder.bound_to(encoder_of[column.encoder.of]))
        if isinstance(column.encoder, HistoryEncoder)
        else column
        for column in columns
    ]


def check_fields(fields: Sequence[Field], kinds: pd.DataFrame) -> None:
    """Refuse fields that are none, as `kinds` explains, or have the name of another or of a combination."""
    if not fields:
        reasons = "; ".join(f"{name!r} ({why})" for name, why in kinds["why"].items())
        raise ValueError(
            f"No column is left to encode: all of them are dropped, {reasons}. Parts of datetimes can be named in "
            "`datetime_parts`."
        )
    check_unique(fields)
    names = [field.name for field in fields]
    if cross := next((name for name in names if is_cross_of(name, names)), None):
        raise ValueError(f"Column {cross!r} is named as a combination of other columns would be: rename it.")


def check_unique(fields: Sequence[Field]) -> None:
    """Refuse output columns of one name."""
    name, n_columns = Counter(column_names(fields)).most_common(1)[0]
    if n_columns > 1:
        raise ValueError(f"Several output columns would be called {name!r}: rename the input columns.")


def grow_columns(
    columns: Sequence[FittedColumn],
    raws: Iterable[Any],
    weights: np.ndarray | None,
    vectors: Mapping[int, GivenVectors],
    decay: float,
) -> tuple[list[FittedColumn], CodesOf, CodesOf]:
    """Let each column learn the rows of a table and new vectors; return columns, outputs and reused codes."""
    grown: list[FittedColumn] = []
    read: dict[int, Column] = {}
    fresh: CodesOf = {}
    for position, (column, raw) in enumerate(zip(columns, raws, strict=True)):
        if column.encoder is None:
            grown.append(column)
            continue
        after, read[position], codes = column.grow(raw, weights, vectors.get(position), decay)
        grown.append(after)
        fresh |= codes
    # Only now have the columns of histories grown.
    grown = bind_histories(grown)
    encoded = (grown[position].encode(values) for position, values in read.items())
    return grown, {name: output for of_column in encoded for name, output in of_column.items()}, fresh


def read_vectors_to_come(columns: Sequence[FittedColumn], given: Mapping[int, Any]) -> dict[int, GivenVectors]:
    """Check the vectors of ids that have come to `vectors`, given by the position of their column."""
    found = {}
    for position, vectors in given.items():
        column = columns[position]
        if not isinstance(column.encoder, PretrainedEncoder):
            raise ValueError(
                f"vectors: {column.name!r} had none in fit, so the network has no place for them. Fit again."
            )
        more = vectors_to_come(column.name, vectors, column.reading, column.encoder.vocabulary)
        if more is not None:
            found[position] = more
    return found


def changes_of(fields: Sequence[Field], fresh: Mapping[str, np.ndarray], decay: float) -> Changes:
    """Return how the codes of the columns of fields have changed; some are fresh."""
    field_of = {name: field for field in fields for name in column_names([field])}
    n_codes = {name: field.n_codes for name, field in field_of.items()}
    fresh_of = {name: fresh[field.name] for name, field in field_of.items() if field.name in fresh}
    return Changes(n_codes, fresh_of, decay)


def encoder_after(before: str, outputs: Mapping[str, np.ndarray], labels: LabelledRows | None) -> str:
    """Return the hash of an encoder after an update: two of the same rows after the same fit have the same."""
    learned_from = None if labels is None else (labels.weights, labels.digits)
    return joblib.hash((before, list(outputs.values()), learned_from))
