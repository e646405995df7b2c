"""How the columns of a fitted encoder learn more rows: known values keep their codes, new ones get the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import joblib
import numpy as np

from ..schema import Field, column_names
from ._column import Column, rows_with_weight
from ._column_encoder import errors_naming
from ._fitted_columns import FittedColumn, bind_histories
from ._keys import Changes
from ._lists import HistoryEncoder
from ._raw_column import read_column
from ._target import LabelledRows
from ._vectors import GivenVectors, PretrainedEncoder, vectors_to_come

#: Codes, by the name of their field or column.
CodesOf = dict[str, np.ndarray]


def grow_columns(
    columns: Sequence[FittedColumn],
    raws: Iterable[Any],
    weights: np.ndarray | None,
    vectors: Mapping[int, GivenVectors],
    decay: float,
) -> tuple[list[FittedColumn], CodesOf, CodesOf]:
    """Let each column learn the rows of a table, and the vectors that have come, by position.

    Returns the columns, their outputs, and the codes of fields that stand for other values now.
    """
    grown: list[FittedColumn] = []
    outputs: list[CodesOf] = [{} for _ in columns]
    histories: dict[int, Column] = {}
    fresh: CodesOf = {}
    for position, (column, raw) in enumerate(zip(columns, raws, strict=True)):
        if column.encoder is None:
            grown.append(column)
            continue
        after, values, codes = _grow_column(column, raw, weights, vectors.get(position), decay)
        grown.append(after)
        fresh |= codes
        if isinstance(after.encoder, HistoryEncoder):
            # Until the column whose values it holds has grown.
            histories[position] = values
        else:
            outputs[position] = after.encode(values)
    grown = bind_histories(grown)
    for position, values in histories.items():
        outputs[position] = grown[position].encode(values)
    return grown, {name: output for of_column in outputs for name, output in of_column.items()}, fresh


def _grow_column(
    column: FittedColumn, raw: Any, weights: np.ndarray | None, vectors: GivenVectors | None, decay: float
) -> tuple[FittedColumn, Column, CodesOf]:
    """Return the column after the rows, their values, and the codes that stand for other values now."""
    encoder = column.encoder
    assert encoder is not None
    read = read_column(column.name, raw)
    with errors_naming(column.name):
        values = column.reading.read(read)
        if vectors is not None:
            assert isinstance(encoder, PretrainedEncoder)
            encoder = encoder.learn_more_vectors(vectors, column.reading)
        counted, _ = rows_with_weight(values, weights)
        encoder, codes = encoder.grow(counted, decay)
    after = replace(column, encoder=encoder)
    coded = [field.name for field in after.fields() if field.has_codes]
    return after, values, {name: of_field for name, of_field in zip(coded, codes, strict=False) if len(of_field)}


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
    """Return how the codes of the columns of fields have changed, of which some are fresh."""
    field_of = {name: field for field in fields for name in column_names([field])}
    n_codes = {name: field.n_codes for name, field in field_of.items()}
    fresh_of = {name: fresh[field.name] for name, field in field_of.items() if field.name in fresh}
    return Changes(n_codes, fresh_of, decay)


def encoder_after(before: str, outputs: Mapping[str, np.ndarray], labels: LabelledRows | None) -> str:
    """Return the hash of an encoder after an update: two of the same rows after the same fit have the same."""
    learned_from = None if labels is None else (labels.weights, labels.digits)
    encoder: str = joblib.hash((before, list(outputs.values()), learned_from))
    return encoder
