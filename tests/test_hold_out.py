"""The rule by which encoder and classifier hold out the same rows."""

import numpy as np
import pandas as pd
import pytest
from hold_out import held_out_rows
from hypothesis import given
from hypothesis import strategies as st

from sk_finalmlp import CTREncoder, FinalMLPClassifier, _hold_out
from sk_finalmlp._hold_out import HoldOut, places, share_held_out
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.estimators._labels import OneLabel
from sk_finalmlp.estimators._rows import open_rows
from sk_finalmlp.streams import MLP

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)
FRACTIONS = st.floats(0.001, 0.999)


@given(y=LABELS, fraction=FRACTIONS)
def test_a_part_of_each_class_is_held_out_at_least_one_row_and_never_all(y, fraction):
    is_held_out = held_out_rows(y, fraction)
    for label in np.unique(y):
        n_rows, n_held_out = (y == label).sum(), is_held_out[y == label].sum()
        assert n_held_out < n_rows
        assert n_held_out >= 1 or n_rows == 1


@given(y=LABELS, fractions=st.tuples(FRACTIONS, FRACTIONS).map(sorted))
def test_the_smaller_choice_is_part_of_the_larger_one(y, fractions):
    smaller, larger = (held_out_rows(y, fraction) for fraction in fractions)
    assert not (smaller & ~larger).any()


@pytest.mark.parametrize("labels", [["a", "b"], [False, True], [-1.0, 7.5]])
def test_it_does_not_matter_what_the_labels_are(labels):
    y = np.random.default_rng(0).integers(0, 2, 500)
    assert np.array_equal(held_out_rows(np.array(labels)[y]), held_out_rows(y))


def test_labels_are_heeded_only_where_a_class_would_lack_rows():
    rng = np.random.default_rng(0)
    parts = [held_out_rows(rng.integers(0, n_classes, 1_000)) for n_classes in (1, 2, 5)]
    assert np.array_equal(parts[0], parts[1])
    assert np.array_equal(parts[0], parts[2])


@given(n_rows=st.integers(200, 400), n_more=st.integers(1, 200), fraction=st.floats(0.1, 0.9))
def test_rows_that_are_appended_move_no_row_from_one_part_to_the_other(n_rows, n_more, fraction):
    y = np.arange(n_rows + n_more) % 2
    assert np.array_equal(held_out_rows(y, fraction)[:n_rows], held_out_rows(y[:n_rows], fraction))


def test_places_of_a_table_in_parts_are_those_of_the_whole():
    in_parts = [places(np.arange(start, start + 10)) for start in range(0, 100, 10)]
    assert np.array_equal(np.concatenate(in_parts), places(np.arange(100)))


@given(y=LABELS, fraction=FRACTIONS, n_first=st.integers(0, 60))
def test_rows_read_in_chunks_are_held_out_as_all_at_once(y, fraction, n_first):
    labels = np.unique(y, return_inverse=True)[1]
    chunks = [labels[:n_first], labels[n_first:]]
    numbered = zip(np.split(np.arange(len(y)), [n_first]), chunks, strict=True)
    hold_out = HoldOut.among(numbered, labels.max() + 1, places, fraction)
    chosen = [hold_out.chooses(0, chunks[0]), hold_out.chooses(len(chunks[0]), chunks[1])]
    assert np.array_equal(np.concatenate(chosen), held_out_rows(y, fraction))


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_held_out_rows_are_about_as_many_as_asked_for_and_spread_over_the_table(fraction):
    rows = np.flatnonzero(held_out_rows(np.zeros(10_000), fraction))
    assert len(rows) == pytest.approx(10_000 * fraction, rel=0.1)
    assert np.abs(np.histogram(rows, bins=10, range=(0, 10_000))[0] - 1_000 * fraction).max() < 50


def classifier(**parameters):
    small = {"stream1": MLP((8,)), "stream2": MLP((8,)), "num_heads": 1, "n_members": 1}
    return FinalMLPClassifier(**small, random_state=0, max_epochs=1, final_epoch=False, **parameters)


def codes_and_labels(n_rows=600):
    rng = np.random.default_rng(0)
    return rng.integers(0, 20, (n_rows, 2)), rng.integers(0, 2, n_rows)


def changed_where(is_changed, X):
    """Other rows there; each code still occurs, so that the fields are the same."""
    changed = np.where(is_changed[:, np.newaxis], X[np.random.default_rng(1).permutation(len(X))], X)
    assert set(changed[:, 0]) == set(changed[:, 1]) == set(range(20))
    return changed


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_the_classifier_learns_nothing_from_the_rows_that_the_rule_names(fraction):
    X, y = codes_and_labels()
    changed = changed_where(held_out_rows(y, fraction), X)
    model = classifier(validation_fraction=fraction)
    assert np.array_equal(model.fit(X, y).decision_function(X), model.fit(changed, y).decision_function(X))


def test_weights_that_only_the_classifier_gets_move_no_row():
    X, y = codes_and_labels()
    weight = np.random.default_rng(2).integers(0, 3, len(y))
    changed = changed_where(held_out_rows(y), X)
    model = classifier()
    before = model.fit(X, y, sample_weight=weight).decision_function(X)
    assert np.array_equal(before, model.fit(changed, y, sample_weight=weight).decision_function(X))


def test_warm_start_trains_on_no_row_that_it_held_out_when_the_table_has_grown():
    X, y = codes_and_labels()
    changed = changed_where(held_out_rows(y), X)
    decisions = []
    for table in (X, changed):
        model = classifier(warm_start=True).fit(table[:-10], y[:-10])
        decisions.append(model.fit(table, y).decision_function(X))
    assert np.array_equal(*decisions)


def test_a_class_whose_rows_with_weight_are_all_on_one_side_leaves_no_hold_out():
    X, y = codes_and_labels()
    y[:] = 0
    y[:40] = 1
    weight = np.where((y == 1) & held_out_rows(y), 0, 1)
    with pytest.warns(UserWarning, match=r"The class 1 has \d+ rows with a weight, all of them held out or none"):
        model = classifier().fit(X, y, sample_weight=weight)
    assert model.best_score_ is None


def labelled_table(n_classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, 1_500)
    return pd.DataFrame({"user": rng.integers(0, 20, len(y)), "item": rng.choice(list("abcde"), len(y))}), y


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"]], ids=["two", "three"])
@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_cross_fitted_rates_know_no_label_of_a_held_out_row(labels, fraction):
    X, y = labelled_table(len(labels))
    is_held_out = held_out_rows(y, fraction)
    # Two rows of different classes at a time, so that there are as many of each class.
    other = y.copy()
    swapped = np.random.default_rng(0).permutation(np.flatnonzero(is_held_out))
    other[swapped] = y[np.roll(swapped, 1)]
    assert (other != y).sum() > 20

    encoder = CTREncoder(statistics=["user", ("user", "item")], validation_fraction=fraction)
    names = np.array(labels)
    before, after = encoder.fit_transform(X, names[y]), encoder.fit_transform(X, names[other])
    pd.testing.assert_frame_equal(before, after)
    # Rows that come later are told by all labels.
    assert not encoder.fit(X, names[y]).transform(X).equals(encoder.fit(X, names[other]).transform(X))


@pytest.mark.parametrize(("n_rows", "share"), [(1, 0.1), (100_000, 0.1), (200_000, 0.05), (10**7, 0.001)])
def test_of_many_rows_at_random_ten_thousand_are_held_out(n_rows, share):
    assert share_held_out("auto", n_rows) == pytest.approx(share)
    assert share_held_out("auto", n_rows, at_random=False) == 0.1
    assert share_held_out(0.3, n_rows) == 0.3


@pytest.mark.parametrize("hold_out", ["random", "last"])
def test_the_classifier_holds_out_what_the_encoder_says(hold_out, monkeypatch):
    monkeypatch.setattr(_hold_out, "_MOST_ROWS_AT_RANDOM", 60)
    X, y, _ = make_click_data(2_000, random_state=0)
    encoded = CTREncoder(hold_out=hold_out).fit_transform(X, y)
    with open_rows(FinalMLPClassifier(), encoded, y, None, OneLabel.read, holds_out=True) as rows:
        n_held_out = rows.count().n_held_out.sum()
    assert n_held_out == 200 if hold_out == "last" else 30 < n_held_out < 100
    # Of a part of the rows it is the same share.
    with pytest.warns(UserWarning, match="wrote statistics of 2000 rows, and X has 1000"):
        FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0).fit(encoded[:1000], y[:1000])
