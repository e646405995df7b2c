"""Prediction through a fitted pipeline against OrdinalEncoder and boosted trees, and against its own arithmetic."""

from __future__ import annotations

import pandas as pd
from _frappe import PUBLISHED, make_frappe_like, with_names
from _matrix_products import matrix_products, mean_n_distinct
from _results import Result, ratio
from _sizes import Size
from _timing import take_turns, timed
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sk_finalmlp import CTREncoder, FinalMLPClassifier

_PRODUCTS_BATCH = 8192


def measure(size: Size) -> list[Result]:
    """One raw row, many raw rows, many encoded rows."""
    codes, y = make_frappe_like(size.n_rows_prediction)
    X = with_names(codes)
    ours, trees = _ours(X, y), _trees(X, y)
    return [*_one_row(ours, trees, X, size), *_many_rows(ours, trees, X, size), *_against_products(codes, y, size)]


def _ours(X: pd.DataFrame, y: pd.Series) -> Pipeline:
    # How well it is trained makes no difference to the time of a prediction.
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0, device="cpu")).fit(X, y)


def _trees(X: pd.DataFrame, y: pd.Series) -> Pipeline:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(encoder, HistGradientBoostingClassifier(random_state=0)).fit(X, y)


def _one_row(ours: Pipeline, trees: Pipeline, X: pd.DataFrame, size: Size) -> list[Result]:
    row = X[:1]
    contestants = {
        "one row, sk_finalmlp": timed(lambda: ours.predict_proba(row)),
        "one row, boosted trees": timed(lambda: trees.predict_proba(row)),
    }
    seconds = take_turns(contestants, n_turns=100 if size.n_turns > 1 else 1, n_warm_up=10)
    return [ratio("prediction", seconds, *contestants, at_most=0.5)]


def _many_rows(ours: Pipeline, trees: Pipeline, X: pd.DataFrame, size: Size) -> list[Result]:
    contestants = {
        f"{len(X)} rows, sk_finalmlp": timed(lambda: ours.predict_proba(X)),
        f"{len(X)} rows, boosted trees": timed(lambda: trees.predict_proba(X)),
    }
    return [ratio("prediction", take_turns(contestants, size.n_turns), *contestants, at_most=1)]


def _against_products(codes: pd.DataFrame, y: pd.Series, size: Size) -> list[Result]:
    """The published network, with its wide gates, of codes: the arithmetic is most of the work there."""
    classifier = FinalMLPClassifier(**{**PUBLISHED, "max_epochs": 1, "early_stopping": False}).fit(codes, y)
    n_batches = len(codes) / _PRODUCTS_BATCH

    def seconds_of_products(n_contexts: list[int]) -> float:
        return timed(matrix_products(_PRODUCTS_BATCH, n_contexts, backward=False))() * n_batches

    contexts = mean_n_distinct(codes[["user", "item"]], _PRODUCTS_BATCH)
    contestants = {
        "predict_proba of codes": timed(lambda: classifier.predict_proba(codes)),
        "forward products, gates row by row": lambda: seconds_of_products([_PRODUCTS_BATCH] * 2),
        "forward products, gates per distinct context": lambda: seconds_of_products(contexts),
    }
    seconds = take_turns(contestants, size.n_turns)
    ours, published, deduplicated = contestants
    return [
        ratio("prediction", seconds, ours, published, at_most=2),
        ratio("prediction", seconds, ours, deduplicated, at_most=2),
    ]
