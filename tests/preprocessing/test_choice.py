"""What `statistics="auto"` and `crosses="auto"` choose, and what they say about it."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone

from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.preprocessing import CTREncoder


def interaction(n=20_000, seed=0):
    """Clicks that depend on item and on user x item, but neither on user nor on noise."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {"user": rng.integers(60, size=n), "item": rng.integers(30, size=n), "noise": rng.integers(9, size=n)}
    )
    of_pair = rng.permuted(np.tile([-1.5, 1.5], (60, 15)), axis=1)
    of_item = rng.normal(0, 1, 30)
    logits = of_pair[X["user"], X["item"]] + of_item[X["item"]]
    return X, (rng.random(n) < expit(logits)).astype(int)


def fixed_click_rate(n_users=400, seed=0):
    """Ten rows per user, of which exactly three are clicked, as after sampling two misses for a hit."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.permutation([1] * 3 + [0] * 7) for _ in range(n_users)])
    X = pd.DataFrame({"user": np.repeat(np.arange(n_users), 10), "item": rng.integers(20, size=len(y)) + 5 * y})
    return X, y


def test_pair_with_an_interaction_is_found():
    X, y = interaction()
    encoder = CTREncoder().fit(X, y)
    found = encoder.statistics_
    assert found["rate"].to_dict() == {
        "user": False,
        "item": True,
        "noise": False,
        "user & item": True,
        "user & noise": False,
        "item & noise": False,
    }
    assert found.loc[["user", "item", "noise", "user & item"], "count"].all()
    assert found.loc["user & item", "gain"] > 0.1
    assert found.loc["user & item", "coefficient"] > 0
    statistics = [name for name in encoder.get_feature_names_out() if "@" in name]
    wanted = [f"{key}@{m}" for key in found.index for m in ("rate", "count") if found.loc[key, m]]
    assert statistics == wanted


def test_rate_that_sampling_has_fixed_is_left_out():
    X, y = fixed_click_rate()
    found = CTREncoder().fit(X, y).statistics_
    assert not found.loc["user", "rate"]
    assert found.loc["user", "coefficient"] < 0
    assert found.loc["user", "why"] == "rate predicts against its own direction"
    assert found.loc["item", "rate"]


def test_chosen_statistics_of_click_data():
    X, y, _ = make_click_data(20_000, n_users=200, n_items=50, random_state=0)
    found = CTREncoder().fit(X, y).statistics_
    assert found.loc[["user", "item"], "rate"].all()
    assert found.loc["user & item", "rate"]
    assert (found["why"] != "").all()
    assert list(found.columns) == ["rate", "count", "gain", "coefficient", "why"]


def test_choice_is_the_same_in_every_fit():
    X, y = interaction(5000)
    encoder = CTREncoder()
    out = encoder.fit_transform(X, y)
    pd.testing.assert_frame_equal(clone(encoder).fit_transform(X, y), out)
    pd.testing.assert_frame_equal(encoder.fit(X, y).transform(X), clone(encoder).fit(X, y).transform(X))


def test_rows_without_weight_take_no_part_in_the_choice():
    X, y = interaction()
    weights = np.r_[np.ones(len(y)), np.zeros(len(y))]
    both = CTREncoder().fit(pd.concat([X, X]), np.r_[y, 1 - y], sample_weight=weights).statistics_
    pd.testing.assert_frame_equal(both, CTREncoder().fit(X, y).statistics_)


def test_choice_for_several_classes():
    X, y = interaction()
    y = np.where(y == 1, X["item"] % 2 + 1, 0)
    encoder = CTREncoder().fit(X, y)
    found = encoder.statistics_
    assert found.loc[["item", "user & item"], "rate"].all()
    assert not found.loc[["noise", "user & noise", "item & noise"], "rate"].any()
    assert "user & item@rate=2" in encoder.get_feature_names_out()


def test_what_is_not_worth_a_key():
    X, y = interaction()
    city = X["user"] % 7
    X = X.assign(single="x", distinct=np.arange(len(X)), city=city)
    found = CTREncoder(categorical=slice(None)).fit(X, y).statistics_
    assert found.loc["single", "why"] == "a single value"
    assert found.loc["distinct", "why"] == "each row has another value"
    assert found.loc["user & city", "why"] == "one field says all about the other"
    assert not found.loc[["single", "distinct", "user & city"], ["rate", "count"]].any(axis=None)
    assert not any("single" in key or "distinct" in key for key in found.index if "&" in key)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (None, "there is no y"),
        (np.random.default_rng(0).random(2000), "not contain class labels .*continuous"),
        (np.zeros(2000), "only one class"),
        (np.arange(2000) % 40, "40 classes, more than 20"),
        (np.zeros((2000, 2), int), "multilabel"),
    ],
)
def test_no_statistics_without_labels(y, why):
    X, _ = interaction(2000)
    encoder = CTREncoder(crosses="auto")
    out = encoder.fit_transform(X, y)
    pd.testing.assert_frame_equal(out, CTREncoder(statistics=None).fit_transform(X))
    assert not encoder.statistics_[["rate", "count"]].any(axis=None)
    assert encoder.statistics_["why"].str.contains(why).all()


def test_no_statistics_of_few_rows():
    X, y = interaction(999)
    encoder = CTREncoder().fit(X, y)
    assert list(encoder.get_feature_names_out()) == list(X)
    assert encoder.statistics_["why"].str.contains("999 rows are too few").all()


def test_numbers_have_no_statistics():
    X = pd.DataFrame({"price": np.random.default_rng(0).random(2000)})
    encoder = CTREncoder().fit(X, np.arange(2000) % 2)
    assert encoder.statistics_.empty


def test_automatic_crosses_are_the_pairs_with_a_rate():
    X, y = interaction()
    encoder = CTREncoder(crosses="auto", statistics=None)
    out = encoder.fit_transform(X, y)
    assert list(out.columns) == [*X.columns, "user & item"]
    assert encoder.cardinalities_["user & item"] > 1000
    rare = CTREncoder(crosses="auto", max_categories=40).fit(X, y)
    assert rare.cardinalities_["user & item"] == 41


def test_automatic_crosses_leave_out_rare_combinations():
    X, y = interaction(6000)
    encoder = CTREncoder(crosses="auto").fit(X, y)
    frequent = X.groupby(["user", "item"]).size() >= 5
    assert encoder.cardinalities_["user & item"] == frequent.sum() + 1


def test_many_fields_are_bounded():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"x{i}": rng.integers(2 + i, size=2000) for i in range(30)})
    found = CTREncoder().fit(X, rng.integers(2, size=2000)).statistics_
    pairs = found[found.index.str.contains("&")]
    assert len(pairs) == 16 * 15 / 2
    assert not found["rate"].any()
    assert pairs["count"].sum() <= 2 * 15


@pytest.mark.parametrize(("n_classes", "sigma"), [(2, 1.5), (2, 2.5), (10, 0), (20, 0)])
def test_rates_of_noise_are_left_out_whatever_the_labels_and_weights(n_classes, sigma):
    rng = np.random.default_rng(1)
    X = pd.DataFrame({f"x{i}": rng.integers(2 + 20 * i, size=4000) for i in range(20)})
    weights = rng.lognormal(0, sigma, 4000)
    encoder = CTREncoder(categorical=slice(None)).fit(X, rng.integers(n_classes, size=4000), sample_weight=weights)
    # Chance keeps one in a hundred tables.
    assert encoder.statistics_["rate"].sum() <= 1


def _impressions_of_shown_items(n=12_000):
    """Half of a user's impressions are of items shown before; an item that was clicked is hardly clicked again."""
    rng = np.random.default_rng(0)
    users, items, clicks = rng.integers(300, size=n), np.empty(n, int), np.empty(n, int)
    shown, clicked = {}, set()
    for row, user in enumerate(users):
        before = shown.setdefault(user, [])
        items[row] = rng.choice(before) if before and rng.random() < 0.5 else rng.integers(5_000)
        before.append(items[row])
        clicks[row] = rng.random() < (0.05 if (user, items[row]) in clicked else 0.5)
        if clicks[row]:
            clicked.add((user, items[row]))
    return pd.DataFrame({"user": users.astype(str), "item": items.astype(str)}), clicks


def test_a_pair_of_ids_that_predicts_later_rows_is_taken():
    X, y = _impressions_of_shown_items()
    assert not CTREncoder().fit(X, y).statistics_.loc["user & item", "rate"]
    X["time"] = pd.date_range("2024-01-01", periods=len(X), freq="min")
    of_pair = CTREncoder().fit(X, y).statistics_.loc["user & item"]
    assert of_pair["rate"]
    assert of_pair["count"]
    assert "predict later rows" in of_pair["why"]
    y = np.random.default_rng(1).permutation(y)
    assert not CTREncoder().fit(X, y).statistics_.loc["user & item", "rate"]
