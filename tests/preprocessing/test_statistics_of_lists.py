"""Rates and counts of lists as a whole."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, update
from sk_finalmlp.serving import make_predictor

TAGS = [["a", "b"], ["b", "c"], ["a", "c"], ["c"], []]


def tagged(n=4_000, seed=0):
    """Clicks that depend on the combination of tags, and less on any of them."""
    rng = np.random.default_rng(seed)
    which = rng.integers(len(TAGS), size=n)
    X = pd.DataFrame({"user": rng.integers(50, size=n), "tags": [TAGS[i] for i in which]})
    return X, (rng.random(n) < np.array([0.8, 0.2, 0.3, 0.7, 0.4])[which]).astype(int)


def test_rate_of_a_list_is_that_of_its_combination():
    X, y = tagged()
    encoder = CTREncoder(statistics=["tags", ("user", "tags")]).fit(X, y)
    assert encoder.get_feature_names_out()[-4:].tolist() == [
        "tags@rate",
        "tags@count",
        "user & tags@rate",
        "user & tags@count",
    ]
    new = pd.DataFrame({"user": 1, "tags": [*TAGS, ["b", "a", "c"], ["z"]]})
    out = encoder.transform(new)
    which = np.array([TAGS.index(tags) for tags in X["tags"]])
    rates = np.bincount(which, y) / np.bincount(which)
    assert np.argsort(out["tags@rate"][:5]).tolist() == np.argsort(rates).tolist()
    # All combinations have many rows, and nothing is learned of few; one of unknown elements alone is an empty one.
    assert out["tags@count"][5] == 0
    assert out["tags@rate"][6] == out["tags@rate"][4]


def test_automatic_statistics_of_lists():
    X, y = tagged()
    encoder = CTREncoder()
    encoded = encoder.fit_transform(X, y)
    assert encoder.statistics_.loc["tags", "rate"]
    assert {"tags@rate", "tags@count"} <= set(encoded)
    clf = FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0).fit(encoded, y)
    assert {field.name for field in clf.fields_ if field.kind == "statistic"} >= {"tags@rate", "tags@count"}
    # Other containers say by their names what is a statistic.
    clf.fit(pl.from_pandas(encoded), y)
    assert {field.name for field in clf.fields_ if field.kind == "statistic"} >= {"tags@rate", "tags@count"}


def test_lists_that_another_column_tells_are_left_out():
    X, y = tagged()
    items = X["tags"].map("".join) + np.random.default_rng(0).integers(3, size=len(X)).astype(str)
    found = CTREncoder().fit(X.assign(item=items), y).statistics_
    assert found.loc["tags", "why"] == "item says all about it"
    assert not found.loc["tags", ["rate", "count"]].any()
    assert not found.index.str.contains("& tags").any()
    # A column whose values don't come again tells nothing.
    once = X.assign(impression=np.arange(len(X)).astype(str))
    found = CTREncoder(categorical=["impression"]).fit(once, y).statistics_
    assert found.loc["tags", "rate"]


def test_lists_of_more_combinations_than_can_be_counted_have_none():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"tags": [[f"t{i}" for i in rng.choice(200, 12)] for _ in range(1_200)]})
    y = rng.integers(2, size=len(X))
    assert "tags" not in CTREncoder().fit(X, y).statistics_.index
    with pytest.raises(ValueError, match=r"'tags' has .* more than 63 bits.*max_length"):
        CTREncoder(statistics=["tags"]).fit(X, y)


def test_a_list_is_one_field_that_is_unknown_in_a_share_of_the_rows():
    X, y = tagged()
    encoder = CTREncoder(statistics=["tags", "user", ("user", "tags")], unknown_dropout=0.3, validation_fraction=0.1)
    out = encoder.fit_transform(X, y)
    new = encoder.transform(pd.DataFrame({"user": [99], "tags": [["b", "a", "c"]]}))
    unknown = {key: out[f"{key}@count"] == new[f"{key}@count"][0] for key in ("tags", "user", "user & tags")}
    assert unknown["tags"].mean() == pytest.approx(0.27, abs=0.03)
    assert (unknown["user & tags"] == (unknown["user"] | unknown["tags"])).all()


def test_an_update_brings_more_elements_than_lists_of_them_can_be_counted():
    rng = np.random.default_rng(0)
    known = [[f"t{i}" for i in rng.choice(1_200, 6, replace=False)] for _ in range(600)]
    new = [[f"n{i}" for i in rng.choice(900, 6, replace=False)] for _ in range(600)]
    X, day = ({"user": rng.integers(9, size=1_200), "tags": tags * 2} for tags in (known, new))
    X, day, y = pd.DataFrame(X), pd.DataFrame(day), rng.integers(2, size=1_200)
    encoder = CTREncoder(statistics=["tags"], categorical="user")
    model = make_pipeline(encoder, FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0)).fit(X, y)
    before = encoder.transform(X)
    update(model, day, y)
    assert encoder.cardinalities_["tags"] ** 6 > 2**63
    pd.testing.assert_series_equal(encoder.transform(X)["tags@rate"], before["tags@rate"])
    # A new element counts as unknown: all of these lists are the same one.
    counts = encoder.transform(day)["tags@count"]
    assert counts.nunique() == 1
    assert counts[0] > before["tags@count"].max()
    rows = pd.concat([day[:20], X[:20]])
    predict = make_predictor(model)
    np.testing.assert_allclose(predict(rows.to_dict("records")), model.predict_proba(rows), atol=1e-5)


def test_lists_are_not_crossed():
    X, y = tagged(1_500)
    with pytest.raises(ValueError, match="crosses: 'tags' is multi-valued"):
        CTREncoder(crosses=[("user", "tags")]).fit(X, y)
    assert "user & tags" not in CTREncoder(crosses="auto").fit(X, y).get_feature_names_out()


def test_statistics_of_lists_grow():
    X, y = tagged(1_500)
    encoder = CTREncoder(statistics=["tags"], max_categories=3).fit(X, y)
    before = encoder.transform(X)["tags@count"]
    more = pd.DataFrame({"user": 1, "tags": [["d"]] * 2_000})
    encoder.partial_fit(more, np.ones(2_000, int))
    after = encoder.transform(more[:1])
    assert after["tags@count"][0] > before.max()
    assert after["tags@0"][0] != 0


def test_columns_are_renamed_with_their_statistics():
    X, y = tagged(1_500)
    encoder = CTREncoder(statistics=[1]).fit(X.to_numpy(), y)
    assert encoder.get_feature_names_out(["who", "what"])[-2:].tolist() == ["what@rate", "what@count"]
