"""Integer columns that are named like a part of a date."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sk_finalmlp.preprocessing import CTREncoder

N_ROWS = 2_000


def integers(smallest, largest):
    """All integers from the smallest to the largest, again and again."""
    return np.resize(np.arange(smallest, largest + 1), N_ROWS)


def kind_of(name, values, **parameters):
    encoder = CTREncoder(**parameters).fit(pd.DataFrame({name: values, "user": 1}))
    return encoder.feature_kinds_.loc[name, "kind"]


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [
        ("month", 1, 8),
        ("Month", 1, 11),
        ("MONTH", 0, 10),
        ("time_month", 3, 3),
        ("PickupMonth", 5, 9),
        ("dep-month", 5, 9),
        ("quarter", 1, 3),
        ("week", 1, 30),
        ("week_of_year", 10, 20),
        ("arrival_date_week_number", 1, 51),
        ("dayofyear", 1, 364),
        ("day_of_year", 100, 200),
        ("day", 1, 31),
        ("day", 1, 5),
        ("dep_day", 1, 31),
        ("DayofMonth", 1, 31),
        ("day_of_month", 0, 30),
        ("year", 2013, 2013),
        ("event_year", 2010, 2020),
    ],
)
def test_periods_that_are_not_full_and_what_does_not_come_again_are_left_out(name, smallest, largest):
    values = integers(smallest, largest)
    for written in (
        values,
        values.astype(float),
        values.astype(str),
        pd.Categorical(values),
        pd.array(values, "Int64"),
    ):
        with pytest.warns(UserWarning, match=f"Column '{name}' is left out: named like"):
            assert kind_of(name, written) == "dropped"


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [
        ("month", 1, 12),
        ("month", 0, 11),
        ("quarter", 1, 4),
        ("week", 1, 52),
        ("day_of_year", 1, 365),
        # What has the name, but not the values.
        ("month", 1, 30),
        ("month", 201301, 201308),
        ("week", 1_000, 1_020),
        ("day", 1, 7),
        ("day", 0, 6),
        ("day", 100, 400),
        ("year", 1922, 1998),
        ("year", 0, 1),
        # What has another name.
        ("release_year", 2001, 2005),
        ("birth_month", 1, 8),
        ("month_1", 1, 8),
        ("months", 1, 8),
        ("weekday", 0, 4),
        ("day_of_week", 0, 4),
        ("DayOfWeek", 1, 5),
        ("hour", 8, 17),
        ("holiday", 0, 1),
        ("monthly_visits", 1, 8),
        ("time", 1, 8),
    ],
)
def test_all_others_stay(name, smallest, largest):
    assert kind_of(name, integers(smallest, largest)) == "categorical"


def test_names_of_months_stay():
    assert kind_of("month", np.resize(["jan", "feb"], N_ROWS)) == "categorical"


def test_reason_and_remedy_are_said():
    X = pl.DataFrame({"month": integers(1, 8), "year": integers(2013, 2013), "day": integers(1, 31), "user": 1})
    with pytest.warns(UserWarning, match="is left out: named like"):
        kinds = CTREncoder().fit(X).feature_kinds_
    assert kinds.loc["month", "why"] == (
        "named like a month, with only 8 of its 12 values, so later days would have unknown ones: "
        "name the column in `categorical` or `numeric` to keep it"
    )
    assert kinds.loc["day", "why"].startswith("named like a day of the month, which")
    assert kinds.loc["year", "why"].startswith("named like a year, which")


def test_the_user_decides():
    values = integers(1, 8)
    assert kind_of("month", values, categorical="month") == "categorical"
    assert kind_of("month", values, numeric=["month"]) == "numeric"


def test_they_are_not_taken_for_quantities():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"day_of_year": rng.integers(1, 200, 20_000), "user": 1})
    y = (rng.random(len(X)) < X["day_of_year"] / 200).astype(int)
    with pytest.warns(UserWarning, match="'day_of_year' is left out"):
        assert CTREncoder().fit(X, y).feature_kinds_.loc["day_of_year", "kind"] == "dropped"


def test_those_that_stay_get_no_counts():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"month": rng.integers(1, 9, N_ROWS), "user": rng.integers(0, 9, N_ROWS)})
    names = CTREncoder(categorical="month").fit(X, rng.integers(0, 2, N_ROWS)).get_feature_names_out()
    assert "user@count" in names
    assert not [name for name in names if name.endswith("@count") and "month" in name]


@pytest.mark.parametrize(
    ("name", "largest", "parameters"), [("week", 52, {}), ("month", 8, {"categorical": "month"})], ids=["week", "month"]
)
@pytest.mark.parametrize("limits", [{}, {"max_categories": 5}, {"min_frequency": 39}], ids=str)
def test_later_rows_are_warned_about(name, largest, parameters, limits):
    X = pd.DataFrame({name: integers(1, largest), "user": 1})
    encoder = CTREncoder(**parameters, **limits).fit(X)
    with pytest.warns(UserWarning, match=f"parts of dates that fit didn't see: '{name}'"):
        encoder.transform(X.assign(**{name: largest + 1}))
    encoder.transform(X)
    # Too rare for a code, but seen.
    pickle.loads(pickle.dumps(encoder)).transform(X.assign(**{name: largest}))


def test_times_of_hours_that_are_rare_are_no_matter():
    hours = pd.Series(pd.date_range("2024-05-03", periods=24, freq="h"))
    times = hours.repeat([100] * 20 + [5] * 4)
    encoder = CTREncoder(max_categories=20).fit(pd.DataFrame({"time": times}))
    encoder.transform(pd.DataFrame({"time": pd.Series(times.max()).repeat(2_000)}))
    encoder = CTREncoder(max_categories=20, datetime_parts=["month"]).fit(pd.DataFrame({"time": times}))
    with pytest.warns(UserWarning, match="time_month"):
        encoder.transform(pd.DataFrame({"time": times + pd.Timedelta(days=60)}))


def going_with_time():
    """Columns of a log in order of time, by name; those called so go with time and are new at its end."""
    rng = np.random.default_rng(0)
    hours = np.arange(N_ROWS)
    return pd.DataFrame(
        {
            "gone_day_number": 7_000 + hours // 24,
            "gone_days_left": 500 - hours // 24,
            "gone_week": [f"2024-W{10 + hour // 168}" for hour in hours],
            "gone_with_gaps": pd.array(np.where(rng.random(N_ROWS) < 0.2, None, hours // 24), "Int64"),
            "phase": hours * 4 // N_ROWS,
            # New users come, and some of them come back.
            "user": rng.integers(0, 1 + hours // 4),
            "hour": hours % 24,
            "is_late": hours > N_ROWS * 0.96,
            "time": pd.Timestamp("2024-03-04") + pd.to_timedelta(hours, unit="h"),
        }
    )


@pytest.mark.parametrize("hold_out", ["last", "time"])
@pytest.mark.parametrize("weight", [None, 2])
def test_what_goes_with_time_and_is_new_in_the_last_rows_is_left_out(hold_out, weight):
    X = going_with_time()
    if hold_out == "time":
        X = X.sample(frac=1, random_state=0, ignore_index=True)
    weights = None if weight is None else np.resize([weight, weight, 0], N_ROWS)
    kinds = CTREncoder(hold_out=hold_out).fit(X, sample_weight=weights).feature_kinds_
    gone = [name for name in X if name.startswith("gone")]
    assert list(kinds.index[kinds["kind"] == "dropped"]) == gone
    # The last rows with weight don't begin with a day.
    share = "97%" if hold_out == "time" and weight is not None else "100%"
    assert kinds.loc["gone_day_number", "why"] == (
        f"goes with time: {share} of the last rows have new values, and later rows would, too; "
        "name the column in `categorical` or `numeric` to keep it"
    )
    kept = CTREncoder(hold_out=hold_out, categorical=gone).fit(X, sample_weight=weights).feature_kinds_
    assert (kept.loc[gone, "kind"] == "categorical").all()


def test_without_an_order_nothing_goes_with_time():
    X = going_with_time()
    assert "dropped" not in set(CTREncoder().fit(X).feature_kinds_["kind"])
    shuffled = X.sample(frac=1, random_state=0)
    assert "dropped" not in set(CTREncoder(hold_out="last").fit(shuffled).feature_kinds_["kind"])
