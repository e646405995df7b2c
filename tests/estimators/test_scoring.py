"""Early stopping by scorers of scikit-learn and by functions."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, get_scorer, make_scorer, roc_auc_score

from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier
from sk_finalmlp.metrics import grouped_auc, make_grouped_auc_scorer

FAST = {"max_epochs": 3, "n_members": 1, "num_heads": 1, "stream1__hidden_units": (16,), "stream2": None}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"item": rng.integers(0, 30, 1200), "user": rng.integers(0, 40, 1200), "z": rng.normal(size=1200)})
    return X, (rng.random(1200) < 0.1 + 0.4 * (X["item"] % 3 == 0)).to_numpy().astype(int)


def make(**parameters):
    return FinalMLPClassifier(random_state=0, fusion="sum").set_params(**{**FAST, **parameters})


def own_auc(estimator, X, y):
    return roc_auc_score(y, estimator.predict_proba(X)[:, 1])


def test_a_name_is_that_of_a_scorer(table):
    X, y = table
    clf = make(scoring="average_precision").fit(X, y)
    scores = [record["valid_average_precision"] for record in clf.history_]
    assert clf.best_score_ == max(scores)
    assert clf.best_epoch_ == 1 + np.argmax(scores)


def test_validation_rows_of_ones_own_are_scored_as_the_model_scores_them(table):
    X, y = table
    clf = make(scoring="average_precision").fit(X[:900], y[:900], X_val=X[900:], y_val=y[900:])
    found = average_precision_score(y[900:], clf.predict_proba(X[900:])[:, 1])
    assert clf.best_score_ == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("scoring", [own_auc, make_scorer(roc_auc_score, response_method="decision_function")])
def test_a_function_is_like_the_name(table, scoring):
    by_name, by_function = (make(scoring=each).fit(*table) for each in ("roc_auc", scoring))
    np.testing.assert_array_equal(by_name.predict_proba(table[0]), by_function.predict_proba(table[0]))
    name = {own_auc: "valid_own_auc"}.get(scoring, "valid_roc_auc_score")
    for one, other in zip(by_name.history_, by_function.history_, strict=True):
        assert other[name] == pytest.approx(one["valid_auc"])


@pytest.mark.parametrize(
    ("scoring", "name"), [(make_grouped_auc_scorer("user"), "valid_grouped_auc"), (partial(own_auc), "valid_own_auc")]
)
def test_a_function_with_arguments_keeps_its_name(table, scoring, name):
    X, y = table
    clf = make(scoring=scoring).fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
    predicted = clf.predict_proba(X[1000:])[:, 1]
    groups = X["user"][1000:] if name == "valid_grouped_auc" else np.zeros(200)
    assert clf.history_[clf.best_epoch_ - 1][name] == pytest.approx(grouped_auc(y[1000:], predicted, groups=groups))


def test_a_function_sees_the_codes_and_floats_of_the_rows(table):
    X, y = table
    seen = []

    def look(estimator, X, y):
        seen.append((X, y, estimator.classes_.tolist(), estimator.predict(X[X["z"] > 0])))
        return 1.0

    labels = np.array(["no", "yes"])[y]
    X_val = X[1000:].assign(item=X["item"][1000:].replace(5, 500))
    make(scoring=look).fit(X[:1000], labels[:1000], X_val=X_val, y_val=labels[1000:])
    rows, given, classes, predicted = seen[0]
    expected = X_val.replace({"item": {500: -1}}).reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected, check_dtype=False)
    assert given.tolist() == labels[1000:].tolist()
    assert classes == ["no", "yes"]
    assert len(predicted) == (X_val["z"] > 0).sum()


def test_rows_on_disk(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"item": rng.integers(0, 9, 600).astype(str), "click": np.arange(600) % 2})
    X.to_parquet(tmp_path / "rows.parquet")
    rows = CTREncoder().fit_transform(tmp_path / "rows.parquet", "click")
    clf = make(scoring=own_auc).fit(rows, "click")
    assert clf.history_[0]["valid_own_auc"] == pytest.approx(clf.history_[0]["valid_auc"])


def test_weights_reach_the_scorer(table):
    X, y = table
    weight = np.where(y == 1, 3.0, 1.0)

    def weighted(estimator, X, y, sample_weight=None):
        return get_scorer("neg_log_loss")(estimator, X, y, sample_weight=sample_weight)

    for scoring in (weighted, make_scorer(lambda y, p, sample_weight: sample_weight.max() / sample_weight.min())):
        clf = make(scoring=scoring).fit(X, y, weight)
        first = clf.history_[0]
    assert clf.best_score_ == pytest.approx(3)
    assert first["valid_score"] == clf.best_score_
    record = make(scoring=weighted).fit(X, y, weight).history_[0]
    assert record["valid_weighted"] == pytest.approx(-record["valid_loss"], rel=1e-4)
    with pytest.raises(ValueError, match="'own_auc' takes no sample_weight, but the validation rows have weights"):
        make(scoring=own_auc).fit(X, y, weight)


@pytest.mark.parametrize(
    ("scoring", "match"),
    [
        ("average_precison", "Did you mean 'average_precision'"),
        ("neg_normalized_entropy", r"such as sk_finalmlp\.metrics\.get_scorer returns"),
        (roc_auc_score, r"scoring=roc_auc_score is a metric.*sklearn\.metrics\.make_scorer"),
        (lambda y, p: 1.0, r"must be a function of \(estimator, X, y\), and it takes \(y, p\): too many"),
        (lambda estimator, X, y: np.nan, "'score' gives nan for the validation rows"),
        ("f1", "scoring='f1' can't score the validation rows: .*multiclass"),
        (lambda estimator, X, y: estimator.predict(X.to_numpy()).sum(), "predictions of ndarray"),
    ],
)
def test_what_is_no_score(table, scoring, match):
    X, y = table
    with pytest.raises((ValueError, TypeError), match=match):
        make(scoring=scoring).fit(X, y + (np.arange(1200) % 5 == 0))


def test_of_several_labels(table):
    X, y = table
    Y = pd.DataFrame({"click": y, "buy": y * (np.arange(1200) % 2)})
    with pytest.raises(ValueError, match=r"scoring='average_precision' is for a single label.*'roc_auc'"):
        FunnelClassifier(make(scoring="average_precision")).fit(X, Y)


def test_checkpoint_and_plateau(table, tmp_path):
    clf = make(scoring=lambda estimator, X, y: own_auc(estimator, X, y), checkpoint=tmp_path, schedule="plateau")
    assert "valid_score" in clf.fit(*table).history_[0]
