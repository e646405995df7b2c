"""The metrics as scorers in searches and cross-validation."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.metrics
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.metrics import (
    expected_calibration_error,
    get_scorer,
    grouped_auc,
    make_grouped_auc_scorer,
    normalized_entropy,
    relative_information_gain,
)

N_TRAIN = 2000


@pytest.fixture(scope="module")
def impressions():
    X, y, _ = make_click_data(3000, n_users=60, n_items=40, random_state=0)
    return X[["user", "item"]], y


@pytest.fixture(scope="module")
def held_out():
    """The split of the first rows to train on and the others to score."""
    return PredefinedSplit(np.where(np.arange(3000) < N_TRAIN, -1, 0))


def pipeline(classifier=None):
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["user", "item"]))
    return Pipeline([("enc", encoder), ("clf", classifier or LogisticRegression())])


@pytest.fixture(scope="module")
def rows(impressions):
    """Held-out rows, their labels and what the pipeline says of them."""
    X, y = impressions
    model = pipeline().fit(X[:N_TRAIN], y[:N_TRAIN])
    return X[N_TRAIN:], y[N_TRAIN:], model.predict_proba(X[N_TRAIN:])[:, 1]


def test_scorers_by_name_in_cross_validation(impressions, held_out, rows):
    _, y_test, probabilities = rows
    names = ["neg_expected_calibration_error", "neg_normalized_entropy", "relative_information_gain"]
    scorers = {name: get_scorer(name) for name in [*names, "roc_auc"]}
    scores = cross_validate(pipeline(), *impressions, cv=held_out, scoring=scorers)
    assert scores["test_neg_normalized_entropy"] == pytest.approx(-normalized_entropy(y_test, probabilities))
    assert scores["test_relative_information_gain"] == pytest.approx(relative_information_gain(y_test, probabilities))
    assert scores["test_neg_expected_calibration_error"] == pytest.approx(
        -expected_calibration_error(y_test, probabilities)
    )
    assert scores["test_roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(y_test, probabilities))


def test_search_prefers_the_lower_entropy(impressions):
    grid = {"clf": [LogisticRegression(), DummyClassifier(strategy="prior")]}
    search = GridSearchCV(pipeline(), grid, scoring=get_scorer("neg_normalized_entropy"), cv=3).fit(*impressions)
    assert isinstance(search.best_params_["clf"], LogisticRegression)
    assert -1 < search.best_score_ < 0
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(-1, abs=0.001)


def test_search_by_grouped_auc_with_routed_groups(impressions, held_out, rows):
    X, y = impressions
    X_test, y_test, probabilities = rows
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer("grouped_auc").set_score_request(groups=True)
        search = GridSearchCV(pipeline(), {"clf__C": [1.0, 1e-6]}, scoring=scorer, cv=held_out)
        search.fit(X, y, groups=X["user"])
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(grouped_auc(y_test, probabilities, X_test["user"]))


def test_groups_and_weights_are_routed_together(impressions, held_out, rows):
    X, y = impressions
    X_test, y_test, probabilities = rows
    weight = np.random.default_rng(0).random(len(y))
    with config_context(enable_metadata_routing=True):
        scorers = {
            "grouped_auc": get_scorer("grouped_auc").set_score_request(groups="user", sample_weight=True),
            "entropy": get_scorer("neg_normalized_entropy").set_score_request(sample_weight=True),
        }
        model = pipeline(LogisticRegression().set_fit_request(sample_weight=False))
        params = {"user": X["user"], "sample_weight": weight}
        scores = cross_validate(model, X, y, cv=held_out, scoring=scorers, params=params)
    weights = weight[N_TRAIN:]
    assert scores["test_grouped_auc"] == pytest.approx(
        grouped_auc(y_test, probabilities, X_test["user"], sample_weight=weights)
    )
    assert scores["test_entropy"] == pytest.approx(-normalized_entropy(y_test, probabilities, sample_weight=weights))


def test_folds_of_users_and_their_auc_share_the_groups(impressions):
    X, y = impressions
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer("grouped_auc").set_score_request(groups=True)
        params = {"groups": X["user"]}
        routed = cross_val_score(pipeline(), X, y, cv=GroupKFold(3), scoring=scorer, params=params, error_score="raise")
    folds = list(GroupKFold(3).split(X, y, X["user"]))
    assert routed == pytest.approx(cross_val_score(pipeline(), X, y, cv=folds, scoring=make_grouped_auc_scorer("user")))


def test_groups_forgotten(impressions):
    with pytest.raises(ValueError, match=r"set_score_request\(groups=True\), or from a column of X"):
        cross_val_score(pipeline(), *impressions, scoring=get_scorer("grouped_auc"), error_score="raise")


@pytest.mark.parametrize("group_weight", ["rows", "clicks", "uniform"])
def test_search_by_grouped_auc_of_a_column(group_weight, impressions, held_out, rows):
    X_test, y_test, probabilities = rows
    scorer = make_grouped_auc_scorer("user", group_weight=group_weight)
    search = GridSearchCV(pipeline(), {"clf__C": [1.0, 1e-6]}, scoring=scorer, cv=held_out).fit(*impressions)
    expected = grouped_auc(y_test, probabilities, X_test["user"], group_weight=group_weight)
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("routing", [False, True])
def test_column_scorer_beside_others(routing, impressions, held_out, rows):
    X_test, y_test, probabilities = rows
    scorers = {"grouped_auc": make_grouped_auc_scorer("user"), "roc_auc": "roc_auc"}
    with config_context(enable_metadata_routing=routing):
        scores = cross_validate(pipeline(), *impressions, cv=held_out, scoring=scorers)
    assert scores["test_grouped_auc"] == pytest.approx(grouped_auc(y_test, probabilities, X_test["user"]))


def test_column_scorer_takes_weights(impressions, rows):
    X_test, y_test, probabilities = rows
    X, y = impressions
    weight = np.random.default_rng(0).random(len(y_test))
    model = pipeline().fit(X[:N_TRAIN], y[:N_TRAIN])
    measured = make_grouped_auc_scorer("user")(model, X_test, y_test, sample_weight=weight)
    assert measured == pytest.approx(grouped_auc(y_test, probabilities, X_test["user"], sample_weight=weight))


def test_column_of_an_array_or_a_polars_frame():
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.integers(0, 9, 200), rng.normal(size=200)])
    clicks = rng.random(200) < 0.3
    frame = pd.DataFrame(values, columns=["user", "value"])
    by_name, by_position = make_grouped_auc_scorer("user"), make_grouped_auc_scorer(0)
    model = LogisticRegression()
    expected = by_position(model.fit(values, clicks), values, clicks)
    assert by_name(model.fit(frame, clicks), frame, clicks) == pytest.approx(expected)
    polars = pl.from_pandas(frame)
    assert by_name(model.fit(polars, clicks), polars, clicks) == pytest.approx(expected)
    for scorer, X in ((by_name, values), (by_position, frame), (make_grouped_auc_scorer(2), values)):
        with pytest.raises(ValueError, match=r"X has no column .* to group by"):
            scorer(model.fit(X, clicks), X, clicks)


def test_click_is_the_second_class_unless_said_otherwise(impressions, rows):
    X, y = impressions
    X_test, y_test, probabilities = rows
    named = np.where(y, "click", "none")
    model = pipeline().fit(X[:N_TRAIN], named[:N_TRAIN])
    expected = grouped_auc(y_test, probabilities, X_test["user"])
    scorer = make_grouped_auc_scorer("user", pos_label="click")
    assert scorer(model, X_test, named[N_TRAIN:]) == pytest.approx(expected)
    others = grouped_auc(1 - y_test, 1 - probabilities, X_test["user"])
    assert make_grouped_auc_scorer("user")(model, X_test, named[N_TRAIN:]) == pytest.approx(others)


def test_ranking_needs_no_probabilities(impressions, held_out):
    scores = cross_val_score(
        pipeline(RidgeClassifier()), *impressions, cv=held_out, scoring=make_grouped_auc_scorer("user")
    )
    assert 0.5 < scores[0] < 1


def test_scorers_are_pickled(impressions):
    for scorer in (get_scorer("neg_normalized_entropy"), make_grouped_auc_scorer("user")):
        copy = pickle.loads(pickle.dumps(scorer))
        model = pipeline().fit(*impressions)
        assert copy(model, *impressions) == scorer(model, *impressions)


def test_every_call_gives_a_new_object():
    with config_context(enable_metadata_routing=True):
        get_scorer("grouped_auc").set_score_request(groups=True)
        assert "groups" not in get_scorer("grouped_auc").get_metadata_routing().consumes("score", ["groups"])


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'gauc' is neither a scorer of scikit-learn nor one of \['grouped_auc'"):
        get_scorer("gauc")
