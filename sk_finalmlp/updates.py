"""Update a fitted pipeline with new rows: `update`."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._sources import is_source, read_rows
from .estimators import FinalMLPClassifier, FunnelClassifier
from .preprocessing import CTREncoder

__all__ = ["update"]


def update(model: Pipeline, X: Any, y: Any, sample_weight: Any = None) -> Pipeline:
    """Let a fitted pipeline learn from the rows of a new day, in one pass.

    The encoder learns from the rows first: known values keep their codes, and new ones get codes of their own. Then the
    classifier learns from the rows, with the statistics from before the update: the new ones contain the labels of
    these rows, and the network would learn to trust them too much. The time of a call depends on the new rows only.

    Parameters
    ----------
    model : Pipeline
        A fitted pipeline of :class:`CTREncoder` and a classifier of this library. It changes only at the end of the
        call, so other threads can predict with it meanwhile, and an error leaves it unchanged. If `max_categories`
        gives codes to other values, a prediction in progress at that moment raises an error.
    X : {dataframe, array-like} of shape (n_samples, n_features), or rows that are read in batches
        The rows, with the columns of `fit`; files can have more columns. Files and other sources are read into memory
        as a whole, so a source should hold a day of rows, not a year.
    y : array-like of shape (n_samples,) or str
        Their labels, or the name of the column of `X` that holds them; each label must have occurred in `fit`.
    sample_weight : array-like of shape (n_samples,) or str, default=None
        Weights of the rows for both steps, or the name of the column of `X` that holds them.

    Returns
    -------
    Pipeline
        `model` itself.

    Raises
    ------
    TypeError
        If `model` has other steps.
    NotFittedError
        If it isn't fitted.
    ValueError
        If a column or label can't be used; the message names it.

    See Also
    --------
    CTREncoder.partial_fit_transform : The encoder's part of an update.
    FinalMLPClassifier.partial_fit : The classifier's part.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier, update
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, _ = make_click_data(3_000, n_days=3, random_state=0)
    >>> X["click"], day = y, X.pop("day")
    >>> first, last = X[day < 2], X[day == 2]
    >>> model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0))
    >>> model = model.fit(first.drop(columns="click"), first["click"])
    >>> model = update(model, last, "click")
    >>> model[-1].history_[-1]["epoch"]
    3
    """
    encoder, classifier = _steps(model)
    check_is_fitted(model)
    has_others = is_source(X, y)
    if has_others:
        # All rows are encoded before any is learned from.
        X = read_rows(X)
    X, y, sample_weight = _without_named_columns(X, y=y, sample_weight=sample_weight)
    if has_others:
        X = _with_columns_of_fit(X, encoder)
    as_served = encoder._encode_as_served(X)
    new_encoder, new_classifier = _stand_in(encoder), _stand_in(classifier)
    encoded, schema = new_encoder._grow(X, y, sample_weight)
    new_classifier._take_in(encoded, y, None, sample_weight, schema, as_served)
    # The classifier first: it also takes what the encoder has written so far, if another thread is between the two.
    classifier.__dict__ = new_classifier.__dict__
    encoder.__dict__ = new_encoder.__dict__
    return model


def _stand_in(step: Any) -> Any:
    """Another object with the same attributes, which are replaced in an update, and never changed."""
    other = object.__new__(type(step))
    other.__dict__ = dict(vars(step))
    return other


def _steps(model: Any) -> tuple[CTREncoder, FinalMLPClassifier]:
    steps = (
        [step for _, step in model.steps if step not in (None, "passthrough")] if isinstance(model, Pipeline) else []
    )
    if len(steps) == 2:
        encoder, classifier = steps
        if isinstance(encoder, CTREncoder) and isinstance(classifier, FinalMLPClassifier):
            return encoder, classifier
    if steps and isinstance(steps[-1], FunnelClassifier):
        raise TypeError(
            "A FunnelClassifier can't take in the rows of a day: fit the pipeline again, or update one with a "
            "FinalMLPClassifier for each label."
        )
    found = [type(step).__name__ for step in steps] or type(model).__name__
    raise TypeError(
        f"update takes a Pipeline of CTREncoder and a classifier of this library, and this is {found}. Other steps "
        "can't be updated: call partial_fit_transform of the encoder and partial_fit of the "
        "classifier by hand."
    )


def _with_columns_of_fit(X: Any, encoder: CTREncoder) -> Any:
    """The columns of `fit`, in its order; a missing one is left to the encoder, which names it."""
    frame = nw.from_native(X, eager_only=True)
    known = getattr(encoder, "feature_names_in_", frame.columns)
    return frame.select([name for name in known if name in frame.columns]).to_native()


def _without_named_columns(X: Any, **columns: Any) -> tuple[Any, ...]:
    """The table without those columns of it that are given by name, and the columns themselves."""
    names = [name for name in columns.values() if isinstance(name, str)]
    if not names:
        return X, *columns.values()
    frame = nw.from_native(X, eager_only=True)
    for parameter, name in columns.items():
        if isinstance(name, str) and name not in frame.columns:
            raise ValueError(f"{parameter}={name!r}, but there is no such column. The columns are {frame.columns}.")
    found = [frame[name].to_native() if isinstance(name, str) else name for name in columns.values()]
    return frame.drop(names).to_native(), *found
