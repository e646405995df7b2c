"""Datetime columns."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from drifting import log

from sk_finalmlp.preprocessing import CTREncoder

TIMES = pd.to_datetime(["2024-05-03 10:00", "2024-05-04 10:00", "2024-05-04 23:00", None])  # Friday, Saturday
PARTS = ("hour", "weekday", "weekend", "day")


def test_parts_of_a_time():
    X = pd.DataFrame({"time": TIMES})
    encoder = CTREncoder(datetime_parts=PARTS).fit(X)
    assert encoder.transform(X).to_dict("list") == {
        "time_hour": [1, 1, 2, 0],
        "time_weekday": [2, 1, 1, 0],
        "time_weekend": [2, 1, 1, 0],
        "time_day": [2, 1, 1, 0],
    }
    values = {field: values.tolist() for field, values in encoder.categories_.items()}
    assert values == {
        "time_hour": [10, 23],
        "time_weekday": [5, 4],
        "time_weekend": [True, False],
        "time_day": [4, 3],
    }
    assert encoder.cardinalities_ == dict.fromkeys(values, 3)


def test_unseen_hours_and_rare_days_are_unknown():
    encoder = CTREncoder(min_frequency=2, datetime_parts=PARTS).fit(pd.DataFrame({"time": TIMES}))
    out = encoder.transform(pd.DataFrame({"time": pd.to_datetime(["2024-05-03 00:00", "2024-05-04 10:00"])}))
    assert out["time_hour"].tolist() == [0, 1]
    assert out["time_day"].tolist() == [0, 1]


def test_dates_have_no_hour():
    X = pd.DataFrame({"day": [datetime.date(2024, 5, 3), None]})
    encoder = CTREncoder(datetime_parts=PARTS).fit(X)
    assert list(encoder.get_feature_names_out()) == ["day_weekday", "day_weekend", "day_day"]
    assert encoder.transform(X).iloc[1].tolist() == [0, 0, 0]


def test_dates_after_times_of_day_are_refused_where_the_hour_counts():
    X = pd.DataFrame({"time": [datetime.date(2024, 5, 4)]})
    encoder = CTREncoder(datetime_parts=PARTS).fit(pd.DataFrame({"time": TIMES}))
    with pytest.raises(TypeError, match="Column 'time': '2024-05-04' is a date, whose hour isn't known"):
        encoder.transform(X)
    encoder = CTREncoder(datetime_parts=PARTS[1:]).fit(pd.DataFrame({"time": TIMES}))
    assert encoder.transform(X).iloc[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("text", ["-2024-01-05", "-0", "2024-01-05T05:06+5", " now"])
def test_what_pandas_alone_takes_for_a_time_is_refused(text):
    encoder = CTREncoder(datetime_parts=PARTS).fit(pd.DataFrame({"time": TIMES}))
    with pytest.raises(ValueError, match="is not an ISO 8601 date or time"):
        encoder.transform(pd.DataFrame({"time": [text]}))


def test_a_time_where_fit_saw_durations_is_refused():
    encoder = CTREncoder().fit(pd.DataFrame({"wait": pd.to_timedelta(np.arange(20) / 7, unit="s")}))
    with pytest.raises(TypeError, match="Column 'wait': '2024-05-03 10:00:00' is a time, where fit saw numbers"):
        encoder.transform(pd.DataFrame({"wait": TIMES}))


def test_hour_is_local():
    times = pd.to_datetime(["2024-05-03 23:00Z"]).tz_convert("Asia/Tokyo")
    assert CTREncoder(datetime_parts=PARTS).fit(pd.DataFrame({"time": times})).categories_["time_hour"].tolist() == [8]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_unit_does_not_matter(unit):
    encoder = CTREncoder().fit(pd.DataFrame({"time": TIMES}))
    times = TIMES.to_numpy().astype(f"datetime64[{unit}]")
    expected = encoder.transform(pd.DataFrame({"time": TIMES}))
    pd.testing.assert_frame_equal(encoder.transform(pd.DataFrame({"time": times})), expected)
    with pytest.warns(UserWarning, match="feature names"):
        from_array = encoder.transform(times[:, np.newaxis])
    np.testing.assert_array_equal(from_array, expected)
    from_polars = encoder.transform(pl.DataFrame({"time": TIMES.to_numpy()}))
    np.testing.assert_array_equal(from_polars.to_numpy(), expected)


def test_strings_are_read_as_times_where_the_user_says_so():
    encoder = CTREncoder(datetime="time").fit(pd.DataFrame({"time": ["2024-05-03 10:00:00", "2024-05-14", None]}))
    out = encoder.transform(pd.DataFrame({"time": ["2024-05-03T10:00", "2024-05-03T11:00", None]}))
    assert out["time_hour"].tolist() == [2, 0, 0]
    with pytest.raises(ValueError, match="Column 'time': 'what' is not an ISO 8601 date or time"):
        encoder.transform(pd.DataFrame({"time": ["2024-05-03T10:00", "what", None]}))


@pytest.mark.parametrize(
    "text", ["20240503T100000+0200", "2024-05-03T10+02:00", "20240503T1000+02", "2024-05-03 10:00+02"]
)
def test_the_zone_of_times_of_any_iso_form_is_kept(text):
    encoder = CTREncoder(datetime=["time"], datetime_parts=["hour"]).fit(pd.DataFrame({"time": [text] * 3}))
    with pytest.raises(ValueError, match="has no time zone"):
        encoder.transform(pd.DataFrame({"time": ["2024-05-03T10:00:00"]}))
    both = pd.DataFrame({"time": [text, "2024-05-03T10:00:00+03:00"]})
    encoder = CTREncoder(datetime=["time"], datetime_parts=["hour"]).fit(both)
    assert encoder.categories_["time_hour"].tolist() == [7, 8]


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Santiago", "Asia/Beirut", "America/Havana"])
def test_a_zone_in_which_clocks_change_at_midnight(zone):
    X = pd.DataFrame({"time": pd.date_range("2023-01-01", periods=9_000, freq="h", tz="UTC").tz_convert(zone)})
    encoder = CTREncoder(datetime_parts=["hour"]).fit(X)
    hours = encoder.categories_["time_hour"][encoder.transform(X)["time_hour"] - 1]
    assert hours.tolist() == X["time"].dt.hour.tolist()


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 reads no distant years")
def test_a_distant_year_is_read_beside_nanoseconds_as_alone():
    encoder = CTREncoder(datetime=["time"], datetime_parts=["hour"]).fit(pd.DataFrame({"time": ["2024-05-03T05:00"]}))
    texts = ["9999-12-31T05:00", "2024-01-01T05:00:00.123456789", "0001-01-01T05:00"]
    assert encoder.transform(pd.DataFrame({"time": texts}))["time_hour"].tolist() == [1, 1, 1]


def test_times_that_are_all_at_midnight_are_dates():
    X = pd.DataFrame({"time": pd.to_datetime(["2024-05-03", "2024-05-14", None])})
    encoder = CTREncoder().fit(X)
    assert encoder.feature_kinds_.loc["time", "why"] == "dates"
    assert "time_hour" not in encoder.get_feature_names_out()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["2024-05-03", "now"], ValueError, "Column 'time': 'now' is not an ISO 8601 date or time"),
        (["today", "2024-05-03"], ValueError, "Column 'time': 'today' is not an ISO 8601 date or time"),
        (["2024-05-03", "what"], ValueError, "Column 'time': 'what' is not an ISO 8601 date or time.*to_datetime"),
        ([14102100, 14102101], TypeError, "Column 'time': .*14102100, are not dates or times.*to_datetime"),
    ],
)
def test_no_times(values, error, message):
    with pytest.raises(error, match=message):
        CTREncoder(datetime="time").fit(pd.DataFrame({"time": values}))


def test_times_can_be_categories_or_numbers():
    X = pd.DataFrame({"time": TIMES})
    assert CTREncoder(categorical="time").fit_transform(X)["time"].tolist() == [1, 2, 3, 0]
    days = pd.DataFrame({"time": (TIMES - TIMES[0]) / pd.Timedelta(days=1)})
    np.testing.assert_allclose(CTREncoder(numeric="time").fit_transform(X), CTREncoder().fit_transform(days), atol=1e-5)


def test_times_do_not_come_back():
    X = pd.DataFrame({"time": TIMES, "user": [7, 7, 8, 8]})
    encoder = CTREncoder().fit(X)
    decoded = encoder.inverse_transform(encoder.transform(X))
    assert decoded["time"].isna().all()
    assert decoded["user"].tolist() == [7, 7, 8, 8]


def hourly(first, n_hours):
    return pd.date_range(first, periods=n_hours, freq="h")


@pytest.mark.parametrize(
    ("times", "parts", "why"),
    [
        (hourly("2024-05-03", 23), [], "without hour, weekday and weekend, since the rows are of less than 24 h"),
        (hourly("2024-05-03", 24), ["hour"], "without weekday and weekend, since the rows are of less than 7 days"),
        (hourly("2024-05-03 12:00", 24), ["hour"], "less than 7 days"),
        (hourly("2024-05-03", 6 * 24), ["hour"], "less than 7 days"),
        (hourly("2024-05-03", 7 * 24), ["hour", "weekday", "weekend"], "dates with a time of day"),
        (hourly("2024-05-03 01:00", 24).tz_localize("Asia/Tokyo"), ["hour"], "less than 7 days"),
        (pd.date_range("2024-05-03", periods=6), [], "without weekday and weekend"),
        (pd.date_range("2024-05-03", periods=7).date, ["weekday", "weekend"], "dates"),
    ],
)
def test_parts_of_which_the_rows_cover_no_full_period_are_left_out(times, parts, why):
    encoder = CTREncoder().fit(pd.DataFrame({"time": times, "user": 1}))
    assert encoder.get_feature_names_out().tolist() == [*(f"time_{part}" for part in parts), "user"]
    assert why in encoder.feature_kinds_.loc["time", "why"]
    assert encoder.feature_kinds_.loc["time", "kind"] == "datetime"


def test_rows_without_weight_cover_no_period():
    X = pd.DataFrame({"time": hourly("2024-05-03", 24 * 7), "user": 1})
    encoder = CTREncoder().fit(X, sample_weight=np.arange(len(X)) < 30)
    assert encoder.get_feature_names_out().tolist() == ["time_hour", "user"]


def test_parts_that_the_user_names_are_made_of_any_rows():
    X = pd.DataFrame({"time": TIMES})
    encoder = CTREncoder(datetime_parts=["month", "day", "day"]).fit(X)
    assert encoder.get_feature_names_out().tolist() == ["time_month", "time_day"]
    assert encoder.categories_["time_month"].tolist() == [5]
    assert encoder.feature_kinds_.loc["time", "why"] == "dates with a time of day"


@pytest.mark.parametrize("parts", ["hour", ["hours"], [], [1]])
def test_parts_that_do_not_exist_are_an_error(parts):
    with pytest.raises(ValueError, match="'datetime_parts' parameter of CTREncoder must be "):
        CTREncoder(datetime_parts=parts).fit(pd.DataFrame({"time": TIMES}))


def test_a_datetime_without_parts_that_is_alone_is_an_error():
    with pytest.raises(ValueError, match=r"No column is left.*'time' \(.*less than 24 h\).*`datetime_parts`"):
        CTREncoder().fit(pd.DataFrame({"time": hourly("2024-05-03 10:00", 3)}))


def test_a_part_that_was_left_out_can_not_be_crossed():
    X = pd.DataFrame({"time": hourly("2024-05-03", 3), "user": 1})
    with pytest.raises(ValueError, match=r"crosses: column 'time' is left out.*`datetime_parts`"):
        CTREncoder(crosses=[("time", "user")]).fit(X)


def clicks_by_hour(n_rows=4_000):
    """Clicks that depend on the hour, of a user by hour too."""
    rng = np.random.default_rng(0)
    minutes = rng.integers(0, 28 * 24 * 60, n_rows)
    X = pd.DataFrame({"time": pd.Timestamp("2024-05-01") + pd.to_timedelta(minutes, unit="min")})
    X["user"] = rng.integers(0, 12, n_rows)
    hour = X["time"].dt.hour
    return X, (rng.random(n_rows) < np.where((hour < 12) ^ (X["user"] < 4), 0.9, 0.1)).astype(int)


def test_parts_of_dates_and_their_pairs_get_rates_but_no_counts():
    X, y = clicks_by_hour()
    encoder = CTREncoder().fit(X, y)
    made = encoder.statistics_
    assert made.loc["time_hour", ["rate", "count"]].tolist() == [True, False]
    assert made.loc["time_hour & user", ["rate", "count"]].tolist() == [True, False]
    assert made.loc["user", "count"]
    assert not made.loc[made.index.str.contains("time"), "count"].any()
    assert "no count of a part of dates" in made.loc["time_hour", "why"]
    chosen_by_hand = CTREncoder(statistics=["time_hour"]).fit(X, y)
    assert "time_hour@count" in chosen_by_hand.get_feature_names_out()


class TestUnknownParts:
    """A batch of other days than `fit` saw."""

    X = pd.DataFrame({"time": hourly("2024-05-03", 1_000), "user": 1})

    def encoder(self):
        return CTREncoder(datetime_parts=["month", "hour"]).fit(self.X)

    def test_are_warned_about_once_with_the_name(self):
        later = self.X.assign(time=self.X["time"] + pd.Timedelta(days=100))
        with pytest.warns(
            UserWarning, match=r"parts of dates that fit didn't see: 'time_month'\. .*`datetime_parts`"
        ) as caught:
            self.encoder().transform(later)
        assert len(caught) == 1

    def test_are_no_matter_in_few_rows_or_in_less_than_half_of_them(self):
        encoder, later = self.encoder(), self.X["time"] + pd.Timedelta(days=100)
        encoder.transform(self.X[:999].assign(time=later[:999]))
        encoder.transform(self.X.assign(time=later.where(self.X.index < 500, self.X["time"])))

    def test_are_counted_among_the_rows_that_are_not_missing(self):
        encoder, later = self.encoder(), self.X["time"] + pd.Timedelta(days=100)
        encoder.transform(self.X.assign(time=self.X["time"].where(self.X.index < 100)))
        with pytest.warns(UserWarning, match="time_month"):
            encoder.transform(self.X.assign(time=later.where(self.X.index < 100)))


def test_time_elapses_up_to_now():
    X = pd.DataFrame({"time": pd.date_range("2024-05-01", periods=101), "user": 1})
    encoder = CTREncoder(datetime_parts=["elapsed", "weekday"]).fit(X)
    elapsed = encoder.transform(X)["time_elapsed"]
    assert elapsed.dtype == np.float32
    assert elapsed.mean() == pytest.approx(0, abs=1e-6)
    assert elapsed.std(ddof=0) == pytest.approx(1)
    assert (elapsed.diff()[1:81] > 0).all()
    # The last fifth of the rows is now, and so is all that comes later.
    assert elapsed[80:].nunique() == 1
    new = pd.DataFrame({"time": pd.to_datetime(["2023-01-01", "2030-01-01", None]), "user": 1})
    assert encoder.transform(new)["time_elapsed"].tolist() == [elapsed[0], elapsed[100], 0]
    assert "time_elapsed" not in encoder.categories_
    assert encoder.fields_[-2].kind == "numeric"


def test_rows_without_weight_are_not_now():
    X = pd.DataFrame({"time": pd.date_range("2024-05-01", periods=20), "user": 1})
    encoder = CTREncoder(datetime_parts=["elapsed"]).fit(X, sample_weight=np.arange(20) < 11)
    alone = CTREncoder(datetime_parts=["elapsed"]).fit(X[:11])
    pd.testing.assert_frame_equal(encoder.transform(X), alone.transform(X))


def test_elapsed_time_of_an_instant_is_the_same_in_all_zones():
    times = pd.date_range("2024-05-01", periods=20, tz="UTC")
    outputs = [
        CTREncoder(datetime_parts=["elapsed"]).fit_transform(pd.DataFrame({"time": times.tz_convert(zone)}))
        for zone in ("UTC", "+05:30", "Asia/Tokyo")
    ]
    for other in outputs[1:]:
        pd.testing.assert_frame_equal(other, outputs[0])


def test_where_all_times_are_the_same_none_elapses():
    X = pd.DataFrame({"time": pd.to_datetime(["2024-05-01", "2024-05-01", None])})
    assert CTREncoder(datetime_parts=["elapsed"]).fit_transform(X)["time_elapsed"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("n_rows", "n_days", "elapses"), [(50_000, 7, True), (49_999, 7, False), (50_000, 6, False)])
def test_time_elapses_in_many_rows_of_a_week_at_least(n_rows, n_days, elapses):
    times = pd.date_range("2024-05-01", f"2024-05-0{n_days} 23:00", periods=n_rows)
    encoder = CTREncoder().fit(pd.DataFrame({"time": times}))
    assert ("time_elapsed" in encoder.get_feature_names_out()) == elapses


class TestRowsDrawnAsNow:
    """Some earlier rows have the elapsed time of the last ones."""

    @staticmethod
    def log(n=20_000, drift=0.0):
        """Items with a click rate that falls for all of them alike."""
        X, y = log(n, drift=drift)
        return X, np.where(np.random.default_rng(1).random(n) < 0.8 * np.arange(n) / n, 0, y)

    @staticmethod
    def encoded(X, y, **parameters):
        """The elapsed time of training rows, of the same rows when they are new, and the last one."""
        encoder = CTREncoder(datetime_parts=["elapsed"], **parameters)
        out, new = encoder.fit_transform(X, y)["time_elapsed"], encoder.transform(X)["time_elapsed"]
        return out, new, new.max()

    def test_click_as_often_as_the_last(self):
        X, y = self.log()
        out, new, now = self.encoded(X, y)
        is_drawn = out != new
        assert (out[is_drawn] == now).all()
        earlier, last = y[new < now], y[new == now]
        assert earlier.mean() > 1.5 * last.mean()
        assert is_drawn.sum() / len(earlier) == pytest.approx(0.15, rel=0.1)
        assert y[is_drawn].mean() == pytest.approx(last.mean(), rel=0.15)

    def test_are_none_where_recent_rows_predict_later_ones(self):
        out, new, _ = self.encoded(*self.log(drift=3.0))
        pd.testing.assert_series_equal(out, new)

    def test_are_none_without_statistics(self):
        X, y = self.log()
        for labels, statistics in ((y, None), (None, "auto")):
            out, new, _ = self.encoded(X, labels, statistics=statistics)
            pd.testing.assert_series_equal(out, new)

    def test_count_by_weight(self):
        X, y = self.log()
        weights = np.where(y == 1, 1.0, 3.0)
        encoder = CTREncoder(datetime_parts=["elapsed"])
        out = encoder.fit_transform(X, y, sample_weight=weights)["time_elapsed"]
        new = encoder.transform(X)["time_elapsed"]
        is_drawn, is_last = out != new, new == new.max()
        rate = np.average(y[is_last], weights=weights[is_last])
        assert np.average(y[is_drawn], weights=weights[is_drawn]) == pytest.approx(rate, rel=0.2)

    def test_have_a_time(self):
        X, y = self.log()
        X.loc[::2, "time"] = pd.NaT
        out, new, _ = self.encoded(X, y)
        assert (out != new).any()
        assert (out[::2] == 0).all()

    def test_have_each_combination_of_several_labels_as_often_as_the_last(self):
        X, y = self.log()
        labels = pd.DataFrame({"click": y, "buy": np.where(np.arange(len(y)) % 3 == 0, np.nan, y)})
        out, new, now = self.encoded(X, labels)
        drawn, last = labels[out != new].mean(), labels[new == now].mean()
        np.testing.assert_allclose(drawn, last, rtol=0.2)

    def test_may_have_no_row_of_a_label_that_only_the_last_have(self):
        X, y = self.log()
        classes = np.where(np.arange(len(y)) > len(y) - 500, 2, y)
        out, new, _ = self.encoded(X, classes)
        assert 0 < (out != new).mean() < 0.2

    def test_are_the_same_from_files(self, tmp_path):
        X, y = self.log()
        X.assign(click=y)[:11_000].to_parquet(tmp_path / "0.parquet")
        X.assign(click=y)[11_000:].to_parquet(tmp_path / "1.parquet")
        out, new, _ = self.encoded(X, y)
        stored = CTREncoder(datetime_parts=["elapsed"]).fit_transform(tmp_path, "click")
        assert not out.equals(new)
        np.testing.assert_array_equal(stored.columns["time_elapsed"].read(), out)
