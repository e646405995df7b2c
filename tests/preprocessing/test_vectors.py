"""Columns of vectors, and vectors of ids."""

import copy
import json
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone

from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import read_names, read_schema

VECTORS = np.random.default_rng(0).normal(size=(6, 3)) * [5, 1, 0.2] + 2
TABLE = pd.DataFrame(VECTORS[:4], index=["a", "b", "c", "new"])
ITEMS = ["a", "a", "b", "c", "z", None]


def frame(vectors):
    values = pd.Series([None] * len(vectors), dtype=object)
    for row, vector in enumerate(vectors):
        values[row] = vector
    return pd.DataFrame({"text": values})


def encode(encoder, vectors):
    return encoder.transform(frame(vectors)).to_numpy()


def clicks(items=ITEMS):
    return pd.DataFrame({"user": [1, 2] * (len(items) // 2), "item": pd.Series(items, dtype=object)})


def fit_ids(vectors=TABLE, items=ITEMS, **parameters):
    return CTREncoder(vectors={"item": vectors}, **parameters).fit(clicks(items))


# Columns of vectors


def test_a_vector_is_a_column_for_each_coordinate():
    encoder = CTREncoder().fit(frame(VECTORS))
    assert encoder.feature_kinds_["kind"].tolist() == ["vector"]
    assert "3 numbers with a fractional part" in encoder.feature_kinds_["why"].iloc[0]
    assert list(encoder.get_feature_names_out()) == ["text@0", "text@1", "text@2"]
    (field,) = encoder.fields_
    assert (field.kind, field.n_columns) == ("vector", 3)
    assert encoder.transform(frame(VECTORS)).dtypes.eq(np.float32).all()


def test_distances_stay_in_proportion():
    encoded = encode(CTREncoder().fit(frame(VECTORS)), VECTORS)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose((encoded**2).mean(), 1, rtol=1e-5)
    ratio = np.linalg.norm(encoded[1:] - encoded[0], axis=1) / np.linalg.norm(VECTORS[1:] - VECTORS[0], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


CONTAINERS = {
    "arrays": lambda vectors: frame(list(vectors)),
    "lists": lambda vectors: frame(vectors.tolist()),
    "tuples": lambda vectors: frame(list(map(tuple, vectors))),
    "single precision": lambda vectors: frame(list(vectors.astype(np.float32))),
    "Arrow": lambda vectors: pd.DataFrame(
        {"text": pd.Series(vectors.tolist(), dtype=pd.ArrowDtype(pa.list_(pa.float32())))}
    ),
    "Arrow, of one size": lambda vectors: pa.table(
        {"text": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])}
    ),
    "polars": lambda vectors: pl.DataFrame({"text": pl.Series(vectors.tolist(), dtype=pl.Array(pl.Float64, 3))}),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_any_container_of_arrays_will_do(container):
    table = container(VECTORS)
    encoded = CTREncoder().fit_transform(table)
    values = encoded.to_pandas() if hasattr(encoded, "to_pandas") else encoded
    np.testing.assert_allclose(values.to_numpy(), encode(CTREncoder().fit(frame(VECTORS)), VECTORS), rtol=1e-5)


def test_a_missing_vector_is_zeros():
    encoder = CTREncoder().fit(frame([*VECTORS, None]))
    assert encoder.feature_kinds_["n_missing"].tolist() == [1]
    missing = [None, [], [np.nan] * 3, np.full(3, np.nan), [None] * 3]
    assert not encode(encoder, missing).any()
    assert not encode(encoder, [None, None]).any()


def test_round_trip():
    encoder = CTREncoder().fit(frame(VECTORS))
    decoded = encoder.inverse_transform(encoder.transform(frame([*VECTORS, None])))["text"]
    np.testing.assert_allclose(np.stack(decoded[:-1]), VECTORS, rtol=1e-5)
    assert decoded.iloc[-1] is None


def test_lists_of_whole_numbers_are_elements_unless_named():
    lists = [[1.0, 2.0], [3.0, 2.0], [3.0, 1.0]]
    assert CTREncoder().fit(frame(lists)).feature_kinds_["kind"].tolist() == ["multi-valued"]
    named = CTREncoder(vector="text").fit(frame(lists))
    assert named.feature_kinds_["kind"].tolist() == ["vector"]
    assert named.feature_kinds_["why"].tolist() == ["chosen by the user"]


def test_weights_count_as_rows():
    weights = [1, 2, 0, 1, 1, 1]
    weighted = CTREncoder().fit(frame(VECTORS), sample_weight=weights)
    repeated = CTREncoder().fit(frame(np.repeat(VECTORS, weights, axis=0)))
    np.testing.assert_allclose(encode(weighted, VECTORS), encode(repeated, VECTORS), rtol=1e-5)


def test_a_row_depends_on_no_other():
    encoder = CTREncoder().fit(frame(VECTORS))
    assert np.array_equal(encode(encoder, VECTORS)[:1], encode(encoder, VECTORS[:1]))


def test_constant_vectors_are_as_good_as_none():
    assert not encode(CTREncoder().fit(frame([VECTORS[0]] * 3)), [VECTORS[0]]).any()


def test_outliers_stay_finite():
    encoder = CTREncoder().fit(frame(VECTORS))
    assert np.isfinite(encode(encoder, [[1e300, -1e300, 0.5]])).all()
    assert np.isfinite(encode(CTREncoder().fit(frame([[1e300, 0.5], [0.5, 1e-300]])), [[1e300, 0.5]])).all()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (
            [[0.5, 1.5], [0.5, 1.5, 2.5]],
            r"Column 'text': the vector of row 1, \[0.5, 1.5, 2.5\], has length 3.*length 2",
        ),
        ([[0.5, 1.5], [0.5, np.nan]], r"Column 'text': the vector of row 1.*NaN or an infinite.*whole vector missing"),
        ([[0.5, 1.5], [0.5, -np.inf]], r"Column 'text': the vector of row 1.*NaN or an infinite"),
    ],
    ids=["lengths", "NaN", "infinite"],
)
def test_bad_vectors_in_fit(vectors, message):
    with pytest.raises(ValueError, match=message):
        CTREncoder().fit(frame(vectors))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([0.5, 1.5], ValueError, "'text': the vector of row 0.*has length 2, but vectors in fit have length 3"),
        ([0.5, np.nan, 1.5], ValueError, "'text': the vector of row 0.*NaN"),
        ("[0.5, 1.5, 2.5]", TypeError, "'text': it holds.*where fit saw arrays of numbers.*json.loads"),
        (["a", "b", "c"], ValueError, "'text': 'a' is not a number"),
        (0.5, ValueError, "'text': the vector of row 0.*has length 1"),
    ],
)
def test_bad_vectors_later(value, error, message):
    encoder = CTREncoder().fit(frame(VECTORS))
    with pytest.raises(error, match=message):
        encoder.transform(frame([value]))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([None, None], ValueError, "'text': it holds no vector, so that their length isn't known.*`drop`"),
        (["[0.5, 1]", "[1.5, 2]"], TypeError, r"'text': .* such as '\[0\.5, 1\]'\. Arrays .*json\.loads"),
        ([0.5, 1.5], TypeError, "'text': it holds single values where arrays are expected.*`numeric`"),
        (["a", "b"], TypeError, "'text': it holds single values"),
        ([np.eye(2), np.eye(2)], TypeError, "'text'.*lists of lists"),
    ],
)
def test_what_is_no_vector(values, error, message):
    with pytest.raises(error, match=message):
        CTREncoder(vector="text").fit(frame(values))


def test_columns_of_the_user_that_are_named_like_coordinates():
    X = pd.DataFrame({"x@0": [0.5, 1.5], "x@1": [0.5, 2.5]})
    assert [field.kind for field in read_schema(CTREncoder().fit_transform(X)).fields] == ["numeric", "numeric"]
    with pytest.raises(ValueError, match=r"'x@0' is numeric, but the names .* Rename"):
        CTREncoder().fit_transform(pl.from_pandas(X))


def test_names_say_which_floats_are_one_vector():
    names = ["age", "x@0", "x@1", "y@1", "z[0]"]
    found = [(field.name, field.kind, own) for field, own in read_names(names, [np.dtype(np.float32)] * 5)]
    numbers = [(name, "numeric", [position]) for position, name in enumerate(names)]
    assert found == [numbers[0], ("x", "vector", [1, 2]), *numbers[3:]]


# Vectors of ids


def test_each_id_has_its_vector_whether_fit_saw_it_or_not():
    encoder = fit_ids(statistics=None)
    encoded = encoder.transform(clicks(["new", "z", "a", None]))
    assert encoded["item"].tolist() == [0, 4, 1, 0]
    assert encoded["item@vector"].tolist() == [4, 0, 1, 0]
    assert encoder.categories_["item@vector"].tolist() == list(TABLE.index)
    _, item, vectors = encoder.fields_
    assert (vectors.kind, vectors.n_codes, vectors.length, vectors.of) == ("pretrained", 5, 3, item.name)
    assert encoder.feature_kinds_.loc["item", ["kind", "n_codes", "n_columns"]].tolist() == ["categorical", 5, 2]


def test_the_table_is_carried_without_a_copy():
    encoded = fit_ids().transform(clicks())
    table = read_schema(encoded).vectors["item@vector"]
    assert table.vectors.dtype == np.float32
    assert not table.vectors[0].any()
    np.testing.assert_allclose((table.vectors[1:] ** 2).mean(), 1, rtol=1e-5)
    later = read_schema(fit_ids().transform(clicks())).vectors["item@vector"]
    assert later == table
    assert read_schema(copy.deepcopy(encoded)).vectors["item@vector"] is table
    assert read_schema(encoded[encoded["user"] > 0]).vectors["item@vector"] is table
    assert len(json.dumps(encoded.attrs)) < 1_000
    assert np.array_equal(pickle.loads(pickle.dumps(table)).vectors, table.vectors)


WAYS = {
    "frame": TABLE,
    "floats of single precision": TABLE.astype("float32"),
    "series of arrays": pd.Series(list(TABLE.to_numpy()), index=TABLE.index),
    "ids and matrix": (list(TABLE.index), TABLE.to_numpy()),
    "index and matrix": (TABLE.index, TABLE.to_numpy()),
}


@pytest.mark.parametrize("given", WAYS.values(), ids=WAYS)
def test_ways_to_give_vectors(given):
    table = read_schema(fit_ids(given).transform(clicks())).vectors["item@vector"].vectors
    expected = read_schema(fit_ids().transform(clicks())).vectors["item@vector"].vectors
    np.testing.assert_allclose(table, expected, atol=1e-6)


def test_ids_are_compared_by_what_they_read_as():
    table = TABLE.set_axis(["1", "2", "3", "4"])
    encoder = CTREncoder(vectors={"item": table}).fit(pd.DataFrame({"item": [1, 2, 2, 3]}))
    assert encoder.transform(pd.DataFrame({"item": [4.0, 1.0, np.nan]}))["item@vector"].tolist() == [4, 1, 0]


def test_integers_that_hardly_repeat_are_ids_if_they_have_vectors():
    X = pd.DataFrame({"item": np.arange(200) * 7})
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), index=X["item"])
    assert CTREncoder().fit(X).feature_kinds_["kind"].tolist() == ["numeric"]
    assert CTREncoder(vectors={"item": table}).fit(X).feature_kinds_["kind"].tolist() == ["categorical"]


def test_ids_come_back_even_if_fit_did_not_see_them():
    encoder = fit_ids(statistics=None)
    items = ["new", "a", "z", None, "b", "unheard of"]
    decoded = encoder.inverse_transform(encoder.transform(clicks(items)))["item"]
    assert decoded.astype(object).where(decoded.notna(), None).tolist() == ["new", "a", "z", None, "b", None]


def test_statistics_and_crosses_are_those_of_the_ids():
    encoder = CTREncoder(vectors={"item": TABLE}, statistics=["item"], crosses=[("user", "item")])
    encoded = encoder.fit_transform(clicks(ITEMS * 5), [0, 1] * 15)
    assert list(encoded) == ["user", "item", "item@vector", "user & item", "item@rate", "item@count"]
    with pytest.raises(ValueError, match=r"'item@vector' is pretrained.*Name the column of the ids"):
        CTREncoder(vectors={"item": TABLE}, statistics=["item@vector"]).fit(clicks(), [0, 1] * 3)


def test_new_rows_bring_ids_and_no_vectors():
    encoder = fit_ids(statistics=None)
    encoded = encoder.partial_fit_transform(clicks(["new", "other"]))
    assert encoded["item"].tolist() == [5, 6]
    assert encoded["item@vector"].tolist() == [4, 0]
    assert "item@vector" in read_schema(encoded).vectors


LATER = pd.DataFrame([[0.5, 1.0, 2.0]], index=["later"])
BAD_LATER = {
    "length": ({"item": LATER[[0, 1]]}, "Column 'item': its `vectors` have length 2 now, and had length 3 in fit"),
    "NaN": ({"item": LATER.replace(0.5, np.nan)}, "the id 'later' of 'item' has a vector with NaN"),
    "twice": ({"item": pd.concat([LATER, LATER])}, "'item': the id 'later' has several `vectors`"),
    "none in fit": ({"user": LATER}, "vectors: 'user' had none in fit.*Fit again"),
}


@pytest.mark.parametrize(("vectors", "message"), BAD_LATER.values(), ids=BAD_LATER)
def test_bad_vectors_in_an_update(vectors, message):
    encoder = fit_ids(statistics=None).set_params(vectors=vectors)
    with pytest.raises(ValueError, match=message):
        encoder.partial_fit(clicks(["later", "a"]))
    assert encoder.set_params(vectors={"item": LATER}).partial_fit(clicks(["later", "a"]))
    assert encoder.transform(clicks(["later", "a"]))["item@vector"].tolist() == [5, 1]


@pytest.mark.parametrize(
    "given", [LATER, pd.Series([LATER.to_numpy()[0]], ["later"]), (["a", "later"], np.ones((2, 3)))]
)
def test_vectors_that_have_come(given):
    encoder = fit_ids(statistics=None)
    before = read_schema(encoder.transform(clicks())).vectors["item@vector"]
    assert read_schema(encoder.partial_fit(clicks()).transform(clicks())).vectors["item@vector"] is before
    encoded = encoder.set_params(vectors={"item": given}).partial_fit_transform(clicks(["later", "a"]))
    assert encoded["item@vector"].tolist() == [5, 1]
    after = read_schema(encoded).vectors["item@vector"]
    assert np.array_equal(after.vectors[:5], before.vectors)
    assert encoder.inverse_transform(encoded)["item"].tolist() == ["later", "a"]


def test_only_pandas_carries_vectors_that_have_come():
    encoder = fit_ids(statistics=None).set_params(vectors={"item": LATER})
    rows = pl.from_pandas(clicks(["later", "a"]))
    with pytest.raises(ValueError, match=r"`vectors` has more ids than before.*set_output\(transform='pandas'\)"):
        encoder.partial_fit(rows)
    assert encoder.transform(clicks(["later", "a"]))["item@vector"].tolist() == [0, 1]


BAD = {
    "length": (
        pd.Series([VECTORS[0], VECTORS[1][:2]], index=["a", "b"]),
        ValueError,
        "the id 'b' of 'item' has a vector of length 2, and 'a' of length 3",
    ),
    "NaN": (
        TABLE.mask(TABLE.iloc[1, 2] == TABLE),
        ValueError,
        "the id 'b' of 'item' has a vector with NaN or infinity.*frame.dropna",
    ),
    "infinite": (
        TABLE.replace(TABLE.iloc[2, 1], np.inf),
        ValueError,
        "the id 'c' of 'item' has a vector with NaN or infinity",
    ),
    "text": (
        TABLE.assign(title="Up"),
        TypeError,
        "column 'title' of the frame of 'item' has dtype.*vectors are of float",
    ),
    "twice": (pd.concat([TABLE, TABLE[1:2]]), ValueError, "'item': the id 'b' has several `vectors`.*duplicated"),
    "no ids": (
        TABLE.reset_index(drop=True),
        ValueError,
        "'item': none of its values has a vector: it holds 'a'.*set_index",
    ),
    "missing id": (TABLE.set_axis(["a", None, "b", "c"]), ValueError, "1 ids of 'item' are missing"),
    "two levels": (TABLE.set_index([0], append=True), TypeError, "'item' has an index of several levels"),
    "no rows": (TABLE[:0], ValueError, r"'item' has shape \(0, 3\)"),
    "an array": (TABLE.to_numpy(), TypeError, "'item' is of type ndarray. Give a DataFrame of floats indexed by id"),
    "fewer ids": ((["a"], TABLE.to_numpy()), ValueError, "'item' has 1 ids and 4 vectors"),
    "a matrix of text": ((list("abcd"), TABLE.astype(str)), TypeError, "the matrix of 'item' has shape.*floats"),
    "strings": (
        pd.Series(["x", "y"], index=["a", "b"]),
        TypeError,
        "the id 'a' of 'item' has 'x', not an array",
    ),
}


@pytest.mark.parametrize(("given", "error", "message"), BAD.values(), ids=BAD)
def test_bad_vectors_of_ids(given, error, message):
    with pytest.raises(error, match=message):
        fit_ids(given)


def test_ids_of_another_type():
    with pytest.raises(TypeError, match=r"Column 'user': the id 'a' of its `vectors` can't be one.*int64"):
        CTREncoder(vectors={"user": TABLE}).fit(clicks())


def test_vectors_of_no_column_or_of_no_ids():
    with pytest.raises(ValueError, match="vectors: There is no column 'itm'"):
        CTREncoder(vectors={"itm": TABLE}).fit(clicks())
    with pytest.raises(ValueError, match="'item' is chosen as dropped, and its values have `vectors`"):
        CTREncoder(vectors={"item": TABLE}, drop="item").fit(clicks())
    with pytest.raises(TypeError, match=r"'item': \['a'\] is a list, where single values are expected"):
        CTREncoder(vectors={"item": TABLE}).fit(clicks().assign(item=[["a"]] * 6))
    with pytest.raises(TypeError, match="vectors is of type DataFrame"):
        CTREncoder(vectors=TABLE).fit(clicks())


def test_only_pandas_carries_vectors():
    X = pl.from_pandas(clicks())
    with pytest.raises(ValueError, match=r"\['item'\] have `vectors`, which only a pandas.*transform='pandas'"):
        CTREncoder(vectors={"item": TABLE}).fit_transform(X)
    encoder = CTREncoder(vectors={"item": TABLE}).set_output(transform="pandas")
    assert "item@vector" in read_schema(encoder.fit_transform(X)).vectors


def test_contracts_of_scikit_learn():
    encoder = CTREncoder(vectors={"item": TABLE})
    assert encoder.get_params()["vectors"]["item"] is TABLE
    cloned = clone(encoder)
    assert cloned.vectors["item"].equals(TABLE)
    assert not hasattr(cloned.set_params(vectors=None).fit(clicks()), "_vectors")
    before = TABLE.copy()
    encoder.fit(clicks())
    assert TABLE.equals(before)
    restored = pickle.loads(pickle.dumps(encoder))
    assert joblib.hash(restored.transform(clicks())) == joblib.hash(encoder.transform(clicks()))
