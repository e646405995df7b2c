"""What every metric accepts and refuses."""

import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sk_finalmlp.metrics import (
    auc_per_group,
    delong_test,
    expected_calibration_error,
    grouped_auc,
    normalized_entropy,
    relative_information_gain,
    roc_auc_interval,
)

CLICKS = [0, 1, 0, 1, 0, 1]
SCORES = [0.1, 0.2, 0.3, 0.9, 0.5, 0.6]
GROUPS = ["ann", "ann", "ann", "bob", "bob", "bob"]


def against_the_reverse(y_true, y_score, **parameters):
    return delong_test(y_true, np.linspace(0, 1, len(y_true)), y_score, **parameters)


PROBABILISTIC = [normalized_entropy, relative_information_gain, expected_calibration_error]
METRICS = [
    *PROBABILISTIC,
    partial(grouped_auc, groups=GROUPS),
    partial(auc_per_group, groups=GROUPS),
    roc_auc_interval,
    against_the_reverse,
]


def names(metric):
    return getattr(metric, "func", metric).__name__


each_metric = pytest.mark.parametrize("metric", METRICS, ids=names)


def same(measured, expected):
    return measured.equals(expected) if isinstance(measured, pd.DataFrame) else measured == expected


@each_metric
@pytest.mark.parametrize(
    ("y_true", "scores", "parameters", "message"),
    [
        (CLICKS, [*SCORES[:5], np.nan], {}, "contains NaN"),
        (CLICKS, [*SCORES[:5], np.inf], {}, "infinity"),
        ([*CLICKS[:5], np.nan], SCORES, {}, "y_true contains NaN"),
        (["no", "yes", "no", "yes", "no", None], SCORES, {}, "y_true contains NaN"),
        (pd.Series([*CLICKS[:5], None], dtype="Int64"), SCORES, {}, "y_true contains NaN"),
        ([*CLICKS[:5], 2], SCORES, {}, "Only binary y_true is supported.*multiclass"),
        (SCORES, SCORES, {}, "Only binary y_true is supported.*continuous"),
        (np.eye(6, dtype=int)[:, :2], SCORES, {}, "should be a 1d array"),
        ([], [], {}, "0 sample"),
        (CLICKS, SCORES[:5], {}, r"inconsistent numbers of samples: \[6, 5\]"),
        (CLICKS, np.column_stack([SCORES, SCORES]), {}, r"pass the column of the click, predict_proba\(X\)\[:, 1\]"),
        (CLICKS, ["high"] * 6, {}, "could not convert string to float"),
        (CLICKS, SCORES, {"sample_weight": [1] * 5}, "sample_weight"),
        (CLICKS, SCORES, {"sample_weight": [-1] + [1] * 5}, "[Nn]egative values"),
        (CLICKS, SCORES, {"sample_weight": [np.nan] + [1] * 5}, "sample_weight contains NaN"),
        (CLICKS, SCORES, {"sample_weight": [0] * 6}, "sample_weight|Sample weights"),
        (CLICKS, SCORES, {"sample_weight": [1e308] * 6}, "its sum is more than a float can hold"),
        (CLICKS, SCORES, {"pos_label": "yes"}, r"pos_label='yes' is not a valid label: it should be one of \[0, 1\]"),
    ],
)
def test_bad_input(metric, y_true, scores, parameters, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, scores, **parameters)


@pytest.mark.parametrize("metric", PROBABILISTIC, ids=names)
@pytest.mark.parametrize(("wrong", "message"), [(1.5, "greater than 1: 1.5"), (-0.5, "less than 0: -0.5")])
def test_probabilities_outside_0_and_1(metric, wrong, message):
    with pytest.raises(ValueError, match=f"y_proba contains values {message}"):
        metric(CLICKS, [*SCORES[:5], wrong])


@each_metric
@pytest.mark.parametrize("label", [0, 1])
def test_one_class(metric, label):
    if names(metric) in ("expected_calibration_error", "auc_per_group"):
        metric([label] * 6, SCORES)
    else:
        with pytest.raises(ValueError, match="Only one class is present"):
            metric([label] * 6, SCORES)


@each_metric
@pytest.mark.parametrize(
    ("labels", "pos_label"),
    [
        ([-1, 1], None),
        ([False, True], None),
        ([0.0, 1.0], 1),
        ([1, 2], None),
        (["no", "yes"], None),
        (["no", "yes"], "yes"),
        (["shown", "clicked"], "clicked"),
        ([1, 0], 0),
    ],
)
def test_labels_of_a_click(metric, labels, pos_label):
    named = np.array(labels)[CLICKS]
    for y_true in (named, named.tolist(), pd.Series(named, dtype="category"), pd.Series(named).convert_dtypes()):
        assert same(metric(y_true, SCORES, pos_label=pos_label), metric(CLICKS, SCORES))


@each_metric
@pytest.mark.parametrize("container", [np.array, pd.Series, pl.Series, lambda column: np.array(column)[:, None]])
def test_containers(metric, container):
    measured = metric(container(CLICKS), container(SCORES), sample_weight=np.arange(1, 7))
    assert same(measured, metric(CLICKS, SCORES, sample_weight=[1, 2, 3, 4, 5, 6]))


@each_metric
def test_input_is_left_as_it_was(metric):
    clicks, scores, weights = np.array(CLICKS), np.array(SCORES), np.arange(1.0, 7)
    for column in (clicks, scores, weights):
        column.flags.writeable = False
    metric(clicks, scores, sample_weight=weights)


def test_metrics_load_no_torch_and_the_encoder_no_metrics():
    program = """
        import sys
        import sk_finalmlp.preprocessing
        assert "sk_finalmlp.metrics" not in sys.modules
        import sk_finalmlp.metrics
        assert "torch" not in sys.modules
        sk_finalmlp.serving
        assert "onnx" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", "if True:" + program], check=True)
