"""Expected calibration error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.metrics import expected_calibration_error

quick = settings(max_examples=60, deadline=None)

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20).map(lambda twentieths: twentieths / 20), st.integers(0, 3)), max_size=40
)


def columns(rows):
    return tuple(np.array(column) for column in zip(*[*rows, (True, 0.4, 1)], strict=True))


def by_loop(clicks, probabilities, bins):
    error = 0
    for i in np.unique(bins):
        rows = bins == i
        error += rows.mean() * abs(clicks[rows].mean() - probabilities[rows].mean())
    return error


@quick
@given(ROWS, st.integers(1, 20))
def test_uniform_bins_are_those_of_guo_et_al(rows, n_bins):
    clicks, probabilities, _ = columns(rows)
    m = np.arange(1, n_bins + 1)
    bins = ((probabilities[:, None] > (m - 1) / n_bins) & (probabilities[:, None] <= m / n_bins)).argmax(axis=1)
    measured = expected_calibration_error(clicks, probabilities, n_bins=n_bins, strategy="uniform")
    assert measured == pytest.approx(by_loop(clicks, probabilities, bins))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_it_is_the_mean_distance_of_the_calibration_curve(strategy):
    rng = np.random.default_rng(0)
    probabilities = rng.beta(1, 5, size=1000)
    clicks = rng.random(1000) < probabilities**2
    rates, means = calibration_curve(clicks, probabilities, n_bins=10, strategy=strategy)
    counts = np.histogram(probabilities, np.linspace(0, 1, 11))[0] if strategy == "uniform" else np.full(10, 100)
    measured = expected_calibration_error(clicks, probabilities, strategy=strategy)
    assert measured == pytest.approx(np.average(np.abs(rates - means), weights=counts[counts > 0]))


@quick
@given(ROWS, st.integers(1, 12))
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_integer_weights_are_repetitions(strategy, rows, n_bins):
    clicks, probabilities, weights = columns(rows)
    weighted = expected_calibration_error(
        clicks, probabilities, n_bins=n_bins, strategy=strategy, sample_weight=weights
    )
    clicks, probabilities = np.repeat(clicks, weights), np.repeat(probabilities, weights)
    repeated = expected_calibration_error(clicks, probabilities, n_bins=n_bins, strategy=strategy)
    assert weighted == pytest.approx(repeated)


@quick
@given(ROWS, st.permutations(range(12)))
def test_order_of_rows_does_not_matter(rows, order):
    clicks, probabilities, weights = columns(rows)
    order = [row for row in order if row < len(clicks)] + list(range(12, len(clicks)))
    measured = expected_calibration_error(clicks, probabilities, sample_weight=weights)
    shuffled = expected_calibration_error(clicks[order], probabilities[order], sample_weight=weights[order])
    assert shuffled == pytest.approx(measured)


@quick
@given(ROWS)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_one_bin_compares_the_means_and_more_bins_find_no_less(strategy, rows):
    clicks, probabilities, _ = columns(rows)
    one = expected_calibration_error(clicks, probabilities, n_bins=1, strategy=strategy)
    assert one == pytest.approx(abs(clicks.mean() - probabilities.mean()))
    assert one - 1e-12 <= expected_calibration_error(clicks, probabilities, strategy=strategy) <= 1


def test_true_probabilities_are_calibrated_and_halved_ones_are_not():
    _, clicks, probabilities = make_click_data(50_000, click_rate=0.05, random_state=0)
    assert expected_calibration_error(clicks, probabilities) < 0.004
    assert expected_calibration_error(clicks, probabilities / 2) == pytest.approx(clicks.mean() / 2, abs=0.002)


def test_quantile_bins_see_what_one_uniform_bin_of_rare_clicks_hides():
    probabilities = np.repeat([0.01, 0.09], 1000)
    clicks = np.arange(2000) % 20 == 0
    assert expected_calibration_error(clicks, probabilities, strategy="uniform") == pytest.approx(0)
    assert expected_calibration_error(clicks, probabilities) == pytest.approx(0.04)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.25), (-1, 0.25), (False, 0.25), (1, 0.75), (True, 0.75)])
def test_one_class_is_enough_where_its_label_says_which(label, expected):
    assert expected_calibration_error([label] * 2, [0.2, 0.3]) == pytest.approx(expected)


def test_one_class_of_strings_needs_a_label():
    with pytest.raises(ValueError, match="y_true holds the label 'no' only: pass pos_label"):
        expected_calibration_error(["no", "no"], [0.2, 0.3])
    assert expected_calibration_error(["no", "no"], [0.2, 0.3], pos_label="yes") == pytest.approx(0.25)


@pytest.mark.parametrize("parameters", [{"n_bins": 0}, {"n_bins": 2.5}, {"strategy": "kmeans"}])
def test_parameters_out_of_range(parameters):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter"):
        expected_calibration_error([0, 1], [0.2, 0.3], **parameters)
