"""make_click_data: seeded impressions whose true click probabilities are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.metrics import log_loss, roc_auc_score

from sk_finalmlp.datasets import make_click_data, make_funnel_data


@pytest.fixture(scope="module")
def click_data():
    return make_click_data(100_000, random_state=0)


@settings(max_examples=30, deadline=None)
@given(
    n_samples=st.integers(1, 500),
    n_users=st.integers(1, 50),
    n_items=st.integers(1, 50),
    n_contexts=st.integers(1, 3),
    n_numeric=st.integers(0, 3),
    n_tags=st.integers(3, 30),
    zipf_exponent=st.floats(0, 3),
    click_rate=st.floats(0.001, 0.999),
    logit_scale=st.floats(0, 3),
    random_state=st.integers(0, 2**31),
)
def test_any_valid_call_hits_the_click_rate_in_the_promised_shape(click_rate, **parameters):
    X, y, probability = make_click_data(click_rate=click_rate, **parameters)
    assert X.shape == (parameters["n_samples"], 6 + parameters["n_contexts"] + parameters["n_numeric"])
    assert not X.isna().any(axis=None)
    assert set(y) <= {0, 1}
    assert probability.between(0, 1, inclusive="neither").all()
    assert probability.mean() == pytest.approx(click_rate, abs=1e-6)
    assert y.name == "click"
    assert X.index.equals(y.index)
    assert X.index.equals(probability.index)


def test_columns_hold_what_the_docstring_says(click_data):
    X, _, _ = click_data
    assert list(X.columns) == [
        *("user", "item", "segment", "category", "context_0", "context_1"),
        *("numeric_0", "numeric_1", "tags", "time"),
    ]
    assert X["time"].is_monotonic_increasing
    assert X["time"].max() - X["time"].min() <= pd.Timedelta(days=28)
    assert X["numeric_0"].min() < 0 < X["numeric_1"].min()
    assert X["tags"].map(lambda tags: len(set(tags)) == len(tags)).all()
    assert set(X["tags"].map(len)) == {1, 2, 3}
    for owner, owned in [("user", "segment"), ("item", "category"), ("item", "tags")]:
        assert X[owned].map(str).groupby(X[owner]).nunique().eq(1).all()


def test_ids_follow_zipfs_law(click_data):
    X, _, _ = click_data
    counts = X["user"].value_counts()
    frequent = [counts[f"user_{rank}"] for rank in (0, 1, 4, 9, 49)]
    assert [frequent[0] / count for count in frequent] == pytest.approx([1, 2, 5, 10, 50], rel=0.15)
    uniform = make_click_data(50_000, n_users=10, zipf_exponent=0, random_state=0)[0]["user"].value_counts()
    assert uniform.min() / uniform.max() > 0.9


def test_true_probabilities_are_calibrated(click_data):
    _, y, probability = click_data
    deciles = pd.qcut(probability, 10)
    by_decile = pd.DataFrame({"y": y, "p": probability}).groupby(deciles, observed=True).agg(["mean", "size"])
    expected = by_decile[("p", "mean")]
    error = np.sqrt(expected * (1 - expected) / by_decile[("y", "size")])
    assert ((by_decile[("y", "mean")] - expected).abs() < 4 * error).all()


def test_no_sum_of_effects_of_columns_reaches_the_true_probabilities(click_data):
    X, y, probability = click_data
    discrete = X.assign(
        tags=X["tags"].map(str),
        time=X["time"].dt.hour,
        numeric_0=pd.qcut(X["numeric_0"], 20).cat.codes,
        numeric_1=pd.qcut(X["numeric_1"], 20).cat.codes,
    )
    marginals = pd.DataFrame({name: probability.groupby(discrete[name]).transform("mean") for name in discrete})
    best_marginal = max(roc_auc_score(y, marginals[name]) for name in marginals)
    sum_of_marginals = np.log(marginals / (1 - marginals)).sum(axis=1)
    best = roc_auc_score(y, probability)
    assert best > roc_auc_score(y, sum_of_marginals) + 0.05
    assert best > best_marginal + 0.1
    assert log_loss(y, probability) < log_loss(y, np.full(len(y), y.mean()))


def test_same_seed_gives_same_data_and_another_seed_other_data():
    first, again, other = (make_click_data(500, random_state=seed) for seed in (0, 0, 1))
    for left, right in zip(first, again, strict=True):
        assert left.equals(right)
    assert not first[0].equals(other[0])


def test_random_state_instance_advances_and_repeats():
    instance = np.random.RandomState(0)
    first, second = make_click_data(50, random_state=instance)[0], make_click_data(50, random_state=instance)[0]
    assert not first.equals(second)
    assert first.equals(make_click_data(50, random_state=np.random.RandomState(0))[0])


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_state_stays(random_state):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_click_data(50, random_state=random_state)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_samples": 0},
        {"n_users": 0},
        {"n_items": 2.5},
        {"n_contexts": 0},
        {"n_numeric": -1},
        {"n_tags": 2},
        {"zipf_exponent": -1},
        {"click_rate": 0},
        {"click_rate": 1.0},
        {"logit_scale": -1},
        {"random_state": "zero"},
    ],
)
def test_parameter_out_of_range_is_named(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"'{name}' parameter of make_click_data"):
        make_click_data(**parameters)


class TestFunnel:
    def test_conversions_are_clicks_drawn_by_their_probabilities(self):
        X, Y, probability = make_funnel_data(50_000, click_rate=0.2, conversion_rate=0.3, random_state=0)
        assert len(X) == len(Y) == len(probability)
        assert (Y["conversion"] <= Y["click"]).all()
        assert (probability["conversion"] < probability["click"]).all()
        np.testing.assert_allclose(probability.mean(), [0.2, 0.06], rtol=1e-9)
        np.testing.assert_allclose(Y.mean(), probability.mean(), rtol=0.05)

    @pytest.mark.parametrize("similarity", [-1, 0, 1])
    def test_similarity(self, similarity):
        _, _, probability = make_funnel_data(5_000, similarity=similarity, random_state=0)
        after_click = probability["conversion"] / probability["click"]
        correlation = np.corrcoef(logit(probability["click"]), logit(after_click))[0, 1]
        assert correlation == pytest.approx(similarity, abs=0.25)

    def test_the_same_seed_gives_the_same_data(self):
        for first, second in zip(*(make_funnel_data(100, random_state=3) for _ in range(2)), strict=True):
            pd.testing.assert_frame_equal(first, second)
