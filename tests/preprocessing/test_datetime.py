"""Datetime columns."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sk_finalmlp.preprocessing import CTREncoder

TIMES = pd.to_datetime(["2024-05-03 10:00", "2024-05-04 10:00", "2024-05-04 23:00", None])  # Friday, Saturday


def test_parts_of_a_time():
    X = pd.DataFrame({"time": TIMES})
    encoder = CTREncoder().fit(X)
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
    encoder = CTREncoder(min_frequency=2).fit(pd.DataFrame({"time": TIMES}))
    out = encoder.transform(pd.DataFrame({"time": pd.to_datetime(["2024-05-03 00:00", "2024-05-04 10:00"])}))
    assert out["time_hour"].tolist() == [0, 1]
    assert out["time_day"].tolist() == [0, 1]


def test_dates_have_no_hour():
    X = pd.DataFrame({"day": [datetime.date(2024, 5, 3), None]})
    encoder = CTREncoder().fit(X)
    assert list(encoder.get_feature_names_out()) == ["day_weekday", "day_weekend", "day_day"]
    assert encoder.transform(X).iloc[1].tolist() == [0, 0, 0]


def test_dates_after_times_have_an_unknown_hour():
    encoder = CTREncoder().fit(pd.DataFrame({"time": TIMES}))
    out = encoder.transform(pd.DataFrame({"time": [datetime.date(2024, 5, 4)]}))
    assert out.iloc[0].tolist() == [0, 1, 1, 1]


def test_hour_is_local():
    times = pd.to_datetime(["2024-05-03 23:00Z"]).tz_convert("Asia/Tokyo")
    assert CTREncoder().fit(pd.DataFrame({"time": times})).categories_["time_hour"].tolist() == [8]


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
    encoder = CTREncoder(datetime="time").fit(pd.DataFrame({"time": ["2024-05-03 10:00:00", "2024-05-04", None]}))
    out = encoder.transform(pd.DataFrame({"time": ["2024-05-03T10:00", "2024-05-03T11:00", None]}))
    assert out["time_hour"].tolist() == [2, 0, 0]
    with pytest.raises(ValueError, match="Column 'time': 'what' is no ISO 8601 date or time"):
        encoder.transform(pd.DataFrame({"time": ["2024-05-03T10:00", "what", None]}))


def test_times_that_are_all_at_midnight_are_dates():
    X = pd.DataFrame({"time": pd.to_datetime(["2024-05-03", "2024-05-04", None])})
    encoder = CTREncoder().fit(X)
    assert encoder.feature_kinds_.loc["time", "why"] == "dates"
    assert "time_hour" not in encoder.get_feature_names_out()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["2024-05-03", "what"], ValueError, "Column 'time': 'what' is no ISO 8601 date or time.*to_datetime"),
        ([14102100, 14102101], TypeError, "Column 'time': .*14102100, are no dates or times.*to_datetime"),
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
