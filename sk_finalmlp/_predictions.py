"""Labels and predictions: checked and cut into bins the same way in metrics and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from ._sklearn import check_sample_weight

Label = bool | int | float | str

_HOW_TO_PREDICT = "Pass the probability of a click, predict_proba(X)[:, 1]; decision_function gives log-odds."
_N_SHOWN = 3
_REMEDIES = {
    "multiclass": "its labels begin with {}. Score one of them against the rest: y_true == label.",
    "continuous": "it has values such as {}. y_true comes first, the scores second.",
}


def check_clicks(y_true: ArrayLike, pos_label: Label | None) -> NDArray[np.bool_]:
    """Which rows are clicks.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes, or of one.
    pos_label : bool, int, float, str or None
        Label of a click; None for the greater of two labels. A single label must then be one of -1, 0 and 1.

    Returns
    -------
    ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If there are more than two labels, missing ones, or none; if `pos_label` is none of them; or if it is None
        and the only label is no number that says whether it stands for a click.
    """
    labels = column_or_1d(y_true)
    check_array(labels, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name="y_true")
    if pd.isna(labels).any():
        raise ValueError("Input y_true contains NaN: leave out the rows without a label.")
    target_type = type_of_target(labels, input_name="y_true", raise_unknown=True)
    if target_type != "binary":
        raise ValueError(
            f"Only binary y_true is supported: clicked or not. The type of the target is {target_type}, and "
            + _REMEDIES[target_type].format(np.unique(labels).tolist()[:_N_SHOWN])
        )
    clicks: NDArray[np.bool_] = labels == _click_label(np.unique(labels), pos_label)
    return clicks


def _click_label(labels: NDArray[Any], pos_label: Label | None) -> Any:
    if pos_label is None:
        return labels[1] if len(labels) == 2 else _click_label_beside(labels[0])
    if len(labels) == 2 and pos_label not in labels:
        raise ValueError(f"pos_label={pos_label!r} is not a valid label: it should be one of {labels.tolist()}.")
    return pos_label


def _click_label_beside(label: Any) -> int:
    if label not in (-1, 0, 1):
        raise ValueError(f"y_true holds the label {str(label)!r} only: pass pos_label, the label of a click.")
    return 1


def check_scores(scores: ArrayLike, name: str, clicks: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Scores as floats, one per row.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of the rows.
    name : str
        What they are called in errors.
    clicks : ndarray of shape (n_samples,)
        Whether each row is a click.

    Returns
    -------
    ndarray of shape (n_samples,)
        In float32 if they came so, otherwise in float64.

    Raises
    ------
    ValueError
        If they are of another length, no numbers, not finite, or several per row.
    """
    floats = check_array(scores, ensure_2d=False, dtype=[np.float64, np.float32], input_name=name)
    if floats.ndim > 1 and floats.shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {floats.shape} instead: pass the column of the "
            "click, predict_proba(X)[:, 1]."
        )
    check_consistent_length(clicks, floats)
    column: NDArray[np.floating] = column_or_1d(floats)
    return column


def check_probabilities(y_proba: ArrayLike, clicks: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Scores that are probabilities.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples,)
        Probabilities of a click.
    clicks : ndarray of shape (n_samples,)
        Whether each row is a click.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        As `check_scores`, and if one is below 0 or above 1.
    """
    probabilities = check_scores(y_proba, "y_proba", clicks)
    if probabilities.max() > 1:
        raise ValueError(f"y_proba contains values greater than 1: {probabilities.max()}. {_HOW_TO_PREDICT}")
    if probabilities.min() < 0:
        raise ValueError(f"y_proba contains values less than 0: {probabilities.min()}. {_HOW_TO_PREDICT}")
    return probabilities


def check_weights(sample_weight: ArrayLike | None, clicks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights as floats, one per row.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows; None for ones.
    clicks : ndarray of shape (n_samples,)
        Whether each row is a click.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If they are of another length, negative, not finite, or all zero.
    """
    weights: NDArray[np.float64] = check_sample_weight(
        sample_weight, clicks, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():  # older versions of scikit-learn let these pass
        raise ValueError("sample_weight is zero for every row.")
    return weights


def check_both_classes(clicks: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
    """Refuse rows of one class.

    Parameters
    ----------
    clicks : ndarray of shape (n_samples,)
        Whether each row is a click.
    weights : ndarray of shape (n_samples,)
        Weight of each row; one of weight 0 counts as absent.

    Raises
    ------
    ValueError
        If all rows are clicks, or none is.
    """
    if not weights[clicks].any() or not weights[~clicks].any():
        raise ValueError(
            "Only one class is present in y_true, but this metric needs clicks and non-clicks. Score more rows at once."
        )


def bin_edges(
    probabilities: NDArray[np.float64], weights: NDArray[np.float64], n_bins: int, strategy: str
) -> NDArray[np.float64]:
    """Where one bin ends and the next begins; an edge belongs to the lower one.

    Parameters
    ----------
    probabilities, weights : ndarray of shape (n,)
        Probabilities of the rows and their weights.
    n_bins : int
        Number of bins.
    strategy : {"uniform", "quantile"}
        Bins of the same width, or of about the same weight.

    Returns
    -------
    ndarray of shape (n_bins - 1,)
        The edges, the same one repeatedly where a value has the weight of several bins.
    """
    levels = np.arange(1, n_bins) / n_bins
    if strategy == "uniform":
        return levels
    edges: NDArray[np.float64] = np.quantile(probabilities, levels, weights=weights, method="inverted_cdf")
    return edges
