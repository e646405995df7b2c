"""The naming rule of multi-valued columns, and what a field may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_finalmlp.schema import Field, column_names, group_columns, is_statistic, statistic_name


@given(st.text(min_size=1), st.integers(1, 20))
def test_names_that_are_written_are_read(field, n_columns):
    names = column_names([Field(field, "multi-valued", n_codes=1, n_columns=n_columns)])
    assert group_columns(names, [True] * n_columns) == [(field, list(range(n_columns)))]


@pytest.mark.parametrize(
    ("names", "integer", "groups"),
    [
        (["tags@1", "tags@2"], [True, True], [("tags@1", [0]), ("tags@2", [1])]),
        (["tags@0", "tags@2"], [True, True], [("tags@0", [0]), ("tags@2", [1])]),
        (["tags@0", "tags@1"], [True, False], [("tags", [0]), ("tags@1", [1])]),
        (["tags@0", "tags@01"], [True, True], [("tags", [0]), ("tags@01", [1])]),
        (["tags@0", "tags"], [True, True], [("tags@0", [0]), ("tags", [1])]),
    ],
    ids=["not from zero", "gap", "float", "leading zero", "clash"],
)
def test_anything_else_is_a_field_of_its_own(names, integer, groups):
    assert group_columns(names, integer) == groups


def test_elements_are_ordered_by_their_number():
    names = ["user", "tags@2", "tags@0", "age", "tags@1"]
    assert group_columns(names, [True, True, True, False, True]) == [("user", [0]), ("tags", [2, 4, 1]), ("age", [3])]


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
@pytest.mark.parametrize("key", ["user", "", "user & item", "a(b)"])
def test_statistics_are_known_by_their_names_whatever_their_columns_are_called(measure, label, key):
    assert is_statistic(statistic_name(measure, key, label))


@pytest.mark.parametrize("prefix", ["", "all__enc__"])
@pytest.mark.parametrize(
    ("key", "label", "columns", "expected"),
    [
        ("user", None, ["user"], True),
        ("user", None, ["item"], False),
        ("user & item", None, ["user", "item"], True),
        ("user & item", None, ["user"], False),
        ("a & b & c", None, ["a & b", "c"], True),
        ("a & b & c", None, ["b & c", "a"], True),
        ("a & b & c", None, ["a & b"], False),
        ("a(b)", "c)=d", ["a(b)"], True),
        ("", None, [""], True),
        ("", None, [], False),
    ],
)
def test_statistics_may_have_to_be_about_given_columns(prefix, key, label, columns, expected):
    name = prefix + statistic_name("rate", key, label)
    assert is_statistic(name, [prefix + column for column in columns]) == expected
