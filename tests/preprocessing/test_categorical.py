"""Codes of categorical columns."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder

quick = settings(max_examples=40, deadline=None)

VALUES = st.one_of(
    st.lists(st.text(max_size=3) | st.none(), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1),
    st.lists(st.booleans() | st.none(), min_size=1),
    st.lists(st.floats(-100, 100) | st.none(), min_size=1),
    st.lists(st.integers(0, 3) | st.sampled_from(["0", "1", "x"]) | st.none(), min_size=1),
)


def frame(values):
    # Object, because pandas would turn integers among missing values into doubles and round them.
    return pd.DataFrame({"c": pd.Series(values, dtype=object)})


def fit(values, **parameters):
    return CTREncoder(categorical="c", **parameters).fit(frame(values))


def codes(encoder, values):
    return encoder.transform(frame(values))["c"].tolist()


def test_codes_by_descending_frequency_then_value():
    encoder = fit(["b", "c", "a", "c", None, "b", "d"])
    assert codes(encoder, ["b", "c", "a", "d", None, "new"]) == [1, 2, 3, 4, 0, 0]
    assert encoder.categories_["c"].tolist() == ["b", "c", "a", "d"]
    assert encoder.cardinalities_ == {"c": 5}


@quick
@given(VALUES, st.randoms())
def test_refit_on_shuffled_rows_gives_the_same_codes(values, random):
    shuffled = random.sample(values, len(values))
    assert codes(fit(values), values) == codes(fit(shuffled), values)


@quick
@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=2, max_size=30), st.randoms())
def test_refit_on_shuffled_rows_with_fractional_weights_gives_the_same_codes(weights, random):
    # Both values weigh the same, but for the last bits, which depend on the order.
    values = ["b"] * len(weights) + ["a"] * len(weights)
    rows = random.sample(range(len(values)), len(values))
    encoder = CTREncoder().fit(frame(values).iloc[rows], sample_weight=np.tile(weights, 2)[rows])
    assert codes(encoder, ["a", "b"]) == [1, 2]


@quick
@given(VALUES)
def test_round_trip(values):
    encoder = fit(values)
    encoded = encoder.transform(frame(values))
    decoded = encoder.inverse_transform(encoded)
    missing = pd.isna(frame(values)["c"])
    assert (encoded["c"] == 0).tolist() == missing.tolist()
    assert pd.isna(decoded["c"]).tolist() == missing.tolist()
    mixed = len({type(value) for value in values} - {type(None)}) > 1
    for before, after in zip(frame(values)["c"][~missing], decoded["c"][~missing], strict=True):
        assert str(before) == after if mixed else before == after


@quick
@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=20), st.integers(0, 19))
def test_integers_that_become_floats_keep_their_codes(values, position):
    encoder = fit(values)
    floats = np.array([*values, np.nan], dtype=np.float64)
    assert codes(encoder, floats) == [*codes(encoder, values), 0]
    assert codes(fit(floats), values) == codes(encoder, values)


def test_values_are_compared_by_what_they_read_as():
    encoder = fit([5, 7, 5])
    assert codes(encoder, ["5", "7.0", "x", None]) == [1, 2, 0, 0]
    assert codes(encoder, [5.0, 7.5, np.inf]) == [1, 0, 0]
    encoder = fit(["5", "7", "5"])
    assert codes(encoder, [5, 7, 9]) == [1, 2, 0]
    assert codes(encoder, [5.0, 7.0, 7.5]) == [1, 2, 0]


def test_mixed_types_are_strings():
    encoder = fit([1, "1", 2.0, "x", 0.5, None, np.inf])
    assert encoder.categories_["c"].tolist() == ["1", "0.5", "2", "x"]
    assert codes(encoder, ["1", 1, 1.0, 0.5, 2, "x", np.inf]) == [1, 1, 1, 2, 3, 4, 0]
    assert fit([True, "true", False]).categories_["c"].tolist() == ["true", "false"]


def test_large_ids_stay_exact():
    ids = [2**60, 2**60 + 1, None, 2**60]
    encoder = fit(ids)
    assert codes(encoder, ids) == [1, 2, 0, 1]
    assert encoder.inverse_transform(encoder.transform(frame(ids)))["c"].tolist()[:2] == ids[:2]
    assert codes(encoder, [str(2**60), str(2**60 + 1), "9" * 19, "9" * 25]) == [1, 2, 0, 0]
    hashes = np.array([2**64 - 1, 5, 5], dtype=np.uint64)
    encoder = CTREncoder().fit(pd.DataFrame({"c": hashes}))
    assert encoder.transform(pd.DataFrame({"c": hashes}))["c"].tolist() == [2, 1, 1]
    out = fit([3, 5, 5]).transform(pd.DataFrame({"c": np.array([2**64 - 1, 5, 3], dtype=np.uint64)}))
    assert out["c"].tolist() == [0, 1, 2]
    assert codes(fit([2**70, 2**70, 3]), [2**70, 3]) == [1, 2]


def test_few_and_many_rows_give_the_same_codes():
    rng = np.random.default_rng(0)
    X = frame(rng.integers(0, 5_000, size=20_000))
    encoder = CTREncoder().fit(X)
    at_once = encoder.transform(X)["c"].to_numpy()
    row_by_row = [encoder.transform(X.iloc[[row]])["c"].item() for row in range(50)]
    assert at_once[:50].tolist() == row_by_row
    assert at_once.min() == 1


def test_rare_values_are_unknown():
    values = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    assert codes(fit(values, min_frequency=3), ["a", "b", "c"]) == [1, 2, 0]
    assert codes(fit(values, min_frequency=0.3), ["a", "b", "c"]) == [1, 2, 0]
    assert codes(fit(values, max_categories=1), ["a", "b", "c"]) == [1, 0, 0]
    assert fit(values, min_frequency=3, max_categories=1).cardinalities_ == {"c": 2}


def test_share_of_rows_is_not_spoilt_by_rounding():
    values = ["a"] * 7 + ["b"] * 93
    assert 0.07 * 100 > 7
    assert codes(fit(values, min_frequency=0.07), ["a", "b"]) == [2, 1]


def test_missing_rows_count_in_the_share():
    assert codes(fit(["a"] * 3 + [None] * 7, min_frequency=0.4), ["a"]) == [0]


@pytest.mark.parametrize("parameters", [{"min_frequency": 2}, {"min_frequency": 0.5}, {"max_categories": 1}])
def test_frequencies_are_of_rows_whatever_their_weights(parameters):
    X = frame(["a", "a", "b", "c"])
    encoder = CTREncoder(**parameters).fit(X, sample_weight=[1, 1, 5, 1])
    assert encoder.transform(X)["c"].tolist() == [1, 1, 0, 0]


def test_weights_by_label_and_a_least_frequency_do_not_give_the_label_away():
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"user": rng.permutation(np.arange(4_000) // 2)}), (rng.random(4_000) < 0.05).astype(int)
    encoder = CTREncoder(min_frequency=5, categorical=["user"], statistics=None)
    # Negatives were sampled, one in ten: the documented weights.
    codes = encoder.fit_transform(X, y, sample_weight=np.where(y == 1, 1, 10))["user"]
    assert (codes == 0).all()


def test_no_value_is_rare_by_default_however_small_its_weight():
    X = frame(["a", "b", "b"])
    assert CTREncoder().fit(X, sample_weight=[0.01, 0.02, 0]).transform(X)["c"].tolist() == [1, 2, 2]


def test_rows_without_weight_are_as_good_as_absent():
    X = frame(["a", "b", "b"])
    encoder = CTREncoder().fit(X, sample_weight=[1, 0, 0])
    assert encoder.transform(X)["c"].tolist() == [1, 0, 0]


def test_hashing_bounds_the_codes_and_knows_unseen_values():
    encoder = fit([str(n) for n in range(1000)], n_hash_buckets=50)
    hashed = np.array(codes(encoder, [str(n) for n in range(1000, 2000)]))
    assert encoder.cardinalities_ == {"c": 51}
    assert set(hashed) == set(range(1, 51))
    assert codes(encoder, [None]) == [0]
    assert codes(encoder, [7, "7", 7.0]) == codes(encoder, ["7"]) * 3
    assert pd.isna(encoder.inverse_transform(encoder.transform(frame(["7"])))["c"]).all()
    assert encoder.categories_ == {}


def test_hash_is_the_same_in_another_process():
    script = (
        "from sk_finalmlp.preprocessing import CTREncoder\n"
        "X = [[str(n)] for n in range(20)]\n"
        "print(CTREncoder(n_hash_buckets=1000).fit_transform(X).ravel().tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    here = CTREncoder(n_hash_buckets=1000).fit_transform([[str(n)] for n in range(20)])
    assert printed.strip() == str(here.ravel().tolist())


@pytest.mark.parametrize("code", [-1, 3, 0.5, np.nan])
def test_inverse_of_what_is_no_code(code):
    encoder = fit(["a", "b"])
    with pytest.raises(ValueError, match=r"Column 'c': .*code"):
        encoder.inverse_transform(pd.DataFrame({"c": [code]}))
