"""The same columns in every container and dtype that holds them, and rows of such containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from .columns import OBJECTS, Column

CONTAINERS = ("pandas", "polars", "pyarrow", "ndarray", "rows")
#: Dtypes of a pandas column: what pyarrow makes of it, the nullable one, Arrow's own, Python objects with each sign of
#: a missing value, categories, and what pandas makes of Python objects.
FORMS = ("default", "nullable", "arrow", "objects", "objects with nan", "objects with NA", "category", "inferred")
_MISSING = {"objects": None, "objects with nan": float("nan"), "objects with NA": pd.NA}
#: The largest integer up to which a double holds all.
_LARGEST_EXACT_INTEGER = 2**53


def possible_containers(columns: Sequence[Column]) -> list[str]:
    """The containers that hold these columns: those of typed columns can't hold objects of several types."""
    typed = all(column.type is not None for column in columns)
    return [name for name in CONTAINERS if typed or name not in ("polars", "pyarrow")]


def possible_forms(column: Column) -> list[str]:
    """The pandas dtypes that hold a column without loss."""
    forms = list(FORMS) if column.type is not None else ["objects", "objects with nan", "objects with NA"]
    lost = []
    if not column.is_scalar or column.kind in OBJECTS:
        # Lists are no categories, and categories hold one of True and 1.
        lost.append("category")
    if _would_be_rounded(column):
        lost += ["default", "inferred", "category"] if column.is_scalar else ["default", "nullable"]
    if not any(value is not None for value in column.values):
        # Nothing says what is missing.
        lost += ["inferred", "category"]
    return [form for form in forms if form not in lost]


def _would_be_rounded(column: Column) -> bool:
    """Whether integers would become doubles beside a missing value, and are too large for them."""
    lists = [column.values] if column.is_scalar else [elements for elements in column.values if elements is not None]
    values = [value for elements in lists for value in elements]
    return None in values and any(isinstance(value, int) and abs(value) > _LARGEST_EXACT_INTEGER for value in values)


def build(columns: dict[str, Column], rows: slice, container: str, forms: Sequence[str]) -> Any:
    """A table of some rows of the columns.

    Parameters
    ----------
    columns : dict of {str: Column}
        The columns by name.
    rows : slice
        Which of their rows.
    container : str
        One of `CONTAINERS`.
    forms : sequence of str
        For each column, one of `FORMS`: its dtype in pandas, its sign of a missing value in an ndarray.
    """
    if container in ("polars", "pyarrow"):
        table = pa.table({name: _chunks(column, rows) for name, column in columns.items()})
        return pl.from_arrow(table) if container == "polars" else table
    if container == "pandas":
        series = [_series(column, rows, form) for column, form in zip(columns.values(), forms, strict=True)]
        return pd.DataFrame(dict(zip(columns, series, strict=True)))
    objects = [_objects(column, rows, form) for column, form in zip(columns.values(), forms, strict=True)]
    if container == "rows":
        return [list(row) for row in zip(*objects, strict=True)]
    array = np.empty((len(objects[0]), len(objects)), dtype=object)
    for position, values in enumerate(objects):
        array[:, position] = object_array(values)
    return array


def _chunks(column: Column, rows: slice) -> pa.ChunkedArray:
    """Two chunks, of which each has a dictionary of its own where the type has any."""
    start, stop, _ = rows.indices(len(column.values))
    middle = (start + stop) // 2
    chunks = [_arrow(column, part) for part in (slice(start, middle), slice(middle, stop))]
    return pa.chunked_array(chunks, column.type)


def _arrow(column: Column, rows: slice) -> pa.Array:
    values = column.values[rows]
    if pa.types.is_dictionary(column.type):
        return pa.array(values, column.type.value_type).dictionary_encode().cast(column.type)
    return pa.array(values, column.type)


def _objects(column: Column, rows: slice, form: str) -> list[Any]:
    missing = _MISSING.get(form)
    return [missing if value is None else value for value in column.values[rows]]


def object_array(values: Sequence[Any]) -> np.ndarray:
    """Values as they are: numpy would make more dimensions of lists."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _series(column: Column, rows: slice, form: str) -> pd.Series:
    if form in _MISSING:
        return pd.Series(object_array(_objects(column, rows, form)))
    if form == "inferred":
        return pd.Series(column.values[rows])
    if form == "category":
        return pd.Series(column.values[rows]).astype("category")
    array = _arrow(column, rows)
    if array.type == pa.string_view():
        array = array.cast(pa.string())
    if form == "arrow":
        chunks = _chunks(column, rows)
        # pandas has no string views.
        return pd.Series(
            pd.arrays.ArrowExtensionArray(chunks if array.type == chunks.type else chunks.cast(array.type))
        )
    return array.to_pandas(types_mapper=_NULLABLE.get if form == "nullable" else None)


_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
}


def take(X: Any, rows: np.ndarray) -> Any:
    """Some rows of a table, in the order given, in the same container and with the same dtypes."""
    if isinstance(X, pd.DataFrame):
        return _take_of_pandas(X, rows)
    if isinstance(X, pl.DataFrame):
        return X[rows.tolist()]
    if isinstance(X, pa.Table):
        # Arrow takes no rows of string views.
        plain = [pa.string() if dtype == pa.string_view() else dtype for dtype in X.schema.types]
        return X.cast(pa.schema(zip(X.column_names, plain, strict=True))).take(rows).cast(X.schema)
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def _take_of_pandas(X: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    # pandas takes no rows of these columns.
    awkward = [name for name, dtype in X.dtypes.items() if str(dtype).startswith((">", "run_end_encoded"))]
    taken = {name: _take_of_series(X[name], rows) for name in awkward}
    return X.drop(columns=awkward).iloc[rows].assign(**taken)[list(X.columns)] if awkward else X.iloc[rows]


def _take_of_series(column: pd.Series, rows: np.ndarray) -> Any:
    if not isinstance(column.dtype, pd.ArrowDtype):
        return column.to_numpy()[rows]
    decoded = pc.run_end_decode(column.array.__arrow_array__())
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pc.run_end_encode(decoded.take(rows).combine_chunks())]))


def reorder(X: Any, positions: Sequence[int]) -> Any:
    """The table with its columns in another order."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[:, list(positions)]
    if isinstance(X, pl.DataFrame):
        return X[:, list(positions)]
    if isinstance(X, pa.Table):
        return X.select(list(positions))
    if isinstance(X, np.ndarray):
        return X[:, list(positions)]
    return [[row[position] for position in positions] for row in X]


def arrays(out: Any) -> dict[str, np.ndarray]:
    """Columns of what the encoder wrote, by name or, where it has none, by position."""
    if isinstance(out, pa.Table):
        return {name: out[name].to_numpy() for name in out.column_names}
    if isinstance(out, pd.DataFrame | pl.DataFrame):
        return {name: out[name].to_numpy() for name in out.columns}
    return {str(position): column for position, column in enumerate(out.T)}
