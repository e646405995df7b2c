"""Pairs of columns in any model."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import pair_interactions
from sk_finalmlp.streams import MLP

SMALL = {"embedding_regularizer": 0.0, "learning_rate": 0.03, "max_epochs": 6, "n_members": 1, "random_state": 0}


@pytest.fixture(scope="module")
def pairs():
    """Rows whose clicks depend on a pair of columns alone."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.integers(0, 4, 700) for name in ("user", "item", "noise")})
    return X, ((X["user"] + X["item"]) % 2).to_numpy()


@pytest.mark.parametrize(
    "parameters",
    [
        {"stream1": MLP((32,)), "stream2": "crossnet"},
        {"stream1": MLP((32,)), "stream2": "fm", "fusion": "sum"},
        {"stream1": "product", "stream2": None},
    ],
    ids=str,
)
def test_finds_the_pair_that_matters(pairs, parameters):
    X, y = pairs
    classifier = FinalMLPClassifier(**parameters, **SMALL).fit(X, y)
    strengths = pair_interactions(classifier, X, random_state=0)
    assert strengths.loc["user", "item"] > 3 * strengths.loc["user", "noise"]
    assert strengths.equals(strengths.T)
    assert np.isnan(np.diag(strengths)).all()


def test_is_the_second_difference_of_the_logit(pairs):
    X, _ = pairs
    classifier = FinalMLPClassifier(**SMALL).fit(X, (X["user"] + X["item"]) % 3)
    partners = np.random.RandomState(5).permutation(len(X))

    def logits(*names):
        taken = {name: X[name].to_numpy()[partners] for name in names}
        found = classifier.decision_function(X.assign(**taken))
        return found - found.mean(axis=1, keepdims=True)

    effect = logits() - logits("user") - logits("noise") + logits("user", "noise")
    strength = pair_interactions(classifier, X, columns=["noise", "user"], random_state=5).loc["user", "noise"]
    assert strength == pytest.approx(np.sqrt(np.square(effect).mean(axis=0).sum()))


def test_a_model_that_adds_up_has_none(pairs):
    X, y = pairs
    # Streams of one field each, whose logits are added.
    classifier = FinalMLPClassifier(
        stream_fields=(["user"], ["item", "noise"]), fusion="sum", feature_selection=False, **SMALL
    ).fit(X, y)
    strengths = pair_interactions(classifier, X, random_state=0)
    assert strengths.loc["user", "item"] == pytest.approx(0, abs=1e-5)
    assert strengths.loc["item", "noise"] > 1e-3


def test_columns_of_a_raw_table_and_of_any_container(pairs):
    X, y = pairs
    raw = X.assign(tags=[["a", "b"][: 1 + i % 2] for i in range(len(X))]).set_index(np.arange(len(X)) * 7)
    model = make_pipeline(CTREncoder(statistics=None), FinalMLPClassifier(**SMALL)).fit(raw, y)
    expected = pair_interactions(model, raw, random_state=0)
    assert list(expected.columns) == ["user", "item", "noise", "tags"]
    pd.testing.assert_frame_equal(pair_interactions(model, pl.from_pandas(raw), random_state=0), expected)
    of_codes = pair_interactions(model[-1], model[0].transform(raw), random_state=0)
    pd.testing.assert_frame_equal(of_codes, expected)


def test_arrays(pairs):
    X, y = pairs
    classifier = FinalMLPClassifier(**SMALL).fit(X.to_numpy(), y)
    before = X.to_numpy()
    strengths = pair_interactions(classifier, before, columns=["x0", "x2"], random_state=0)
    assert list(strengths.columns) == ["x0", "x2"]
    assert np.array_equal(before, X.to_numpy())


def test_an_unknown_column_names_those_there_are(pairs):
    X, y = pairs
    classifier = FinalMLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"X has no column 'usr'; it has \['user', 'item', 'noise'\]"):
        pair_interactions(classifier, X, columns=["usr"])
