"""From the table that the user gives to its columns, as codes or floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from .._checks import check_not_empty, check_unique_names, has_columns_of_fit, native_table
from .._sources import is_in_files
from ..schema import Schema, read_schema

_OTHER_ENCODER = (
    "X was encoded by another encoder than the rows that this classifier was fitted to, or by the same one after "
    "another fit, so that its codes mean other values. Where the last fit of a pipeline failed or was interrupted, its "
    "encoder is new and its classifier old: fit the pipeline again. Where the encoder alone took in new rows, or rows "
    "were encoded by transform after it did, use sk_finalmlp.update, which lets both learn. With warm_start=True, "
    "encode all rows by transform of the encoder that was fitted first."
)
_BEYOND_ANY_TABLE = 2**62
#: Rows of a batch that the network predicts for.
_FEW_ROWS = 8192
_HOW_TO_ENCODE = "Encode the table first: Pipeline([('enc', CTREncoder()), ('clf', ...)])."


@dataclass(frozen=True)
class InputColumn:
    """One column of the input table; where that has no names, they are `x0`, `x1`, ..."""

    name: str
    #: An array, or what is read in slices as one.
    values: Any

    @property
    def is_integer(self) -> bool:
        """Whether it can hold codes without a word from the user."""
        return self.values.dtype.kind in "biu"


def read_columns(estimator: Any, X: Any, *, reset: bool) -> list[InputColumn]:
    """Return the columns of a table, with the expected number and names, each checked on its own."""
    note_encoder(estimator, read_schema(X), reset=reset)
    if isinstance(X, pd.DataFrame):
        check_unique_names(X)
    else:
        refuse_raw_rows(X)
        X = native_table(X)
    frame = nw.from_native(X, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        array = _check_array(estimator, X, reset)
        names = getattr(estimator, "feature_names_in_", [f"x{position}" for position in range(array.shape[1])])
        return [InputColumn(str(name), array[:, position]) for position, name in enumerate(names)]
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    check_not_empty(frame.shape)
    return [_read_series(str(series.name), series) for series in frame.iter_columns()]


def refuse_raw_rows(X: Any) -> None:
    """Refuse files of rows, which only the encoder reads."""
    if is_in_files(X):
        raise TypeError(f"X is a {type(X).__name__}, which only CTREncoder can read. {_HOW_TO_ENCODE}")


def note_encoder(estimator: Any, schema: Schema | None, *, reset: bool) -> None:
    """Remember which encoder wrote the rows of `fit`, by its hash; later refuse rows that another fit encoded."""
    if reset:
        estimator._encoders = () if schema is None else (schema.encoder,)
    elif schema is not None and estimator._encoders and schema.encoder not in estimator._encoders:
        raise ValueError(_OTHER_ENCODER)


def read_few_rows(estimator: Any, X: Any) -> NDArray[np.float64] | None:
    """Return a simple frame of few rows as a matrix, faster than by column; None leaves it to `read_columns`."""
    if not has_columns_of_fit(estimator, X) or not 0 < len(X) <= _FEW_ROWS:
        return None
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in set(X.dtypes)):
        return None
    note_encoder(estimator, read_schema(X), reset=False)
    matrix: NDArray[np.float64] = X.to_numpy(np.float64)
    return matrix if np.isfinite(matrix).all() else None


def _check_array(estimator: Any, X: Any, reset: bool) -> NDArray[Any]:
    try:
        array: NDArray[Any] = validate_data(estimator, X, dtype="numeric", reset=reset)
    except ValueError as error:
        if "string" in str(error):
            raise ValueError(f"X holds strings ({error}). {_HOW_TO_ENCODE}") from error
        raise
    return array


def _read_series(name: str, series: Any) -> InputColumn:
    if not (series.dtype.is_integer() or series.dtype.is_float() or series.dtype == nw.Boolean):
        raise ValueError(
            f"Column {name!r} has dtype {series.dtype}: the classifier takes codes and floats, and the codes of a "
            f"category would mean something else in another table. {_HOW_TO_ENCODE}"
        )
    if series.null_count():
        raise ValueError(f"Input X contains NaN: values of column {name!r} are missing. {_HOW_TO_ENCODE}")
    values = series.to_numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"Input X contains NaN or infinity in column {name!r}. {_HOW_TO_ENCODE}")
    return InputColumn(name, values)


def read_codes(column: InputColumn) -> NDArray[np.int64]:
    """Return the column as codes; a ValueError says why it can't be."""
    values = column.values
    if values.dtype.kind == "f":
        fractional = values != np.floor(values)
        if fractional.any():
            raise ValueError(
                f"Column {column.name!r} is categorical but has the fractional value {values[fractional][0]}: codes "
                "are whole numbers. Let CTREncoder make codes of it, or leave it out of categorical_features."
            )
    if values.dtype.kind != "b" and values.min() < 0:
        raise ValueError(
            f"Column {column.name!r} is categorical but has the negative code {values.min()}: codes begin at 0. If "
            "it stands for unknown values (OrdinalEncoder can write -1 for them), let CTREncoder make the codes or "
            "add 1 to all of them; if the column is a quantity, give it as floats."
        )
    return _as_int64(values)


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the codes, those beyond any table cut to one that is, so that none overflows."""
    if values.dtype.kind == "f":
        values = np.minimum(values.astype(np.float64), float(_BEYOND_ANY_TABLE))
    elif values.dtype.kind == "u":
        values = np.minimum(values.astype(np.uint64), np.uint64(_BEYOND_ANY_TABLE))
    return values.astype(np.int64)


def as_float32(column: InputColumn) -> NDArray[np.float32]:
    """Return the column as numbers; a ValueError says which is too large."""
    with np.errstate(over="ignore"):
        values = column.values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype('float32') in column {column.name!r}. Scale "
            "it, for example by CTREncoder."
        )
    return values
