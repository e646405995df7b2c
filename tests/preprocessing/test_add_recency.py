"""The time since a key was last seen, by what came strictly before."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder, add_history, add_recency


def _table(rows):
    return pd.DataFrame(rows, columns=["user", "item", "time"])


_TABLES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=30).map(
    _table
)


def _loop(X, log, enters, columns, longest):
    """A loop over all pairs of rows."""
    ages = []
    for _, row in X.iterrows():
        is_same = (log[columns] == row[columns]).all(axis=1)
        past = log.loc[enters & is_same & (log["time"] < row["time"]), "time"]
        ages.append(min(row["time"] - past.max(), longest) if len(past) else longest)
    return ages


@settings(max_examples=40, deadline=None)
@given(X=_TABLES, past=_TABLES, longest=st.integers(1, 12), seed=st.integers(0, 9))
def test_ages_are_those_of_a_loop(X, past, longest, seed):
    enters = np.random.default_rng(seed).random(len(X)) < 0.7
    keys = {"recency(user)": ["user"], "recency(user & item)": ["user", "item"]}
    own = add_recency(X, key=["user", ("user", "item")], time="time", longest=longest, where=enters)
    later = add_recency(X, key=["user", ("user", "item")], time="time", longest=longest, log=past)
    for name, columns in keys.items():
        assert own[name].tolist() == _loop(X, X, enters, columns, longest)
        assert later[name].tolist() == _loop(X, past, np.ones(len(past), bool), columns, longest)


def test_three_columns_of_many_values_are_one_key():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 2**62, (200, 3)), columns=["a", "b", "c"])
    X = pd.concat([X, X], ignore_index=True).assign(time=np.repeat([1.0, 3.5], 200))
    ages = add_recency(X, key=("a", "b", "c"), time="time", longest=100)["recency(a & b & c)"]
    assert ages.tolist() == [100.0] * 200 + [2.5] * 200


def test_rows_keep_order_and_index_and_the_table_stays_as_it_was():
    X = pd.DataFrame({"user": [1, 1, 1], "time": [5, 1, 2]}, index=[7, 5, 6])
    before = X.copy()
    added = add_recency(X, key="user", time="time", longest=9)
    pd.testing.assert_frame_equal(X, before)
    assert added.index.tolist() == [7, 5, 6]
    assert added["recency(user)"].tolist() == [3, 9, 1]


@pytest.mark.parametrize("as_time", [pd.to_datetime, str, lambda text: pd.Timestamp(text, tz="Europe/Berlin")])
@pytest.mark.parametrize("longest", ["2D", dt.timedelta(days=2), pd.Timedelta(48, "h"), np.timedelta64(2, "D")])
def test_dates_and_times_of_any_type_give_durations(as_time, longest):
    moments = ["2026-01-01 10:00", "2026-01-02 10:00:00.5", "2026-01-09 10:00"]
    X = pd.DataFrame({"user": "a", "time": [as_time(moment) for moment in moments]})
    ages = add_recency(X, key="user", time="time", longest=longest)["recency(user)"]
    assert ages.tolist() == [pd.Timedelta("2D"), pd.Timedelta("1D 00:00:00.5"), pd.Timedelta("2D")]


def test_log_of_another_unit_and_zone():
    log = pd.DataFrame({"user": [1], "time": pd.to_datetime(["2026-01-01 10:00+02:00"]).as_unit("ns")})
    now = pd.DataFrame({"user": [1, 2], "time": pd.to_datetime(["2026-01-01 08:30+00:00"] * 2).as_unit("s")})
    ages = add_recency(now, key="user", time="time", longest="1D", log=log)["recency(user)"]
    assert ages.tolist() == [pd.Timedelta("30min"), pd.Timedelta("1D")]


@pytest.mark.parametrize(("unit", "unit_of_log"), [("us", "s"), ("ns", "us"), ("s", "ms")])
def test_log_of_a_coarser_or_finer_unit(unit, unit_of_log):
    log = pd.DataFrame({"user": [1], "time": pd.to_datetime(["2026-01-01 10:00"]).as_unit(unit_of_log)})
    after = pd.Timedelta(1, unit)
    now = pd.DataFrame({"user": [1], "time": pd.to_datetime(["2026-01-01 10:00"]).as_unit(unit) + after})
    (age,) = add_recency(now, key="user", time="time", longest="1D", log=log)["recency(user)"]
    assert age == after.floor("us")


WIDE_AND_NARROW = {
    "dates": ([dt.datetime(2026, 1, 1, 10), dt.datetime(2026, 1, 1)], "timestamp[us]", "date32[day]"),
    "durations": ([1_500, 1_000], "duration[us]", "duration[ms]"),
    "times of day": ([7_000_001, 7_000_000], "time64[us]", "time32[s]"),
    "integers": ([300, 44], "int64", "int8"),
}


@pytest.mark.parametrize("name", WIDE_AND_NARROW)
def test_rows_are_not_cast_to_the_narrower_type_of_the_log(name):
    values, wide, narrow = WIDE_AND_NARROW[name]
    array = pa.array(values).cast(wide, safe=False)
    of_log = array[1:].cast(narrow)
    now = pa.table({"user": array, "time": [2, 2]})
    log = pa.table({"user": of_log, "time": [1]})
    assert add_recency(now, key="user", time="time", longest=9, log=log)["recency(user)"].to_pylist() == [9, 1]
    assert add_recency(log, key="user", time="time", longest=9, log=now)["recency(user)"].to_pylist() == [9]


def test_times_of_rows_are_not_cast_to_dates_of_the_log():
    now = pd.DataFrame({"user": 1, "time": pd.to_datetime(["2026-01-01 10:00"])})
    log = pd.DataFrame({"user": 1, "time": [dt.date(2026, 1, 1)]})
    (age,) = add_recency(now, key="user", time="time", longest="1D", log=log)["recency(user)"]
    assert age == pd.Timedelta("10h")


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("longest", [5, "5D"])
def test_empty_frames_of_text(longest, library):
    empty = pd.DataFrame({"user": pd.Series([], dtype="str"), "time": pd.Series([], dtype="str")})
    log = library({"user": ["a"], "time": ["2026-01-01" if longest == "5D" else "3"]})
    rows = library(empty) if library is pd.DataFrame else pl.from_pandas(empty)
    for other in (None, log, rows):
        ages = add_recency(rows, key="user", time="time", longest=longest, log=other)
        assert ages.shape == (0, 3)
        assert ("duration" in str(ages.dtypes).lower() or "timedelta" in str(ages.dtypes)) == (longest == "5D")
    assert len(add_recency(log, key="user", time="time", longest=longest, log=rows)) == 1


def test_a_name_twice():
    X = pd.DataFrame([["a", 1, "a"]], columns=["user", "time", "user"])
    once = X.iloc[:, :2]
    with pytest.raises(ValueError, match="X has 2 columns named 'user'"):
        add_recency(X, key="user", time="time", longest=5)
    with pytest.raises(ValueError, match="log has 2 columns named 'user'"):
        add_history(once, user="user", item="user", time="time", log=X)


def test_integers_that_are_no_doubles():
    nanoseconds = 1_767_225_600_000_000_000
    X = pd.DataFrame({"user": 1, "time": [nanoseconds, nanoseconds + 7, nanoseconds + 100]})
    assert add_recency(X, key="user", time="time", longest=50)["recency(user)"].tolist() == [50, 7, 50]


@pytest.mark.parametrize(
    "log",
    [pd.DataFrame(columns=["user", "time"]), pd.DataFrame({"user": [], "time": []}), pd.DataFrame({"user": ["a"]})],
)
def test_columns_without_a_value_have_no_past(log):
    now = pd.DataFrame({"user": [None, None if len(log) else "a"], "time": pd.Timestamp("2026-01-01")})
    log = log.assign(time=pd.Timestamp("2025-12-31")) if len(log) else log
    ages = add_recency(now, key="user", time="time", longest="9D", log=log)["recency(user)"]
    assert ages.tolist() == [pd.Timedelta("9D")] * 2


def test_polars_in_polars_out():
    X = pl.DataFrame({"user": [1, 1, 2], "time": [dt.datetime(2026, 1, day) for day in (1, 3, 3)]})
    added = add_recency(X, key="user", time="time", longest="10D")
    assert isinstance(added, pl.DataFrame)
    assert added["recency(user)"].to_list() == [dt.timedelta(10), dt.timedelta(2), dt.timedelta(10)]
    assert (
        add_recency(X, key="user", time="time", longest="10D", where=pl.Series([False] * 3))["recency(user)"].to_list()
        == [dt.timedelta(10)] * 3
    )


def test_key_that_is_missing_was_never_seen():
    X = pd.DataFrame({"user": [1.0, None, None, 1.0], "item": [1, 1, 1, None], "time": [1, 2, 3, 4]})
    added = add_recency(X, key=["user", ("user", "item")], time="time", longest=9)
    assert added["recency(user)"].tolist() == [9, 9, 9, 3]
    assert added["recency(user & item)"].tolist() == [9, 9, 9, 9]


def test_encoder_takes_durations_for_numbers_and_recency_for_no_statistic():
    X = pd.DataFrame({"user": np.arange(60) % 7, "time": pd.date_range("2026-01-01", periods=60, freq="h")})
    X = add_recency(X, key="user", time="time", longest="3D")
    encoder = CTREncoder(drop="time").fit(X, np.arange(60) % 2)
    assert encoder.feature_kinds_.loc["recency(user)", "kind"] == "numeric"
    assert [field.kind for field in encoder.fields_ if field.name == "recency(user)"] == ["numeric"]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"key": "person"}, "X has no column 'person'. The columns are"),
        ({}, {"key": ("user", "person")}, "X has no column 'person'"),
        ({}, {"key": []}, r"key=\[\] must name a column"),
        ({}, {"key": [("user", 3)]}, "must name a column"),
        ({}, {"key": [3]}, r"key=\[3\] must name a column"),
        ({"user": [["a"], ["b"], ["a"]]}, {}, "Column 'user' is list<item: string>, and such values can't be compared"),
        ({"user": [1, "b", 1]}, {}, "Column 'user': Could not convert 'b'"),
        (
            {"time": ["2026-01-01T00:00Z", "2026-01-01T00:00", None]},
            {},
            "Column 'time': it holds times with a time zone",
        ),
        ({}, {"log": pd.DataFrame({"user": [1]})}, "log has no column 'time'"),
        ({"recency(user)": 1}, {}, r"X has a column 'recency\(user\)' already"),
        ({"time": [1, None, 3]}, {}, "column 'time' is missing in 1 rows"),
        ({}, {"longest": "30D"}, "longest='30D': the age must be positive, and a number, such as 7, in the units"),
        ({}, {"longest": 0}, "longest=0: the age must be positive"),
        (
            {"time": pd.Timestamp("2026-01-01")},
            {"longest": 30},
            "longest=30: the age must be positive, and with a unit",
        ),
        *(
            ({"time": pd.Timestamp("2026-01-01")}, {"longest": longest}, "the age must be positive, and with a unit")
            for longest in ("30", "5ns", np.inf, pd.NaT)
        ),
        ({}, {"where": [True, False]}, "for each of the 3 rows of the log"),
        ({"time": ["1.2.2026", "2026-02-01", None]}, {}, "'time': '1.2.2026' is not an ISO 8601.*to_datetime"),
    ],
)
def test_errors(change, arguments, message):
    X = pd.DataFrame({"user": [1, 1, 2], "time": [1, 2, 3]}).assign(**change)
    with pytest.raises(ValueError, match=message):
        add_recency(X, **{"key": "user", "time": "time", "longest": 10, **arguments})


def test_what_has_no_order_has_no_age():
    X = pd.DataFrame({"user": [1, 1], "time": [True, False]})
    with pytest.raises(TypeError, match=r"Column 'time': it has no order in time.*Give dates, times or numbers"):
        add_recency(X, key="user", time="time", longest=10)


def test_array_has_no_names():
    with pytest.raises(TypeError, match="X is ndarray"):
        add_recency(np.zeros((3, 3)), key="user", time="time", longest=3)


def test_integers_beyond_63_bits_as_objects():
    X = pd.DataFrame({"user": pd.Series([2**63, 1], dtype=object), "time": [1, 2]})
    with pytest.raises(ValueError, match="it holds integers beyond 63 bits as objects"):
        add_recency(X, key="user", time="time", longest=5, log=X.assign(user=pd.Series([None, 2**63], dtype=object)))
