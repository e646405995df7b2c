"""What `CTREncoder` takes a column for, and how the user overrules it."""

import datetime
import decimal
import re
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_selector

from sk_finalmlp.preprocessing import CTREncoder


def kind_of(values, **parameters):
    encoder = CTREncoder(**parameters).fit(pd.DataFrame({"column": values}))
    return encoder.feature_kinds_.loc["column", "kind"]


TIMES = pd.to_datetime(["2024-05-01 10:00", "2024-05-14 23:00", None])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b", None], "categorical"),
        (pd.Categorical(["a", "b", None]), "categorical"),
        (pd.Categorical([3, 4, 3]), "categorical"),
        ([True, False, None], "categorical"),
        (pd.array([True, None], dtype="boolean"), "categorical"),
        ([5, 7, 5], "categorical"),
        ([5.0, 7.0, 5.0], "categorical"),
        ([5.0, None, 5.0], "categorical"),
        ([5.0, np.inf, 5.0], "categorical"),
        (pd.array([5, None, 5], dtype="Int64"), "categorical"),
        (np.array([2**64 - 1, 5, 7], dtype=np.uint64), "categorical"),
        ([1, "1", 2.5], "categorical"),
        ([datetime.time(10), datetime.time(11)], "categorical"),
        ([None, None], "categorical"),
        ([uuid.UUID(int=1), uuid.UUID(int=2)], "categorical"),
        (pd.arrays.SparseArray([0, 0, 1]), "categorical"),
        (range(100), "numeric"),
        ([0.5, 1.5, 0.5], "numeric"),
        ([np.nan, np.nan], "numeric"),
        ([1e300, 1e300, 2e300], "numeric"),
        ([decimal.Decimal("0.5"), decimal.Decimal("1.5")], "numeric"),
        (TIMES - TIMES[0], "numeric"),
        (TIMES, "datetime"),
        (TIMES.tz_localize("Europe/Berlin"), "datetime"),
        ([datetime.date(2024, 5, 1), datetime.date(2024, 5, 7), None], "datetime"),
        ([["a", "b"], ["a"], None], "multi-valued"),
        ([("a", "b"), ("a",)], "multi-valued"),
        ([np.array([1, 2]), np.array([2])], "multi-valued"),
        ([[1.0, np.nan], [2.0]], "multi-valued"),
        (["Action|Comedy", "Comedy", "Drama|Action", None], "multi-valued"),
    ],
)
def test_kind_follows_from_the_values(values, kind):
    assert kind_of(values) == kind


def test_id_with_a_million_values_is_no_quantity():
    ids = np.random.default_rng(0).integers(0, 1_000_000, size=300_000)
    assert kind_of(ids) == "categorical"


@pytest.mark.parametrize(
    "titles",
    [
        ["Toy Story, The", "Heat, The", "Toy, Heat"],
        ["Heat | part one", "Star | the film", "Jaws | a fish"],
        ["Mozilla (X11; Linux)", "Mozilla (X11; Windows)", "Mozilla (X12; Linux)"],
        ["a"] * 5 + [f"title {n}" for n in range(50)] + ["strange|one"],
        ["always|the|same"] * 10,
    ],
)
def test_text_with_a_separator_in_it_stays_whole(titles):
    assert kind_of(titles) == "categorical"


def test_separator_of_the_user_is_looked_for():
    values = ["a;b", "b;c", "c;a", "a"]
    assert kind_of(values) == "categorical"
    assert kind_of(values, separator=";") == "multi-valued"


def test_table_says_what_was_found_and_why():
    X = pd.DataFrame({"user": [3, 3, None], "genres": [["a"], ["a", "b"], []], "score": [0.5, 1.5, 2.5], "row": 0})
    table = CTREncoder(drop="row").fit(X).feature_kinds_
    assert list(table.index) == list(X.columns)
    assert list(table["kind"]) == ["categorical", "multi-valued", "numeric", "dropped"]
    assert list(table["n_missing"]) == [1, 0, 0, 0]
    assert list(table["n_codes"]) == [2, 3, 0, 0]
    assert list(table["n_columns"]) == [1, 2, 1, 0]
    assert "1 distinct of 2" in table.loc["user", "why"]
    assert table.loc["row", "why"] == "chosen by the user"


X_AGE = pd.DataFrame({"age": [20, 30, 20], "item": ["1", "2", "2"], "score": [0.5, 1.5, 1.5]})


@pytest.mark.parametrize(
    "selection",
    [
        "age",
        ["age"],
        0,
        [0],
        [-3],
        slice(0, 1),
        slice("age", "age"),
        slice("age", -2),
        [True, False, False],
        np.array([True, False, False]),
        np.array(["age"]),
        make_column_selector(pattern="ag"),
        make_column_selector(dtype_include=np.int64),
        lambda X: [name for name in X.columns if name.startswith("a")],
    ],
)
def test_user_overrules_by_any_column_selection(selection):
    kinds = CTREncoder(numeric=selection).fit(X_AGE).feature_kinds_["kind"]
    assert kinds.to_dict() == {"age": "numeric", "item": "categorical", "score": "numeric"}


def test_each_kind_can_be_chosen():
    X = pd.DataFrame(
        {
            "a": [0.5, 1.5],
            "b": ["1.5", "2"],
            "c": ["x,y", "x"],
            "d": ["2024-05-01", "2024-05-12 10:00"],
            "e": ["x", "y"],
        }
    )
    encoder = CTREncoder(categorical="a", numeric="b", multi_valued="c", datetime="d", drop="e").fit(X)
    assert list(encoder.feature_kinds_["kind"]) == ["categorical", "numeric", "multi-valued", "datetime", "dropped"]
    assert list(encoder.get_feature_names_out()) == [*["a", "b", "c@0", "c@1", "d_hour", "d_weekday", "d_weekend"]]


def test_array_columns_are_chosen_by_position_or_generated_name():
    X = np.array([[1, 2], [1, 2]])
    for selection in (1, "x1"):
        assert list(CTREncoder(numeric=selection).fit(X).feature_kinds_["kind"]) == ["categorical", "numeric"]


def test_callable_gets_the_table_of_the_user():
    X = pl.DataFrame({"a": [1, 1], "b": [2, 2]})
    encoder = CTREncoder(drop=lambda X: X.select(pl.col("b")).columns).fit(X)
    assert list(encoder.get_feature_names_out()) == ["a"]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"numeric": "oge"}, ValueError, r"no column 'oge'.*'age', 'item', 'score'"),
        ({"drop": 3}, ValueError, "drop: There is no column 3: X has 3 columns"),
        ({"numeric": [True]}, ValueError, "mask of 1 entries can't select among 3 columns"),
        ({"numeric": [1.5]}, TypeError, "1.5 selects no column"),
        ({"numeric": "age", "categorical": [0]}, ValueError, "'age' is chosen as categorical and as numeric"),
        ({"drop": slice(None)}, ValueError, "No column is left"),
    ],
)
def test_selection_that_makes_no_sense(parameters, error, message):
    with pytest.raises(error, match=message):
        CTREncoder(**parameters).fit(X_AGE)


def impressions(seed=0, n_rows=5_000):
    """Clicks that follow the amount, and the item, but not the size of the item's number."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"amount": 10 * rng.integers(0, 500, n_rows), "item": rng.integers(0, 200, n_rows), "few": 0})
    X["few"] = X["amount"] // 500
    logits = X["amount"] / 1_000 - 2.5 + rng.normal(size=200)[X["item"]]
    return X, (rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int)


def test_labels_tell_quantities_from_ids():
    X, y = impressions()
    encoder = CTREncoder().fit(X, y)
    kinds = {"amount": "numeric", "item": "categorical", "few": "categorical"}
    assert encoder.feature_kinds_["kind"].to_dict() == kinds
    assert "predict y better by size" in encoder.feature_kinds_.loc["amount", "why"]
    labels = np.where(y, np.where(X["few"] > 5, "much", "some"), "none")
    assert CTREncoder().fit(X, labels).feature_kinds_["kind"].to_dict() == kinds


def test_labels_are_not_asked_where_the_user_decides():
    X, y = impressions()
    assert set(CTREncoder(categorical="amount").fit(X, y).feature_kinds_["kind"]) == {"categorical"}


@pytest.mark.parametrize("statistics", [None, ["item"]])
def test_kinds_are_the_same_whatever_statistics_are_wanted(statistics):
    X, y = impressions()
    kinds = CTREncoder(statistics=statistics).fit(X, y).feature_kinds_["kind"]
    assert kinds.to_dict() == CTREncoder().fit(X, y).feature_kinds_["kind"].to_dict()
    assert kinds["amount"] == "numeric"


def skewed_ids(seed, click_rate, n_rows=50_000, n_ids=800):
    """Ids in random order with a Zipf popularity, some of which are clicked more, as in logs of impressions."""
    rng = np.random.default_rng(seed)
    popularity = np.arange(1.0, n_ids + 1) ** -rng.uniform(0.8, 1.25)
    items = rng.permutation(n_ids)[rng.choice(n_ids, n_rows, p=popularity / popularity.sum())]
    logits = np.log(click_rate / (1 - click_rate)) + 0.7 * rng.normal(size=n_ids)[items]
    return pd.DataFrame({"item": items}), (rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int)


@pytest.mark.parametrize("click_rate", [0.01, 0.02, 0.03])
def test_popular_ids_that_are_seldom_clicked_are_no_quantities(click_rate):
    for seed in range(8):
        kinds = CTREncoder(drop=[]).fit(*skewed_ids(seed, click_rate)).feature_kinds_
        assert kinds.loc["item", "kind"] == "categorical", seed


def test_quantities_of_seldom_clicked_rows_are_found():
    rng = np.random.default_rng(0)
    n_rows = 50_000
    X = pd.DataFrame(
        {"price": np.exp(rng.normal(5, 1, n_rows)).astype(int), "age": rng.normal(40, 12, n_rows).astype(int)}
    )
    X["minute"] = rng.integers(0, 1_440, n_rows)
    logits = -4 - 0.4 * (np.log1p(X["price"]) - 5) + 0.6 * (X["age"] - 40) / 12 + 0.5 * np.sin(X["minute"] / 229)
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int)
    with pytest.warns(UserWarning, match="'minute' holds integers that repeat .* taken for a quantity.*`categorical`"):
        kinds = CTREncoder().fit(X, y).feature_kinds_
    assert set(kinds["kind"]) == {"numeric"}


def test_ages_that_tell_little_are_quantities_though_most_have_a_bin_of_their_own():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame({"age": np.clip(21 + rng.gamma(2, 7, 24_000), 21, 75).astype(int)})
        y = (rng.random(24_000) < 0.25 + 0.04 * np.sin(X["age"] / 6)).astype(int)
        assert CTREncoder().fit(X, y).feature_kinds_.loc["age", "kind"] == "numeric"


def test_labels_tell_nothing_of_an_amount_that_has_nothing_to_do_with_them_or_of_few_rows():
    X, y = impressions()
    assert set(CTREncoder().fit(X).feature_kinds_["kind"]) == {"categorical"}
    assert set(CTREncoder().fit(X[:900], y[:900]).feature_kinds_["kind"]) == {"categorical"}
    noise = np.random.default_rng(1).permutation(y)
    assert set(CTREncoder().fit(X, noise).feature_kinds_["kind"]) == {"categorical"}


def test_ids_of_few_rows_stay_ids_though_old_ones_are_clicked_more():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"item": rng.permutation(np.arange(4_000) // 2)})
    y = (rng.random(4_000) < 1 / (1 + np.exp(X["item"] / 400 - 2.5))).astype(int)
    assert CTREncoder().fit(X, y).feature_kinds_.loc["item", "kind"] == "categorical"
    assert CTREncoder().fit(X * 100, y).feature_kinds_.loc["item", "kind"] == "numeric"


def test_rows_without_weight_tell_nothing():
    X, y = impressions()
    X_all, y_all = pd.concat([X, X]), np.concatenate([y, 1 - y])
    weights = np.repeat([1.0, 0.0], len(X))
    encoder = CTREncoder().fit(X_all, y_all, sample_weight=weights)
    assert encoder.feature_kinds_.loc["amount", "kind"] == "numeric"


def test_missing_amounts_are_no_hindrance():
    X, y = impressions()
    X["amount"] = X["amount"].astype(float).mask(X.index % 7 == 0)
    assert CTREncoder().fit(X, y).feature_kinds_.loc["amount", "kind"] == "numeric"


def test_lists_as_text_are_doubtful_categories():
    for texts, remedy in (
        ([f"[{n}.5, 1.0]" for n in range(20)], r"column\.map\(json\.loads"),
        ([f"['{n}', 'b']" for n in range(20)], r"column\.map\(ast\.literal_eval"),
        ([f"['{n}' 'b']" for n in range(20)], "NumPy has written it, which can't be read back"),
        ([str(np.array([n, 0.5])) for n in range(20)], "NumPy has written it, which can't be read back"),
        ([str([np.int64(n), np.int64(3)]) for n in range(20)], "NumPy has written it, which can't be read back"),
        (['["New York", "Rome"]', '["Oslo"]'] * 5, r"column\.map\(json\.loads"),
        (['["It\'s", null]', '["Oslo"]'] * 5, r"column\.map\(json\.loads"),
        ([str((n, 0.5)) for n in range(20)], r"column\.map\(ast\.literal_eval"),
        (["[Oslo]", "[Rome]"] * 5, "Neither json.loads nor ast.literal_eval reads it: keep the table as Parquet"),
    ):
        with pytest.warns(UserWarning, match=rf"Column 'column' holds lists as text, such as .*{remedy}"):
            assert kind_of(texts) == "categorical"
        assert kind_of(texts, categorical="column") == "categorical"


def test_times_as_text_are_doubtful_categories():
    times = pd.date_range("2024-05-03", periods=200, freq="h")
    for texts, n_distinct in (
        (times.astype(str), 200),
        (times.strftime("%Y-%m-%dT%H:%M:%SZ"), 200),
        (times.strftime("%Y-%m-%d %H:%M").tolist() * 3, 200),
        (times.strftime("%Y-%m-%d"), 9),
    ):
        doubt = rf"Column 'column' holds dates or times as text.*\({n_distinct} distinct.*`datetime`"
        with pytest.warns(UserWarning, match=doubt):
            assert kind_of(texts) == "categorical"
        assert kind_of(texts, categorical="column") == "categorical"
        assert kind_of(texts, datetime="column") == "datetime"


def test_times_as_text_that_are_left_out_are_doubtful_too():
    times = pd.date_range("2024-05-03", periods=200, freq="h").astype(str)
    X = pd.DataFrame({"item": ["a", "b"] * 100, "time": times})
    with pytest.warns(UserWarning, match=r"Column 'time' holds dates or times as text.*Name it in `datetime`"):
        encoder = CTREncoder(hold_out="time").fit(X, np.arange(200) // 2 % 2)
    assert encoder.feature_kinds_.loc["time", "kind"] == "dropped"


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%m/%d/%Y", "%d-%m-%y", "%m/%d/%Y, %H:%M:%S"])
def test_dates_of_other_forms_are_doubtful_categories(form):
    texts = pd.date_range("2024-05-03", periods=2_000, freq="9h").strftime(form)
    with pytest.warns(UserWarning, match=r"Column 'column' looks like dates in another form than ISO 8601, such as '0"):
        assert kind_of(texts) == "categorical"
    assert kind_of(texts, categorical="column") == "categorical"


@pytest.mark.parametrize(
    ("to_integers", "remedy"),
    [
        (lambda times: times.strftime("%Y%m%d").astype(int), "column.astype(str), format='%Y%m%d'"),
        (lambda times: times.strftime("%y%m%d%H").astype(int), "column.astype(str), format='%y%m%d%H'"),
        (lambda times: times.strftime("%Y%m%d%H").astype(int), "column.astype(str), format='%Y%m%d%H'"),
        (lambda times: times.strftime("%Y%m%d%H%M%S").astype(int), "column.astype(str), format='%Y%m%d%H%M%S'"),
        (lambda times: times.astype("datetime64[s]").astype("int64"), "column, unit='s'"),
        (lambda times: times.astype("datetime64[ms]").astype("int64"), "column, unit='ms'"),
    ],
)
def test_integers_that_look_like_times_are_doubtful(to_integers, remedy):
    times = pd.date_range("2014-10-21", periods=500, freq="7h")
    column = pd.Series(to_integers(times))
    doubt = r"Column 'column' holds integers that look like times, such as \d+ "
    with pytest.warns(UserWarning, match=doubt) as caught:
        kind = kind_of(column)
    assert kind_of(column, **{kind: "column"}) == kind
    # What the warning says gives the times back, as far as the integers go.
    code = re.search(r"pandas\.to_datetime\((.*?\)?)\), or", str(caught[0].message))[1]
    assert code.replace("X['column']", "column") == remedy
    read = eval(f"pd.to_datetime({code})", {"pd": pd, "X": pd.DataFrame({"column": column})})
    assert (pd.Series(to_integers(pd.DatetimeIndex(read))) == column).all()
    assert kind_of(read) == "datetime"


def test_integers_that_are_no_times_are_not_doubted():
    rng = np.random.default_rng(0)
    for largest in (10**8, 2 * 10**9, 2 * 10**12):
        kind_of(rng.integers(0, largest, 300).repeat(4))
    # One value out of the calendar is enough.
    days = pd.date_range("2014-10-21", periods=100).strftime("%Y%m%d").astype(int)
    kind_of(np.append(days, 20141301).repeat(2))


def test_ids_that_hardly_repeat_are_doubtful_categories():
    numbers = np.arange(2_000) // 1.05
    for ids in ([f"request {n}" for n in range(2_000)], numbers.astype(int), numbers.astype(np.uint64) + 2**63):
        with pytest.warns(UserWarning, match=r"Column 'column' has a different value in nearly every row.*`drop`"):
            assert kind_of(ids) == "categorical"
        assert kind_of(ids, categorical="column") == "categorical"


def test_ids_that_floats_have_rounded_are_doubtful_quantities():
    with pytest.warns(UserWarning, match=r"Column 'column' holds whole numbers beyond 2\*\*53 as floats.*Int64"):
        assert kind_of([2.0**60, 2.0**60, None]) == "numeric"
    assert kind_of([2.0**60, 2.0**60, 0.5]) == "numeric"
