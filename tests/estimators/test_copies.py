"""Rows that were repeated before the training."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.streams import MLP

COPIES = "of the held-out rows of the rarer classes are exact copies of training rows.* give sample_weight instead"


def model(**parameters):
    small = {"stream1": MLP((8,)), "stream2": MLP((8,)), "num_heads": 1, "n_members": 1, "max_epochs": 1}
    return make_pipeline(CTREncoder(), FinalMLPClassifier(**small, random_state=0, **parameters))


@pytest.fixture(scope="module")
def clicks():
    X, y, _ = make_click_data(3_000, click_rate=0.2, random_state=0)
    return X, y


def test_of_the_clicks(clicks):
    X, y = clicks
    others = np.flatnonzero(y == 0)
    rows = np.r_[others, np.random.default_rng(0).choice(np.flatnonzero(y == 1), len(others))]
    with pytest.warns(UserWarning, match=f"9.% {COPIES}"):
        model().fit(X.iloc[rows], y[rows])


def test_in_a_bootstrap_sample(clicks):
    X, y = clicks
    rows = np.random.default_rng(0).integers(len(y), size=len(y))
    with pytest.warns(UserWarning, match=COPIES):
        model().fit(X.iloc[rows], y[rows])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_in_samples_without_replacement(clicks):
    X, y = clicks
    bagging = BaggingClassifier(model(), n_estimators=2, bootstrap=False, max_samples=0.8, random_state=0)
    bagging.fit(X[["user", "item", "segment"]], y)


def test_rows_of_few_values_that_look_alike_are_no_copies():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(20, size=3_000), "item": rng.integers(5, size=3_000)})
    model().fit(X, rng.integers(0, 2, 3_000))
    model().fit(X, X["user"] % 2)
