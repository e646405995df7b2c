"""From what the user fitted to the classifier in it, and the table that the classifier gets."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..estimators import FinalMLPClassifier, FunnelClassifier
from ..nn import members_of, votes_of
from ..preprocessing import CTREncoder


def classifier_of(estimator: Any) -> FinalMLPClassifier:
    """The fitted classifier of a single label in a model.

    Parameters
    ----------
    estimator : estimator
        A classifier of this library, a pipeline that ends in one, or a search whose best estimator is one of both.

    Returns
    -------
    FinalMLPClassifier

    Raises
    ------
    TypeError
        If there is none.
    NotFittedError
        If it isn't fitted.
    """
    classifier = any_classifier_of(estimator)
    if isinstance(classifier, FunnelClassifier):
        raise TypeError(
            "FunnelClassifier has a logit for each label, and this looks at the logit of one. Fit a FinalMLPClassifier "
            "to the label that you want to look into."
        )
    return classifier


def any_classifier_of(estimator: Any) -> FinalMLPClassifier | FunnelClassifier:
    """The same, which may have several labels.

    Parameters
    ----------
    estimator : estimator
        As for `classifier_of`.

    Returns
    -------
    FinalMLPClassifier or FunnelClassifier
    """
    classifier = _last_step(best_of(estimator))
    if not isinstance(classifier, FinalMLPClassifier | FunnelClassifier):
        raise TypeError(
            f"{type(classifier).__name__} isn't a FinalMLPClassifier: pass one, a pipeline that ends in one, "
            "or a search for one."
        )
    check_is_fitted(classifier)
    return classifier


def weighted_members_of(classifier: FinalMLPClassifier | FunnelClassifier) -> list[tuple[float, Any]]:
    """The single networks of a classifier, each with its weight in the vote; 1 in all.

    Parameters
    ----------
    classifier : FinalMLPClassifier
        A fitted classifier.

    Returns
    -------
    list of (float, TwoStreamNetwork)
    """
    network = classifier.network_
    return list(zip(votes_of(network), members_of(network), strict=True))


def encoder_of(estimator: Any) -> CTREncoder | None:
    """The encoder that makes the codes which the classifier of a model gets.

    Parameters
    ----------
    estimator : estimator
        A model as for `classifier_of`.

    Returns
    -------
    CTREncoder or None
        The last one among the steps of the pipeline; None where no step is a `CTREncoder`.
    """
    model = best_of(estimator)
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else []
    return next((step for step in reversed(steps) if isinstance(step, CTREncoder)), None)


def encoded_table(estimator: Any, X: Any) -> Any:
    """What the classifier in a model gets of a table.

    Parameters
    ----------
    estimator : estimator
        As for `classifier_of`.
    X : dataframe or array-like of shape (n, n_features)
        A table for the model.

    Returns
    -------
    dataframe or array-like of shape (n, n_features_of_classifier)
        The table itself, or what the steps before the classifier make of it.
    """
    model = best_of(estimator)
    is_encoded = not isinstance(model, Pipeline) or len(model) == 1
    return X if is_encoded else model[:-1].transform(X)


def best_of(estimator: Any) -> Any:
    """The best estimator of a search; anything else as it is."""
    return getattr(estimator, "best_estimator_", estimator)


def _last_step(estimator: Any) -> Any:
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator
