"""Multi-valued columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp.preprocessing import CTREncoder

quick = settings(max_examples=40, deadline=None)

GENRES = ["Action|Comedy", "Comedy", "Drama|Action|Comedy", None, "Comedy|Drama"]


def frame(values):
    return pd.DataFrame({"genres": pd.Series(values, dtype=object)})


def fit(values, **parameters):
    return CTREncoder(multi_valued="genres", **parameters).fit(frame(values))


def encode(encoder, values):
    return encoder.transform(frame(values)).to_numpy().tolist()


def test_one_column_per_position():
    encoder = CTREncoder().fit(frame(GENRES))
    assert list(encoder.get_feature_names_out()) == ["genres@0", "genres@1", "genres@2"]
    assert encode(encoder, GENRES) == [[2, 1, 0], [1, 0, 0], [3, 2, 1], [0, 0, 0], [1, 3, 0]]
    assert encoder.cardinalities_ == {"genres": 4}
    assert encoder.categories_["genres"].tolist() == ["Comedy", "Action", "Drama"]
    (field,) = encoder.fields_
    assert (field.kind, field.n_codes, field.n_columns) == ("multi-valued", 4, 3)


def test_lists_and_separated_strings_are_the_same():
    lists = [None if genres is None else genres.split("|") for genres in GENRES]
    strings, listed = CTREncoder().fit(frame(GENRES)), CTREncoder().fit(frame(lists))
    assert encode(strings, GENRES) == encode(listed, lists) == encode(strings, lists)


@pytest.mark.parametrize(("separator", "text"), [("auto", "a|b"), ("auto", "a | b"), (", ", "a, b")])
def test_text_is_split_where_fit_saw_lists(separator, text):
    encoder = CTREncoder(separator=separator).fit(frame([["a", "b"], ["b"], ["c"]] * 9))
    assert encode(encoder, [text]) == encode(encoder, [["a", "b"]])


LISTS = st.lists(st.none() | st.lists(st.sampled_from("abcde"), max_size=4), min_size=1, max_size=20)


@quick
@given(LISTS)
def test_round_trip(lists):
    encoder = fit(lists)
    decoded = encoder.inverse_transform(encoder.transform(frame(lists)))["genres"]
    assert decoded.dropna().tolist() == [elements for elements in lists if elements]
    assert decoded.isna().tolist() == [not elements for elements in lists]


@quick
@given(LISTS, st.randoms())
def test_refit_on_shuffled_rows_gives_the_same_codes(lists, random):
    assert encode(fit(lists), lists) == encode(fit(random.sample(lists, len(lists))), lists)


@quick
@given(LISTS, LISTS)
def test_codes_are_those_of_a_plain_loop(seen, unseen):
    encoder = fit(seen)
    code_of = {value: code for code, value in enumerate(encoder.categories_.get("genres", []), start=1)}
    width = max([1, *(len(elements or []) for elements in seen)])
    expected = []
    for elements in unseen:
        known = [code_of[element] for element in elements or [] if element in code_of][:width]
        expected.append(known + [0] * (width - len(known)))
    assert encode(encoder, unseen) == expected


def test_unknown_elements_take_no_place_and_surplus_ones_are_left_out():
    encoder = fit([["a", "b"], ["b", "c"], ["b"]])
    assert encode(encoder, [["x", "b", "y", "a", "c"], ["x"], []]) == [[1, 2], [0, 0], [0, 0]]


def test_number_of_columns_can_be_capped():
    encoder = fit([["a", "b", "c"], ["b"]], max_length=2)
    assert encode(encoder, [["c", "b", "a"]]) == [[3, 1]]


def test_number_of_columns_can_be_capped_for_one_column():
    table = pd.DataFrame({"tags": [["a", "b"], ["c", "b"]], "words": [["d", "e"], ["f", "e"]]})
    encoder = CTREncoder(max_length={"tags": 1, -1: 2}).fit(table)
    assert encoder.feature_kinds_["n_columns"].tolist() == [1, 2]


@pytest.mark.parametrize("max_length", [0, {"tags": 0}, {"tags": 1.5}])
def test_cap_is_an_integer_of_at_least_one(max_length):
    with pytest.raises(ValueError, match="'max_length' parameter"):
        CTREncoder(max_length=max_length).fit(pd.DataFrame({"tags": [["a"], ["b"]]}))


def test_rare_elements_are_unknown():
    lists = [["a", "b"], ["b", "c"], ["b", "c"]]
    assert encode(fit(lists, min_frequency=2), lists) == [[1, 0], [1, 2], [1, 2]]
    assert encode(fit(lists, max_categories=1), lists) == [[1], [1], [1]]
    assert encode(fit(lists, min_frequency=0.5), lists) == [[1, 0], [1, 2], [1, 2]]


@pytest.mark.parametrize("values", [[["a", "b"], ["b"], ["a"]], ["a|b", "b", "a"]])
def test_frequencies_are_of_rows_whatever_their_weights(values):
    values = [*values, values[1], values[1]]
    encoder = CTREncoder(multi_valued="genres", min_frequency=3).fit(frame(values), sample_weight=[9, 1, 9, 1, 1])
    assert encoder.categories_["genres"].tolist() == ["b"]


def test_hashed_elements():
    encoder = fit([["a", "b"], ["b"]], n_hash_buckets=100)
    assert encoder.cardinalities_ == {"genres": 101}
    ((first, second),) = encode(encoder, [["b", "unseen"]])
    assert 0 < first <= 100
    assert 0 < second <= 100
    assert encoder.inverse_transform(encoder.transform(frame([["a"]])))["genres"].tolist() == [None]


@pytest.mark.parametrize(
    ("strings", "elements"),
    [
        (["a, b", "b", " "], ["b", "a"]),
        (["a b", "b"], ["b", "a"]),
        (["a,b;c", "b;c"], ["c", "a,b", "b"]),
        (["ab", "b"], ["ab", "b"]),
    ],
)
def test_separator_is_found_in_columns_that_the_user_names(strings, elements):
    assert fit(strings).categories_["genres"].tolist() == elements


def test_separator_can_be_given():
    assert fit(["a/b", "b"], separator="/").categories_["genres"].tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="separator"):
        fit(["a/b"], separator="")


@pytest.mark.parametrize(
    "lists",
    [
        [["a", "b"], ["it's"]],
        [[np.str_("a")]],
        [[5, 7], [12]],
        [[np.int64(5)], [np.int64(7), np.int64(5)]],
        [(5, 7), (12,)],
        [[1.5, None], [2.5, 1.5]],
        [["a", None]],
        [np.array([5, 7])],
    ],
)
def test_lists_written_as_text_are_refused(lists):
    written = [str(values) for values in lists]
    for attempt in (lambda: fit(written), lambda: encode(fit(lists), written)):
        with pytest.raises(ValueError, match=r"Column 'genres': .* is a list that was written as text"):
            attempt()
    assert encode(fit([["[new]", "x"]]), ["[new]", None]) == [[1, 0], [0, 0]]


def test_integers_that_become_floats_keep_their_codes():
    encoder = fit([[5, 7], [5]])
    assert encode(encoder, [[5.0, np.nan], [7.0]]) == [[1, 0], [2, 0]]


def test_anything_between_strings_is_a_written_list_too():
    for written in ("['a', Decimal('1'), 'b']", "['a', ['b'], 'c']"):
        with pytest.raises(ValueError, match="is a list that was written as text"):
            fit([written])


def test_strings_come_back_joined():
    encoder = CTREncoder().fit(frame(GENRES))
    decoded = encoder.inverse_transform(encoder.transform(frame(GENRES)))["genres"]
    assert [None if pd.isna(value) else value for value in decoded] == GENRES


def test_an_element_that_pandas_marks_as_missing_is_none():
    # As `agg(list)` of a column of strings gives them.
    lists = [["a", np.nan], ["b"]]
    assert encode(fit(lists), lists) == [[1], [2]]
    with pytest.raises(TypeError, match=r"holds \['a', 1.5\] of type list"):
        fit([["a", 1.5], ["a", np.nan]])


@pytest.mark.parametrize("dtype", [pl.List(pl.String), pl.Array(pl.String, 2)])
def test_polars_lists(dtype):
    X = pl.DataFrame({"genres": pl.Series([["a", "b"], ["b", "c"]], dtype=dtype)})
    encoder = CTREncoder().fit(X)
    assert encoder.transform(X).rows() == [(2, 1), (1, 3)]
    assert encoder.inverse_transform(encoder.transform(X))["genres"].to_list() == [["a", "b"], ["b", "c"]]


def test_column_without_elements_has_one_column():
    encoder = fit([[], None])
    assert encode(encoder, [["a"], None]) == [[0], [0]]
    assert encoder.cardinalities_ == {"genres": 1}


def test_lists_without_a_value_have_no_type():
    # As pandas makes them of Arrow's lists of integers.
    encoder = CTREncoder().fit(pd.DataFrame({"genres": [np.array([]), np.array([np.nan]), np.array([])]}))
    assert encoder.feature_kinds_.loc["genres", "kind"] == "multi-valued"
    assert encode(encoder, [[1], [], [np.nan]]) == [[0], [0], [0]]
