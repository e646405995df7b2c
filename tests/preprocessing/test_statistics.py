"""Rates and counts of values and combinations that the user names."""

import pickle
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hold_out import held_out_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from sk_finalmlp._hold_out import places
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.preprocessing._target import Folds, read_target
from sk_finalmlp.schema import Field


def impressions(n=400, seed=0, n_users=20, n_items=8):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"user": rng.integers(n_users, size=n), "item": rng.choice(list("abcdefgh")[:n_items], n)})
    return X, rng.integers(2, size=n)


def target_of(y, X, weights=None):
    """The labels and folds that an encoder with its default parameters draws, with a tenth of the rows held out."""
    draw = partial(Folds, fraction=0.1, place=places, random_state=np.random.RandomState(0))
    return read_target(y, X, weights, draw)


def affinely_equal(column, reference):
    """Whether a standardised column is the reference up to mean and deviation, where it isn't cut."""
    inside = np.abs(column) < 5
    slope, intercept = np.polyfit(reference[inside], column[inside], 1)
    return slope > 0 and np.allclose(slope * reference[inside] + intercept, column[inside], atol=1e-4)


def slow_statistics(train, y, weights, new, key, prior, share=1):
    """Log-odds of the rate and log-count of each new row, by the book, from a share of all rows."""
    frame = train.assign(clicks=y * weights, rows=weights)
    sums = frame.groupby(key)[["clicks", "rows"]].sum()
    sums = new[key].merge(sums.reset_index(), on=key, how="left").fillna(0.0)
    rows = sums["rows"]
    rate = (sums["clicks"] + 3 * prior) / (rows + 3)
    return np.log(rate / (1 - rate)).to_numpy(), (np.log1p(rows) - np.log(share) * rows / (rows + 10)).to_numpy()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), key=st.sampled_from([["user"], ["item"], ["user", "item"]]), weighted=st.booleans())
def test_transform_gives_smoothed_log_odds_and_log_counts_of_all_training_rows(seed, key, weighted):
    X, y = impressions(seed=seed)
    new, _ = impressions(seed=seed + 1)
    weights = np.random.default_rng(seed).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    encoder = CTREncoder(statistics=[tuple(key)]).fit(X, y, sample_weight=weights)
    out = encoder.transform(new)
    # Rows without weight are no training rows, and neither are the values that only they have.
    known = {name: set(X.loc[weights > 0, name]) for name in X}
    seen = new.apply(lambda column: column.isin(known[column.name])).all(axis=1).to_numpy()
    rate, count = slow_statistics(X, y, weights, new, key, np.average(y, weights=weights))
    name = " & ".join(key)
    assert affinely_equal(out[f"{name}@rate"].to_numpy()[seen], rate[seen])
    assert affinely_equal(out[f"{name}@count"].to_numpy()[seen], count[seen])


@pytest.mark.parametrize("key", [["user"], ["user", "item"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_transform_takes_the_statistics_of_a_row_from_the_other_folds(key, weighted):
    X, y = impressions(1500)
    weights = np.random.default_rng(0).integers(1, 4, len(y)) if weighted else np.ones(len(y))
    out = CTREncoder(statistics=[tuple(key)]).fit_transform(X, y, sample_weight=weights)
    folds = target_of(y, X, weights).rows.folds
    is_held_out = held_out_rows(y)
    rate, count = np.empty(len(y)), np.empty(len(y))
    prior = np.average(y, weights=weights)
    share_of_folds = weights[~is_held_out].sum() / weights.sum()
    for own in [is_held_out, *(folds == fold for fold in range(10))]:
        others = ~own & ~is_held_out
        share = share_of_folds * (1 if own is is_held_out else 0.9)
        rate[own], count[own] = slow_statistics(X[others], y[others], weights[others], X[own], key, prior, share)
    assert not (is_held_out & (folds < 10)).any()
    name = " & ".join(key)
    assert affinely_equal(out[f"{name}@rate"].to_numpy(), rate)
    assert affinely_equal(out[f"{name}@count"].to_numpy(), count)


def test_cross_fitted_counts_are_as_large_as_those_of_new_rows():
    X, y = impressions(4000, n_users=5)
    encoder = CTREncoder(statistics=["user", ("user", "item")])
    of_training, of_new = encoder.fit_transform(X, y), encoder.transform(X)
    for name in ["user@count", "user & item@count"]:
        assert of_new[name].mean() == pytest.approx(of_training[name].mean(), abs=0.2)


def test_folds_are_drawn_for_each_row_whatever_the_others_are():
    y = np.repeat([0, 1, 2], [9_000, 950, 50])
    folds = target_of(y, y).rows.folds
    assert np.array_equal(folds == 10, held_out_rows(y))
    for rows in (y == 0, y == 1):
        n_rows = np.bincount(folds[rows], minlength=10)[:10]
        assert np.abs(n_rows / n_rows.mean() - 1).max() < 5 * n_rows.mean() ** -0.5
    assert len(np.unique(folds[:30])) > 5
    # A table that has grown keeps the parts of its first rows.
    more = target_of(np.r_[y, y], np.r_[y, y]).rows.folds
    assert (more[: len(y)] == folds).mean() > 0.999


@pytest.mark.parametrize("order", ["shuffled", "sorted by y"])
@pytest.mark.parametrize("key", ["user", ("user", "item")])
def test_cross_fitted_rate_says_nothing_about_noise(order, key):
    X, y = impressions(20_000, n_users=2000)
    y = np.sort(y) if order == "sorted by y" else y
    out = CTREncoder(statistics=[key]).fit_transform(X, y)
    leaky = CTREncoder(statistics=[key]).fit(X, y).transform(X)
    assert roc_auc_score(y, out.iloc[:, 2]) == pytest.approx(0.5, abs=0.02)
    assert roc_auc_score(y, leaky.iloc[:, 2]) > 0.6


def test_weights_count_like_repeated_rows():
    X, y = impressions()
    weights = np.random.default_rng(1).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    statistics = ["user", ("item", "user")]
    weighted = CTREncoder(statistics=statistics).fit(X, y, sample_weight=weights).transform(X)
    repeated = CTREncoder(statistics=statistics).fit(X.iloc[rows], y[rows]).transform(X)
    assert list(weighted) == list(repeated)
    for name in list(weighted)[2:]:
        assert affinely_equal(weighted[name].to_numpy(), repeated[name].to_numpy())


def test_rows_of_weight_zero_change_nothing_and_get_what_new_rows_get():
    X, y = impressions()
    weights = np.ones(len(y))
    more_X = pd.concat([X, X.assign(user=99)], ignore_index=True)
    more_y = np.r_[y, 1 - y]
    statistics = ["user", ("item", "user")]
    encoder = CTREncoder(statistics=statistics)
    alone = encoder.fit_transform(X, y)
    more = clone(encoder)
    both = more.fit_transform(more_X, more_y, sample_weight=np.r_[weights, 0 * weights])
    np.testing.assert_array_equal(both.iloc[: len(X)], alone)
    np.testing.assert_array_equal(both.iloc[len(X) :], more.transform(more_X.iloc[len(X) :]))


def test_unseen_values_have_the_overall_rate_and_no_rows():
    X, y = impressions()
    encoder = CTREncoder(statistics=["user", "item"]).fit(X, y)
    unseen = encoder.transform(pd.DataFrame({"user": [99, 98], "item": ["new", None]}))
    everywhere = pd.concat([encoder.transform(X), unseen])
    assert (unseen["user@rate"] == unseen["user@rate"].iloc[0]).all()
    # Each user and item has many rows, so that nothing is learned of few.
    assert (unseen[["user@count", "item@count"]] == 0).all(axis=None)
    assert everywhere["user@rate"].min() < unseen["user@rate"].iloc[0] < everywhere["user@rate"].max()


@pytest.mark.parametrize(("n_rare", "is_learned"), [(2, False), (60, True)])
def test_small_counts_tell_something_where_training_rows_have_them(n_rare, is_learned):
    user = np.concatenate([np.repeat(np.arange(208), 40), 1_000 + np.arange(n_rare)])
    y = np.arange(len(user)) % 2
    encoder = CTREncoder(statistics=["user"]).fit(pd.DataFrame({"user": user}), y)
    of_users = encoder.transform(pd.DataFrame({"user": [0, 1_000, -7]}))["user@count"]
    assert of_users[0] != 0
    if is_learned:
        assert of_users[2] <= of_users[1] < of_users[0]
    else:
        assert of_users[1] == of_users[2] == 0


def test_missing_is_a_value_with_a_rate_of_its_own():
    X = pd.DataFrame({"user": ["a", "b", None, "c"] * 50})
    y = (X["user"].isna()).astype(int)
    y[:8] = 1 - y[:8]
    encoder = CTREncoder(statistics=["user"]).fit(X, y)
    out = encoder.transform(pd.DataFrame({"user": [None, "a", "z"]}))
    assert out["user@rate"][0] > out["user@rate"][1]
    # Unseen and rare values share code 0 with missing ones.
    assert out["user@rate"][2] == out["user@rate"][0]


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [False, True], [-1.0, 1.0]])
def test_rate_is_that_of_the_greater_label(labels):
    X = pd.DataFrame({"user": ["often", "seldom"] * 100})
    y = np.asarray(labels)[[1, 0] * 90 + [0, 1] * 10]
    out = CTREncoder(statistics=["user"]).fit(X, y).transform(X[:2])
    assert out["user@rate"][0] > 0 > out["user@rate"][1]


def test_each_of_several_classes_has_a_rate():
    X = pd.DataFrame({"user": ["a", "b", "c"] * 100})
    y = np.array(["buy", "click", "none"] * 90 + ["click", "none", "buy"] * 10)
    encoder = CTREncoder(statistics=["user"])
    out = encoder.fit(X, y).transform(X[:3])
    rates = ["user@rate=buy", "user@rate=click", "user@rate=none"]
    assert list(out.columns) == ["user", *rates, "user@count"]
    assert out[rates].to_numpy().argmax(axis=1).tolist() == [0, 1, 2]
    assert [field.kind for field in encoder.fields_[1:]] == ["statistic"] * 4


def test_statistics_are_standardised_and_cut():
    X, y = impressions(5000)
    X["user"] = np.sqrt(X["user"]).round().astype(int)
    X["color"] = np.arange(5000) % 3
    out = CTREncoder(statistics=["user", ("user", "item"), "color"]).fit_transform(X, y).iloc[:, 3:]
    assert (out.dtypes == np.float32).all()
    assert out.mean().abs().max() < 0.02
    deviation = out.std()
    assert deviation.pop("color@count") < 0.2
    assert deviation.between(0.95, 1.02).all()
    rare = pd.DataFrame({"user": ["a"] * 5000 + ["b"] * 10})
    out = CTREncoder(statistics=["user"]).fit(rare, np.arange(5010) % 2).transform(rare)
    assert out["user@count"].min() == -5


def test_statistics_of_what_becomes_codes():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, 300), unit="s"),
            "price": rng.random(300),
        }
    )
    y = rng.integers(2, size=300)
    encoder = CTREncoder(numeric_encoding="bins", statistics=["time_hour", ("time_weekday", "price")]).fit(X, y)
    assert encoder.get_feature_names_out()[-4:].tolist() == [
        "time_hour@rate",
        "time_hour@count",
        "time_weekday & price@rate",
        "time_weekday & price@count",
    ]
    assert np.isfinite(encoder.transform(X)).all(axis=None)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (["users"], "no field 'users'. The fields are"),
        ([("user", "users")], "no field 'users'"),
        ([("user", "price")], "'price' is numeric, and .*numeric_encoding='bins'"),
        (["time"], r"'time' makes several fields.*\['time_hour', 'time_weekday', 'time_weekend'\]"),
        ([("user", "user")], "must name different columns"),
        ([()], "at least one"),
        ([3], "makes several"),
        ([4], "4 is neither a name nor a position of a column, from 0 to 3"),
    ],
)
def test_what_has_no_statistics_is_an_error(statistics, message):
    X = pd.DataFrame(
        {
            "user": [1, 1, 2, 2],
            "genres": ["a|b", "a", "b", "b|a"],
            "price": [0.5, 1.5, 2.5, 3.5],
            "time": pd.to_datetime(["2024-01-01 10:00", "2024-01-12 11:00"] * 2),
        }
    )
    with pytest.raises(ValueError, match=message):
        CTREncoder(statistics=statistics).fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "there is no y. Give labels"),
        (np.linspace(0, 1, 400), "not contain class labels .*continuous"),
        (np.zeros((400, 2)), "not contain class labels .*multilabel"),
        (np.ones(400), "only one class"),
    ],
)
def test_statistics_that_are_asked_for_need_labels(y, message):
    X, _ = impressions()
    with pytest.raises(ValueError, match=message):
        CTREncoder(statistics=["user"]).fit(X, y)


def test_statistics_where_the_weights_leave_one_class():
    X, y = impressions()
    with pytest.raises(ValueError, match="only one class in the rows with a positive sample_weight"):
        CTREncoder(statistics=["user"]).fit(X, y, sample_weight=np.asarray(y, float))


@pytest.mark.parametrize("statistics", ["auto", ["user"]])
@pytest.mark.parametrize(
    ("y", "message"), [(np.r_[np.nan, np.ones(399)], "NaN"), ([None] * 400, "NaN"), (np.ones(399), "inconsistent")]
)
def test_wrong_labels_are_an_error(statistics, y, message):
    X, _ = impressions()
    with pytest.raises(ValueError, match=message):
        CTREncoder(statistics=statistics).fit_transform(X, y)


@pytest.mark.parametrize("n_buckets", [2**25, 2**31 - 2])
def test_statistics_do_not_depend_on_how_many_combinations_are_possible(n_buckets):
    X, y = impressions()
    of_hashes = CTREncoder(statistics=[("user", "item")], n_hash_buckets=n_buckets).fit_transform(X, y)
    of_codes = CTREncoder(statistics=[("user", "item")]).fit_transform(X, y)
    pd.testing.assert_frame_equal(of_hashes.iloc[:, 2:], of_codes.iloc[:, 2:])


def test_combination_that_can_not_be_counted_is_an_error():
    X = pd.DataFrame({f"x{i}": np.arange(2**13) for i in range(5)})
    encoder = CTREncoder(categorical=slice(None), statistics=[tuple(X)])
    with pytest.raises(ValueError, match=r"'x0 & x1 & x2 & x3 & x4' has .* more than 63 bits"):
        encoder.fit(X, np.arange(2**13) % 2)


@pytest.mark.parametrize("y", [[0, 1, 0], ["a", "b", "c"], [0, 0, 1]])
def test_few_rows(y):
    X = pd.DataFrame({"user": [1, 1, 2]})
    out = CTREncoder(statistics=["user"]).fit_transform(X, y)
    assert np.isfinite(out).all(axis=None)


def test_class_with_a_single_row():
    X, y = impressions()
    y[0] = 2
    out = CTREncoder(statistics=["user", ("user", "item")]).fit_transform(X, y)
    assert np.isfinite(out).all(axis=None)


def test_same_combination_is_made_once():
    X, y = impressions()
    names = CTREncoder(statistics=["user", ("user",), ("user", "item"), ("item", "user")]).fit(X, y)
    assert len(names.get_feature_names_out()) == 2 + 4


def test_two_fits_agree_and_a_seed_changes_the_folds():
    X, y = impressions()
    encoder = CTREncoder(statistics=["user"])
    out = encoder.fit_transform(X, y)
    pd.testing.assert_frame_equal(clone(encoder).fit_transform(X, y), out)
    pd.testing.assert_frame_equal(encoder.fit_transform(X, y), out)
    assert not clone(encoder).set_params(random_state=1).fit_transform(X, y).equals(out)
    pd.testing.assert_frame_equal(encoder.fit(X, y).transform(X), clone(encoder).fit(X, y).transform(X))


@pytest.mark.parametrize("rows", [1, 2000])
def test_pickled_encoder_gives_the_same_statistics(rows):
    X, y = impressions(2000, n_users=500)
    encoder = CTREncoder(crosses=[("item", "user")], statistics=["user", ("user", "item")]).fit(X, y)
    out = encoder.transform(X[:rows])
    size = len(pickle.dumps(encoder))
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(encoder)).transform(X[:rows]), out)
    # What is only there to be fast isn't saved.
    encoder.transform(X)
    assert len(pickle.dumps(encoder)) == size


def test_rows_are_encoded_alike_alone_and_together():
    X, y = impressions(3000, n_users=700)
    new = pd.concat([X, pd.DataFrame({"user": [10**6], "item": ["new"]})])
    encoder = CTREncoder(crosses=[("user", "item")], statistics=["user", ("user", "item")]).fit(X, y)
    together = encoder.transform(new)
    alone = pd.concat([encoder.transform(new[i : i + 1]) for i in (0, 1, len(new) - 1)])
    pd.testing.assert_frame_equal(together.iloc[[0, 1, len(new) - 1]], alone)


def test_polars_in_polars_out():
    X, y = impressions()
    encoder = CTREncoder(statistics=[("user", "item")])
    out = encoder.fit_transform(pl.from_pandas(X), pl.Series(y))
    assert isinstance(out, pl.DataFrame)
    np.testing.assert_array_equal(out.to_numpy(), encoder.fit_transform(X, y).to_numpy())
    assert out.schema["user & item@rate"] == pl.Float32


def test_array_with_statistics_becomes_a_frame():
    X, y = impressions()
    out = CTREncoder(statistics=["x0"]).fit_transform(X.to_numpy(dtype=object), y)
    assert list(out.columns) == ["x0", "x1", "x0@rate", "x0@count"]


def test_names_that_are_given_reach_statistics_and_crosses():
    X, y = impressions()
    encoder = CTREncoder(crosses=[("x0", "x1")], statistics=["x0"]).fit(X.to_numpy(dtype=object), y)
    names = encoder.get_feature_names_out(["user", "item"])
    assert names.tolist() == ["user", "item", "user & item", "user@rate", "user@count"]


def test_inverse_transform_leaves_crosses_and_statistics_aside():
    X, y = impressions()
    encoder = CTREncoder(crosses=[("user", "item")], statistics=["user"])
    pd.testing.assert_frame_equal(
        encoder.inverse_transform(encoder.fit_transform(X, y)), X, check_dtype=False, check_column_type=False
    )


def test_numeric_column_that_is_called_like_a_statistic_needs_a_container_that_says_what_it_is():
    X = pd.DataFrame({"user": [1, 1], "user@rate": [0.5, 1.5]})
    assert [field.kind for field in CTREncoder().fit(X).fields_] == ["categorical", "numeric"]
    with pytest.raises(ValueError, match=r"'user@rate' is numeric, but the names .* Rename"):
        CTREncoder().fit_transform(pl.from_pandas(X))


def test_search_over_a_pipeline():
    X, y = impressions()
    model = Pipeline([("enc", CTREncoder(statistics=["user", "item"])), ("clf", LogisticRegression())])
    search = GridSearchCV(model, {"enc__statistics": [None, ["user"]]}, cv=StratifiedKFold(2), error_score="raise")
    assert search.fit(X, y).best_estimator_.predict_proba(X).shape == (400, 2)


def test_fields_of_statistics_have_no_codes():
    X, y = impressions()
    encoder = CTREncoder(statistics=["item"]).fit(X, y)
    assert encoder.fields_[2:] == [Field("item@rate", "statistic"), Field("item@count", "statistic")]
    assert list(encoder.cardinalities_) == ["user", "item"]
    assert list(encoder.feature_kinds_.index) == ["user", "item"]


def test_fitting_in_threads_leaves_the_filters_of_warnings_alone():
    X, y = impressions(200)
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: target_of(y, X), range(2_000)))
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


def test_the_mark_of_rows_without_a_label_is_warned_about():
    X, y = impressions()
    y[::2] = -1
    with pytest.warns(UserWarning, match=r"-1 next to 0 and 1\. scikit-learn marks rows without a label so"):
        CTREncoder(statistics=["user"]).fit(X, y)
    encoder = CTREncoder(statistics=["user"]).fit(X, y, sample_weight=y != -1)
    labelled = CTREncoder(statistics=["user"]).fit(X[y != -1], y[y != -1])
    # Folds differ, by which rates are standardised.
    assert affinely_equal(*(model.transform(X)["user@rate"].to_numpy() for model in (encoder, labelled)))
    CTREncoder(statistics=["user"]).fit(X, y.astype(str))
    CTREncoder(statistics=["user"]).fit(X, np.where(y == 0, 1, y))


def test_weights_that_cannot_be_summed_are_refused():
    X, y = impressions()
    with pytest.raises(ValueError, match=r"sample_weight holds 1e\+308, but sums and squares"):
        CTREncoder().fit(X, y, sample_weight=np.full(len(y), 1e308))


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_any_size_side_by_side_give_finite_statistics(seed):
    X, y = impressions(2000, seed)
    weights = 10 ** np.random.default_rng(seed).uniform(-99, 99, len(y))
    encoder = CTREncoder(statistics=["user", ("user", "item")])
    assert np.isfinite(encoder.fit_transform(X, y, sample_weight=weights)).all(axis=None)
    assert np.isfinite(encoder.transform(X)).all(axis=None)


def log_of_two_ids(n_rows=4_000):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 20, n_rows), "item": rng.integers(0, 10, n_rows)})
    return X, (rng.random(n_rows) < 0.2 + 0.03 * X["item"]).astype(int)


def test_in_a_share_of_the_rows_what_is_made_of_a_field_is_unknown():
    X, y = log_of_two_ids()
    keys = ["user", "item", ("user", "item")]
    encoder = CTREncoder(statistics=keys, unknown_dropout=0.3, categorical=["user", "item"])
    out, plain = encoder.fit_transform(X, y), CTREncoder(**encoder.get_params() | {"unknown_dropout": 0.0})
    without = plain.fit_transform(X, y)
    changed = {
        key: (out[[f"{key}@rate", f"{key}@count"]] != without[[f"{key}@rate", f"{key}@count"]]).any(axis="columns")
        for key in ("user", "item", "user & item")
    }
    # A tenth is held out, and stays what it is.
    assert changed["user"].mean() == pytest.approx(0.27, abs=0.03)
    assert (changed["user"] & changed["item"]).mean() == pytest.approx(0.9 * 0.3**2, abs=0.02)
    # The combination is unknown with either of its parts.
    assert (changed["user & item"] == (changed["user"] | changed["item"])).all()
    # Unknown is what a new value gets, and codes stay.
    new = encoder.transform(pd.DataFrame({"user": [99], "item": [99]}))
    for name in ("user@count", "user & item@rate"):
        key = name.split("@")[0]
        assert out.loc[changed[key], name].unique().tolist() == new[name].tolist()
    pd.testing.assert_frame_equal(out[["user", "item"]], without[["user", "item"]])
    # New rows are encoded alike.
    pd.testing.assert_frame_equal(encoder.transform(X), plain.transform(X))


def test_few_rows_of_many_possible_combinations():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{number}": rng.permutation(20).astype(str) for number in range(3)})
    encoder = CTREncoder(statistics=[("c0", "c1", "c2")]).fit(X, np.arange(20) % 5 == 0)
    assert np.isfinite(encoder.transform(X).select_dtypes("float")).all(axis=None)


def test_weights_that_sum_to_1_are_warned_about():
    X, y = impressions()
    weights = np.full(len(y), 1 / len(y))
    with pytest.warns(UserWarning, match=r"sample_weight has a mean of 0\.0025\..*Divide the weights by their mean"):
        CTREncoder(statistics=["user"]).fit(X, y, weights)
    CTREncoder(statistics=None).fit(X, y, weights)


@pytest.mark.parametrize("n_classes", [300, 20_000])
def test_too_many_classes_take_no_memory_each(n_classes):
    X, _ = impressions(20_000)
    tracemalloc.start()
    try:
        encoder = CTREncoder().fit(X, np.arange(len(X)) % n_classes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert encoder.statistics_["why"].str.contains(f"y has {n_classes} classes, more than 20").all()
    assert peak < 64 * 20_000 * 8


@pytest.mark.parametrize("dtype", [int, bool, float])
def test_labels_in_an_object_column_count_as_in_a_plain_one(dtype):
    X, y, _ = make_click_data(2_000, random_state=0)
    y = np.asarray(y, dtype=dtype)
    plain, objects = (CTREncoder(random_state=0).fit_transform(X, labels) for labels in (y, y.astype(object)))
    assert any("@rate" in name for name in plain)
    pd.testing.assert_frame_equal(objects, plain)
