"""Other libraries behind `CTREncoder`: what it writes has names that they take, and what they lose is noticed."""

import numpy as np
import pandas as pd
import pytest

from sk_finalmlp import CTREncoder, FinalMLPClassifier

N_ROWS = 1_000


@pytest.fixture(scope="module")
def clicks():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "user": rng.integers(0, 30, N_ROWS),
            "item": rng.choice(list("abcdef"), N_ROWS),
            "tags": [rng.choice(["new", "red", "old"], n, replace=False).tolist() for n in rng.integers(0, 4, N_ROWS)],
            "past": [rng.choice(list("abcdef"), n).tolist() for n in rng.integers(0, 4, N_ROWS)],
            "text": list(rng.normal(size=(N_ROWS, 2))),
        }
    )
    return X, (rng.random(N_ROWS) < np.where(X["item"] < "c", 0.6, 0.2)).astype(int)


@pytest.fixture(scope="module")
def encoded(clicks):
    vectors = pd.DataFrame(np.eye(6), index=list("abcdef"))
    encoder = CTREncoder(
        histories={"past": "item"}, vectors={"item": vectors}, crosses=[("user", "item")], statistics=["item", "tags"]
    )
    return encoder.fit_transform(*clicks)


@pytest.mark.parametrize(
    ("package", "name", "parameters"),
    [
        ("lightgbm", "LGBMClassifier", {"n_estimators": 3, "verbose": -1, "n_jobs": 1}),
        ("xgboost", "XGBClassifier", {"n_estimators": 3, "n_jobs": 1}),
        ("catboost", "CatBoostClassifier", {"iterations": 3, "silent": True, "allow_writing_files": False}),
    ],
)
def test_boosted_trees_take_the_names(package, name, parameters, clicks, encoded):
    assert {"tags@0", "past@item@0", "item@vector", "text@1", "user & item", "tags@rate"} <= set(encoded)
    model = getattr(pytest.importorskip(package), name)(**parameters).fit(encoded, clicks[1])
    assert model.predict_proba(encoded).shape == (N_ROWS, 2)


def test_a_sampler_between_encoder_and_classifier_is_noticed(clicks):
    smote = pytest.importorskip("imblearn.over_sampling").SMOTE(random_state=0)
    X, y = clicks
    encoded = CTREncoder(statistics=["user", "item"]).fit_transform(X[["user", "item"]], y)
    with pytest.warns(UserWarning, match=r"\['user@rate', .*samplers such as SMOTE"):
        FinalMLPClassifier(max_epochs=2, n_members=1, random_state=0).fit(*smote.fit_resample(encoded, y))
