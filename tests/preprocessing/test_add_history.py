"""Histories from a log: what came strictly before, and nothing else."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder, add_history

_BY = {"user": "user", "item": "item", "time": "time"}


def _table(rows):
    return pd.DataFrame(rows, columns=["user", "item", "time"])


_TABLES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=30).map(
    _table
)


def _loop(X, log, enters, max_length):
    """A loop over all pairs of rows."""
    histories = []
    for user, time in zip(X["user"], X["time"], strict=True):
        past = log[enters & (log["user"] == user) & (log["time"] < time)].sort_values("time", kind="stable")
        histories.append(past["item"].tolist()[-max_length:])
    return histories


@settings(max_examples=40, deadline=None)
@given(X=_TABLES, past=_TABLES, max_length=st.integers(1, 6), seed=st.integers(0, 9))
def test_history_is_that_of_a_loop(X, past, max_length, seed):
    enters = np.random.default_rng(seed).random(len(X)) < 0.7
    own = add_history(X, **_BY, where=enters, max_length=max_length)
    assert own["history"].tolist() == _loop(X, X, enters, max_length)
    later = add_history(X, **_BY, max_length=max_length, log=past)
    assert later["history"].tolist() == _loop(X, past, np.ones(len(past), bool), max_length)


def test_rows_keep_order_and_index_and_the_table_stays_as_it_was():
    X = pd.DataFrame({"user": [1, 1, 1], "item": ["c", "a", "b"], "time": [3, 1, 2]}, index=[7, 5, 6])
    before = X.copy()
    added = add_history(X, **_BY)
    pd.testing.assert_frame_equal(X, before)
    assert added.index.tolist() == [7, 5, 6]
    assert added["history"].tolist() == [["a", "b"], [], ["a"]]
    pd.testing.assert_frame_equal(added.drop(columns="history"), before)


def test_both_zeros_are_one_key():
    X = pd.DataFrame({"user": [0.0, -0.0, 0.0], "item": [1, 2, 3], "time": [1, 2, 3]})
    assert add_history(X, **_BY)["history"].tolist() == [[], [1], [1, 2]]


def test_several_columns_are_in_step():
    X = pd.DataFrame({"user": [1, 1, 1], "item": [5, 6, 7], "genre": ["x", None, "y"], "time": [1, 2, 3]})
    added = add_history(X, user="user", item={"past": "item", "past_genre": "genre"}, time="time")
    assert added["past"].tolist() == [[], [5], [5, 6]]
    assert [list(genres) for genres in added["past_genre"]] == [[], ["x"], ["x", None]]


@pytest.mark.parametrize("as_time", [pd.to_datetime, lambda t: t.astype(float), lambda t: t.astype(str)])
def test_times_of_any_type(as_time):
    X = pd.DataFrame({"user": list("aab"), "item": pd.Categorical(["x", "y", "x"]), "time": [1, 2, 3]})
    X["time"] = as_time(X["time"])
    assert add_history(X, **_BY)["history"].tolist() == [[], ["x"], []]


def test_times_as_text_are_in_the_order_of_time():
    X = pd.DataFrame({"user": 1, "item": [5, 6, 7], "time": ["2026-01-01T09:00", "2026-01-01 10:00", "2026-01-01"]})
    assert add_history(X, **_BY)["history"].tolist() == [[7], [7, 5], []]
    assert add_history(X.assign(time=["10", "9", "8"]), **_BY)["history"].tolist() == [[7, 6], [7], []]
    now = X.assign(time=pd.Timestamp("2026-01-02"))
    assert add_history(now, **_BY, log=X)["history"].tolist() == [[7, 5, 6]] * 3


def test_times_of_the_log_in_another_zone():
    log = pd.DataFrame({"user": 1, "item": [5], "time": pd.to_datetime(["2026-01-01 10:00+02:00"])})
    now = log.assign(time=pd.to_datetime(["2026-01-01 08:30+00:00"]))
    assert add_history(now, **_BY, log=log)["history"].tolist() == [[5]]
    with pytest.raises(ValueError, match="times without a zone and times with a zone"):
        add_history(now.assign(time=pd.Timestamp("2026-01-01 08:30")), **_BY, log=log)


def test_polars_in_polars_out():
    X = pl.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "c"], "time": [1, 2, 3]})
    added = add_history(X, **_BY, where=pl.Series([True, True, False]))
    assert isinstance(added, pl.DataFrame)
    assert added["history"].to_list() == [[], ["a"], []]


def test_user_that_is_missing_has_no_history_and_is_in_none():
    X = pd.DataFrame({"user": [1.0, None, None, 1.0], "item": [5, 6, 7, 8], "time": [1, 2, 3, 4]})
    assert add_history(X, **_BY)["history"].tolist() == [[], [], [], [5]]


def test_where_names_a_column():
    X = pd.DataFrame({"user": 1, "item": [5, 6, 7], "time": [1, 2, 3], "click": [1, 0, 1]})
    assert add_history(X, **_BY, where="click")["history"].tolist() == [[], [5], [5]]


def test_histories_of_arrow_go_into_the_encoder_and_through_a_split():
    X = pd.DataFrame({"user": [1, 2] * 6, "item": [5, 6, 7, 8] * 3, "time": range(12)})
    X = add_history(X, **_BY, max_length=2)
    encoder = CTREncoder(histories={"history": "item"}, drop="time").fit(X[:8])
    codes = encoder.transform(X[8:])
    assert encoder.fields_[-1].n_columns == 2
    assert (codes["history@item@0"].to_numpy() == encoder.transform(X[6:10])["item"].to_numpy()).all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"item": "itme"}, "log has no column 'itme'|X has no column 'itme'"),
        ({}, {"user": "person"}, "X has no column 'person'. The columns are"),
        ({"history": 1}, {}, "X has a column 'history' already"),
        ({"time": [1, None, 3]}, {}, "column 'time' is missing in 1 rows"),
        ({}, {"where": [True, False]}, "for each of the 3 rows of the log, such as y == 1; it has shape"),
        ({}, {"where": [0.5, 0.5, 1]}, "where must hold True or False"),
        ({}, {"where": pd.array([True, None, True], "boolean")}, "dtype object, 1 missing"),
        ({}, {"where": "clicked"}, "where='clicked' is not a column of the log"),
        ({}, {"max_length": 0}, "'max_length' parameter"),
        (
            {},
            {"log": pd.DataFrame({"user": ["1"], "item": [1], "time": [1]})},
            "Column 'user' is int64 in X and large_string in log.*numbers and text",
        ),
        ({}, {"log": _table([(1, 5, pd.Timestamp("2026-01-01"))])}, "Column 'time' is int64.*give both one type"),
        ({"time": ["1.2.2026", "2026-02-01", None]}, {}, "'time': '1.2.2026' is not an ISO 8601.*to_datetime"),
        ({"item": [["a"], [], ["b"]]}, {}, "'item' holds lists, and a history is made of single values"),
    ],
)
def test_errors(change, arguments, message):
    X = pd.DataFrame({"user": [1, 1, 2], "item": [5, 6, 7], "time": [1, 2, 3]}).assign(**change)
    with pytest.raises(ValueError, match=message):
        add_history(X, **{**_BY, **arguments})


def test_array_has_no_names():
    with pytest.raises(TypeError, match="X is ndarray"):
        add_history(np.zeros((3, 3)), **_BY)
