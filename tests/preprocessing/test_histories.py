"""Histories: columns of lists that have the codes of another column."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import Field, read_schema


@pytest.fixture
def table():
    """Values of all kinds: known, unseen, missing; no history and an empty one."""
    return pd.DataFrame(
        {
            "history": [[3, 15], [3], None, [15, 99, 3], []],
            "user": [1, 2, 1, 2, 1],
            "item": [15, 3, 15, 7, 15],
        }
    )


def _encoded(X, **parameters):
    return CTREncoder(histories={"history": "item"}, **parameters).fit_transform(X)


def _history(encoded):
    return encoded.filter(like="history@item").to_numpy().tolist()


def test_codes_are_those_of_the_other_column_most_recent_first(table):
    encoded = _encoded(table)
    # 15 comes most often, and 99 isn't among the items.
    assert encoded["item"].tolist() == [1, 2, 1, 3, 1]
    assert _history(encoded) == [[1, 2, 0], [2, 0, 0], [0, 0, 0], [2, 0, 1], [0, 0, 0]]
    assert (encoded.filter(like="@").dtypes == np.int64).all()


def test_last_values_are_kept_never_the_first(table):
    encoded = _encoded(table, max_length=1)
    assert _history(encoded) == [[1], [2], [0], [2], [0]]
    encoder = CTREncoder(histories={"history": "item"}).fit(table)
    longer = pd.DataFrame({"history": [[7, 7, 7, 3, 15, 7]], "user": 1, "item": 3})
    assert _history(encoder.transform(longer)) == [[3, 1, 2]]


def test_fields_and_report(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table)
    assert encoder.fields_[0] == Field("history", "history", n_codes=4, n_columns=3, of="item")
    assert encoder.feature_kinds_.loc["history"].to_dict() == {
        "kind": "history",
        "why": "chosen by the user, of values of 'item'",
        "n_missing": 1,
        "n_codes": 4,
        "n_columns": 3,
    }
    assert encoder.get_feature_names_out()[:2].tolist() == ["history@item@0", "history@item@1"]
    assert set(encoder.categories_) == {"user", "item"}


def test_column_before_and_behind_the_other_one(table):
    behind = table[["item", "history", "user"]]
    pd.testing.assert_frame_equal(_encoded(behind)[_encoded(table).columns], _encoded(table))


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: pl.from_pandas(X),
        lambda X: X.assign(history=pd.array(X["history"], dtype=pd.ArrowDtype(pa.large_list(pa.int64())))),
        lambda X: X.assign(history=[v if v is None else np.array(v) for v in X["history"]]),
        lambda X: X.assign(history=[v if v is None else list(map(str, v)) for v in X["history"]]),
        lambda X: X.assign(item=X["item"].astype(float), history=[v and [float(x) for x in v] for v in X["history"]]),
    ],
    ids=["polars", "arrow", "arrays", "text", "floats"],
)
def test_containers_and_types(table, convert):
    encoded = _encoded(convert(table))
    assert np.array_equal(np.asarray(encoded), np.asarray(_encoded(table)))


def test_array_by_positions(table):
    encoded = CTREncoder(histories={0: 2}).fit_transform(table.to_numpy(object))
    assert list(encoded.columns) == ["x0@x2@0", "x0@x2@1", "x0@x2@2", "x1", "x2"]
    assert np.array_equal(encoded, _encoded(table))


def test_missing_values_in_a_list_keep_their_place():
    X = pd.DataFrame({"item": ["a", "b"] * 3, "history": [["a", None, "b"], [None], *[[]] * 4]})
    assert _history(_encoded(X))[:2] == [[2, 0, 1], [0, 0, 0]]


def test_hashed_values_have_the_same_bucket(table):
    encoded = _encoded(table, n_hash_buckets=100)
    bucket = dict(zip(table["item"], encoded["item"], strict=True))
    assert _history(encoded)[0][:2] == [bucket[15], bucket[3]]


def test_ids_that_hardly_repeat_are_no_quantity_if_histories_hold_them():
    X = pd.DataFrame({"item": range(100), "history": [[1, 2]] * 100})
    assert CTREncoder().fit(X.drop(columns="history")).feature_kinds_.loc["item", "kind"] == "numeric"
    kinds = CTREncoder(histories={"history": "item"}).fit(X).feature_kinds_
    assert kinds.loc["item", ["kind", "why"]].tolist() == ["categorical", "histories hold its values"]


def test_several_histories_and_attributes_in_step():
    X = pd.DataFrame(
        {
            "item": [1, 2, 1, 2],
            "genre": ["x", "y", "x", "y"],
            "liked": [[1, 2], [], [2], [1]],
            "disliked": [[], [2], [], []],
            "liked_genre": [["x", "y"], [], ["y"], ["x"]],
        }
    )
    encoder = CTREncoder(histories={"liked": "item", "disliked": "item", "liked_genre": "genre"})
    encoded = encoder.fit_transform(X)
    assert [field.of for field in encoder.fields_ if field.kind == "history"] == ["item", "item", "genre"]
    assert (encoded.filter(regex="^liked@").to_numpy() == encoded.filter(like="liked_genre@").to_numpy()).all()


def test_inverse_is_what_is_known(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table)
    assert encoder.inverse_transform(encoder.transform(table))["history"].tolist() == [
        [3, 15],
        [3],
        None,
        [15, 3],
        None,
    ]


def test_pickle_holds_the_vocabulary_once_and_binds_it_again(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table)
    again = pickle.loads(pickle.dumps(encoder))
    pd.testing.assert_frame_equal(again.transform(table), encoder.transform(table))
    assert "target" not in encoder.__getstate__()["_columns"][0]["encoder"]


def test_new_values_have_their_new_code_in_the_history_of_the_same_rows(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table)
    more = pd.DataFrame({"history": [[99, 7]], "user": 1, "item": 99})
    encoded = encoder.partial_fit_transform(more)
    assert encoded["item"].tolist() == [4]
    assert _history(encoded) == [[3, 4, 0]]
    assert encoder.cardinalities_ == {"history": 5, "user": 3, "item": 5}
    assert _history(encoder.transform(table))[3] == [2, 4, 1]


def test_rows_in_files_are_encoded_as_in_memory(table, tmp_path):
    X = pd.concat([table] * 3, ignore_index=True)
    X.to_parquet(tmp_path / "rows.parquet")
    encoder = CTREncoder(histories={"history": "item"})
    in_files = pd.concat(list(encoder.fit_transform(str(tmp_path / "rows.parquet"))), ignore_index=True)
    in_memory = CTREncoder(histories={"history": "item"})
    pd.testing.assert_frame_equal(in_files.astype(np.int64), in_memory.fit_transform(X), check_flags=False)
    assert encoder.fields_ == in_memory.fields_
    streamed = pd.concat(list(encoder.transform(str(tmp_path / "rows.parquet"))), ignore_index=True)
    pd.testing.assert_frame_equal(streamed, in_memory.transform(X))


def test_rows_without_weight_make_no_room(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table, sample_weight=[1, 1, 1, 0, 1])
    assert encoder.fields_[0].n_columns == 2


def test_histories_take_no_part_in_statistics():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"item": rng.integers(0, 9, 2000), "history": [[1, 2]] * 2000})
    encoder = CTREncoder(histories={"history": "item"}).fit(X, X["item"] % 2)
    assert list(encoder.statistics_.index) == ["item"]


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        (
            {"histories": {"history": "itme"}},
            {},
            r"histories=\{'history': 'itme'\}.* no column 'itme'. The columns are",
        ),
        ({"histories": {"past": "item"}}, {}, "no column 'past'"),
        ({"histories": {"item": "item"}}, {}, "can't be a history of itself"),
        ({"histories": {"history": "item", "user": "history"}}, {}, "'history', which is a history, too"),
        ({"drop": "item"}, {}, "'history'.*'item', which is dropped. Keep it"),
        ({"drop": "history"}, {}, "'history' is chosen as dropped and as history"),
        ({"numeric": "item"}, {}, "'history'.*'item', which isn't categorical.*Name the column in `categorical`"),
        ({"multi_valued": "item"}, {}, "'item', which isn't categorical"),
        ({}, {"history": [1, 2, 3, 4, 5]}, "'history'.*1 is not a list.*add_history"),
        ({}, {"history": ["1|2"] * 5}, r"'history'.*'1\|2' is not a list.*split"),
        ({}, {"history": ["", None, "1", "1,2,3", "2"]}, r"'1,2,3' is not a list.*column\.str\.split\(','\)"),
        ({}, {"history": ["[]", "[1, 2]"] + ["[]"] * 3}, r"'\[1, 2\]' is not a list, but.*column\.map\(json\.loads"),
        (
            {},
            {"history": ["[]", "['a' 'b']"] + ["[]"] * 3},
            r"is not a list, but the text of one. NumPy has written it",
        ),
        (
            {},
            {"history": [["a"], [], [], [], []]},
            "'history': it holds 'a', but the column that it is a history of holds int64",
        ),
        ({"crosses": [("history", "user")]}, {}, "crosses: 'history' is history, and histories"),
        ({"statistics": ["history"]}, {}, "statistics: 'history' is history, and histories"),
        ({"max_length": 0}, {}, "'max_length' parameter"),
        ({"histories": ["history"]}, {}, "'histories' parameter"),
    ],
)
def test_errors_name_column_and_remedy(table, parameters, change, message):
    encoder = CTREncoder(**{"histories": {"history": "item"}, **parameters})
    with pytest.raises((TypeError, ValueError), match=message):
        encoder.fit(table.assign(**change), [0, 1, 0, 1, 0])


def test_history_of_other_values_is_doubtful(table):
    X = table.assign(item=list("abcab"), history=[["A"], ["B", None], [], None, ["A"]])
    with pytest.warns(UserWarning, match="'history' holds no value that 'item' has: it holds 'A', .* such as 'a'"):
        CTREncoder(histories={"history": "item"}).fit(X)
    CTREncoder(histories={"history": "item"}).fit(X.assign(history=[[]] * 5))
    CTREncoder(histories={"history": "item"}).fit(X.assign(history=[["A"]] * 4 + [["a"]]))


def test_text_in_place_of_lists_later(table):
    encoder = CTREncoder(histories={"history": "item"}).fit(table.assign(item=list("abcab"), history=[["a"]] * 5))
    with pytest.raises(TypeError, match="'history': 'a' is not a list"):
        encoder.transform(table.assign(item="a", history="a"))


def test_list_column_that_is_named_like_a_history(table):
    X = table.rename(columns={"history": "past@item"})
    kinds = {field.name: field.kind for field in read_schema(CTREncoder().fit_transform(X)).fields}
    assert kinds["past@item"] == "multi-valued"
    with pytest.raises(ValueError, match=r"'past@item' is multi-valued, but the names .* Rename"):
        CTREncoder().set_output(transform="polars").fit_transform(X)
