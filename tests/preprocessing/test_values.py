"""What a value reads as: the same in every table, whatever its type there and the values beside it."""

import datetime
import decimal
import pickle
import re
import tracemalloc
import zoneinfo
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = datetime.datetime(2024, 5, 3, 12)
quick = settings(max_examples=60, deadline=None)


def frame(values, dtype=object):
    return pd.DataFrame({"c": pd.Series(values, dtype=dtype)})


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def codes(encoder, values, dtype=object):
    return encoder.transform(frame(values, dtype)).to_numpy()[:, 0].tolist()


def codes_or_error(encoder, values):
    try:
        return codes(encoder, values)
    except (TypeError, ValueError) as error:
        return [re.match("Column 'c'", str(error))[0]]


def fit(values, dtype=object, **parameters):
    return CTREncoder(statistics=None, **parameters).fit(frame(values, dtype))


ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**70, -(2**63)]),
    st.sampled_from([0.5, 1.0, 1e15, 1e16, 1.5e-7, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["a", "1", "1.0", "True", "true", "2024-05-03", "1e16", str(2**63), " x", "a\0b"]),
    st.sampled_from([decimal.Decimal("1"), decimal.Decimal("0.50"), decimal.Decimal("1E+20"), decimal.Decimal("NaN")]),
    st.sampled_from([datetime.time(10), datetime.time(10, 0, 0, 500_000), datetime.timedelta(hours=1)]),
)


@quick
@given(
    st.lists(ANY_VALUE, min_size=1, max_size=8),
    st.lists(ANY_VALUE, min_size=1, max_size=8),
    st.sampled_from([None, 50]),
)
def test_code_of_a_row_does_not_depend_on_the_rows_beside_it(seen, values, n_hash_buckets):
    encoder = fit(seen, categorical="c", n_hash_buckets=n_hash_buckets)
    alone = [codes_or_error(encoder, [value])[0] for value in values]
    together = codes_or_error(encoder, values)
    assert together == (["Column 'c'"] if "Column 'c'" in alone else alone)


@quick
@given(st.lists(ANY_VALUE, min_size=1, max_size=8))
def test_values_of_fit_are_known(values):
    encoder = fit(values, categorical="c")
    known = np.array(codes(encoder, values)) > 0
    missing = [
        pd.isna(value) or value == float("inf") if not isinstance(value, decimal.Decimal) else value.is_nan()
        for value in values
    ]
    assert known.tolist() == np.logical_not(missing).tolist()


@pytest.mark.parametrize("n_hash_buckets", [None, 1_000_000])
def test_large_ids_that_became_floats_are_the_same_ids(n_hash_buckets):
    ids = [10**15, 10**15 + 1, 10**15 + 1]
    for seen in (ids, [str(value) for value in ids]):
        encoder = fit(seen, categorical="c", n_hash_buckets=n_hash_buckets)
        assert codes(encoder, [*ids, None], "float64") == [*codes(encoder, seen), 0]
        assert codes(encoder, [*ids, None], "Int64") == [*codes(encoder, seen), 0]


@pytest.mark.parametrize("seen", [[2**60, 2**60 + 1], ["1152921504606846976", "1152921504606846977"]])
@pytest.mark.parametrize("n_hash_buckets", [None, 100])
def test_ids_that_floats_have_rounded_are_refused(seen, n_hash_buckets):
    encoder = fit(seen, categorical="c", n_hash_buckets=n_hash_buckets)
    with pytest.raises(ValueError, match=r"Column 'c': 1\.152\S+e\+18 is a float, .*rounded.*Int64"):
        codes(encoder, [2**60, None], "float64")


def test_bools_and_their_names_are_the_same():
    for seen in ([True, False, True], ["True", "False", "True"], ["true", "false", "true"], ["TRUE", "FALSE", "TRUE"]):
        encoder = fit(seen, categorical="c")
        assert codes(encoder, [True, False]) == [1, 2]
        assert codes(encoder, [np.bool_(True), None], object) == [1, 0]
    encoder = fit([True, False, True])
    for values in (["True", "False"], ["true", "false"], ["TRUE", "FALSE"], [1, 0], [1.0, 0.0], ["1", "0"]):
        assert codes(encoder, values) == [1, 2]
    assert codes(encoder, ["yes", 2, None]) == [0, 0, 0]


def test_hash_of_a_bool_is_that_of_the_value_that_fit_read():
    for seen in ([True, False], [1, 0], ["True", "False"]):
        encoder = fit(seen, categorical="c", n_hash_buckets=1_000_000)
        assert codes(encoder, [True, False]) == codes(encoder, seen)
    assert codes(fit([True, False], n_hash_buckets=1_000_000), [1, "True"]) == codes(
        fit([True, False], n_hash_buckets=1_000_000), [True, True]
    )
    assert codes(fit([1, 0, 1], n_hash_buckets=1_000_000), ["new"])[0] > 0


def test_instants_have_the_hour_of_the_zone_of_fit():
    times = pd.Series(pd.to_datetime(["2024-05-03 10:00", "2024-05-03 23:00"])).dt.tz_localize("Europe/Berlin")
    encoder = CTREncoder(datetime_parts=["hour", "weekday"]).fit(pd.DataFrame({"c": times}))
    expected = encoder.transform(pd.DataFrame({"c": times}))
    for zone in ("UTC", "Asia/Tokyo", "+05:30"):
        pd.testing.assert_frame_equal(encoder.transform(pd.DataFrame({"c": times.dt.tz_convert(zone)})), expected)
    as_text = pd.DataFrame({"c": times.dt.tz_convert("Asia/Tokyo").map(lambda time: time.isoformat())})
    pd.testing.assert_frame_equal(encoder.transform(as_text), expected)
    arrow = pa.table({"c": pa.array(times.dt.tz_convert("UTC"))})
    pd.testing.assert_frame_equal(encoder.transform(arrow).to_pandas(), expected)


def test_hour_does_not_depend_on_the_offsets_beside_it():
    offsets = [datetime.timezone(datetime.timedelta(hours=hours)) for hours in (1, 2, -7)]
    times = [NOON.replace(tzinfo=zone) for zone in (*offsets, BERLIN)]
    for seen in (times, times[:1], [time.isoformat() for time in times], [time.isoformat() for time in times[:1]]):
        encoder = fit(seen, datetime="c", datetime_parts=["hour"])
        together = encoder.transform(frame(times))
        alone = pd.concat([encoder.transform(frame([time])) for time in times], ignore_index=True)
        backwards = encoder.transform(frame(times[::-1]))
        texts = encoder.transform(frame([str(time) for time in times]))
        pd.testing.assert_frame_equal(together, alone)
        pd.testing.assert_frame_equal(together, texts)
        pd.testing.assert_frame_equal(together, backwards.iloc[::-1].reset_index(drop=True))
    assert fit(times, datetime_parts=["hour"]).categories_["c_hour"].tolist() == [10, 11, 19]


def test_instants_can_be_categories_and_hashed():
    times = pd.Series(pd.date_range("2024-05-03", periods=4, freq="h", tz="Europe/Berlin"))
    elsewhere = pd.DataFrame({"c": times.dt.tz_convert("Asia/Tokyo")})
    for parameters in ({}, {"n_hash_buckets": 1000}):
        encoder = fit(times, None, categorical=["c"], **parameters)
        expected = encoder.transform(pd.DataFrame({"c": times}))
        assert expected["c"].nunique() == 4
        pd.testing.assert_frame_equal(encoder.transform(elsewhere), expected)


def test_rows_without_weight_do_not_say_what_the_others_are():
    hours = [NOON.replace(hour=hour, tzinfo=BERLIN) for hour in (1, 5, 9)]
    elsewhere = NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-7)))
    for values, weightless in ((hours, elsewhere), ([1, 2, 2], 2**70), ([1, 2, 2], 2**63)):
        encoder = CTREncoder(datetime_parts=["hour"]).fit(frame([*values, weightless]), sample_weight=[1, 1, 1, 0])
        expected = CTREncoder(datetime_parts=["hour"]).fit(frame(values))
        assert encoder.feature_kinds_.equals(expected.feature_kinds_)
        pd.testing.assert_frame_equal(encoder.transform(frame(values)), expected.transform(frame(values)))


def test_long_doubles_are_doubles_whatever_is_beside_them():
    encoder = fit([0.5, np.longdouble(0.5), 1.5, 2.5, "a"])
    assert codes(encoder, [np.longdouble(0.5)]) == codes(encoder, [0.5])
    assert codes(encoder, [np.longdouble(1.5), "a"]) == codes(encoder, [1.5, "a"])


def test_both_zeros_are_one_value():
    encoder = fit([0.0, -0.0, 0.5, 0.5, 0.5], categorical=["c"])
    assert encoder.cardinalities_ == {"c": 3}
    assert codes(encoder, [-0.0, 0.0, 0]) == [2, 2, 2]


def test_text_that_is_no_utf_8_is_refused_with_the_name_of_its_column():
    broken = pa.table({"c": pa.array([b"a", b"\xff\xfe"]).view(pa.string())})
    with pytest.raises(TypeError, match="Column 'c' can't be encoded: it holds text that is not valid UTF-8"):
        CTREncoder().fit(broken)


@pytest.mark.parametrize("value", [b"\xff", datetime.timedelta.max], ids=["bytes", "duration"])
def test_value_that_arrow_lacks_is_refused_with_a_remedy(value):
    with pytest.raises(
        TypeError, match=r"Column 'c' can't be encoded: Arrow says of it: .*leave the column out with `drop`"
    ):
        fit([value])


def test_objects_of_durations_are_read_alike():
    second, day = datetime.timedelta(seconds=1), datetime.timedelta(days=1)
    expected = fit([second, day, None])
    for kind in (np.timedelta64, pd.Timedelta):
        assert fit([kind(second), kind(day), None]).feature_kinds_.equals(expected.feature_kinds_)
        assert fit([kind(second), day, np.timedelta64("NaT")]).feature_kinds_.equals(expected.feature_kinds_)


def test_time_that_python_lacks_is_refused_with_the_name_of_its_column():
    far = pa.table({"c": pa.array([5 * 10**17], pa.timestamp("us", "UTC"))})
    encoder = CTREncoder(datetime_parts=["hour"]).fit(pa.table({"c": [NOON]}))
    with pytest.raises(ValueError, match=r"Column 'c': '17814-.* has a time zone, where fit saw times without one"):
        encoder.transform(far)


@pytest.mark.skipif(int(pl.__version__.split(".")[0]) < 2, reason="128-bit integers were unstable in polars 1")
def test_polars_type_that_arrow_lacks_is_refused_with_the_name_of_its_column():
    X = pl.DataFrame({"c": pl.Series([1, 2**100], dtype=pl.Int128)})
    with pytest.raises(TypeError, match="Column 'c' can't be encoded: Arrow has no type for Int128"):
        CTREncoder().fit(X)


def test_text_that_is_no_time_is_unknown_among_instants():
    encoder = fit([NOON.replace(tzinfo=BERLIN)] * 2, categorical=["c"])
    assert codes(encoder, ["noon", None]) == [0, 0]
    assert codes(encoder, ["noon", NOON.replace(tzinfo=BERLIN)]) == [0, 1]


def test_any_time_is_unknown_where_fit_saw_none():
    encoder = fit([None, None], datetime=["c"], datetime_parts=["weekday"])
    for time in (NOON, NOON.replace(tzinfo=BERLIN), NOON.date(), "2024-05-03T12:00:00+02:00"):
        assert set(encoder.transform(frame([time])).to_numpy().ravel()) == {0}


def test_zone_where_fit_saw_none_and_the_other_way_round_is_refused():
    local, instant = [NOON, None], [NOON.replace(tzinfo=BERLIN), None]
    with pytest.raises(
        ValueError, match=r"Column 'c': '2024-05-03 12:00:00\+02:00' has a time zone.*tz_localize\(None\)"
    ):
        codes(fit(local, datetime_parts=["hour"]), instant)
    with pytest.raises(
        ValueError, match=r"Column 'c': '2024-05-03 12:00:00' has no time zone.*'Europe/Berlin'.*tz_localize"
    ):
        codes(fit(instant, datetime_parts=["hour"]), local)
    for values in ([local[0], instant[0]], [instant[0].isoformat(), local[0].isoformat()]):
        with pytest.raises((TypeError, ValueError), match=r"Column 'c'.* with a time zone and without, such as '2024"):
            fit(values, datetime="c")
    with pytest.raises(TypeError, match=r"Column 'c'.* dates beside times of day.*to_datetime"):
        fit([NOON.date(), NOON])


def test_decimals_without_a_fraction_are_integers():
    ids = [decimal.Decimal(2**60), decimal.Decimal(2**60 + 1), decimal.Decimal(2**60)]
    for dtype in (pa.decimal128(38, 0), pa.decimal128(20, 0), pa.decimal256(50, 0), pa.decimal128(38, 2)):
        X = pa.table({"c": pa.array(ids, dtype)})
        encoder = CTREncoder().fit(X)
        assert encoder.feature_kinds_.loc["c", "kind"] == "categorical"
        assert encoder.transform(X)["c"].to_pylist() == [1, 2, 1]
        assert encoder.categories_["c"].tolist() == [2**60, 2**60 + 1]
    encoder = fit(ids)
    assert codes(encoder, [2**60, str(2**60 + 1)]) == [1, 2]
    assert codes(encoder, [decimal.Decimal("0.5"), decimal.Decimal("1E+30")]) == [0, 0]
    digits = [decimal.Decimal("9" * 30), decimal.Decimal("9" * 29 + "8")] * 2
    assert codes(fit(digits), [*digits[:2], "9" * 30]) == [2, 1, 2]


@pytest.mark.parametrize(
    ("seen", "values"),
    [
        ([1, True, "x"], [1, True, "1", "true"]),
        ([1e16, "a"], [1e16, "10000000000000000"]),
        ([1.5e-7, "a"], [1.5e-7, decimal.Decimal("1.5e-7")]),
    ],
)
def test_mixed_objects_read_as_they_do_alone(seen, values):
    encoder = fit(seen)
    assert 0 not in codes(encoder, values)
    assert codes(encoder, values) == [codes(encoder, [value])[0] for value in values]
    assert codes(encoder, values[:1], None) == codes(encoder, values)[:1]


def test_times_of_day_of_any_unit():
    times = [datetime.time(10), datetime.time(10, 0, 0, 500_000), datetime.time(10)]
    encoder = fit(times)
    assert codes(encoder, times) == [1, 2, 1]
    assert codes(encoder, [datetime.time(10), "x", "10:00:00"]) == [1, 0, 1]
    for unit in ("us", "ns"):
        X = pa.table({"c": pa.array(times).cast(pa.time64(unit))})
        assert encoder.transform(X)["c"].to_pylist() == [1, 2, 1]
    assert encoder.transform(pl.DataFrame({"c": times}))["c"].to_list() == [1, 2, 1]


def test_hashes_of_64_bits_are_known_as_text():
    for hashes in ([2**63 - 1, 9 * 10**18, -(2**63)], [2**64 - 1, 9 * 10**18, 0]):
        encoder = fit(hashes, categorical="c")
        assert codes(encoder, [str(value) for value in hashes]) == codes(encoder, hashes)
        assert codes(encoder, [str(2**64), str(-(2**63) - 1), "9" * 30, "-"]) == [0, 0, 0, 0]
        assert codes(encoder, [f"000{hashes[1]}.0", f" +{hashes[1]} "]) == codes(encoder, hashes[1:2]) * 2


def test_masked_values_are_missing():
    X = np.ma.masked_array([[5, 7], [5, 9], [6, 7]], mask=[[False, True], [False, False], [True, False]])
    encoder = CTREncoder(categorical=slice(None)).fit(X)
    assert encoder.feature_kinds_["n_missing"].tolist() == [1, 1]
    assert encoder.transform(X).tolist() == [[1, 0], [1, 2], [0, 1]]
    days = np.ma.masked_array(np.array([["2024-05-03"], ["2024-05-04"]], "datetime64[D]"), mask=[[True], [False]])
    assert CTREncoder(datetime_parts=["day"]).fit_transform(days)[:, 0].tolist() == [0, 1]


def test_text_goes_on_behind_a_nul():
    texts = ["a\0b", "a\0c", "a"]
    for X in (np.array(texts)[:, np.newaxis], np.array(texts, dtype=object)[:, np.newaxis], pd.DataFrame({"c": texts})):
        assert len(np.unique(CTREncoder().fit_transform(X))) == 3


UNREADABLE = {
    "lone surrogate": (
        ["a", "\ud800b"],
        r"Column 'c' holds '\\ud800b', which is not valid text.*encode\('utf-8', 'replace'\)",
    ),
    "deep lists": (
        [eval("[" * 90 + "1" + "]" * 90)],
        r"Column 'c' can't be encoded: it holds lists of lists, such as \[\[.*`drop`",
    ),
    "huge integer": ([10**5_000, 3], r"Column 'c' can't be encoded: it holds an integer of about 5,001 digits.*`drop`"),
    "several types in a list": (
        [["a"], ["b", 2]],
        r"Column 'c' can't be encoded: it holds \['b', 2\] of type list.*`drop`",
    ),
    "lists beside strings": ([["a"], "b"], r"Column 'c': it holds lists beside single values"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_can_not_be_read_is_named(case):
    values, message = UNREADABLE[case]
    with pytest.raises((TypeError, ValueError), match=message):
        CTREncoder().fit(frame(objects(values)))
    with pytest.raises((TypeError, ValueError), match="Column 'c'"):
        CTREncoder().fit(pd.DataFrame({"c": ["x", "y"]})).transform(frame(objects(values)))


def test_lists_nested_500_deep_are_refused():
    nested = ["a"]
    for _ in range(500):
        nested = [nested]
    with pytest.raises(TypeError, match=r"Column 'c' can't be encoded: it holds lists of lists"):
        CTREncoder().fit(pd.DataFrame({"c": objects([nested])}))


def test_what_other_libraries_refuse_is_read():
    assert codes(
        fit([decimal.Decimal("sNaN"), decimal.Decimal("1"), decimal.Decimal("Infinity")], categorical="c"), [1]
    ) == [1]
    mixed = pd.DataFrame({"c": pd.Categorical([1, "a", 1, None], categories=["a", 1])})
    assert CTREncoder().fit_transform(mixed)["c"].tolist() == [1, 2, 1, 0]
    for dtype in (">i8", ">f4", ">u2", ">M8[D]", ">U3"):
        values = np.array([[1], [9], [1]]).astype(dtype)
        assert len(np.unique(CTREncoder().fit_transform(values), axis=0)) == 2
        assert len(np.unique(CTREncoder().fit_transform(pd.DataFrame({"c": values[:, 0]})), axis=0)) == 2


def test_tensor_that_requires_grad():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.5], [1.5]], requires_grad=True)
    np.testing.assert_array_equal(CTREncoder().fit_transform(X), [[-1], [1]])


def test_number_of_hash_buckets_has_a_limit():
    with pytest.raises(ValueError, match=r"'n_hash_buckets' parameter of CTREncoder must be an int in the range"):
        fit(["a"], n_hash_buckets=2**31 - 1)


@pytest.mark.parametrize(
    ("time", "unit"), [(1706173305, "s"), (1706173305000, "ms"), (1706173305000000, "us"), (1706173305 * 10**9, "ns")]
)
def test_error_about_numbers_as_times_names_their_unit(time, unit):
    with pytest.raises(TypeError, match=rf"Column 'c': .*to_datetime\(X\[column\], unit='{unit}'\)"):
        fit([time, time + 1], datetime="c")


def test_threads_share_a_fresh_encoder():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 200_000, 200_000), "item": rng.integers(0, 1_000, 200_000)})
    encoder = CTREncoder(categorical=slice(None), statistics=[("user", "item")]).fit(X, X["item"] % 2)
    saved, batch = pickle.dumps(encoder), X[:1_024]
    for _ in range(3):
        loaded = pickle.loads(saved)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(loaded.transform, [batch] * 8))
        assert all(result.equals(encoder.transform(batch)) for result in results)


@pytest.mark.parametrize(
    "values",
    [np.arange(-20_000, 0), [f"user {n}" for n in range(19_999)] + ["ü" * 3_000]],
    ids=["integers", "strings"],
)
def test_many_known_values_are_found_in_batches_of_any_size(values):
    X = pd.DataFrame({"c": values})
    encoder = CTREncoder(categorical="c").fit(X)
    at_once = encoder.transform(X)["c"].to_numpy()
    assert sorted(at_once) == list(range(1, 20_001))
    for size in (1, 7, 1_000):
        rows = X[-size:]
        assert encoder.transform(rows)["c"].tolist() == at_once[-size:].tolist()
    unknown = pd.DataFrame({"c": [5, -20_001] if values[0] == -20_000 else ["user", None]})
    assert encoder.transform(unknown)["c"].tolist() == [0, 0]


def test_strings_of_one_hash_are_told_apart():
    # Thue-Morse words: the sums of letter times power of any odd base are the same modulo 2**64.
    word, other = "a", "b"
    for _ in range(11):
        word, other = word + other, other + word
    X = pd.DataFrame({"c": [word, other, *map(str, range(20_000))]})
    encoder = CTREncoder(categorical="c").fit(X)
    known = encoder.transform(X)["c"].to_numpy()
    assert sorted(known) == list(range(1, 20_003))
    for size in (2, 300):
        assert encoder.transform(X[:size])["c"].tolist() == known[:size].tolist()
    without = CTREncoder(categorical="c").fit(X[1:])
    assert without.transform(X[:1])["c"].tolist() == [0]


def test_index_of_a_large_vocabulary_takes_little_memory_and_is_not_pickled():
    X = pd.DataFrame({"c": [f"user {n}" for n in range(100_000)]})
    encoder = CTREncoder(categorical="c").fit(X)
    saved = pickle.dumps(encoder)
    tracemalloc.start()
    encoder.transform(X[:1])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 40 * len(X)
    assert pickle.dumps(encoder) == saved


@pytest.mark.parametrize(
    "values",
    [[{"a": 1}, None], [[["a"]], None], [1 + 1j, None], [10**5_000, None], [decimal.Decimal("sNaN"), 1]],
    ids=["dicts", "lists of lists", "complex", "huge", "signalling NaN"],
)
def test_what_can_not_be_read_can_be_dropped(values):
    X = pd.DataFrame({"c": pd.Series(values, dtype=object), "b": ["x", "y"]})
    encoder = CTREncoder(drop="c").fit(X)
    assert encoder.feature_kinds_.loc["c", "n_missing"] == 1
    assert encoder.transform(X)["b"].tolist() == [1, 2]


def test_what_numpy_can_not_hold_can_be_dropped():
    months = pa.array([(1, 2, 3), None], pa.month_day_nano_interval())
    table = pa.table({"c": months, "b": ["x", "y"]})
    frame = pd.DataFrame({"c": pd.Series(pd.arrays.ArrowExtensionArray(months)), "b": ["x", "y"]})
    for X in (table, frame):
        assert CTREncoder(drop="c").fit(X).feature_kinds_.loc["c", "n_missing"] == 1


def test_times_where_fit_saw_numbers_and_the_other_way_round_are_refused():
    for seen in ([0.5, 1.5], [1, 2, 1], [True, False]):
        with pytest.raises(TypeError, match=r"Column 'c': '2024-05-03 12:00:00' is a time, where fit saw numbers"):
            codes(fit(seen), [NOON])
    with pytest.raises(TypeError, match=r"Column 'c': .*1714737600, are not dates or times.*unit='s'"):
        codes(fit([NOON], datetime_parts=["hour"]), [1714737600])
    assert codes(fit([1, 2, 1]), [pd.NaT]) == [0]


@pytest.mark.parametrize(
    "times",
    [
        # Both hours of a clock change, and times that Python lacks.
        pd.to_datetime(["2024-10-27 00:30", "2024-10-27 01:30"], utc=True).tz_convert(BERLIN),
        pd.DatetimeIndex(np.array(["30000-01-01", "30000-01-02"], "datetime64[s]")),
        pd.TimedeltaIndex(np.array([2**60, 2**60 + 1], "timedelta64[us]")),
    ],
    ids=["clock change", "year 30000", "durations"],
)
def test_times_as_categories_are_told_apart_in_batches_of_any_size(times):
    encoder = CTREncoder(categorical="c").fit(pd.DataFrame({"c": times}))
    assert encoder.transform(pd.DataFrame({"c": times}))["c"].tolist() == [1, 2]
    assert encoder.transform(pd.DataFrame({"c": times.repeat(300)}))["c"].unique().tolist() == [1, 2]
    assert encoder.transform(pd.DataFrame({"c": times[1:]}))["c"].tolist() == [2]


@pytest.mark.parametrize("in_pandas", [True, False])
def test_run_end_encoded_values_are_values(in_pandas):
    array = pc.run_end_encode(pa.array(["a", "a", "b", None]))
    column = pd.arrays.ArrowExtensionArray(pa.chunked_array([array]))
    X = pd.DataFrame({"c": column}) if in_pandas else pa.table({"c": array})
    encoded = CTREncoder().fit(pd.DataFrame({"c": ["a", "a", "b", None]})).transform(X)
    assert np.asarray(encoded["c"]).tolist() == [1, 1, 2, 0]


def test_a_stray_value_of_weight_zero_is_refused_by_name():
    times = [datetime.datetime(2024, 3, 1 + n % 20, n % 24, tzinfo=BERLIN) for n in range(60)]
    X = pd.DataFrame({"seen": objects([*times, datetime.date(1, 1, 1)])})
    with pytest.raises((TypeError, ValueError), match="Column 'seen'"):
        CTREncoder().fit(X, sample_weight=[1.0] * 60 + [0.0])
