"""Fields, the names of their columns, and the schema that travels with a table."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_finalmlp.schema import (
    Field,
    Schema,
    VectorTable,
    column_names,
    is_statistic,
    read_names,
    read_schema,
    statistic_name,
    write_schema,
)

CODES, FLOATS = np.dtype(np.int64), np.dtype(np.float32)


def fields_of(names, dtypes):
    return [(field.name, field.kind, own) for field, own in read_names(names, dtypes)]


@given(st.text(min_size=1).filter(lambda name: "@" not in name), st.integers(1, 20))
def test_names_that_are_written_are_read(field, n_columns):
    names = column_names([Field(field, "multi-valued", n_codes=1, n_columns=n_columns)])
    assert fields_of(names, [CODES] * n_columns) == [(field, "multi-valued", list(range(n_columns)))]


@pytest.mark.parametrize(
    ("names", "dtypes", "fields"),
    [
        (["tags@1", "tags@2"], [CODES] * 2, [("tags@1", "categorical", [0]), ("tags@2", "categorical", [1])]),
        (["tags@0", "tags@2"], [CODES] * 2, [("tags@0", "categorical", [0]), ("tags@2", "categorical", [1])]),
        (["tags@0", "tags@1"], [CODES, FLOATS], [("tags", "multi-valued", [0]), ("tags@1", "numeric", [1])]),
        (["tags@0", "tags@01"], [CODES] * 2, [("tags", "multi-valued", [0]), ("tags@01", "categorical", [1])]),
        (["tags@0", "tags"], [CODES] * 2, [("tags@0", "categorical", [0]), ("tags", "categorical", [1])]),
        (["tags[0]", "tags[1]"], [CODES] * 2, [("tags[0]", "categorical", [0]), ("tags[1]", "categorical", [1])]),
        (["rate(item)", "item"], [FLOATS, CODES], [("rate(item)", "numeric", [0]), ("item", "categorical", [1])]),
        (["price@rate", "item"], [FLOATS, CODES], [("price@rate", "numeric", [0]), ("item", "categorical", [1])]),
        (["item@rate", "item"], [FLOATS, CODES], [("item@rate", "statistic", [0]), ("item", "categorical", [1])]),
        (["past@item@0", "item"], [CODES] * 2, [("past", "history", [0]), ("item", "categorical", [1])]),
    ],
    ids=["not from zero", "gap", "float", "leading zero", "clash", "brackets", "call", "no key", "key", "history"],
)
def test_names_without_a_schema(names, dtypes, fields):
    assert fields_of(names, dtypes) == fields


def test_elements_are_ordered_by_their_number():
    names = ["user", "tags@2", "tags@0", "age", "tags@1"]
    expected = [("user", "categorical", [0]), ("tags", "multi-valued", [2, 4, 1]), ("age", "numeric", [3])]
    assert fields_of(names, [CODES, CODES, CODES, FLOATS, CODES]) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "text"}, "kind must be one of"),
        ({"kind": "categorical"}, "n_codes must be at least 1"),
        ({"kind": "numeric", "n_codes": 3}, "n_codes must be 0"),
        ({"kind": "categorical", "n_codes": 3, "n_columns": 2}, "can't take 2 columns"),
    ],
)
def test_field_refuses_what_it_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Field("user", **arguments)


@pytest.mark.parametrize("measure", ["rate", "count"])
@pytest.mark.parametrize("label", [None, "a=b"])
@pytest.mark.parametrize("key", ["user", "", "user & item", "a@b"])
def test_statistics_are_known_by_their_names_whatever_their_columns_are_called(measure, label, key):
    assert is_statistic(statistic_name(measure, key, label))


@pytest.mark.parametrize("prefix", ["", "all__enc__"])
@pytest.mark.parametrize(
    ("key", "label", "fields", "expected"),
    [
        ("user", None, ["user"], True),
        ("user", None, ["item"], False),
        ("user & item", None, ["user", "item"], True),
        ("user & item", None, ["user"], False),
        ("a & b & c", None, ["a & b", "c"], True),
        ("a & b & c", None, ["b & c", "a"], True),
        ("a & b & c", None, ["a & b"], False),
        ("a@rate=b", "c@rate=d", ["a@rate=b"], True),
        ("", None, [""], True),
        ("", None, [], False),
    ],
)
def test_statistics_may_have_to_be_about_given_fields(prefix, key, label, fields, expected):
    name = prefix + statistic_name("rate", key, label)
    *_, (field, _) = read_names([*(prefix + field for field in fields), name], [*[CODES] * len(fields), FLOATS])
    assert field.kind == ("statistic" if expected else "numeric")


def test_the_kind_of_a_statistic_follows_from_its_measure_alone():
    key, label = "a@recent_b", "c@recent_rate"
    names = [key, statistic_name("rate", key, label), statistic_name("recent_rate", key, "c@rate")]
    assert [kind for _, kind, _ in fields_of(names, [CODES, FLOATS, FLOATS])] == ["categorical", "statistic", "numeric"]


class TestSchema:
    @pytest.fixture
    def schema(self):
        fields = (
            Field("item", "categorical", np.int64(4)),
            Field("past", "history", 4, 2, "item"),
            Field("item@vector", "pretrained", 3, of="item", length=2),
            Field("tags", "multi-valued", 5, 3),
            Field("item@rate", "statistic"),
        )
        tables = {"item@vector": VectorTable.of(np.zeros((3, 2), np.float32), replaces=False)}
        return Schema(
            fields,
            "hash",
            tables,
            n_rows=2,
            validation_fraction=0.1,
            hold_out="last",
            checksum={"item@rate": 7},
            fresh={"item": "x"},
        )

    @pytest.fixture
    def table(self, schema):
        names = column_names(schema.fields)
        return write_schema(pd.DataFrame([[0] * len(names)] * 2, columns=names), schema)

    def test_travels_with_copies_selections_and_pickles(self, schema, table):
        others = [table.copy(), copy.deepcopy(table), table[["item"]], table.iloc[:1], table.astype(float)]
        others += [pd.concat([table, table]), table.assign(own=1), pd.concat([table, table.add_prefix("x")], axis=1)]
        assert all(read_schema(other) is schema for other in others)
        assert read_schema(pickle.loads(pickle.dumps(table))) == schema

    def test_is_text_in_files_which_leaves_vectors_out(self, schema, table, tmp_path):
        table.to_parquet(tmp_path / "encoded.parquet")
        read = read_schema(pd.read_parquet(tmp_path / "encoded.parquet"))
        assert read == schema
        assert schema.vectors["item@vector"].vectors is not None
        assert read.vectors["item@vector"].vectors is None

    def test_of_a_part_of_the_columns_in_another_order(self, schema):
        part, positions = schema.of_columns(["own", "tags@2", "item", "tags@0"])
        assert part.fields == (Field("item", "categorical", 4), Field("tags", "multi-valued", 5, 2))
        assert positions == [[2], [3, 1]]

    def test_of_columns_with_a_prefix(self, schema):
        names = [f"all__enc__{name}" for name in column_names(schema.fields)]
        part, positions = schema.of_columns(["own", *names])
        assert [(field.name, field.of) for field in part.fields[:3]] == [
            ("all__enc__item", ""),
            ("all__enc__past", "all__enc__item"),
            ("all__enc__item@vector", "all__enc__item"),
        ]
        assert positions == [[1], [2, 3], [4], [5, 6, 7], [8]]
        assert set(part.vectors) == {"all__enc__item@vector"}
        assert part.fresh == {"all__enc__item": "x"}
        assert part.checksum == {"all__enc__item@rate": 7}

    def test_of_vectors_without_their_ids(self, schema):
        part, _ = schema.of_columns(["item@vector"])
        assert part.fields[0].of == ""

    def test_of_a_history_without_its_items(self, schema):
        with pytest.raises(ValueError, match="the history 'past' of 'item', but not the column 'item' itself"):
            schema.of_columns(["past@item@0"])

    @pytest.mark.parametrize("table", [[[1]], np.zeros((1, 1)), pd.DataFrame({"item@rate": [0.5]}), None])
    def test_other_tables_have_none(self, table):
        assert read_schema(table) is None
