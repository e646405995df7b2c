"""Click probabilities of any classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import Label


def click_probabilities(estimator: Any, X: Any, pos_label: Label | None) -> NDArray[np.float64]:
    """Probabilities of the class that counts as a click.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of two classes.
    X : dataframe or array-like of shape (n, n_features)
        The rows.
    pos_label : bool, int, float, str or None
        Label of a click; None for the greater of the two.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If the classifier has more than two classes, none with that label, or several labels.
    """
    if isinstance(estimator.classes_, list):
        raise ValueError(
            f"{type(estimator).__name__} has several labels, and a click is one: take the column of one label of "
            "predict_proba(X), and from_predictions(y, probability)."
        )
    probabilities = estimator.predict_proba(X)
    classes = estimator.classes_.tolist()
    if len(classes) != 2:
        raise ValueError(
            f"The classifier has the {len(classes)} classes {classes}, and a click is one of two: take the column of "
            "one class of predict_proba(X), and from_predictions(y == label, probability)."
        )
    if pos_label is not None and pos_label not in classes:
        raise ValueError(f"pos_label={pos_label!r} is not a valid label: it should be one of {classes}.")
    column: NDArray[np.float64] = probabilities[:, 1 if pos_label is None else classes.index(pos_label)]
    return column
