"""AUC within groups."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sk_finalmlp.metrics import auc_per_group, grouped_auc

quick = settings(max_examples=60, deadline=None)

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.sampled_from("abc"), st.integers(0, 3)), min_size=2, max_size=40
)


def columns(rows):
    """Clicks, scores, groups and weights of rows of which some group has an AUC."""
    clicks, scores, groups, weights = (np.array(column) for column in zip(*rows, strict=True))
    counted = pd.DataFrame({"click": clicks, "group": groups})[weights > 0]
    assume((counted.groupby("group")["click"].nunique() == 2).any())
    return clicks, scores, groups, weights


def by_loop(clicks, scores, groups, weights, group_weight):
    aucs, shares = [], []
    for group in np.unique(groups):
        rows = (groups == group) & (weights > 0)
        if len(np.unique(clicks[rows])) == 2:
            aucs.append(roc_auc_score(clicks[rows], scores[rows], sample_weight=weights[rows]))
            shares.append(
                {"rows": weights[rows].sum(), "clicks": weights[rows & clicks].sum(), "uniform": 1}[group_weight]
            )
    return np.average(aucs, weights=shares)


@quick
@given(ROWS)
@pytest.mark.parametrize("group_weight", ["rows", "clicks", "uniform"])
def test_it_is_the_mean_of_the_auc_of_each_group(group_weight, rows):
    clicks, scores, groups, weights = columns(rows)
    measured = grouped_auc(clicks, scores, groups, group_weight=group_weight, sample_weight=weights)
    assert measured == pytest.approx(by_loop(clicks, scores, groups, weights, group_weight))
    # Integer weights are repetitions.
    repeated = (np.repeat(column, weights) for column in (clicks, scores, groups))
    assert measured == pytest.approx(grouped_auc(*repeated, group_weight=group_weight))


@quick
@given(ROWS)
def test_only_the_order_matters(rows):
    clicks, scores, groups, weights = columns(rows)
    measured = grouped_auc(clicks, scores, groups, sample_weight=weights)
    assert grouped_auc(clicks, np.exp(scores), groups, sample_weight=weights) == measured
    assert grouped_auc(clicks, -scores, groups, sample_weight=weights) == pytest.approx(1 - measured)


@quick
@given(ROWS)
def test_what_differs_between_groups_only_does_not_matter(rows):
    clicks, scores, groups, weights = columns(rows)
    shifted = scores + 100 * (groups == "b")
    measured = grouped_auc(clicks, scores, groups, sample_weight=weights)
    assert grouped_auc(clicks, shifted, groups, sample_weight=weights) == measured


def test_one_group_is_the_auc():
    rng = np.random.default_rng(0)
    clicks, scores, weights = rng.integers(0, 2, 500), rng.integers(0, 50, 500) / 50, rng.random(500)
    expected = roc_auc_score(clicks, scores, sample_weight=weights)
    assert grouped_auc(clicks, scores, ["a"] * 500, sample_weight=weights) == pytest.approx(expected)


def test_ties_count_half():
    assert grouped_auc([0, 1, 0, 1], [5, 5, 1, 2], ["a", "a", "b", "b"]) == 0.75


def test_groups_of_one_class_are_left_out_and_shown():
    clicks, groups = [1, 0, 1, 0, 1, 1, 0], list("aabbcdd")
    table = auc_per_group(clicks, [1, 0, 0, 1, 5, 1, 0], groups, sample_weight=[1, 1, 1, 1, 9, 0, 1])
    assert table.index.tolist() == list("abcd")
    assert table["auc"].isna().tolist() == [False, False, True, True]
    assert table["rows"].tolist() == [2, 2, 9, 1]
    assert table["clicks"].tolist() == [1, 1, 9, 0]
    assert grouped_auc(clicks, [1, 0, 0, 1, 5, 1, 0], groups, sample_weight=[1, 1, 1, 1, 9, 0, 1]) == 0.5


@pytest.mark.parametrize("weights", [[1e300] * 3 + [1e-300] * 3, [1, 1e300, 1, 1e300, 1e-300, 1e300]])
def test_huge_weights_leave_the_others_exact(weights):
    clicks, scores = [0, 1, 0, 0, 1, 0], [1, 2, 3, 1, 2, 3]
    table = auc_per_group(clicks, scores, list("aaabbb"), sample_weight=weights)
    assert table["auc"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "container",
    [
        list,
        np.array,
        pd.Series,
        pl.Series,
        lambda groups: pd.Series(groups, dtype="category"),
        lambda groups: pd.Series(groups, index=[7, 8, 9, 10, 11, 12]),
        lambda groups: pd.to_datetime(groups),
    ],
    ids=["list", "array", "pandas", "polars", "category", "other index", "dates"],
)
def test_groups_in_any_container(container):
    groups = container(["2024-01-01"] * 3 + ["2024-01-02"] * 3)
    assert grouped_auc([1, 0, 0, 1, 1, 0], [0.2, 0.1, 0.3, 0.9, 0.8, 0.7], groups) == 0.75


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT, pd.NA])
def test_missing_groups_are_refused(missing):
    groups = pd.Series(["a", "a", missing, "b"], dtype=object)
    with pytest.raises(ValueError, match="groups is missing in 1 rows: leave these rows out, or fill in a group"):
        grouped_auc([0, 1, 0, 1], [1, 2, 3, 4], groups)


def test_groups_of_lists_are_refused():
    with pytest.raises(TypeError, match=r"groups must be single values such as user ids, and holds others: .*'list'"):
        grouped_auc([0, 1, 0, 1], [1, 2, 3, 4], pd.Series([["a"], ["a"], [], ["b"]]))


def test_groups_are_needed():
    with pytest.raises(ValueError, match=r"'groups' parameter should not be None.*make_grouped_auc_scorer"):
        grouped_auc([0, 1], [1, 2])


def test_no_group_with_both_classes():
    with pytest.raises(ValueError, match="Only one class is present in each of the 2 groups"):
        grouped_auc([0, 1, 0], [1, 2, 3], ["a", "b", "a"])


def test_unknown_group_weight():
    with pytest.raises(ValueError, match="group_weight"):
        grouped_auc([0, 1], [1, 2], ["a", "a"], group_weight="users")
