"""The classifier in a user's fitted model, its input table, and its probabilities of a click."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._checks import Label
from ..estimators import FinalMLPClassifier, FunnelClassifier
from ..nn import members_of, votes_of
from ..preprocessing import CTREncoder


def classifier_of(estimator: Any) -> FinalMLPClassifier:
    """Return the fitted classifier of a single label: of a pipeline, or of the best model of a search."""
    if isinstance(_last_step(best_of(estimator)), FunnelClassifier):
        raise TypeError(
            "FunnelClassifier has a logit for each label, and this looks at the logit of one. Fit a FinalMLPClassifier "
            "to the label that you want to look into."
        )
    return any_classifier_of(estimator)


def any_classifier_of(estimator: Any) -> FinalMLPClassifier:
    """Return the fitted classifier, also the one in a `FunnelClassifier`."""
    classifier = _last_step(best_of(estimator))
    if not isinstance(classifier, FinalMLPClassifier | FunnelClassifier):
        raise TypeError(
            f"{type(classifier).__name__} isn't a FinalMLPClassifier: pass one, a pipeline that ends in one, "
            "or a search for one."
        )
    check_is_fitted(classifier)
    return classifier.classifier_ if isinstance(classifier, FunnelClassifier) else classifier


def weighted_members_of(classifier: FinalMLPClassifier) -> list[tuple[float, Any]]:
    """Return the single networks with their weights in the vote, which sum to 1."""
    network = classifier.network_
    return list(zip(votes_of(network), members_of(network), strict=True))


def encoder_of(estimator: Any) -> CTREncoder | None:
    """Return the last `CTREncoder` of a pipeline, or None."""
    model = best_of(estimator)
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else []
    return next((step for step in reversed(steps) if isinstance(step, CTREncoder)), None)


def encoded_table(estimator: Any, X: Any) -> Any:
    """Return a table as the steps before the classifier transform it."""
    model = best_of(estimator)
    is_encoded = not isinstance(model, Pipeline) or len(model) == 1
    return X if is_encoded else model[:-1].transform(X)


def best_of(estimator: Any) -> Any:
    """The best estimator of a search; anything else as it is."""
    return getattr(estimator, "best_estimator_", estimator)


def _last_step(estimator: Any) -> Any:
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def click_probabilities(estimator: Any, X: Any, pos_label: Label | None) -> NDArray[np.float64]:
    """Return the probabilities of a click; refuse classifiers of more than two classes or of several labels."""
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
