"""The rule by which encoder and classifier hold out the same rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp._hold_out import held_out_rows

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)
FRACTIONS = st.floats(0.001, 0.999)


@given(y=LABELS, fraction=FRACTIONS)
def test_a_part_of_each_class_is_held_out_at_least_one_row_and_never_all(y, fraction):
    is_held_out = held_out_rows(y, fraction)
    for label in np.unique(y):
        n_rows, n_held_out = (y == label).sum(), is_held_out[y == label].sum()
        assert n_held_out == min(np.ceil(fraction * n_rows), n_rows - 1)
        assert n_held_out >= 1 or n_rows == 1


@given(y=LABELS, fractions=st.tuples(FRACTIONS, FRACTIONS).map(sorted))
def test_the_smaller_choice_is_part_of_the_larger_one(y, fractions):
    smaller, larger = (held_out_rows(y, fraction) for fraction in fractions)
    assert not (smaller & ~larger).any()


@pytest.mark.parametrize("labels", [["a", "b"], [False, True], [-1.0, 7.5]])
def test_the_order_of_the_labels_counts_and_not_what_they_are(labels):
    y = np.random.default_rng(0).integers(0, 2, 500)
    assert np.array_equal(held_out_rows(np.array(labels)[y]), held_out_rows(y))


def test_held_out_rows_are_spread_over_the_table():
    rows = np.flatnonzero(held_out_rows(np.zeros(10_000)))
    assert np.abs(np.histogram(rows, bins=10, range=(0, 10_000))[0] - 100).max() < 50


def classifier(**parameters):
    small = {"mlp1_hidden_units": (8,), "mlp2_hidden_units": (8,), "num_heads": 1, "n_members": 1}
    return FinalMLPClassifier(**small, random_state=0, max_epochs=1, final_epoch=False, **parameters)


def test_the_classifier_learns_nothing_from_the_rows_that_the_rule_names():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 20, (600, 2)), rng.integers(0, 2, 600)
    is_held_out = held_out_rows(y)
    changed = np.where(is_held_out[:, np.newaxis], X[rng.permutation(600)], X)
    # Each code still occurs, so that the tables are the same.
    assert set(changed[:, 0]) == set(changed[:, 1]) == set(range(20))
    assert np.array_equal(
        classifier().fit(X, y).decision_function(X), classifier().fit(changed, y).decision_function(X)
    )


def labels_with_held_out_rows_side_by_side(n_classes, n_rows):
    """Labels, so ordered that one held-out row of each class follows the other: there they can take turns."""
    ranks = held_out_rows(np.repeat(np.arange(n_classes), n_rows)).reshape(n_classes, n_rows)
    parts = [np.diff(np.flatnonzero(chosen), prepend=-1) - 1 for chosen in ranks]
    y = []
    for lengths in zip(*parts, strict=True):
        y += [*np.repeat(range(n_classes), lengths), *range(n_classes)]
    y += [label for label, lengths in enumerate(parts) for _ in range(n_rows - lengths.sum() - len(lengths))]
    return np.array(y)


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"]], ids=["two", "three"])
def test_cross_fitted_statistics_know_no_label_of_a_held_out_row(labels):
    y = labels_with_held_out_rows_side_by_side(len(labels), 500)
    is_held_out = held_out_rows(y)
    other = y.copy()
    other[is_held_out] = (y[is_held_out] + 1) % len(labels)
    assert np.array_equal(held_out_rows(other), is_held_out)

    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 20, len(y)), "item": rng.choice(list("abcde"), len(y))})
    encoder = CTREncoder(statistics=["user", ("user", "item")])
    names = np.array(labels)
    before, after = encoder.fit_transform(X, names[y]), encoder.fit_transform(X, names[other])
    pd.testing.assert_frame_equal(before, after)
    # Rows that come later are told by all labels.
    assert not encoder.fit(X, names[y]).transform(X).equals(encoder.fit(X, names[other]).transform(X))
