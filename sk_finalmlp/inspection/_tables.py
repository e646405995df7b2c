"""Tables of the user: groups of rows by the values of a column, and columns that become unknown or change places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_OTHERS = "other values"
_MISSING = "missing"
_ROWS_AT_ONCE = 2**15
_MAX_LETTERS = 30
# NumPy's integers and booleans have no missing value.
_NULLABLE = {"i": "Int64", "u": "UInt64", "b": "boolean"}

Coalitions = NDArray[np.bool_]


def read_column(X: Any, by: Any) -> pd.Series[Any]:
    """A value for each row."""
    if not isinstance(by, str):
        return pd.Series(by, name=getattr(by, "name", None)).reset_index(drop=True)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise ValueError(f"by={by!r} names a column, but X has no names: pass the values, one for each row.")
    if by not in frame.columns:
        raise ValueError(f"by={by!r} isn't a column of X; its columns are {frame.columns}.")
    return frame[by].to_pandas().reset_index(drop=True)


def group_rows(by: ArrayLike, max_values: int) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    """Number rows by value, and name the values: in order or by frequency; the rest and missing ones last."""
    column = read_column(None, by)
    if pd.api.types.is_float_dtype(column) and column.nunique() > max_values:
        # Quantiles can't lie next to infinity: it counts as the largest other number.
        finite = column[np.isfinite(column)]
        column = pd.qcut(column.clip(finite.min(), finite.max()), max_values, duplicates="drop")
    codes, values = _factorize(column)
    own = _choose(codes, values, max_values)
    group_of_code = np.full(len(values) + 1, len(own))
    group_of_code[own] = np.arange(len(own))
    # Missing values have the code -1, so that theirs is the last entry.
    has_others = len(values) > len(own)
    group_of_code[-1] += has_others
    rest = [_OTHERS] * has_others + [_MISSING] * bool((codes < 0).any())
    return group_of_code[codes], pd.Index([*values[own], *rest], name=column.name)


def _factorize(column: pd.Series[Any]) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    try:
        codes, values = pd.factorize(column)
    except TypeError as error:
        raise ValueError(f"by {column.name!r} must hold one value for each row: {error}.") from error
    return codes, pd.Index(values)


def _choose(codes: NDArray[np.intp], values: pd.Index[Any], max_values: int) -> NDArray[np.intp]:
    """Positions of the values that have a group of their own, in the order of the groups."""
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    frequent = np.argsort(-counts, kind="stable")[:max_values]
    if isinstance(values, pd.CategoricalIndex):
        return frequent[np.argsort(values.codes[frequent])]
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return frequent[np.argsort(values[frequent])]
    return frequent


def check_columns(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise a ValueError where there is no column of a name."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"X has no column {unknown[0]!r}; it has {list(known)}.")


def _frame_of_array(X: Any) -> pd.DataFrame:
    array = np.asarray(X)
    if array.ndim != 2:
        raise ValueError(
            f"X is a {type(X).__name__}, not a table of rows and columns. One row of a frame is X.iloc[[0]], "
            "with two pairs of brackets; of a dict, pd.DataFrame([X])."
        )
    return pd.DataFrame(array, columns=[f"x{place}" for place in range(array.shape[1])])


class RawTable:
    """A dataframe or array with columns that can become unknown, or take over values from other rows."""

    def __init__(self, X: Any) -> None:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        self._is_array = not isinstance(frame, nw.DataFrame)
        self._frame = frame = nw.from_native(_frame_of_array(X), eager_only=True) if self._is_array else frame
        self.names: list[str] = [str(name) for name in frame.columns]
        self.index: Any = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(frame))

    def __len__(self) -> int:
        return len(self._frame)

    def texts(self, names: Sequence[str]) -> pd.DataFrame:
        """What the columns hold, as short texts."""
        return pd.DataFrame({name: [_short(value) for value in self._frame[name].to_list()] for name in names})

    def with_unknown(self, names: Sequence[str], known: Coalitions) -> Iterator[Any]:
        """The table once for each coalition, shape (m, k), in parts of some coalitions each."""
        n_rows = len(self)
        n_parts = max(1, -(-len(known) * n_rows // _ROWS_AT_ONCE))
        for part in np.array_split(known, min(n_parts, len(known))):
            frame = self._frame[np.tile(np.arange(n_rows), len(part))]
            masks = dict(zip(names, np.repeat(part, n_rows, axis=0).T, strict=True))
            frame = frame.with_columns(*(_masked(frame[name], mask) for name, mask in masks.items()))
            yield self._native(frame)

    def with_values_of(self, names: Sequence[str], rows: NDArray[np.intp]) -> Any:
        """Return the table with these columns in another order of rows."""
        return self._native(self._frame.with_columns(*(self._frame[name][rows] for name in names)))

    def _native(self, frame: nw.DataFrame[Any]) -> Any:
        return frame.to_numpy() if self._is_array else frame.to_native()


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_LETTERS else f"{text[: _MAX_LETTERS - 3]}..."


def _masked(column: nw.Series[Any], known: NDArray[np.bool_]) -> nw.Series[Any]:
    """A column that is missing where it isn't known."""
    if not column.implementation.is_pandas_like():
        is_known = nw.new_series("known", known, nw.Boolean(), backend=column.implementation)
        return column.to_frame().select(nw.when(is_known).then(nw.col(column.name)).alias(column.name))[column.name]
    native = column.to_native()
    if isinstance(native.dtype, np.dtype) and native.dtype.kind in _NULLABLE:
        native = native.astype(_NULLABLE[native.dtype.kind])
    return nw.from_native(native.where(known), series_only=True)
