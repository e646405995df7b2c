"""Synthetic impressions, each table with one trait of click data brought out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from _tables import RANDOM, DataSet, Table, by_order, randomly
from scipy.special import expit, logit

from sk_finalmlp.datasets import make_click_data

_SHARE_OF_LATE_ITEMS = 0.5
_DRIFT = 2.0


def _sparse() -> Table:
    return _table(100_000, n_users=20_000, n_items=5_000, click_rate=0.2, random_state=1)


def _dense() -> Table:
    return _table(50_000, n_users=200, n_items=100, n_contexts=5, n_numeric=25, click_rate=0.2, random_state=2)


def _lists() -> Table:
    # Without item and category, its tags are all that is known of an item.
    table = _table(60_000, n_users=2_000, n_items=5_000, n_tags=200, n_numeric=1, click_rate=0.3, random_state=3)
    return randomly(table.X.drop(columns=["item", "category"]), table.y)


def _rare() -> Table:
    return _table(200_000, n_users=5_000, n_items=1_000, click_rate=0.01, random_state=4)


def _table(n_rows: int, **parameters: float) -> Table:
    X, y, _ = make_click_data(n_rows, **parameters)
    return randomly(X, y)


def _drift() -> Table:
    """Items come up in the course of the four weeks, and their popularity rises or falls."""
    X, _, probability = make_click_data(120_000, n_users=3_000, n_items=2_000, click_rate=0.2, random_state=5)
    rng = np.random.default_rng(5)
    codes, items = pd.factorize(X["item"])
    elapsed = ((X["time"] - X["time"].min()) / (X["time"].max() - X["time"].min())).to_numpy()
    log_odds = logit(probability) + _DRIFT * rng.standard_normal(len(items))[codes] * (elapsed - 0.5)
    y = pd.Series((rng.random(len(X)) < expit(log_odds)).astype(np.int64), name="click")
    first_shown = np.where(rng.random(len(items)) < _SHARE_OF_LATE_ITEMS, rng.random(len(items)), 0)
    is_shown = elapsed >= first_shown[codes]
    return by_order(X[is_shown].reset_index(drop=True), y[is_shown].reset_index(drop=True))


_SOURCE = "sk_finalmlp.datasets.make_click_data"
_LICENCE = "that of this library"

SYNTHETIC = {
    "click_sparse": DataSet(_sparse, "tuning", "sparse ids: few rows per user and item", RANDOM, _SOURCE, _LICENCE),
    "click_dense": DataSet(_dense, "tuning", "clicks with many numeric columns", RANDOM, _SOURCE, _LICENCE),
    "click_lists": DataSet(
        _lists, "confirming", "multi-valued: an item known by its tags alone", RANDOM, _SOURCE, _LICENCE
    ),
    "click_rare": DataSet(_rare, "confirming", "rare clicks: 1 in 100", RANDOM, _SOURCE, _LICENCE),
    "click_drift": DataSet(
        _drift,
        "confirming",
        "drift: new items, popularity that changes",
        "first 80% of the impressions by time, next 10%, last 10%",
        _SOURCE,
        _LICENCE,
    ),
}
