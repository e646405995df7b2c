"""Normalised entropy and relative information gain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import d2_log_loss_score, log_loss

from sk_finalmlp.metrics import normalized_entropy, relative_information_gain

quick = settings(max_examples=60, deadline=None)

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999), st.integers(0, 3)), max_size=30)


def columns(rows):
    rows = [*rows, (False, 0.3, 1), (True, 0.4, 2)]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


@quick
@given(ROWS)
def test_it_is_equation_1_of_he_et_al(rows):
    clicks, probabilities, _ = columns(rows)
    rate = clicks.mean()
    y = 2 * clicks.astype(int) - 1  # the paper's labels are -1 and 1
    numerator = -np.mean((1 + y) / 2 * np.log(probabilities) + (1 - y) / 2 * np.log(1 - probabilities))
    denominator = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert normalized_entropy(y, probabilities) == pytest.approx(numerator / denominator)


@quick
@given(ROWS)
def test_gain_is_what_scikit_learn_calls_the_share_of_log_loss_explained(rows):
    clicks, probabilities, weights = columns(rows)
    expected = d2_log_loss_score(clicks, probabilities, sample_weight=weights)
    assert relative_information_gain(clicks, probabilities, sample_weight=weights) == pytest.approx(expected)


@quick
@given(ROWS)
def test_integer_weights_are_repetitions(rows):
    clicks, probabilities, weights = columns(rows)
    repeated = normalized_entropy(np.repeat(clicks, weights), np.repeat(probabilities, weights))
    assert normalized_entropy(clicks, probabilities, sample_weight=weights) == pytest.approx(repeated)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.001])
def test_the_click_rate_alone_has_entropy_one(rate):
    clicks = np.arange(1000) < 1000 * rate
    assert normalized_entropy(clicks, np.full(1000, rate)) == pytest.approx(1)
    assert normalized_entropy(clicks, np.full(1000, rate / 2)) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_and_wrong_is_finite_as_in_log_loss(dtype):
    probabilities = np.array([0, 1, 0, 1], dtype=dtype)
    clicks = [0, 1, 1, 0]
    expected = log_loss(clicks, probabilities) / np.log(2)
    assert normalized_entropy(clicks, probabilities) == pytest.approx(expected)
    assert normalized_entropy([0, 1, 0, 1], probabilities) == pytest.approx(0, abs=1e-6)


def test_one_class_has_no_entropy():
    for clicks, weights in ([0, 0], [1, 1]), ([0, 1], [1, 0]):
        with pytest.raises(ValueError, match="Only one class is present"):
            normalized_entropy(clicks, [0.1, 0.2], sample_weight=weights)
