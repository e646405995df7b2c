"""Containers, names and the other conventions of a scikit-learn transformer."""

import pickle
import subprocess
import sys

import narwhals as nw
import narwhals.stable.v2 as stable_nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import Field, read_schema

COLUMNS = {
    "user": [3, 3, 7, 3],
    "item": ["a", "b", None, "a"],
    "genres": [["x", "y"], ["x"], None, []],
    "score": [0.5, 1.5, float("nan"), 2.5],
}
EXPECTED = {
    "user": [1, 1, 2, 1],
    "item": [1, 2, 0, 1],
    "genres@0": [1, 1, 0, 0],
    "genres@1": [2, 0, 0, 0],
    "score": pytest.approx([-1.2247449, 0, 0, 1.2247449]),
}
PANDAS = pd.DataFrame(COLUMNS, index=[10, 20, 30, 40])
POLARS = pl.DataFrame(COLUMNS, strict=False)
ARROW = pa.table(COLUMNS)
ROWS = [list(row) for row in zip(*COLUMNS.values(), strict=True)]


@pytest.mark.parametrize("X", [PANDAS, POLARS, ARROW], ids=["pandas", "polars", "pyarrow"])
def test_dataframe_in_same_dataframe_out(X):
    encoder = CTREncoder()
    out = encoder.fit_transform(X)
    assert type(out) is type(X)
    frame = nw.from_native(out)
    assert {name: frame[name].to_list() for name in frame.columns} == EXPECTED
    assert [str(dtype) for dtype in frame.schema.values()] == ["Int64"] * 4 + ["Float32"]
    assert type(encoder.inverse_transform(out)) is type(X)


def test_index_is_kept():
    encoder = CTREncoder()
    out = encoder.fit_transform(PANDAS)
    assert out.index.tolist() == [10, 20, 30, 40]
    assert encoder.inverse_transform(out).index.tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("X", [PANDAS, POLARS, ARROW], ids=["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.parametrize("globally", [True, False])
def test_output_container_that_is_asked_for(X, library, frame, globally):
    encoder = CTREncoder().fit(X)
    if not globally:
        encoder.set_output(transform=library)
    with sklearn.config_context(transform_output=library if globally else "default"):
        out = encoder.transform(X)
    assert isinstance(out, frame)
    assert {name: out[name].to_list() for name in out.columns} == EXPECTED
    assert [dtype.lower() for dtype in map(str, nw.from_native(out).schema.values())] == ["int64"] * 4 + ["float32"]


def test_array_of_codes_is_integer():
    X = np.array([["a", "x"], ["b", "x"]], dtype=object)
    out = CTREncoder().fit_transform(X)
    assert out.dtype == np.int64
    assert out.tolist() == [[1, 1], [2, 1]]


def test_array_of_numbers_is_float():
    out = CTREncoder().fit_transform(np.array([[0.5, 1.5], [2.5, 3.25]]))
    assert out.dtype == np.float32
    assert out.tolist() == [[-1, -1], [1, 1]]


def test_array_of_both_becomes_a_frame():
    out = CTREncoder().fit_transform(np.array([["a", 0.5], ["b", 1.5]], dtype=object))
    assert out.dtypes.astype(str).to_dict() == {"x0": "int64", "x1": "float32"}


def test_array_with_a_multi_valued_column_becomes_a_frame():
    X = np.array([["a|b", "u"], ["b|c", "v"], ["c|a", "u"]], dtype=object)
    assert list(CTREncoder().fit_transform(X).columns) == ["x0@0", "x0@1", "x1"]


def test_list_of_lists():
    out = CTREncoder().fit_transform(ROWS)
    assert out.to_dict("list") == dict(zip(["x0", "x1", "x2@0", "x2@1", "x3"], EXPECTED.values(), strict=True))


@pytest.mark.parametrize(
    "X",
    [
        np.array([["a"], ["b"]]),
        np.array([["a"], ["b"]], dtype="S1"),
        np.array([[1], [2]], dtype=np.int8),
        np.array([[1], [2]], dtype=np.uint64),
        np.array([[1.5], [2.5]], dtype=np.float16),
        np.array([[1.5], [2.5]], dtype=np.longdouble),
        np.array([[True], [False]]),
        np.array([["2024-05-03"], ["2024-05-25"]], dtype="datetime64[D]"),
        np.array([[3], [5]], dtype="timedelta64[s]"),
    ],
    ids=lambda X: str(X.dtype),
)
def test_array_of_any_dtype(X):
    out = CTREncoder().fit_transform(X)
    assert len(np.unique(out, axis=0)) == 2
    assert out.dtype in (np.int64, np.float32)


def test_array_round_trip():
    X = np.array([["a", 3], ["b", 2**60 + 1], [None, 3], ["b", None]], dtype=object)
    encoder = CTREncoder(categorical=[1]).fit(X)
    assert encoder.inverse_transform(encoder.transform(X)).tolist() == X.tolist()
    numbers = np.array([[1, 2], [1, 3], [1, 2]])
    encoder = CTREncoder(categorical=slice(None)).fit(numbers)
    decoded = encoder.inverse_transform(encoder.transform(numbers))
    assert decoded.dtype == np.int64
    assert decoded.tolist() == numbers.tolist()


def test_array_with_lists_round_trip():
    X = pd.DataFrame({"tags": [["a", "b"], ["b"]]})
    encoder = CTREncoder().fit(X)
    assert encoder.inverse_transform(encoder.transform(X).to_numpy()).tolist() == [[["a", "b"]], [["b"]]]


def test_dropped_columns_come_back_as_missing():
    encoder = CTREncoder(drop="item").fit(PANDAS)
    decoded = encoder.inverse_transform(encoder.transform(PANDAS))
    assert list(decoded.columns) == list(COLUMNS)
    assert decoded["item"].isna().all()
    assert decoded["user"].tolist() == COLUMNS["user"]


def test_inverse_checks_its_input():
    encoder = CTREncoder().fit(PANDAS)
    out = encoder.transform(PANDAS)
    with pytest.raises(ValueError, match=r"has shape \(4, 4\), but 5 columns are expected"):
        encoder.inverse_transform(out.iloc[:, 1:])
    with pytest.raises(ValueError, match="are expected, in this order"):
        encoder.inverse_transform(out.iloc[:, ::-1])


def test_fit_on_a_frame_and_transform_an_array_goes_by_position():
    encoder = CTREncoder().fit(PANDAS)
    with pytest.warns(UserWarning, match="feature names"):
        out = encoder.transform(PANDAS.to_numpy())
    assert out.to_dict("list") == EXPECTED


def test_any_dataframe_library_after_any_other():
    frames = [PANDAS, POLARS, ARROW]
    outputs = [nw.from_native(CTREncoder().fit(a).transform(b)).to_pandas() for a in frames for b in frames]
    for out in outputs:
        pd.testing.assert_frame_equal(out.reset_index(drop=True), outputs[4])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (PANDAS[["user", "item", "genres"]], "now missing:\n- score"),
        (PANDAS.assign(extra=1), "unseen at fit time:\n- extra"),
        (PANDAS[["item", "user", "genres", "score"]], "must be in the same order"),
    ],
)
def test_missing_extra_and_reordered_columns(X, message):
    with pytest.raises(ValueError, match=message):
        CTREncoder().fit(PANDAS).transform(X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (PANDAS.iloc[:0], ValueError, r"0 sample\(s\)"),
        (PANDAS[[]], ValueError, r"0 feature\(s\)"),
        (PANDAS["user"], ValueError, "2-dimensional"),
        (pd.DataFrame({"g": [["a"]], "g@0": [1]}), ValueError, r"called 'g@0'"),
        (
            pd.DataFrame({"time_weekend": [1, 1], "time": pd.to_datetime(["2024", "2025"])}),
            ValueError,
            "'time_weekend'",
        ),
        (pd.DataFrame({"c": [{"a": 1}]}), TypeError, r"Column 'c' can't be encoded: .*\{'a': 1\}.*`drop`"),
        (pd.DataFrame({"c": [1.5, {"a": 1}]}), TypeError, r"Column 'c' .*\{'a': 1\} of type dict.*`drop`"),
        (pd.DataFrame({"c": [["a", 1], ["b"]]}), TypeError, r"Column 'c' .*\['a', 1\] of type list.*`drop`"),
        (pd.DataFrame({"c": [{"a"}, {"b"}]}), TypeError, r"Column 'c' .*\{'a'\} of type set.*`column\.map\(sorted\)`"),
        (
            pd.DataFrame({"c": pd.period_range("2024", periods=2)}),
            TypeError,
            r"of type Period.*`column\.dt\.to_timestamp\(\)`",
        ),
        (pd.DataFrame({"c": [[["a"]], [["b"]]]}), TypeError, "Column 'c' .*lists of lists"),
        (pd.DataFrame({"c": [1 + 1j]}), TypeError, "Column 'c' .*complex"),
        (pd.DataFrame({"c": [b"\xff"]}), TypeError, "Column 'c' .*UTF8"),
        (pd.DataFrame({"c": pd.period_range("2024", "2025", freq="Y")}), TypeError, "Column 'c' .*period.*`drop`"),
    ],
)
def test_table_that_can_not_be_encoded(X, error, message):
    with pytest.raises(error, match=message):
        CTREncoder().fit(X)


def test_two_columns_of_one_name():
    X = pd.DataFrame([[1, 2], [1, 2]], columns=["a", "b"])
    encoder = CTREncoder().fit(X)
    X.columns = ["a", "a"]
    for method in (CTREncoder().fit, encoder.transform, encoder.partial_fit):
        with pytest.raises(ValueError, match="X has 2 columns named 'a'"):
            method(X)


@pytest.mark.parametrize("namespace", [nw, stable_nw])
def test_a_frame_of_narwhals_is_that_of_its_library(namespace):
    for X in (PANDAS, POLARS, ARROW):
        encoder = CTREncoder()
        out = encoder.fit_transform(namespace.from_native(X))
        assert isinstance(out, type(X))
        assert list(encoder.feature_names_in_) == list(PANDAS)
    assert read_schema(namespace.from_native(CTREncoder().fit_transform(PANDAS))) is not None


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (PANDAS.to_records(), r"X is an array of records.*pd.DataFrame\(X\)"),
        (type("Dataset", (), {"__module__": "datasets.arrow_dataset"})(), "X is a Dataset of Hugging Face.*to_pandas"),
    ],
)
def test_rows_in_no_table_are_refused_without_showing_them(X, message):
    for method in (CTREncoder().fit, CTREncoder().fit(PANDAS).transform):
        with pytest.raises(TypeError, match=message) as error:
            method(X)
        assert len(str(error.value)) < 200


def test_lists_where_fit_saw_values():
    encoder = CTREncoder().fit(pd.DataFrame({"c": ["a", "b"]}))
    with pytest.raises(TypeError, match=r"Column 'c': \['a'\] is a list, where single values are expected"):
        encoder.transform(pd.DataFrame({"c": [["a"], ["b"]]}))


def test_failed_fit_leaves_an_unfitted_encoder():
    encoder = CTREncoder()
    with pytest.raises(TypeError):
        encoder.fit(pd.DataFrame({"c": [{"a": 1}]}))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        encoder.transform(PANDAS)
    assert not hasattr(encoder, "cardinalities_")


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_failed_refit_leaves_the_encoder_as_it_was(method):
    encoder = CTREncoder().fit(PANDAS)
    before = encoder.transform(PANDAS)
    encoder.set_params(crosses=[("c", "nowhere")])
    with pytest.raises(ValueError, match="there is no field 'nowhere'"):
        getattr(encoder, method)(pd.DataFrame({"c": ["a", "b"]}))
    assert encoder.transform(PANDAS).equals(before)


@pytest.mark.parametrize("weights", [[-1, 1, 1, 1], [0, 0, 0, 0], [1, 1]])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="weight"):
        CTREncoder().fit(PANDAS, sample_weight=weights)


def test_weights_with_any_container():
    for X in (PANDAS, POLARS, ARROW):
        encoder = CTREncoder().fit(X, sample_weight=[0, 5, 0, 0])
        assert encoder.categories_["item"].tolist() == ["b"]


def test_fields_describe_the_output():
    encoder = CTREncoder().fit(PANDAS)
    assert encoder.fields_ == [
        Field("user", "categorical", n_codes=3),
        Field("item", "categorical", n_codes=3),
        Field("genres", "multi-valued", n_codes=3, n_columns=2),
        Field("score", "numeric"),
    ]
    assert encoder.cardinalities_ == {"user": 3, "item": 3, "genres": 3}
    assert encoder.n_features_in_ == 4
    assert encoder.feature_names_in_.tolist() == list(COLUMNS)


def test_names_that_are_given_for_an_array():
    encoder = CTREncoder().fit(ROWS)
    assert list(encoder.get_feature_names_out(list(COLUMNS))) == list(EXPECTED)


@pytest.mark.parametrize("X", [PANDAS, POLARS], ids=["pandas", "polars"])
def test_input_is_left_as_it_was(X):
    before = pickle.dumps(X)
    CTREncoder().fit_transform(X)
    assert pickle.dumps(X) == before


def test_pickle_and_clone():
    encoder = CTREncoder(min_frequency=1, drop=["item"]).fit(PANDAS)
    expected = encoder.transform(PANDAS)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(encoder)).transform(PANDAS), expected)
    pd.testing.assert_frame_equal(clone(encoder).fit(PANDAS).transform(PANDAS), expected)


def test_pickle_is_the_same_before_and_after_transform():
    X = pd.DataFrame({"c": [str(n) for n in range(100)]})
    encoder = CTREncoder().fit(X)
    before = pickle.dumps(encoder)
    encoder.transform(X.iloc[:1])
    assert len(pickle.dumps(encoder)) == len(before)


def test_grid_search_over_the_encoder():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 20, size=200), "score": rng.normal(size=200)})
    y = X["user"] % 2
    model = Pipeline([("enc", CTREncoder()), ("clf", DecisionTreeClassifier(random_state=0))])
    grid = {
        "enc__min_frequency": [1, 50],
        "enc__numeric_encoding": ["standard", "bins"],
        "enc__drop": [None, ["score"]],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["enc__min_frequency"] == 1
    assert search.best_score_ > 0.9


def test_column_transformer_gives_columns_their_own_parameters():
    encoder = ColumnTransformer(
        [("rare", CTREncoder(min_frequency=2), ["item"]), ("rest", CTREncoder(), ["user", "genres"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    out = encoder.fit_transform(PANDAS)
    assert out["item"].tolist() == [1, 0, 0, 1]
    assert out.dtypes.astype(str).unique().tolist() == ["int64"]


def test_weights_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        encoder = CTREncoder().set_fit_request(sample_weight=True)
        model = Pipeline([("enc", encoder), ("clf", DecisionTreeClassifier().set_fit_request(sample_weight=False))])
        model.fit(PANDAS.drop(columns="genres"), [0, 1, 0, 1], sample_weight=[0, 5, 0, 0])
    assert model["enc"].categories_["item"].tolist() == ["b"]


def test_import_needs_no_torch():
    script = (
        "import sys, sk_finalmlp.preprocessing; print([name for name in ('torch', 'skorch') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_lists_in_rows_are_cells_whatever_their_lengths():
    encoder = CTREncoder().fit([[["a", "b"]], [["a"]], [[]]])
    whole = encoder.transform([[["b", "a"]], [["a", "c"]], [["b"]]])
    assert whole.to_numpy().tolist() == [[2, 1], [1, 0], [2, 0]]
    for cell, expected in ((["b", "a"], [2, 1]), (["a", "c"], [1, 0]), (["b"], [2, 0])):
        assert encoder.transform([[cell]]).to_numpy().tolist() == [expected]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize("numeric_encoding", ["standard", "bins", "log"])
def test_a_row_without_any_value_is_all_zeros(missing, numeric_encoding):
    X = PANDAS.assign(time=pd.to_datetime("2024-05-03 10:00"), day=pd.Timestamp("2024-05-03").date(), ok=True)
    parts = ("hour", "weekday", "weekend", "day")
    encoder = CTREncoder(numeric_encoding=numeric_encoding, datetime_parts=parts).fit(X)
    for row in (
        pd.DataFrame([[missing] * 7], columns=X.columns),
        pd.DataFrame([[missing] * 7], columns=X.columns, dtype=object),
    ):
        out = encoder.transform(row)
        assert out.shape == (1, 5 + 4 + 3 + 1)
        assert (out == 0).all(axis=None)


def test_chunked_columns():
    encoder = CTREncoder().fit(PANDAS)
    parts = [slice(2, None), slice(0, 2)]
    from_pandas = encoder.transform(pd.concat([PANDAS.astype({"item": "string[pyarrow]"})[part] for part in parts]))
    from_arrow = encoder.transform(pa.concat_tables([ARROW.slice(2), ARROW.slice(0, 2)])).to_pandas()
    for out in (from_pandas, from_arrow):
        assert out["item"].tolist() == [0, 1, 1, 2]
        assert out["genres@0"].tolist() == [0, 0, 1, 1]


def test_columns_are_the_same_where_pandas_has_no_shortcut_to_them(monkeypatch):
    X = pd.DataFrame({"city": ["a", "b", None], "age": [1.5, 2.0, np.nan], "tags": [["x"], [], None]})
    encoder = CTREncoder().fit(X)
    expected = encoder.transform(X)
    monkeypatch.delattr(pd.DataFrame, "_get_column_array")
    pd.testing.assert_frame_equal(encoder.transform(X), expected)
    pd.testing.assert_frame_equal(CTREncoder().fit(X).transform(X), expected)
