import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from sk_finalmlp.inspection import SliceScoresDisplay, slice_scores
from sk_finalmlp.metrics import roc_auc_interval


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    n_rows = 600
    probability = rng.random(n_rows)
    clicked = (rng.random(n_rows) < probability).astype(int)
    device = rng.choice(["phone", "desk", "watch"], p=[0.6, 0.3, 0.1], size=n_rows)
    return clicked, probability, device, rng.integers(1, 4, n_rows).astype(float)


def test_scores_of_a_slice_are_those_of_its_rows(predictions):
    clicked, probability, device, weight = predictions
    scores = slice_scores(clicked, probability, device, sample_weight=weight, confidence_level=0.9)
    for name, rows in {"desk": device == "desk", "all rows": np.ones(len(device), dtype=bool)}.items():
        y, p, w = clicked[rows], probability[rows], weight[rows]
        interval = roc_auc_interval(y, p, sample_weight=w, confidence_level=0.9)
        rate = np.average(y, weights=w)
        expected = {
            "rows": rows.sum(),
            "click_rate": rate,
            "mean_probability": np.average(p, weights=w),
            "auc": roc_auc_score(y, p, sample_weight=w),
            "auc_low": interval.low,
            "auc_high": interval.high,
            "log_loss": log_loss(y, p, sample_weight=w),
            "entropy": log_loss(y, np.full(len(y), rate), sample_weight=w),
        }
        assert scores.loc[name].to_dict() == pytest.approx(expected)


def test_slices_come_by_frequency_and_the_rest_is_one(predictions):
    clicked, probability, device, _ = predictions
    assert list(slice_scores(clicked, probability, device).index) == ["phone", "desk", "watch", "all rows"]
    scores = slice_scores(clicked, probability, device, max_values=1)
    assert list(scores.index) == ["phone", "other values", "all rows"]
    assert scores["rows"].iloc[:2].sum() == len(device)


def test_integers_and_categories_keep_their_order_and_missing_values_come_last(predictions):
    clicked, probability, *_ = predictions
    hour = pd.Series([9, 10, None, 10] * 150, dtype="Int64", name="hour")
    scores = slice_scores(clicked, probability, hour)
    assert list(scores.index) == [9, 10, "missing", "all rows"]
    assert scores["rows"].tolist() == [150, 300, 150, 600]
    assert scores.index.name == "hour"
    size = pd.Categorical(["small", "large", "large"] * 200, categories=["small", "medium", "large"], ordered=True)
    assert list(slice_scores(clicked, probability, size).index) == ["small", "large", "all rows"]


def test_floats_of_many_values_are_cut_at_quantiles(predictions):
    clicked, probability, *_ = predictions
    scores = slice_scores(clicked, probability, np.linspace(0, 1, 600), max_values=4)
    assert scores["rows"].tolist() == [150, 150, 150, 150, 600]
    assert scores.index[1].mid == pytest.approx(0.375, abs=0.01)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_numbers_are_in_the_outermost_slices(predictions, infinite):
    clicked, probability, *_ = predictions
    by = np.linspace(0, 1, 600)
    by[599 if infinite > 0 else 0] = infinite
    assert slice_scores(clicked, probability, by, max_values=4)["rows"].tolist() == [150, 150, 150, 150, 600]


def test_rows_without_weight_are_left_out(predictions):
    clicked, probability, device, _ = predictions
    kept = device != "watch"
    scores = slice_scores(clicked, probability, device, sample_weight=kept.astype(float))
    pd.testing.assert_frame_equal(scores, slice_scores(clicked[kept], probability[kept], device[kept]))


def test_slices_too_small_for_an_auc_have_none():
    clicked = [1, 1, 0, 1, 0, 0, 1, 1]
    probability = [0.3, 0.4, 0.1, 0.2, 0.1, 0.2, 0.5, 0.6]
    scores = slice_scores(clicked, probability, by=["a", "a", "b", "b", "c", "c", "c", "c"])
    assert scores.loc["a", ["auc", "auc_low", "auc_high"]].isna().all()
    assert scores.loc["b", "auc"] == 1
    assert scores.loc[["b", "c"], ["auc_low", "auc_high"]].isna().all(axis=None)
    assert scores["log_loss"].notna().all()
    assert SliceScoresDisplay(scores).plot().axes_[0].get_xlabel() == "AUC"


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_from_estimator_takes_a_column_by_name(predictions, library):
    clicked, probability, device, _ = predictions
    X = library({"logit": np.log(probability / (1 - probability)), "half": np.arange(600) % 2})
    classifier = LogisticRegression().fit(X, clicked)
    display = SliceScoresDisplay.from_estimator(classifier, X, clicked, "half", pos_label=0)
    expected = slice_scores(clicked, classifier.predict_proba(X)[:, 0], X["half"], pos_label=0)
    pd.testing.assert_frame_equal(display.scores, expected)
    assert len(SliceScoresDisplay.from_estimator(classifier, X, clicked, device).scores) == 4


def test_picture_holds_the_numbers(predictions):
    clicked, probability, device, _ = predictions
    figure, (left, _) = plt.subplots(1, 2)
    display = SliceScoresDisplay.from_predictions(clicked, probability, pd.Series(device, name="device"), ax=left)
    assert display.figure_ is figure
    auc, loss = display.axes_
    labels = [label.get_text() for label in auc.get_yticklabels()]
    assert labels[0] == f"phone  (n = {(device == 'phone').sum()})"
    assert labels[-1] == "all rows  (n = 600)"
    np.testing.assert_array_equal(auc.containers[0].lines[0].get_xdata(), display.scores["auc"])
    np.testing.assert_array_equal(loss.get_lines()[0].get_xdata(), display.scores["log_loss"])


def test_bad_columns_are_named(predictions):
    clicked, probability, *_ = predictions
    X = pd.DataFrame({"p": probability})
    classifier = LogisticRegression().fit(X, clicked)
    with pytest.raises(ValueError, match=r"by='hour' isn't a column of X; its columns are \['p'\]"):
        SliceScoresDisplay.from_estimator(classifier, X, clicked, "hour")
    with pytest.raises(ValueError, match="X has no names: pass the values"):
        SliceScoresDisplay.from_estimator(LogisticRegression().fit(X.to_numpy(), clicked), X.to_numpy(), clicked, "p")
    with pytest.raises(ValueError, match="by 'tags' must hold one value for each row"):
        slice_scores(clicked, probability, pd.Series([["a", "b"]] * 600, name="tags"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        slice_scores(clicked, probability, ["a"])
    with pytest.raises(ValueError, match="pos_label=2 is not a valid label"):
        SliceScoresDisplay.from_estimator(classifier, X, clicked, clicked, pos_label=2)
    three = LogisticRegression().fit(X, np.arange(600) % 3)
    with pytest.raises(ValueError, match="has the 3 classes"):
        SliceScoresDisplay.from_estimator(three, X, clicked, clicked)


def test_numbers_need_no_matplotlib(predictions, monkeypatch):
    clicked, probability, device, _ = predictions
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert len(slice_scores(clicked, probability, device)) == 4
    with pytest.raises(ImportError, match=r'SliceScoresDisplay.from_predictions .* pip install "sk-finalmlp\[plot\]"'):
        SliceScoresDisplay.from_predictions(clicked, probability, device)
