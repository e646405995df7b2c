"""Tables of any container, in and out, the columns that the user selects, and weights of rows."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils.validation import validate_data

from .._checks import (
    check_not_empty,
    check_unique_names,
    errors_about,
    has_columns_of_fit,
    native_table,
    refuse_other_weights,
)
from .._sklearn import check_sample_weight
from ..schema import Field

Selection = str | int | slice | Sequence[str] | Sequence[int] | Sequence[bool] | Callable[[Any], Any] | None


def select_for(parameter: str, selection: Selection, X: Any, names: Sequence[str]) -> list[int]:
    """Return the positions of the selected columns; an error begins with the parameter that selects."""
    with errors_about(parameter):
        return _positions(selection(X) if callable(selection) else selection, names)


def position_for(parameter: str, key: Any, names: Sequence[str]) -> int:
    """Return the position of one column, by its name or position; an error begins with the parameter that names it."""
    with errors_about(parameter):
        return _position(key, names)


def _positions(selection: Any, names: Sequence[str]) -> list[int]:
    if selection is None:
        return []
    if isinstance(selection, slice):
        start, stop = selection.start, selection.stop
        start = _position_of_name(start, names) if isinstance(start, str) else start
        # As in pandas, the name at its end belongs to a slice.
        stop = _position_of_name(stop, names) + 1 if isinstance(stop, str) else stop
        return list(range(len(names)))[start : stop : selection.step]
    keys: list[Any] = [selection] if isinstance(selection, str | int | numbers.Integral) else list(selection)
    if keys and all(isinstance(key, bool | np.bool_) for key in keys):
        if len(keys) != len(names):
            raise ValueError(
                f"A mask of {len(keys)} entries can't select among {len(names)} columns: give one per column."
            )
        return [position for position, selected in enumerate(keys) if selected]
    return list(dict.fromkeys(_position(key, names) for key in keys))


def _position(key: Any, names: Sequence[str]) -> int:
    if isinstance(key, str):
        return _position_of_name(key, names)
    if not isinstance(key, numbers.Integral):
        raise TypeError(f"{key!r} selects no column: give names, positions or a boolean mask.")
    position = int(key)
    if not -len(names) <= position < len(names):
        raise ValueError(f"There is no column {position}: X has {len(names)} columns.")
    return position % len(names)


def _position_of_name(name: str, names: Sequence[str]) -> int:
    matches = [position for position, other in enumerate(names) if other == name]
    if not matches:
        meant = difflib.get_close_matches(name, names, n=1)
        question = f" Did you mean {meant[0]!r}?" if meant else ""
        raise ValueError(f"There is no column {name!r}. The columns are {list(names)}.{question}")
    return matches[0]


#: Up to so many rows, pandas takes longer for many columns one by one than for copies of all of one type.
_FEW_ROWS = 8192
_MANY_COLUMNS = 16


def is_frame(X: Any) -> bool:
    """Return whether X is a dataframe of a library that narwhals knows."""
    return isinstance(X, pd.DataFrame) or nw.dependencies.is_into_dataframe(X)


def validate_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check a table as scikit-learn would, without converting its columns."""
    X = native_table(X)
    if not is_frame(X):
        return validate_data(estimator, _as_array(X), reset=reset, dtype=None, ensure_all_finite=False)
    if reset or not has_columns_of_fit(estimator, X):
        check_unique_names(X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    check_not_empty(X.shape)
    return X


def without_columns(X: Any, names: Sequence[str]) -> Any:
    """Return a frame without these columns, where it has them; other tables as they are."""
    if not names or not is_frame(X := native_table(X)):
        return X
    return nw.from_native(X).drop(list(names), strict=False).to_native()


def _as_array(X: Any) -> Any:
    if isinstance(X, np.ma.MaskedArray):
        return _without_mask(X)
    if getattr(X, "requires_grad", False):
        return X.detach()
    if hasattr(X, "dtype"):
        return X
    return np.asarray(X) if hasattr(X, "__array__") else _array_of_rows(X)


def _array_of_rows(X: Any) -> np.ndarray:
    # Without `dtype=object` numpy would turn the numbers among strings into strings.
    array = np.asarray(X, dtype=object)
    if array.ndim <= 2:
        return array
    # Cells that are lists of one length would become a third dimension.
    rows = np.empty(array.shape[:2], dtype=object)
    for cell in np.ndindex(rows.shape):
        rows[cell] = X[cell[0]][cell[1]]
    return rows


def _without_mask(X: Any) -> np.ndarray:
    """Return masked values as missing ones; scikit-learn would leave the mask aside."""
    unmasked: np.ndarray = X.data.copy() if X.dtype.kind in "mM" else X.data.astype(object)
    unmasked[np.ma.getmaskarray(X)] = "NaT" if X.dtype.kind in "mM" else None
    return unmasked


def raw_columns(X: Any) -> Iterator[Any]:
    """Yield the columns of a valid table, as arrays or Series."""
    if isinstance(X, pd.DataFrame):
        # A Series of each column would take a third of the time of one row; not public, so it may go.
        return map(getattr(X, "_get_column_array", lambda position: X.iloc[:, position]), range(X.shape[1]))
    if is_frame(X):
        return map(_as_arrow, nw.from_native(X, eager_only=True).iter_columns())
    return iter(X.T)


def _as_arrow(series: nw.Series[Any]) -> pa.Array:
    try:
        return series.to_arrow()
    except pa.ArrowInvalid as error:
        raise TypeError(
            f"Column {series.name!r} can't be encoded: Arrow has no type for {series.dtype}. Cast the column to "
            "another one, or leave it out of the table."
        ) from error


def read_outputs(X: Any, names: Sequence[str]) -> list[np.ndarray]:
    """Return columns of a table that the encoder wrote, as arrays."""
    X = X if is_frame(X) else np.asarray(X)
    if len(X.shape) != 2 or X.shape[1] != len(names):
        raise ValueError(f"X has shape {tuple(X.shape)}, but {len(names)} columns are expected: {list(names)}.")
    if not is_frame(X):
        return list(X.T)
    frame = nw.from_native(X, eager_only=True)
    if list(frame.columns) != list(names):
        raise ValueError(f"X has columns {frame.columns}, but {list(names)} are expected, in this order.")
    return [series.to_numpy() for series in frame.iter_columns()]


def are_numeric(fields: Sequence[Field]) -> list[bool]:
    """Return whether each column of the fields holds floats rather than codes."""
    return [not field.has_codes for field in fields for _ in range(field.n_columns)]


def write_table(outputs: Iterator[tuple[str, np.ndarray]], fields: Sequence[Field], X: Any, library: str) -> Any:
    """Put output columns of these fields into the container `library`, "default" for the same as X."""
    if library == "polars":
        return nw.from_dict(dict(outputs), backend="polars").to_native()
    if library == "pandas" or isinstance(X, pd.DataFrame):
        return _pandas_frame(outputs, X)
    if is_frame(X):
        return nw.from_dict(dict(outputs), backend=nw.from_native(X, eager_only=True).implementation).to_native()
    numeric = are_numeric(fields)
    is_named = any(field.has_several_columns or field.kind == "pretrained" for field in fields)
    if is_named or (any(numeric) and not all(numeric)):
        return _pandas_frame(outputs, X)
    array = np.empty((len(X), len(numeric)), np.float32 if all(numeric) else np.int64)
    for position, (_, column) in enumerate(outputs):
        array[:, position] = column
    return array


def _pandas_frame(outputs: Iterator[tuple[str, np.ndarray]], X: Any) -> pd.DataFrame:
    index = X.index if isinstance(X, pd.DataFrame) else None
    by_name = dict(outputs)
    if len(X) > _FEW_ROWS or len(by_name) < _MANY_COLUMNS:
        return pd.DataFrame(by_name, index=index, copy=False)
    runs = [np.array(list(run)).T for _, run in groupby(by_name.values(), lambda column: column.dtype)]
    frame = pd.concat([pd.DataFrame(run, index=index, copy=False) for run in runs], axis=1, ignore_index=True)
    frame.columns = _labels(tuple(by_name)).view()
    return frame


@lru_cache(maxsize=64)
def _labels(names: tuple[str, ...]) -> pd.Index[Any]:
    """Return column labels as a cached Index; building one dominates a one-row transform."""
    return pd.Index(list(names))


def write_values(values: dict[str, pa.Array], X: Any) -> Any:
    """Put original values into a container like the encoded table X."""
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame({name: _to_pandas(column) for name, column in values.items()}).set_axis(X.index)
    if is_frame(X):
        return nw.from_arrow(pa.table(values), backend=nw.from_native(X, eager_only=True).implementation).to_native()
    columns = [_to_numpy(column) for column in values.values()]
    dtype = np.result_type(*columns) if all(column.dtype.kind in "bif" for column in columns) else np.dtype(object)
    return np.column_stack([column.astype(dtype) for column in columns])


def _to_pandas(column: pa.Array) -> Any:
    if pa.types.is_integer(column.type) and column.null_count:
        # Doubles would round large ids.
        return column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}.get)
    return _lists(column) if pa.types.is_large_list(column.type) else column.to_pandas()


def _to_numpy(column: pa.Array) -> Any:
    if pa.types.is_integer(column.type) and column.null_count:
        return column.to_pandas(integer_object_nulls=True).to_numpy()
    if pa.types.is_large_list(column.type):
        return _lists(column)
    return column.to_numpy(zero_copy_only=False)


def _lists(column: pa.Array) -> np.ndarray:
    lists = np.empty(len(column), dtype=object)
    lists[:] = column.to_pylist()
    return lists


_LEAST_WEIGHT = 1e-100


def check_weights(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Return weights of the rows of a table, as float64."""
    if sample_weight is None:
        return None
    refuse_other_weights(sample_weight)
    weights: np.ndarray = check_sample_weight(sample_weight, X, ensure_non_negative=True)
    check_range([weights])
    return weights


def check_range(chunks: Iterable[np.ndarray]) -> None:
    """Refuse weights, given in parts, that are too small or too large, or all 0."""
    least, largest = np.inf, 0.0
    for weights in chunks:
        present = weights[weights > 0]
        least = min(least, float(present.min(initial=np.inf)))
        largest = max(largest, float(present.max(initial=0.0)))
    if not largest:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    for weight in (least, largest):
        if not _LEAST_WEIGHT <= weight <= 1 / _LEAST_WEIGHT:
            raise ValueError(
                f"sample_weight holds {weight}, but sums and squares of weights can only be computed if each is 0 or "
                f"between {_LEAST_WEIGHT} and {1 / _LEAST_WEIGHT}. Divide them by their mean, and make the smallest "
                "ones 0."
            )
