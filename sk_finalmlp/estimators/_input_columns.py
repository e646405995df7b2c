"""From the table that the user gives to its columns, each checked on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from .._checks import check_is_table, check_not_empty, check_unique_names, has_columns_of_fit
from .._sources import is_in_files
from ..schema import Origin, read_origin

_OTHER_ENCODER = (
    "X was encoded by another encoder than the rows that this classifier was fitted to, or by the same one after "
    "another fit, so that its codes mean other values. Where the last fit of a pipeline failed or was interrupted, its "
    "encoder is new and its classifier old: fit the pipeline again. Where the encoder alone took in new rows, or rows "
    "were encoded by transform after it did, use sk_finalmlp.update, which lets both learn. With warm_start=True, "
    "encode all rows by transform of the encoder that was fitted first."
)
#: Rows of a batch that the network predicts for.
_FEW_ROWS = 8192
_HOW_TO_ENCODE = "Encode the table first: Pipeline([('enc', CTREncoder()), ('clf', ...)])."


@dataclass(frozen=True)
class InputColumn:
    """One column of the input table.

    Parameters
    ----------
    name : str
        Its name, or `x0`, `x1`, ... where the table has no names.
    values : ndarray of bool, int or float, shape (n,)
        Its values.
    """

    name: str
    values: NDArray[Any]

    @property
    def is_integer(self) -> bool:
        return self.values.dtype.kind in "biu"


def read_columns(estimator: Any, X: Any, *, reset: bool) -> list[InputColumn]:
    """Columns of a table, as many and named as the estimator expects.

    Parameters
    ----------
    estimator : estimator
        What is fitted or predicts; `n_features_in_` and `feature_names_in_` are set or checked on it.
    X : dataframe or array-like of shape (n_samples, n_features)
        The table.
    reset : bool
        True in `fit`, False afterwards.

    Returns
    -------
    list of InputColumn

    Raises
    ------
    ValueError
        If a column holds something else than numbers, or a missing or infinite value, or if the table says that it is
        from another encoder.
    """
    if reset:
        origin = read_origin(X)
        estimator._origin = None if origin is None else origin.without_vectors()
    else:
        check_same_encoder(estimator, read_origin(X))
    if isinstance(X, pd.DataFrame):
        return _read_pandas(estimator, X, reset)
    refuse_raw_rows(X)
    check_is_table(X)
    frame = nw.from_native(X, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        array = _check_array(estimator, X, reset)
        names = getattr(estimator, "feature_names_in_", [f"x{position}" for position in range(array.shape[1])])
        return [InputColumn(str(name), array[:, position]) for position, name in enumerate(names)]
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    check_not_empty(frame.shape)
    return [_read_series(str(series.name), series) for series in frame.iter_columns()]


def refuse_raw_rows(X: Any) -> None:
    """Refuse files of rows, which only the encoder reads.

    Parameters
    ----------
    X : object
        What the classifier was given.
    """
    if is_in_files(X):
        raise TypeError(f"X is a {type(X).__name__}, which only CTREncoder can read. {_HOW_TO_ENCODE}")


def check_same_encoder(estimator: Any, origin: Origin | None) -> None:
    """Refuse rows that were encoded by another fit.

    Parameters
    ----------
    estimator : estimator
        What is fitted or predicts.
    origin : Origin or None
        What the rows say of where they come from.
    """
    own = estimator._origin
    if origin is not None and own is not None and origin.encoder not in (own.encoder, own.previous):
        raise ValueError(_OTHER_ENCODER)


def read_few_rows(estimator: Any, X: Any) -> NDArray[np.float64] | None:
    """A frame of few rows as a matrix: pandas takes longer to hand out columns one by one than the network for a row.

    Parameters
    ----------
    estimator : estimator
        What predicts.
    X : object
        The table.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_features), or None
        None where the table isn't that simple, or has something wrong with it: `read_columns` reads it or says so.
    """
    if not has_columns_of_fit(estimator, X) or not 0 < len(X) <= _FEW_ROWS:
        return None
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in set(X.dtypes)):
        return None
    check_same_encoder(estimator, read_origin(X))
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


def _read_pandas(estimator: Any, X: pd.DataFrame, reset: bool) -> list[InputColumn]:
    """Columns of plain numbers without a detour, which for a single row would take longer than the network."""
    if reset:
        check_unique_names(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    check_not_empty(X.shape)
    columns = []
    for name, series in X.items():
        dtype = series.dtype
        if isinstance(dtype, np.dtype) and (dtype.kind in "biu" or (dtype.kind == "f" and _is_finite(series))):
            columns.append(InputColumn(str(name), series.to_numpy()))
        else:
            columns.append(_read_series(str(name), nw.from_native(series, series_only=True)))
    return columns


def _is_finite(series: pd.Series[Any]) -> bool:
    return bool(np.isfinite(series.to_numpy()).all())


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
