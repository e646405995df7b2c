"""Statistics in which older rows count less."""

import numpy as np
import pandas as pd
import pytest

from sk_finalmlp import CTREncoder
from sk_finalmlp.preprocessing import add_recency

N_ROWS = 1_200


@pytest.fixture(scope="module")
def log():
    """A log of twelve days, of which the clicks depend on the item, and turn round in the middle."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"item": rng.integers(5, size=N_ROWS), "day": np.arange(N_ROWS) // 100})
    X["time"] = pd.Timestamp("2024-05-01") + pd.to_timedelta(X["day"], unit="D")
    is_liked = (X["item"] < 2) ^ (X["day"] >= 6)
    return X, (rng.random(N_ROWS) < np.where(is_liked, 0.8, 0.2)).astype(int)


def encode(X, y, sample_weight=None, **parameters):
    encoder = CTREncoder(statistics=["item"], drop=["day", "time"], **parameters)
    return encoder.fit_transform(X, y, sample_weight), encoder


def test_old_rows_count_by_their_age_as_by_weights(log):
    X, y = log
    encoded, encoder = encode(X, y, half_life={"day": 2})
    by_weight, other = encode(X, y, 0.5 ** ((11 - X["day"]) / 2))
    pd.testing.assert_frame_equal(encoded, by_weight)
    pd.testing.assert_frame_equal(encoder.transform(X), other.transform(X))


@pytest.mark.parametrize(("half_life", "is_reversed"), [(None, False), ({"time": "1D"}, True)])
def test_rates_are_those_of_late_rows(log, half_life, is_reversed):
    X, y = log
    # More rows are early than late.
    rows = X["day"] < 10
    X, y = X[rows].reset_index(drop=True), y[rows]
    _, encoder = encode(X, y, half_life=half_life)
    rate = encoder.transform(X)["item@rate"]
    assert (rate[X["item"] < 2].mean() < rate[X["item"] >= 2].mean()) == is_reversed


TIMES = {
    "datetime": lambda X: X["time"],
    "instant": lambda X: X["time"].dt.tz_localize("UTC"),
    "duration": lambda X: X["time"] - X["time"].min(),
    "date": lambda X: X["time"].dt.date,
}


@pytest.mark.parametrize("kind", TIMES)
def test_an_age_is_a_duration_where_times_are_no_numbers(log, kind):
    X, y = log
    expected, _ = encode(X, y, half_life={"day": 0.5})
    for age in ("12h", pd.Timedelta(hours=12)):
        encoded, _ = encode(X.assign(time=TIMES[kind](X)), y, half_life={"time": age})
        pd.testing.assert_frame_equal(encoded, expected)


def test_a_row_without_time_is_as_old_as_the_oldest(log):
    X, y = log
    rows = X.index % 10 == 3
    missing, _ = encode(X.assign(day=X["day"].where(~rows)), y, half_life={"day": 3})
    oldest, _ = encode(X.assign(day=X["day"].where(~rows, 0)), y, half_life={"day": 3})
    pd.testing.assert_frame_equal(missing, oldest)


def test_very_old_rows_still_count_next_to_nothing(log):
    X, y = log
    encoded, _ = encode(X, y, half_life={"day": 1e-6})
    assert np.isfinite(encoded["item@rate"]).all()


@pytest.mark.parametrize(
    ("half_life", "message"),
    [
        ({}, "must name one column of times"),
        ({"day": 1, "time": "1D"}, "must name one column of times"),
        ({"day": 0}, "must be positive, and a number, such as 7, in the units"),
        ({"day": "1D"}, "must be positive, and a number, such as 7, in the units"),
        ({"time": "-1D"}, "must be positive, and with a unit, such as '7D'"),
        ({"time": "soon"}, "must be positive, and with a unit, such as '7D'"),
        ({"time": 7}, "must be positive, and with a unit, such as '7D'"),
        ({"week": 1}, "week"),
    ],
)
def test_what_is_no_half_life_is_named(log, half_life, message):
    X, y = log
    with pytest.raises(ValueError, match=message):
        encode(X, y, half_life=half_life)


@pytest.mark.parametrize(
    "as_text", [lambda days: days.dt.strftime("%Y%m%d"), lambda days: days.dt.strftime("%Y-%m-%d")]
)
def test_text_of_dates_is_read_alike_everywhere(log, as_text):
    X, y = log
    dates = X.assign(time=as_text(X["time"]))
    for parameters in ({"half_life": {"time": "1D"}}, {"hold_out": "time"}):
        encoded, _ = encode(dates, y, **parameters)
        expected, _ = encode(X, y, **parameters)
        pd.testing.assert_frame_equal(encoded, expected)
    ages = [add_recency(table, key="item", time="time", longest="5D")["recency(item)"] for table in (dates, X)]
    pd.testing.assert_series_equal(*ages)


def test_text_of_numbers_is_read_alike_everywhere(log):
    X, y = log
    numbers = X.assign(time=X["day"].astype(str))
    for parameters, expected in (
        ({"half_life": {"time": 2}}, {"half_life": {"day": 2}}),
        ({"hold_out": "time"}, {"hold_out": "day"}),
    ):
        pd.testing.assert_frame_equal(encode(numbers, y, **parameters)[0], encode(X, y, **expected)[0])
    ages = add_recency(numbers, key="item", time="time", longest=5)["recency(item)"]
    pd.testing.assert_series_equal(ages, add_recency(X, key="item", time="day", longest=5)["recency(item)"])


def test_rows_without_weight_are_not_the_last(log):
    X, y = log
    weights = np.ones(len(X))
    weights[7] = 0
    late = X.assign(time=X["time"].mask(X.index == 7, pd.Timestamp("2099-01-01")))
    encoded, _ = encode(late, y, weights, half_life={"time": "2D"})
    expected, _ = encode(X, y, weights, half_life={"time": "2D"})
    pd.testing.assert_frame_equal(encoded.drop(index=7), expected.drop(index=7))


def test_one_late_time_is_warned_about(log):
    X, y = log
    late = X.assign(time=X["time"].mask(X.index == 7, pd.Timestamp("2099-01-01")))
    with pytest.warns(UserWarning, match=r"half_life=.*last time in column 'time', 2099-01-01.* count as 1.0"):
        encode(late, y, half_life={"time": "2D"})


def test_what_has_no_order_has_no_age(log):
    X, y = log
    with pytest.raises(TypeError, match=r"Column 'late': it has no order in time.*`half_life`"):
        encode(X.assign(late=X["day"] > 5), y, half_life={"late": 1})
