"""Models of a few weeks of log, used on the days after them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

N_DAYS, N_LATER = 20, 4


def noise(n_rows, seed, parts_as_columns):
    """Clicks at a rate of .010 that depend on nothing, on 20 days and on the 4 after them."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.integers(0, (N_DAYS + N_LATER) * 24 * 60, n_rows * (N_DAYS + N_LATER) // N_DAYS))
    times = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min"))
    X = pd.DataFrame({"user": rng.zipf(1.6, len(minutes)) % 200, "item": rng.integers(0, 50, len(minutes))})
    if parts_as_columns:
        X = X.assign(year=times.dt.year, month=times.dt.month, day=times.dt.day, hour=times.dt.hour)
    else:
        X = X.assign(time=times)
    clicks = (rng.random(len(X)) < 0.010).astype(int)
    is_later = minutes >= N_DAYS * 24 * 60
    return X[~is_later], clicks[~is_later], X[is_later]


@pytest.mark.filterwarnings("ignore:Column '(year|month|day)' is left out:UserWarning")
@pytest.mark.parametrize("parts_as_columns", [False, True], ids=["datetime", "columns of integers"])
def test_clicks_that_are_noise_are_as_rare_on_later_days(parts_as_columns):
    X, clicks, later = noise(20_000, 0, parts_as_columns)
    small = FinalMLPClassifier(stream1=MLP((32,)), stream2=MLP((32,)), num_heads=1, n_members=1, random_state=0)
    model = make_pipeline(CTREncoder(), small).fit(X, clicks)
    assert model.predict_proba(later)[:, 1].mean() == pytest.approx(clicks.mean(), rel=0.2)
