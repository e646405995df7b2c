"""Impressions of items whose click rates drift."""

import numpy as np
import pandas as pd

N_ITEMS = 120


def log(n=8_000, seed=0, drift=2.0):
    """Impressions in the order of time; the log-odds of each item swing between two values, back and forth."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.random(n))
    item = rng.integers(N_ITEMS, size=n)
    logits = drift * np.sin(np.pi * (time + 2 * rng.random(N_ITEMS)[item])) + rng.normal(size=N_ITEMS)[item]
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta((time * 100).round(4), "D")
    X = pd.DataFrame({"item": item.astype(str), "screen": rng.choice(["phone", "tv"], n), "time": times})
    return X, (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(int)
