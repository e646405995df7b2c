import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def table():
    """Codes and floats whose clicks depend on a pair of codes and on a number."""
    rng = np.random.default_rng(0)
    n_rows = 2000
    X = pd.DataFrame(
        {
            "user": rng.integers(0, 20, n_rows),
            "item": rng.integers(0, 30, n_rows),
            "tags@0": rng.integers(0, 6, n_rows),
            "tags@1": rng.integers(0, 6, n_rows),
            "is_new": rng.random(n_rows) < 0.3,
            "price": rng.standard_normal(n_rows),
        }
    )
    logit = 3 * np.sin(X["user"]) * np.sin(X["item"]) + X["price"] + (X["tags@0"] == 3)
    y = (logit + rng.logistic(size=n_rows) * 0.5 > 0).astype(int).to_numpy()
    return X, y


@pytest.fixture
def parameters_of_the_run():
    """Parameters of every classifier that say nothing of the published model, whose tables hold no histories."""
    return {
        "history_pooling",
        "checkpoint",
        "hold_out",
        "validation_fraction",
        "categorical_features",
        "warm_start",
        "random_state",
        "device",
        "verbose",
    }
