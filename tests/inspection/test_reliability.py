import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from sk_finalmlp.inspection import ReliabilityDisplay, reliability_bins
from sk_finalmlp.metrics import expected_calibration_error


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 9, 900)
    clicked = (rng.random(900) < probability).astype(int)
    return clicked, probability, rng.integers(0, 4, 900).astype(float)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_error_is_that_of_the_metric(predictions, strategy, weighted):
    clicked, probability, weight = predictions
    arguments = {"n_bins": 7, "strategy": strategy, "sample_weight": weight if weighted else None}
    display = ReliabilityDisplay.from_predictions(clicked, probability, **arguments)
    assert display.calibration_error == pytest.approx(expected_calibration_error(clicked, probability, **arguments))


def test_bins_are_means_of_their_rows(predictions):
    clicked, probability, weight = predictions
    bins = reliability_bins(clicked, probability, n_bins=5, sample_weight=weight)
    assert bins["rows"].sum() == (weight > 0).sum()
    for position, of_bin in bins.iterrows():
        lowest = -1 if position == 0 else of_bin["low"]
        rows = (probability > lowest) & (probability <= of_bin["high"]) & (weight > 0)
        assert of_bin["rows"] == rows.sum()
        assert of_bin["weight"] == weight[rows].sum()
        assert of_bin["mean_probability"] == pytest.approx(np.average(probability[rows], weights=weight[rows]))
        assert of_bin["click_rate"] == pytest.approx(np.average(clicked[rows], weights=weight[rows]))


def test_interval_is_wilsons(predictions):
    clicked, probability, _ = predictions
    bins = reliability_bins(clicked, probability, n_bins=4, confidence_level=0.9)
    for _, of_bin in bins.iterrows():
        n_clicks = round(of_bin["click_rate"] * of_bin["rows"])
        exact = binomtest(n_clicks, int(of_bin["rows"])).proportion_ci(confidence_level=0.9, method="wilson")
        assert of_bin["click_rate_low"] == pytest.approx(exact.low, abs=1e-12)
        assert of_bin["click_rate_high"] == pytest.approx(exact.high, abs=1e-12)


def test_scale_of_the_weights_changes_no_interval(predictions):
    clicked, probability, weight = predictions
    bins = reliability_bins(clicked, probability, sample_weight=weight)
    scaled = reliability_bins(clicked, probability, sample_weight=100 * weight)
    pd.testing.assert_frame_equal(bins.drop(columns="weight"), scaled.drop(columns="weight"))


def test_bins_without_rows_are_left_out():
    bins = reliability_bins([0, 1, 1], [0.05, 0.05, 0.95], n_bins=10, strategy="uniform")
    assert bins[["low", "high", "rows"]].to_numpy() == pytest.approx(np.array([[0, 0.1, 2], [0.9, 1, 1]]))
    assert len(reliability_bins([0, 1, 1], [0.5, 0.5, 0.5])) == 1


def test_from_estimator_takes_the_probability_of_the_click(predictions):
    clicked, probability, weight = predictions
    X = probability[:, np.newaxis]
    y = np.where(clicked, "yes", "no")
    classifier = LogisticRegression().fit(X, y)
    display = ReliabilityDisplay.from_estimator(classifier, X, y, sample_weight=weight, pos_label="no")
    expected = reliability_bins(1 - clicked, classifier.predict_proba(X)[:, 0], sample_weight=weight)
    pd.testing.assert_frame_equal(display.bins, expected)


def test_two_models_share_a_panel_and_one_diagonal(predictions):
    clicked, probability, _ = predictions
    first = ReliabilityDisplay.from_predictions(clicked, probability, name="first")
    second = ReliabilityDisplay.from_predictions(clicked, probability**2, n_bins=5, name="second", ax=first.axes_)
    labels = [text.get_text() for text in second.axes_[0].get_legend().get_texts()]
    assert labels == [
        "perfectly calibrated",
        f"first (calibration error {first.calibration_error:.4f})",
        f"second (calibration error {second.calibration_error:.4f})",
    ]
    assert len(plt.get_fignums()) == 1


def test_picture_holds_the_numbers(predictions):
    clicked, probability, _ = predictions
    display = ReliabilityDisplay.from_predictions(clicked, probability)
    (diagram,) = display.axes_
    points = diagram.containers[0].lines[0]
    np.testing.assert_array_equal(points.get_xydata(), display.bins[["mean_probability", "click_rate"]])
    assert diagram.get_legend().get_texts()[1].get_text().startswith("calibration error 0.0")


def test_numbers_need_no_matplotlib(predictions, monkeypatch):
    clicked, probability, _ = predictions
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = ReliabilityDisplay(reliability_bins(clicked, probability))
    assert 0 < display.calibration_error < 0.1
    with pytest.raises(ImportError, match=r'ReliabilityDisplay.plot .* pip install "sk-finalmlp\[plot\]"'):
        display.plot()
