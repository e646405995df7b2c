"""What each column adds to the logit of a row."""

from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.inspection import RowContributionsDisplay, row_contributions
from sk_finalmlp.streams import MLP

QUICK = {"n_members": 1, "max_epochs": 3, "learning_rate": 0.01, "random_state": 0, "device": "cpu"}
COLUMNS = ["user", "item", "numeric_0", "tags", "time"]


@pytest.fixture(scope="module")
def clicks():
    X, y, _ = make_click_data(2000, n_users=50, n_items=30, click_rate=0.3, random_state=0)
    # Integers that a float would round, and booleans, have no missing value in NumPy.
    return X.assign(id=10**17 + np.arange(2000) % 5, is_new=X["numeric_0"] > 0.5), y


@pytest.fixture(scope="module")
def fitted(clicks):
    X, y = clicks
    return make_pipeline(CTREncoder(), FinalMLPClassifier(**QUICK)).fit(X, y)


def unknown(X, names):
    """The table with columns that are missing in all rows."""
    return X.assign(**{name: pd.Series(None, index=X.index, dtype=object) for name in names})


@pytest.mark.parametrize("columns", [COLUMNS, ["is_new", "id"], ["item"], None], ids=str)
@pytest.mark.parametrize("n_rows", [1, 7])
def test_they_sum_to_the_difference_from_the_row_whose_columns_are_unknown(clicks, fitted, columns, n_rows):
    X = clicks[0][100 : 100 + n_rows]
    found = row_contributions(fitted, X, columns=columns, n_permutations=3, random_state=0)
    assert list(found.columns) == (list(X.columns) if columns is None else columns)
    assert found.index.equals(X.index)
    difference = fitted.decision_function(X) - fitted.decision_function(unknown(X, found.columns))
    np.testing.assert_allclose(found.sum(axis=1), difference, atol=1e-5)


def test_of_few_columns_they_are_the_mean_over_all_orders(clicks, fitted):
    X, columns = clicks[0][:3], ["user", "item", "tags"]
    expected = dict.fromkeys(columns, 0.0)
    for order in permutations(columns):
        for place, name in enumerate(order):
            before, after = order[place:], order[place + 1 :]
            change = fitted.decision_function(unknown(X, after)) - fitted.decision_function(unknown(X, before))
            expected[name] = expected[name] + change / 6
    found = row_contributions(fitted, X, columns=columns)
    np.testing.assert_allclose(found, pd.DataFrame(expected, index=X.index), atol=1e-5)


def test_of_many_columns_they_are_near_the_mean_over_all_orders(clicks, fitted, monkeypatch):
    X = clicks[0][:20]
    exact = row_contributions(fitted, X, columns=COLUMNS)
    monkeypatch.setattr("sk_finalmlp.inspection._row_contributions._MAX_EXACT", 1)
    sampled = row_contributions(fitted, X, columns=COLUMNS, n_permutations=200, random_state=0)
    assert np.abs(sampled - exact).mean(axis=None) < 0.1 * np.abs(exact).mean(axis=None)
    again, other = (
        row_contributions(fitted, X, columns=COLUMNS, n_permutations=200, random_state=seed) for seed in (0, 1)
    )
    pd.testing.assert_frame_equal(sampled, again)
    assert not sampled.equals(other)


def test_a_column_that_decides_has_the_largest_share(clicks):
    X = clicks[0][["user", "item", "segment"]]
    y = X["segment"].isin(["segment_1", "segment_3", "segment_5"]).astype(int)
    streams = {"stream1": MLP(dropout=0.2), "stream2": MLP(dropout=0.2)}
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(**streams, **QUICK)).fit(X[["item", "segment"]], y)
    found = row_contributions(model, X[["item", "segment"]][:200])
    assert found["segment"].abs().mean() > 5 * found["item"].abs().mean()
    clicked, others = found["segment"][y[:200] == 1], found["segment"][y[:200] == 0]
    # Those of the others needn't be negative: no row of fit had an unknown segment, whose logit may be lower still.
    assert clicked.min() > 0
    assert clicked.min() - others.max() > 5 * found["item"].abs().mean()


def test_rows_don_t_depend_on_those_beside_them_nor_on_the_container(clicks, fitted):
    X = clicks[0][:30]
    found = row_contributions(fitted, X, columns=COLUMNS)
    pd.testing.assert_frame_equal(row_contributions(fitted, X[10:12], columns=COLUMNS), found[10:12])
    of_polars = row_contributions(fitted, pl.from_pandas(X), columns=COLUMNS)
    np.testing.assert_allclose(of_polars, found, atol=1e-5)


def test_many_rows_come_in_parts(clicks, fitted, monkeypatch):
    X = clicks[0][:30]
    found = row_contributions(fitted, X, columns=COLUMNS)
    monkeypatch.setattr("sk_finalmlp.inspection._tables._ROWS_AT_ONCE", 50)
    np.testing.assert_allclose(row_contributions(fitted, X, columns=COLUMNS), found, atol=1e-6)


def test_of_an_array(clicks):
    X = clicks[0][["user", "item"]].to_numpy(dtype=object)
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(**QUICK)).fit(X, clicks[1])
    found = row_contributions(model, X[:5])
    assert list(found.columns) == ["x0", "x1"]
    difference = model.decision_function(X[:5]) - model.decision_function(np.full((5, 2), None))
    np.testing.assert_allclose(found.sum(axis=1), difference, atol=1e-5)


def test_of_a_search(clicks):
    X, y = clicks
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(**QUICK))
    search = GridSearchCV(model, {"finalmlpclassifier__max_epochs": [1]}, cv=2).fit(X[COLUMNS], y)
    pd.testing.assert_frame_equal(
        row_contributions(search, X[COLUMNS][:3]), row_contributions(search.best_estimator_, X[COLUMNS][:3])
    )


def test_what_can_t_be_explained_is_refused(clicks, fitted):
    X = clicks[0]
    with pytest.raises(ValueError, match=r"X has no column 'usr'; it has .*'user'"):
        row_contributions(fitted, X, columns=["usr"])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        row_contributions(fitted, X[:0])
    with pytest.raises(TypeError, match="it needs a pipeline with a CTREncoder; FinalMLPClassifier has none"):
        row_contributions(fitted[-1], fitted[0].transform(X))
    of_three = make_pipeline(CTREncoder(), FinalMLPClassifier(**QUICK)).fit(X[["user"]], np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match=r"the 3 classes \[0, 1, 2\]"):
        row_contributions(of_three, X[["user"]])


class TestDisplay:
    def test_bars_of_a_row_hold_its_contributions_and_values(self, clicks, fitted):
        X = clicks[0][:1]
        display = RowContributionsDisplay.from_estimator(fitted, X, columns=COLUMNS)
        pd.testing.assert_frame_equal(display.contributions, row_contributions(fitted, X, columns=COLUMNS))
        widths = [bar.get_width() for bar in display.axes_[0].patches]
        order = display.contributions.iloc[0].abs().sort_values(ascending=False).index
        assert widths == display.contributions.iloc[0][order].tolist()
        labels = [label.get_text() for label in display.axes_[0].get_yticklabels()]
        assert [label.split(" = ")[0] for label in labels] == list(order)
        assert f"user = {X['user'].iloc[0]}" in labels
        assert f"logit {fitted.decision_function(X)[0]:.2f};" in display.axes_[0].get_title()
        assert f"; {fitted.decision_function(unknown(X, COLUMNS))[0]:.2f} with" in display.axes_[0].get_title()

    def test_points_of_many_rows_hold_all_contributions(self, clicks, fitted):
        display = RowContributionsDisplay.from_estimator(fitted, clicks[0][:50], columns=COLUMNS)
        names = [label.get_text() for label in display.axes_[0].get_yticklabels()]
        points = [line for line in display.axes_[0].lines if len(line.get_xdata()) == 50]
        assert sorted(names) == sorted(COLUMNS)
        for name, line in zip(names, points, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), display.contributions[name])
        means = [bar.get_width() for bar in display.axes_[0].patches]
        assert means == sorted(means, reverse=True)

    def test_it_draws_the_largest_and_where_it_is_told(self, clicks, fitted):
        from matplotlib import pyplot as plt

        ax = plt.figure().subplots()
        display = RowContributionsDisplay.from_estimator(fitted, clicks[0][:1], columns=COLUMNS, ax=ax)
        assert display.axes_[0] is ax
        assert len(display.plot(max_columns=2).axes_[0].patches) == 2


def test_one_row_is_a_table_of_one_row(clicks, fitted):
    for row in (clicks[0].iloc[0], clicks[0].iloc[0].to_dict()):
        with pytest.raises(ValueError, match=r"not a table of rows and columns. One row of a frame is X.iloc\[\[0\]\]"):
            row_contributions(fitted, row)
