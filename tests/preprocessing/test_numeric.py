"""Numeric columns."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder

quick = settings(max_examples=40, deadline=None)

FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30)


def frame(values):
    return pd.DataFrame({"c": values})


def fit(values, numeric_encoding="standard", sample_weight=None, **parameters):
    encoder = CTREncoder(numeric="c", numeric_encoding=numeric_encoding, **parameters)
    return encoder.fit(frame(values), sample_weight=sample_weight)


def encode(encoder, values):
    return encoder.transform(frame(values))["c"].to_numpy()


@quick
@given(FLOATS, FLOATS)
@example([0.0, 1.5e301, 1e-07], [1e-15])
@pytest.mark.parametrize("numeric_encoding", ["normal", "standard", "bins", "log"])
def test_output_is_finite_whatever_the_input(numeric_encoding, seen, unseen):
    encoder = fit(seen, numeric_encoding, n_bins=3)
    for values in (seen, unseen):
        encoded = encode(encoder, values)
        assert np.isfinite(encoded).all()
        assert encoded.dtype == (np.float32 if numeric_encoding in ("normal", "standard") else np.int64)
        assert (encoded[~np.isfinite(values)] == 0).all()


def test_standardised_values():
    values = np.random.default_rng(0).normal(5, 3, size=1000)
    encoded = encode(fit(values), values)
    assert encoded.mean() == pytest.approx(0, abs=1e-6)
    assert encoded.std() == pytest.approx(1, abs=1e-6)


def test_missing_and_infinite_values_take_no_part_and_become_the_mean():
    encoder = fit([1.5, 2.5, np.nan, np.inf, -np.inf])
    assert encode(encoder, [1.5, 2.5, np.nan, np.inf, -np.inf]).tolist() == [-1, 1, 0, 0, 0]


def test_normal_scores_follow_the_normal_distribution_whatever_that_of_the_values():
    values = np.random.default_rng(0).lognormal(sigma=3, size=20_001)
    encoded = encode(fit(values, "normal"), values)
    scores = np.sort(encoded.astype(np.float64))
    expected = scipy.stats.norm.ppf((np.arange(len(values)) + 0.5) / len(values))
    # The remembered values are a thousandth of the ranks apart, which is little but in the tails.
    assert np.abs(scores - expected)[100:-100].max() < 0.02
    assert (np.diff(encoded[np.argsort(values)]) >= 0).all()


def test_equal_values_share_the_middle_of_their_ranks():
    values = [5.5, 5.5, 5.5, 7.5]
    low, high = encode(fit(values, "normal"), [5.5, 7.5])
    assert 3 * low + high == pytest.approx(0, abs=1e-6)
    assert 3 * low**2 + high**2 == pytest.approx(4, abs=1e-6)


def test_scores_between_and_beyond_the_values_of_fit():
    encoder = fit([1.5, 2.5, 4.5], "normal")
    low, between, middle, high, beyond = encode(encoder, [1.5, 2.0, 2.5, 4.5, 1e300])
    assert between == pytest.approx((low + middle) / 2)
    assert beyond == high


def test_outliers_are_clipped():
    assert encode(fit([0.5, 1.5]), [1e9, -1e300]).tolist() == [10, -10]


@pytest.mark.parametrize("numeric_encoding", ["normal", "standard"])
@pytest.mark.parametrize("constant", [0.1, 1e300, 0.0])
def test_constant_column_is_zero(constant, numeric_encoding):
    encoder = fit([constant] * 7, numeric_encoding)
    assert encode(encoder, [constant, constant + 5]).tolist() == [0, 0]


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
@pytest.mark.parametrize("numeric_encoding", ["normal", "standard"])
def test_floats_come_back(numeric_encoding, values):
    encoder = fit(values, numeric_encoding)
    decoded = encoder.inverse_transform(encoder.transform(frame(values)))["c"]
    np.testing.assert_allclose(decoded, values, atol=1e-6 * np.ptp(values) + 1e-9 * np.abs(values).max())


@pytest.mark.parametrize("numeric_encoding", ["normal", "standard", "bins"])
def test_integer_weights_are_repetitions(numeric_encoding):
    rng = np.random.default_rng(0)
    values, weights = rng.exponential(100, size=200), rng.integers(0, 4, size=200)
    weighted = fit(values, numeric_encoding, sample_weight=weights)
    repeated = fit(np.repeat(values, weights), numeric_encoding)
    np.testing.assert_allclose(encode(weighted, values), encode(repeated, values), rtol=1e-5, atol=1e-6)


def test_bins_hold_about_as_many_rows_each():
    values = np.random.default_rng(0).exponential(size=1000)
    encoder = fit(values, "bins", n_bins=10)
    assert np.bincount(encode(encoder, values)).tolist() == [0] + [100] * 10
    assert encode(encoder, [-1e300, 1e300]).tolist() == [1, 10]
    assert encoder.cardinalities_ == {"c": 11}


def test_bins_of_the_same_values_are_merged():
    values = [0.5] * 90 + [1.5] * 10
    encoder = fit(values, "bins", n_bins=10)
    assert encode(encoder, [0.5, 1.5]).tolist() == [1, 2]
    assert encoder.cardinalities_ == {"c": 3}


def test_bins_come_back_as_their_mean():
    encoder = fit([1.0, 2.0, 10.0, 20.0], "bins", n_bins=2)
    decoded = encoder.inverse_transform(encoder.transform(frame([1.0, 20.0, np.nan])))["c"]
    np.testing.assert_allclose(decoded, [1.5, 15, np.nan])


def criteo_bucket(value):
    return np.floor(np.log(value) ** 2) if value > 2 else np.trunc(value)


def test_log_buckets_are_those_of_the_published_code():
    values = [-3.0, 0.0, 1.0, 2.0, 3.0, 7.5, 100.0, 101.0, 12345.0]
    codes = encode(fit(values, "log"), values)
    buckets = [criteo_bucket(value) for value in values]
    for code, bucket in zip(codes, buckets, strict=True):
        assert [other == code for other in codes] == [other == bucket for other in buckets]


def test_rare_and_unseen_log_buckets_are_unknown():
    encoder = fit([1.0, 1.0, 100.0], "log", min_frequency=2)
    assert encode(encoder, [1.0, 100.0, 12345.0, np.nan]).tolist() == [1, 0, 0, 0]


def test_log_buckets_come_back_as_their_lower_bound():
    encoder = fit([0.0, 1000.0], "log")
    decoded = encoder.inverse_transform(encoder.transform(frame([0.0, 1000.0, np.nan])))["c"]
    np.testing.assert_allclose(decoded, [0, np.exp(np.sqrt(criteo_bucket(1000))), np.nan])


def test_strings_are_read_as_numbers_where_the_user_says_so():
    encoder = fit(["1.5", " 2.5 ", None])
    assert encode(encoder, ["1.5", "+2.5", None]).tolist() == [-1, 1, 0]
    for read in (fit, lambda values: encode(encoder, values)):
        with pytest.raises(ValueError, match="Column 'c': 'what' is not a number"):
            read(["1.5", "what"])


def test_durations_are_seconds():
    hours = pd.to_timedelta(["1h", "3h", None])
    encoder = CTREncoder().fit(frame(hours))
    encoded = encoder.transform(frame(hours))
    assert encoded["c"].tolist() == [-1, 1, 0]
    assert encoder.inverse_transform(encoded)["c"].tolist() == pytest.approx([3600, 10800, 7200])


@pytest.mark.parametrize("weight", [1e-14, 1e-17, 1e-100])
def test_value_almost_without_weight_spoils_no_other(weight):
    values, weights = [1.5, 2.5, 3.5, 4.5], [1, 1, 1, weight]
    encoded = encode(fit(values, "normal", weights), values)
    np.testing.assert_allclose(encoded[:3], encode(fit(values[:3], "normal"), values[:3]), atol=1e-3)
    assert np.isfinite(encoded).all()
    assert (np.diff(encoded) > 0).all()
    lightest_first = encode(fit(values, "normal", weights[::-1]), values)
    assert np.isfinite(lightest_first).all()


def test_column_in_which_one_value_has_all_the_weight_is_constant():
    assert encode(fit([0.5, 1.5, 2.5], "normal", [1e-100, 1, 1e-100]), [0.5, 1.5, 2.5]).tolist() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:sample_weight has a mean")
@quick
@given(st.lists(st.sampled_from([1e-100, 1e-30, 1e-14, 0.5, 1.0, 1e15, 1e100]), min_size=6, max_size=6))
@pytest.mark.parametrize("numeric_encoding", ["normal", "standard", "bins", "log"])
def test_output_is_finite_whatever_the_weights(numeric_encoding, weights):
    X = pd.DataFrame({"c": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5], "user": [1, 1, 2, 2, 3, 3]})
    encoder = CTREncoder(numeric_encoding=numeric_encoding, statistics=["user"])
    for out in (encoder.fit_transform(X, [0, 1] * 3, sample_weight=weights), encoder.transform(X)):
        assert np.isfinite(out.to_numpy(dtype=float)).all()


@pytest.mark.parametrize("weights", [[1, 1e308], [1e-300, 1e300], [1, 1e-200]])
def test_weights_that_can_not_be_summed_are_refused(weights):
    with pytest.raises(ValueError, match=r"sample_weight holds 1e.* between 1e-100 and 1e\+100\. Divide them by their"):
        fit([0.5, 1.5], sample_weight=weights)


def test_more_bins_than_values():
    values = [0.5, 2.5, 1.5]
    encoder = fit(values, "bins", n_bins=10**9)
    assert encode(encoder, values).tolist() == [1, 3, 2]
    weighted = fit(values, "bins", [1, 1, 1e-20], n_bins=10**9)
    assert encode(weighted, values).tolist() == [1, 2, 2]


@quick
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(2, 64))
def test_bins_are_those_of_the_quantiles_however_many(values, n_bins):
    repeated = np.repeat(values, 3) / 2
    few, many = fit(np.repeat(repeated, 64), "bins", n_bins=n_bins), fit(repeated, "bins", n_bins=n_bins)
    assert encode(few, repeated).tolist() == encode(many, repeated).tolist()


@pytest.mark.parametrize(("n_rows", "n_bins"), [(1000, 100), (804, 60), (248, 40), (136, 74)])
def test_bins_are_the_same_by_rows_by_weights_and_from_files(n_rows, n_bins):
    X = pd.DataFrame({"c": np.random.default_rng(0).normal(size=n_rows).round(2)})
    encoder = CTREncoder(numeric_encoding="bins", n_bins=n_bins)
    by_rows = encoder.fit_transform(X)
    for weight in (3.0, 1 / 3, 0.1):
        assert encoder.fit_transform(X, sample_weight=np.full(n_rows, weight)).equals(by_rows)
    assert pd.concat(encoder.fit_transform(lambda: iter([X]))).equals(by_rows.astype(np.int32))


def test_scores_of_the_largest_values_are_as_exact_as_those_of_the_smallest():
    values, weights = np.arange(40.0), 10.0 ** -np.arange(40)
    ascending = encode(fit(values, "normal", weights), values)
    descending = encode(fit(values, "normal", weights[::-1]), values)
    np.testing.assert_allclose(ascending, -descending[::-1], rtol=1e-6)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(encode(fit(values[order], "normal", weights[order]), values), ascending, rtol=1e-6)
