"""Combinations of fields as fields of their own."""

import numpy as np
import pandas as pd
import pytest

from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import Field

X = pd.DataFrame(
    {"user": ["a", "a", "b", "b", "b", None], "item": [1, 1, 1, 2, 2, 1], "hour": ["x", "y", "x", "x", "x", "x"]}
)


def test_cross_has_codes_by_descending_frequency():
    encoder = CTREncoder(crosses=[("user", "item")])
    out = encoder.fit_transform(X)
    # b and 2 come twice like a and 1; b is the more frequent user and has the lower code.
    assert out["user & item"].tolist() == [2, 2, 3, 1, 1, 0]
    assert encoder.fields_[-1] == Field("user & item", "categorical", n_codes=4)
    assert encoder.cardinalities_["user & item"] == 4
    pd.testing.assert_frame_equal(encoder.transform(X), out)


def test_unseen_combination_of_known_values_has_code_0():
    out = (
        CTREncoder(crosses=[("user", "item")]).fit(X).transform(pd.DataFrame({"user": ["a"], "item": [2], "hour": "x"}))
    )
    assert out.to_numpy().tolist() == [[2, 2, 1, 0]]


def test_crosses_of_three_fields():
    out = CTREncoder(crosses=[("user", "item", "hour")]).fit_transform(X)
    assert out["user & item & hour"].tolist() == [3, 4, 2, 1, 1, 0]


@pytest.mark.parametrize(
    ("parameters", "codes"),
    # With one category each, only b and 1 are known.
    [({"min_frequency": 2}, [2, 2, 0, 1, 1, 0]), ({"max_categories": 1}, [0, 0, 1, 0, 0, 0])],
)
def test_rare_combinations_have_code_0(parameters, codes):
    assert CTREncoder(crosses=[("user", "item")], **parameters).fit_transform(X)["user & item"].tolist() == codes


def test_crosses_of_hashed_fields_are_hashed():
    encoder = CTREncoder(crosses=[("user", "item")], n_hash_buckets=7)
    codes = encoder.fit_transform(X)["user & item"]
    assert encoder.cardinalities_["user & item"] == 8
    assert codes[5] == 0
    assert codes[:5].between(1, 7).all()


def test_crosses_count_the_rows_with_weight():
    unweighted = CTREncoder(crosses=[("user", "item")]).fit(X).transform(X)
    out = CTREncoder(crosses=[("user", "item")]).fit(X, sample_weight=[1, 1, 9, 1, 1, 1]).transform(X)
    pd.testing.assert_frame_equal(out, unweighted)
    out = CTREncoder(crosses=[("user", "item")]).fit(X, sample_weight=[0, 0, 1, 1, 1, 1]).transform(X)
    assert out["user & item"].tolist()[0] == 0


def test_array_of_codes_stays_an_array_of_integers():
    out = CTREncoder(crosses=[("x0", "x1")]).fit_transform(X.to_numpy(dtype=object))
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.int64
    assert out.shape == (6, 4)


@pytest.mark.parametrize(
    ("crosses", "message"),
    [(["user"], "'user' is a single field"), ([("user", "users")], "no field 'users'"), ([("user", "user")], "differ")],
)
def test_what_is_no_cross_is_an_error(crosses, message):
    with pytest.raises(ValueError, match=message):
        CTREncoder(crosses=crosses).fit(X)


def test_name_that_a_column_has_already_is_an_error():
    with pytest.raises(ValueError, match="'user & item'"):
        CTREncoder(crosses=[("user", "item")]).fit(X.assign(**{"user & item": X["hour"]}))
