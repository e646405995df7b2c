"""Checks of tables, labels and scores, with the same errors everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from numbers import Real
from os import PathLike
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from narwhals import to_native
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from ._sklearn import InvalidParameterError, check_sample_weight
from ._warnings import shown

Label = bool | int | float | str

#: Methods that turn lazy frames into tables.
_METHODS = {
    "duckdb": "df",
    "ibis": "to_pandas",
    "dask": "compute",
    "pyspark": "toPandas",
    "sqlframe": "toPandas",
}

_HOW_TO_PREDICT = "Pass the probability of a click, predict_proba(X)[:, 1]; decision_function gives log-odds."
_N_SHOWN = 3
_REMEDIES = {
    "multiclass": "its labels begin with {}. Score one of them against the rest: y_true == label.",
    "continuous": "it has values such as {}. y_true comes first, the scores second.",
}


class errors_about:
    """Say what an error is about, such as a column; a generator's context takes several times as long."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self._what, self._remedy = what, remedy

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._what and isinstance(error, TypeError | ValueError):
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind("\n".join(filter(None, [f"{self._what}: {error}", self._remedy]))) from error


def native_table(X: Any) -> Any:
    """Return a table of its own library; refuse objects that a newcomer may take for a table."""
    X = to_native(X, pass_through=True)
    if not isinstance(X, pd.DataFrame):
        _check_is_table(X)
    return X


def _check_is_table(X: Any) -> None:
    if type(X).__module__.partition(".")[0] == "datasets":
        raise TypeError(
            f"X is a {type(X).__name__} of Hugging Face. Pass X.to_pandas(), X['train'].to_pandas() of a dict of "
            "splits, or to CTREncoder a function of batches, lambda: X.with_format('pandas').iter(100_000)."
        )
    if isinstance(X, np.ndarray) and X.dtype.names:
        raise TypeError("X is an array of records. Make a table of it: pd.DataFrame(X).")
    if isinstance(X, Mapping) and not hasattr(X, "dtype"):  # SciPy's sparse arrays of keys are dicts, too
        raise TypeError("X is a dict. Make a table of it: pd.DataFrame([X]) if it is one row, else pd.DataFrame(X).")
    if isinstance(X, list | tuple) and X and isinstance(X[0], Mapping):
        raise TypeError("X is a list of dicts. Make a table of it: pd.DataFrame(X).")
    if isinstance(X, list | tuple) and X and all(isinstance(name, str | PathLike) for name in X):
        raise TypeError(
            f"X is a list of strings, such as {shown(str(X[0]))}. If they name files, pass "
            "pyarrow.dataset.dataset(X), or a pattern such as 'clicks/*.parquet'. If they are one row, pass "
            "pd.DataFrame([X], columns=...)."
        )
    if isinstance(X, pa.RecordBatchReader):
        raise TypeError("X is a RecordBatchReader, which can be read only once. Pass X.read_all(), the table itself.")
    if isinstance(X, pa.RecordBatch):
        raise TypeError("X is a RecordBatch. Pass pyarrow.Table.from_batches([X]).")
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is a {type(X).__name__}, which can be read only once. Pass a function that returns one: CTREncoder "
            "calls it for each pass over the rows."
        )
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        method = _METHODS.get(str(frame.implementation), "collect")
        raise TypeError(f"X is a lazy frame. Pass X.{method}(), the table itself.")


def refuse_name_as_labels(X: Any, y: Any) -> None:
    """Refuse names of columns where labels of a table in memory are expected."""
    if isinstance(y, str) or _names_columns(X, y):
        columns = y if isinstance(y, str) else list(y)
        raise ValueError(
            f"y={columns!r} is a name, as rows in files take it, but X is a table in memory. Pass the labels "
            f"themselves: fit(X.drop(columns={columns!r}), X[{columns!r}])."
        )


def refuse_other_weights(weights: Any) -> None:
    """Refuse values that aren't numbers, and the name of a column for a table in memory."""
    if isinstance(weights, str):
        raise ValueError(
            f"sample_weight={weights!r} is a name, as rows in files take it, but X is a table in memory. Pass the "
            f"weights themselves: X[{weights!r}]."
        )
    if (values := pd.Series(np.asarray(weights).ravel())).dtype.kind in "biuf":
        return
    is_strange = [not isinstance(value, Real) and value is not None for value in values]
    if any(is_strange):
        strange, row = values[is_strange].iloc[0], is_strange.index(True)
        raise ValueError(
            f"sample_weight holds {shown(strange)} in row {row}, which is no number. Weights are non-negative numbers: "
            "convert text by pandas.to_numeric, and make an age of a time, or give CTREncoder its half_life."
        )


def _names_columns(X: Any, y: Any) -> bool:
    if not isinstance(y, list | tuple) or not y or len(y) == len(X):
        return False
    names = {*getattr(X, "columns", ())}
    return all(isinstance(name, str) and name in names for name in y)


def check_unique_names(X: Any, argument: str = "X") -> None:
    """Refuse a frame with two columns of one name."""
    names = X.column_names if isinstance(X, pa.Table) else X.columns
    if len(set(names)) < len(names):
        name, n_columns = Counter(names).most_common(1)[0]
        raise ValueError(
            f"{argument} has {n_columns} columns named {name!r}, but a column is known by its name. Rename or drop all "
            "but one."
        )


def has_columns_of_fit(estimator: Any, X: Any) -> bool:
    """Whether X is a frame of pandas with the columns of `fit`; False where names alone can't tell."""
    # scikit-learn's check of names takes as long as a network takes for a row.
    if not isinstance(X, pd.DataFrame) or not hasattr(estimator, "feature_names_in_"):
        return False
    return X.columns.tolist() == estimator.feature_names_in_.tolist()


def check_not_empty(shape: tuple[int, ...]) -> None:
    """Refuse a table without rows or columns, as scikit-learn does."""
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise ValueError(f"Found array with 0 {what}(s) (shape={tuple(shape)}) while a minimum of 1 is required.")


def check_detached(values: Any, name: str) -> None:
    """Refuse a tensor that requires grad: NumPy can't read it."""
    if getattr(values, "requires_grad", False):
        raise TypeError(f"{name} is a tensor that requires grad. Pass {name}.detach().")


def check_widths(owner: Any, name: str, fewest: int = 1) -> None:
    """Refuse widths of layers that aren't integers of at least 1, or fewer layers than there must be."""
    units = getattr(owner, name)
    if len(units) < fewest or not all(
        isinstance(width, int | np.integer) and not isinstance(width, bool) and width >= 1 for width in units
    ):
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(owner).__name__} must be the width of each layer, integers of "
            f"at least 1, such as (400, 200). Got {units!r} instead."
        )


def check_clicks(y_true: ArrayLike, pos_label: Label | None) -> NDArray[np.bool_]:
    """Return which rows are clicks: labelled `pos_label`, else the greater of two labels, or 1 next to 0 and -1."""
    labels = column_or_1d(y_true)
    check_array(labels, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name="y_true")
    if pd.isna(labels).any():
        raise ValueError("Input y_true contains NaN: leave out the rows without a label.")
    target_type = type_of_target(labels, input_name="y_true", raise_unknown=True)
    if target_type != "binary":
        raise ValueError(
            f"Only binary y_true is supported: clicked or not. The type of the target is {target_type}, and "
            + _REMEDIES[target_type].format(shown(np.unique(labels).tolist()[:_N_SHOWN]))
        )
    return labels == _click_label(np.unique(labels), pos_label)


def _click_label(labels: NDArray[Any], pos_label: Label | None) -> Any:
    if pos_label is None and len(labels) == 2:
        return labels[1]
    if pos_label is None:
        if labels[0] not in (-1, 0, 1):
            raise ValueError(
                f"y_true holds the label {shown(str(labels[0]))} only: pass pos_label, the label of a click."
            )
        return 1
    if len(labels) == 2 and pos_label not in labels:
        raise ValueError(
            f"pos_label={shown(pos_label)} is not a valid label: it should be one of {shown(labels.tolist())}."
        )
    return pos_label


def check_scores(scores: ArrayLike, name: str, clicks: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return scores as finite floats, one per row: float32 if they came so, else float64."""
    floats = check_array(scores, ensure_2d=False, dtype=[np.float64, np.float32], input_name=name)
    if floats.ndim > 1 and floats.shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {floats.shape} instead: pass the column of the "
            "click, predict_proba(X)[:, 1]."
        )
    check_consistent_length(clicks, floats)
    return column_or_1d(floats)


def check_probabilities(y_proba: ArrayLike, clicks: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return scores that are probabilities."""
    probabilities = check_scores(y_proba, "y_proba", clicks)
    if probabilities.max() > 1:
        raise ValueError(f"y_proba contains values greater than 1: {probabilities.max()}. {_HOW_TO_PREDICT}")
    if probabilities.min() < 0:
        raise ValueError(f"y_proba contains values less than 0: {probabilities.min()}. {_HOW_TO_PREDICT}")
    return probabilities


def check_weights(sample_weight: ArrayLike | None, clicks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights as floats, one per row, not all of them 0; None stands for ones."""
    weights: NDArray[np.float64] = check_sample_weight(
        sample_weight, clicks, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():  # older versions of scikit-learn let these pass
        raise ValueError("sample_weight is zero for every row.")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"sample_weight is up to {weights.max():.2g}, and its sum is more than a float can hold. Only ratios of "
            "weights matter: divide them by their maximum."
        )
    return weights


def check_both_classes(clicks: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
    """Refuse rows of one class; rows of weight 0 count as absent."""
    if not weights[clicks].any() or not weights[~clicks].any():
        raise ValueError(
            "Only one class is present in y_true, but this metric needs clicks and non-clicks. Score more rows at once."
        )


def bin_edges(
    probabilities: NDArray[np.float64], weights: NDArray[np.float64], n_bins: int, strategy: str
) -> NDArray[np.float64]:
    """Return the n_bins - 1 inner edges; an edge belongs to the lower bin, and repeats if a value fills several."""
    levels = np.arange(1, n_bins) / n_bins
    if strategy == "uniform":
        return levels
    return np.quantile(probabilities, levels, weights=weights, method="inverted_cdf")
