"""The metrics as scorers for scikit-learn's searches and cross-validation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer

from .._checks import Label
from .._sklearn import validate_params
from ._grouped_auc import grouped_auc
from ._probabilities import expected_calibration_error, normalized_entropy, relative_information_gain

# Either orders the rows; as scikit-learn's own scorer of the AUC has it.
_RANKING = ("decision_function", "predict_proba")

_SCORERS = {
    "grouped_auc": make_scorer(grouped_auc, response_method=_RANKING),
    "neg_expected_calibration_error": make_scorer(
        expected_calibration_error, response_method="predict_proba", greater_is_better=False
    ),
    "neg_normalized_entropy": make_scorer(normalized_entropy, response_method="predict_proba", greater_is_better=False),
    "relative_information_gain": make_scorer(relative_information_gain, response_method="predict_proba"),
}


@validate_params({"name": [str]})
def get_scorer(name: str) -> Any:
    """A scorer by its name: one of these metrics or of scikit-learn's.

    scikit-learn has no public way to register names, so that `scoring="grouped_auc"` can't work; pass what this
    function returns: `scoring=get_scorer("grouped_auc")`, or a dict of several.

    Parameters
    ----------
    name : str
        "grouped_auc", "neg_expected_calibration_error", "neg_normalized_entropy", "relative_information_gain", or a
        name of :func:`sklearn.metrics.get_scorer_names`. As in scikit-learn, higher is better for every scorer, and
        `neg_` says that it is minus the metric.

    Returns
    -------
    callable
        A new object with the signature `scorer(estimator, X, y, sample_weight=None)`, made by
        :func:`sklearn.metrics.make_scorer`. The click is the class `classes_[1]`; for another, or for other
        parameters of a metric, call `make_scorer` yourself.

    Raises
    ------
    ValueError
        If there is no such scorer.

    See Also
    --------
    make_grouped_auc_scorer : The grouped AUC without metadata routing, where the group is a column.

    Examples
    --------
    Groups and weights reach a scorer by metadata routing:

    >>> from sklearn import config_context
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GroupKFold, cross_validate
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.metrics import get_scorer
    >>> X, y, _ = make_click_data(2000, n_users=50, random_state=0)
    >>> with config_context(enable_metadata_routing=True):
    ...     scorers = {
    ...         "roc_auc": get_scorer("roc_auc"),
    ...         "grouped_auc": get_scorer("grouped_auc").set_score_request(groups=True),
    ...     }
    ...     scores = cross_validate(
    ...         LogisticRegression(),
    ...         X[["numeric_0", "numeric_1"]],
    ...         y,
    ...         cv=GroupKFold(3),
    ...         scoring=scorers,
    ...         params={"groups": X["user"]},
    ...     )
    >>> sorted(scores)
    ['fit_time', 'score_time', 'test_grouped_auc', 'test_roc_auc']
    """
    if name not in _SCORERS and name not in sklearn.metrics.get_scorer_names():
        raise ValueError(f"{name!r} is neither a scorer of scikit-learn nor one of {list(_SCORERS)}.")
    return copy.deepcopy(_SCORERS.get(name) or sklearn.metrics.get_scorer(name))


def make_grouped_auc_scorer(
    column: str | int,
    *,
    group_weight: Literal["rows", "clicks", "uniform"] = "rows",
    pos_label: Label | None = None,
) -> Callable[..., float]:
    """A scorer of the grouped AUC that finds the group of each row in a column of X.

    A table of impressions has a column of users. This scorer reads it from the very table that the pipeline is
    given, and needs no metadata routing.

    Parameters
    ----------
    column : str or int
        Column of the groups: a name in a DataFrame, a position in an array.
    group_weight : {"rows", "clicks", "uniform"}, default="rows"
        Weight of a group, see `grouped_auc`.
    pos_label : bool, int, float or str, default=None
        Label of a click; by default the greater of the two.

    Returns
    -------
    callable
        An object with the signature `scorer(estimator, X, y, sample_weight=None)`.

    Raises
    ------
    ValueError
        When it is called: if X has no such column, or as `grouped_auc`.

    See Also
    --------
    get_scorer : Scorers by name; "grouped_auc" takes groups by metadata routing.

    Examples
    --------
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.metrics import make_grouped_auc_scorer
    >>> X, y, _ = make_click_data(2000, n_users=50, random_state=0)
    >>> encoder = make_column_transformer(
    ...     (OneHotEncoder(handle_unknown="ignore"), ["user", "item"])
    ... )
    >>> model = Pipeline([("enc", encoder), ("clf", LogisticRegression())])
    >>> search = GridSearchCV(
    ...     model, {"clf__C": [0.01, 1]}, scoring=make_grouped_auc_scorer("user"), cv=3
    ... )
    >>> bool(0.5 < search.fit(X, y).best_score_ < 1)
    True
    """
    scorer = partial(_score_groups, column, {"group_weight": group_weight, "pos_label": pos_label})
    scorer.__name__ = grouped_auc.__name__  # type: ignore[attr-defined]  # what a history and a model card call it
    return scorer


def _score_groups(
    column: str | int,
    options: Mapping[str, Any],
    estimator: BaseEstimator,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    scorer = make_scorer(grouped_auc, response_method=_RANKING, groups=_column(X, column), **options)
    return float(scorer(estimator, X, y, sample_weight=sample_weight))


def _column(X: Any, column: str | int) -> Any:
    is_frame = hasattr(X, "columns")
    if column not in (X.columns if is_frame else range(np.shape(X)[1])):
        raise ValueError(
            f"X has no column {column!r} to group by. Name it in a DataFrame and number it in an array; X must be the "
            "table before the pipeline encodes it."
        )
    return X[column] if is_frame else X[:, column]
