"""Impressions in the shape of Frappe, and the configuration that the paper's authors published for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from sk_finalmlp import published_configs

# With a row more for each field, the 5,399 rows of the reference's embedding tables, that of unseen values included.
N_CODES = {
    "user": 955,
    "item": 4083,
    "daytime": 8,
    "weekday": 8,
    "isweekend": 3,
    "homework": 4,
    "cost": 3,
    "weather": 10,
    "country": 81,
    "city": 234,
}

PUBLISHED: dict[str, Any] = {**published_configs["finalmlp_frappe"], "random_state": 0, "device": "cpu"}

BATCH_SIZE: int = PUBLISHED["batch_size"]


def make_frappe_like(n_rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Codes from 0 in ten columns, few of them in most rows, and clicks that depend on user and item."""
    rng = np.random.default_rng(seed)
    # The cube gives the r-th most frequent code a share in proportion to r ** (-2/3).
    codes = {name: (rng.random(n_rows) ** 3 * n_codes).astype(np.int64) for name, n_codes in N_CODES.items()}
    effects = {name: rng.standard_normal(N_CODES[name]) for name in ("user", "item")}
    log_odds = sum(effects[name][codes[name]] for name in effects) - 1
    clicks = (rng.random(n_rows) < expit(log_odds)).astype(np.int64)
    return pd.DataFrame(codes), pd.Series(clicks, name="click")


def with_names(X: pd.DataFrame) -> pd.DataFrame:
    """The same impressions as a raw table: each code a string."""
    return pd.DataFrame({name: name + "_" + column.astype("str") for name, column in X.items()})
