"""Plain dicts in, probabilities out."""

import datetime
import decimal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import Predictor, make_predictor, to_onnx


@pytest.fixture(scope="module")
def clicks():
    X, y, _ = make_click_data(1500, random_state=0)
    return X.assign(age=np.arange(1500) % 50, seen=X["time"].dt.tz_localize("UTC"), is_new=X["numeric_0"] > 0), y


@pytest.fixture(scope="module")
def model(clicks):
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(*clicks)


@pytest.fixture(scope="module")
def predict(model):
    return make_predictor(model)


def test_rows_as_dicts(clicks, model, predict):
    np.testing.assert_allclose(predict(clicks[0].to_dict("records")), model.predict_proba(clicks[0]), atol=1e-6)
    assert predict.columns_ == list(clicks[0].columns)
    np.testing.assert_array_equal(predict.classes_, model.classes_)


def test_rows_as_json_has_them(clicks, model, predict):
    row = clicks[0].iloc[5].to_dict()
    utc = datetime.UTC
    texts = row | {"time": row["time"].isoformat(), "seen": row["seen"].isoformat(), "age": float(row["age"])}
    python = row | {"time": row["time"].to_pydatetime(), "seen": row["seen"].to_pydatetime().astimezone(utc)}
    expected = model.predict_proba(clicks[0].iloc[[5]])
    np.testing.assert_allclose(predict([texts | {"more": 1}]), expected, atol=1e-6)
    np.testing.assert_allclose(predict([python]), expected, atol=1e-6)


def test_rows_as_a_database_has_them(clicks, model, predict):
    row = clicks[0].iloc[5].to_dict()
    decimals = row | {"age": decimal.Decimal(row["age"]), "numeric_0": decimal.Decimal(row["numeric_0"])}
    missing = {"age": decimal.Decimal("NaN"), "numeric_0": decimal.Decimal("NaN")}
    np.testing.assert_allclose(predict([decimals]), model.predict_proba(clicks[0].iloc[[5]]), atol=1e-6)
    np.testing.assert_array_equal(predict([row | missing]), predict([row | dict.fromkeys(missing)]))


def test_missing_values(clicks, model, predict):
    nothing = dict.fromkeys(clicks[0].columns)
    expected = model.predict_proba(
        clicks[0]
        .iloc[[0]]
        .astype(object)
        .mask(clicks[0].iloc[[0]].notna(), None)
        .astype(clicks[0].dtypes.drop(["age", "is_new"]))
    )
    np.testing.assert_allclose(predict([nothing]), expected, atol=1e-6)
    np.testing.assert_allclose(
        predict([dict.fromkeys(nothing, np.nan), dict.fromkeys(nothing, pd.NA)])[0], expected[0], atol=1e-6
    )


def test_no_rows(predict):
    assert predict([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user", ["a"], r"\['a'\] is a list, where single values are expected"),
        ("age", datetime.timedelta(1), "'1 day, 0:00:00' is a time, where fit saw numbers"),
        ("numeric_0", "x", "'x' is not a number"),
        ("tags", ["a", 5], r"\['a', 5\] is not a list of strings or of numbers"),
        ("time", "yesterday", "yesterday"),
        ("time", datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "has a time zone"),
        ("seen", datetime.datetime(2024, 1, 1), "has no time zone"),
        ("user", {}, "is not a string"),
    ],
)
def test_error_names_the_column(clicks, predict, column, value, message):
    row = clicks[0].iloc[0].to_dict()
    with pytest.raises(ValueError, match=f"Column '{column}': .*({message})"):
        predict([row | {column: value}])


def test_absent_column_is_named(clicks, predict):
    row = clicks[0].iloc[0].to_dict()
    del row["item"]
    with pytest.raises(ValueError, match="no column 'item'; give None"):
        predict([row])


def test_candidates_share_their_context(clicks, predict):
    rows = clicks[0].to_dict("records")[:300]
    every_other = clicks[0].columns[::2]
    for names in (every_other, clicks[0].columns[1::2], ["tags"], [], clicks[0].columns):
        context = {name: rows[0][name] for name in names} | {"more": 1}
        candidates = [{name: row[name] for name in row if name not in names} for row in rows]
        np.testing.assert_array_equal(
            predict.score_candidates(context, candidates), predict([row | context for row in rows])
        )
    assert predict.score_candidates({}, []).shape == (0, 2)


def test_column_of_context_and_candidates_is_named(clicks, predict):
    row = clicks[0].iloc[0].to_dict()
    user = {"user": row.pop("user")}
    with pytest.raises(ValueError, match="Column 'user' is in the context and in a candidate"):
        predict.score_candidates(user, [row, row | user])
    with pytest.raises(ValueError, match="no column 'user'; give None"):
        predict.score_candidates({}, [row])


@pytest.mark.parametrize("column", ["user", "tags"])
def test_half_a_character_is_named_with_its_column(clicks, predict, column):
    with pytest.raises(ValueError, match=rf"Column '{column}': '\\ud800' is not valid text: surrogates not allowed."):
        predict([clicks[0].iloc[0].to_dict() | {column: "\ud800"}])


def test_table_and_single_dict_are_refused_with_the_remedy(clicks, predict):
    row = clicks[0].iloc[0].to_dict()
    for rows, kind in ((clicks[0], "DataFrame"), (row, "dict")):
        with pytest.raises(TypeError, match=rf"rows is {kind}, .* give \[row\] .* frame.to_dict\('records'\)"):
            predict(rows)
    with pytest.raises(TypeError, match="candidates is dict"):
        predict.score_candidates({}, row)


def test_rows_of_other_types_that_have_keys(clicks, predict):
    X, _ = clicks
    rows = [row for _, row in X.head(3).astype(object).iterrows()]
    np.testing.assert_array_equal(predict(rows), predict([row.to_dict() for row in rows]))


def test_kinds_of_columns(predict):
    kinds = {
        "user": "text",
        "age": "integer",
        "numeric_0": "number",
        "time": "time",
        "seen": "time",
        "tags": "elements",
    }
    assert predict.kinds_.items() >= kinds.items()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tags", '["red", "food"]', "is a list that was written as text: give the list itself"),
        ("tags", [["red"]], r"\[\['red'\]\] is not a list of strings or of numbers"),
        ("tags", {"red"}, r"\{'red'\} is not a string, a number"),
        pytest.param("age", 10**5_000, "<int> has more digits", id="5,000 digits"),
        ("time", "x" * 100_000, "'x{9}.* is not a time. Write a date or time by ISO 8601"),
        ("time", 1_705_520_820_000, "1705520820000 is not a time, but fit saw times. Give a datetime"),
        ("time", datetime.date(2024, 1, 1), r"datetime\.date\(2024, 1, 1\) is a date, but fit saw times of day"),
        ("time", "2024-W01-1", "'2024-W01-1' is not a time"),
    ],
)
def test_what_the_pipeline_refuses_is_refused(clicks, predict, column, value, message):
    with pytest.raises(ValueError, match=f"Column '{column}': .*{message}"):
        predict([clicks[0].iloc[0].to_dict() | {column: value}])


def test_whole_floats_in_a_list_are_integers():
    X = pd.DataFrame({"user": ["ann", "bob"] * 20, "ids": [[1, 2], [3]] * 20})
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, [0, 1] * 20)
    predict = make_predictor(model)
    np.testing.assert_array_equal(
        predict([{"user": "ann", "ids": [1.0, 2.0]}]), predict([{"user": "ann", "ids": [1, 2]}])
    )
    np.testing.assert_allclose(predict([{"user": "ann", "ids": [1.0, 2.0]}]), model.predict_proba(X[:1]), atol=1e-6)


def test_a_date_is_read_where_fit_saw_no_times_of_day():
    X = pd.DataFrame({"user": ["ann", "bob"] * 20, "day": pd.date_range("2024-01-01", periods=40)})
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, [0, 1] * 20)
    rows = [{"user": "ann", "day": datetime.date(2024, 1, day)} for day in range(1, 8)]
    np.testing.assert_allclose(make_predictor(model)(rows), model.predict_proba(pd.DataFrame(rows)), atol=1e-6)


def test_elements_as_text_and_an_empty_vector_are_read_as_in_the_pipeline():
    lists = [["a", "b"], ["b"], ["c"], []] * 20
    X = pd.DataFrame({"tags": lists, "vector": [[1.0, 2.0], [3.0, 1.0], [0.0, 1.0], []] * 20})
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, [0, 1] * 40)
    rows = X[:4].assign(tags=["a|b", " b ", "c | a|", ""])
    found = make_predictor(model)(rows.to_dict("records"))
    np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-6)


def test_a_file_that_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        make_predictor(tmp_path / "none.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x09abc")
    with pytest.raises(ValueError, match=r"damaged\.onnx' is no ONNX model, or a damaged one"):
        make_predictor(tmp_path / "damaged.onnx")


def test_threads_share_a_predictor(clicks, model, predict):
    rows = clicks[0].to_dict("records")
    expected = model.predict_proba(clicks[0])
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda start: predict(rows[start : start + 50]), range(0, 1500, 50))
        np.testing.assert_allclose(np.concatenate(list(answers)), expected, atol=1e-6)


def test_graph_of_an_encoder_is_no_predictor(model, tmp_path):
    to_onnx(model[0], tmp_path / "encoder.onnx")
    with pytest.raises(ValueError, match="pipeline of an encoder and a classifier"):
        make_predictor(tmp_path / "encoder.onnx")


def test_extra_that_is_not_installed_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-finalmlp\[onnx\]'"):
        make_predictor(model)
    with pytest.raises(ImportError, match=r"pip install 'sk-finalmlp\[onnx\]'"):
        to_onnx(model, tmp_path / "model.onnx")


def test_file_is_served_without_torch(clicks, model, tmp_path):
    to_onnx(model, tmp_path / "model.onnx")
    program = f"""
import sys
from sk_finalmlp.serving import make_predictor
predict = make_predictor({str(tmp_path / "model.onnx")!r})
assert predict([dict.fromkeys(predict.columns_)]).shape == (1, 2)
assert not {{"onnx", "pyarrow", "sklearn", "torch"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_file_is_for_make_predictor():
    with pytest.raises(TypeError, match=r"got 'clicks\.onnx'\. Call make_predictor"):
        Predictor("clicks.onnx")
