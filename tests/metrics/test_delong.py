"""DeLong's interval and paired test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import brunnermunzel, norm
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score

from sk_finalmlp.metrics import delong_test, roc_auc_interval

quick = settings(max_examples=60, deadline=None)

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-4, 4), st.integers(-4, 4), st.floats(0.1, 10)), min_size=1, max_size=30
)


def columns(rows):
    """Clicks, two models' scores and weights, with rows enough in each class, and an AUC between 0 and 1."""
    rows = [*rows, (False, 0, 1, 1.0), (True, 0, 2, 1.0), (False, 1, 1, 1.0), (True, 2, 2, 1.0)]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def structural_components(clicks, scores):
    """The AUC and the components V10 and V01 of DeLong et al. (1988), pair by pair."""
    x, y = scores[clicks][:, None], scores[~clicks][None, :]
    psi = (x > y) + 0.5 * (x == y)
    return psi.mean(), psi.mean(axis=1), psi.mean(axis=0)


def covariance(clicks, scores):
    """S, the covariance matrix of several AUCs of DeLong et al. (1988)."""
    _, v10, v01 = zip(*(structural_components(clicks, column) for column in scores), strict=True)
    return np.cov(v10) / clicks.sum() + np.cov(v01) / (~clicks).sum()


@quick
@given(ROWS)
def test_interval_by_the_published_formulas(rows):
    clicks, scores, _, _ = columns(rows)
    auc, _, _ = structural_components(clicks, scores)
    error = np.sqrt(covariance(clicks, [scores, scores])[0, 0])
    measured = roc_auc_interval(clicks, scores, confidence_level=0.9)
    assert measured.auc == pytest.approx(auc)
    assert measured.standard_error == pytest.approx(error)
    assert measured.low == pytest.approx(max(0, auc - norm.ppf(0.95) * error))
    assert measured.high == pytest.approx(min(1, auc + norm.ppf(0.95) * error))


@quick
@given(ROWS)
def test_difference_by_the_published_formulas(rows):
    clicks, first, second, _ = columns(rows)
    contrast = np.array([1, -1])
    error = np.sqrt(max(0, contrast @ covariance(clicks, [first, second]) @ contrast))
    difference = structural_components(clicks, first)[0] - structural_components(clicks, second)[0]
    measured = delong_test(clicks, first, second)
    assert measured.difference == pytest.approx(difference)
    assert measured.standard_error == pytest.approx(error, abs=1e-7)
    if measured.standard_error > 0:
        assert measured.statistic == pytest.approx(difference / error)
        assert measured.pvalue == pytest.approx(2 * norm.sf(abs(difference / error)))


def test_standard_error_is_that_of_the_brunner_munzel_test():
    rng = np.random.default_rng(0)
    clicks = rng.random(300) < 0.3
    scores = rng.integers(0, 30, 300) + 5 * clicks
    measured = roc_auc_interval(clicks, scores)
    statistic, _ = brunnermunzel(scores[~clicks], scores[clicks])
    assert (measured.auc - 0.5) / measured.standard_error == pytest.approx(statistic)


def test_figures_of_another_implementation():
    """The examples of the package pauc 0.1.7, which follows Sun and Xu (2014)."""
    clicks = [0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1]
    scores = [0.1, 0.35, 0.24, 0.8, 0.2, 0.85, 0.13, 0.85, 0.74, 0.58, 0.71, 0.25]
    auc, low, high, _ = roc_auc_interval(clicks, scores)
    assert [round(value, 3) for value in (auc, low, high)] == [0.708, 0.378, 1.0]
    first, second = [0.1, 0.35, 0.4, 0.8, 0.2, 0.75, 0.1], [0.5, 0.92, 0.1, 0.1, 0.8, 0.95, 0.9]
    assert delong_test([0, 0, 1, 1, 0, 1, 0], first, second).pvalue == pytest.approx(0.045500263896358)


@quick
@given(ROWS)
def test_weighted_auc_is_that_of_scikit_learn(rows):
    clicks, first, second, weights = columns(rows)
    aucs = [roc_auc_score(clicks, scores, sample_weight=weights) for scores in (first, second)]
    assert roc_auc_interval(clicks, first, sample_weight=weights).auc == pytest.approx(aucs[0])
    measured = delong_test(clicks, first, second, sample_weight=weights)
    assert measured.difference == pytest.approx(aucs[0] - aucs[1], abs=1e-12)


@quick
@given(ROWS)
def test_only_the_order_matters_and_models_swap(rows):
    clicks, first, second, weights = columns(rows)
    measured = delong_test(clicks, first, second, sample_weight=weights)
    assert delong_test(clicks, np.exp(first), second / 7 - 3, sample_weight=weights) == measured
    swapped = delong_test(clicks, second, first, sample_weight=weights)
    assert swapped.difference == pytest.approx(-measured.difference)
    assert swapped.pvalue == pytest.approx(measured.pvalue)
    assert (swapped.low, swapped.high) == pytest.approx((-measured.high, -measured.low))


@quick
@given(ROWS)
def test_same_order_is_no_difference(rows):
    clicks, scores, _, weights = columns(rows)
    measured = delong_test(clicks, scores, np.exp(scores), sample_weight=weights)
    assert measured == (0, 0, 0, 0, 0, 1)


def test_another_order_within_a_class_is_no_difference():
    clicks = np.repeat([False, True, False, True], 5)
    weights = np.random.default_rng(0).random(20)
    within = np.arange(20)
    swapped = np.concatenate([block[::-1] for block in np.split(within, 4)])
    measured = delong_test(clicks, within, swapped, sample_weight=weights)
    assert measured == (0, 0, 0, 0, 0, 1)


def test_difference_without_any_doubt():
    measured = delong_test([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    assert measured == (1, 1, 1, 0, np.inf, 0)


@quick
@given(ROWS, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_only_ratios_of_weights_within_a_class_matter(rows, of_clicks, of_others):
    clicks, first, second, weights = columns(rows)
    measured = delong_test(clicks, first, second, sample_weight=weights)
    scaled = delong_test(clicks, first, second, sample_weight=weights * np.where(clicks, of_clicks, of_others))
    assert scaled == pytest.approx(measured, rel=1e-6, abs=1e-9)


@quick
@given(ROWS)
def test_rows_of_weight_zero_are_absent(rows):
    clicks, first, second, weights = columns(rows)
    kept = np.append(np.arange(len(rows)) % 2 == 0, [True] * 4)
    measured = delong_test(clicks, first, second, sample_weight=weights * kept)
    without = delong_test(clicks[kept], first[kept], second[kept], sample_weight=weights[kept])
    assert measured == pytest.approx(without, abs=1e-12)


def test_weights_are_no_repetitions():
    """A row that weighs 4 was seen once: the AUC is that of 4 rows, its standard error isn't half as large."""
    clicks, scores = np.array([0, 1, 0, 1, 1, 0]), np.array([1, 2, 3, 4, 1, 2])
    weighted = roc_auc_interval(clicks, scores, sample_weight=np.full(6, 4))
    repeated = roc_auc_interval(np.repeat(clicks, 4), np.repeat(scores, 4))
    assert weighted == roc_auc_interval(clicks, scores)
    assert weighted.auc == pytest.approx(repeated.auc)
    assert weighted.standard_error > 1.9 * repeated.standard_error


def sampled_rows(rng):
    """Rows kept by a rate that depends on their score, one in so many, which they then weigh."""
    clicks = rng.random(1500) < 0.3
    scores = rng.normal(size=1500) + clicks
    weights = np.clip(np.round(1 / norm.cdf(scores)), 1, 10).astype(int)
    kept = rng.random(1500) < 1 / weights
    return clicks[kept], scores[kept], weights[kept]


def test_weighted_standard_error_is_that_of_repeated_samples():
    rng = np.random.default_rng(0)
    samples = [sampled_rows(rng) for _ in range(600)]
    measured = [roc_auc_interval(clicks, scores, sample_weight=weights) for clicks, scores, weights in samples]
    spread = np.std([interval.auc for interval in measured])
    assert np.mean([interval.auc for interval in measured]) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.003)
    assert np.mean([interval.standard_error for interval in measured]) == pytest.approx(spread, rel=0.08)
    repeated = [[np.repeat(column, weights) for column in (clicks, scores)] for clicks, scores, weights in samples[:50]]
    as_repetitions = [roc_auc_interval(*rows).standard_error for rows in repeated]
    assert np.mean(as_repetitions) < 0.8 * spread


def test_interval_holds_the_auc_as_often_as_it_says():
    rng = np.random.default_rng(0)
    true_auc = norm.cdf(1 / np.sqrt(2))
    clicks = np.arange(300) < 60
    intervals = [roc_auc_interval(clicks, rng.normal(size=300) + clicks) for _ in range(500)]
    assert np.mean([low <= true_auc <= high for _, low, high, _ in intervals]) == pytest.approx(0.95, abs=0.03)


def test_pvalues_are_uniform_where_models_are_equal():
    rng = np.random.default_rng(0)
    clicks = np.arange(300) < 60
    signal = rng.normal(size=(500, 300)) + clicks
    pvalues = [delong_test(clicks, *(rows + rng.normal(size=(2, 300)))).pvalue for rows in signal]
    assert np.mean(np.array(pvalues) < 0.1) == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(("scores", "auc"), [([1, 2, 3, 4], 1), ([4, 3, 2, 1], 0)])
def test_perfect_order_warns_that_the_interval_is_empty(scores, auc):
    with pytest.warns(UndefinedMetricWarning, match=f"The AUC is {auc}, so DeLong's standard error is 0"):
        assert roc_auc_interval([0, 0, 1, 1], scores) == (auc, auc, auc, 0)


def test_perfect_order_is_perfect_whatever_the_weights():
    rng = np.random.default_rng(0)
    clicks, weights = np.arange(1000) > 700, rng.random(1000)
    with pytest.warns(UndefinedMetricWarning, match="The AUC is 1"):
        assert roc_auc_interval(clicks, np.arange(1000), sample_weight=weights) == (1, 1, 1, 0)


def test_constant_scores_have_an_auc_of_one_half():
    assert roc_auc_interval([0, 0, 1, 1], [3, 3, 3, 3]) == (0.5, 0.5, 0.5, 0)


@pytest.mark.parametrize("weights", [None, [1, 1, 1, 0], [1, 1, 1, 1e-30]])
def test_a_class_needs_two_rows(weights):
    clicks = [0, 0, 1] if weights is None else [0, 0, 1, 1]
    with pytest.raises(ValueError, match="at least two rows of each class"):
        roc_auc_interval(clicks, np.arange(len(clicks)), sample_weight=weights)


@pytest.mark.parametrize("confidence_level", [0, 1, 95])
def test_confidence_level_out_of_range(confidence_level):
    with pytest.raises(ValueError, match="confidence_level"):
        delong_test([0, 0, 1, 1], [1, 3, 2, 4], [1, 2, 3, 4], confidence_level=confidence_level)
