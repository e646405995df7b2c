"""What a type checker tells the user of this library: `make types` checks this file against the installed package."""

from collections.abc import Mapping
from typing import Any, assert_type

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from sk_finalmlp import CTREncoder, FinalMLPClassifier, published_configs
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.metrics import grouped_auc, roc_auc_interval
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import CrossNet


def test_a_typed_script_runs() -> None:
    X, y, probability = make_click_data(100, n_users=5, click_rate=0.4, random_state=0)
    assert_type(X, pd.DataFrame)
    encoder = assert_type(CTREncoder(crosses=[("user", "item")], min_frequency=2).fit(X, y), CTREncoder)
    assert_type(encoder.fields_, list[Field])
    assert_type(encoder.cardinalities_, dict[str, int])
    assert_type(encoder.feature_kinds_, pd.DataFrame)

    classifier = FinalMLPClassifier(num_heads=4, n_members=1, max_epochs=1)
    classifier = assert_type(classifier.fit(encoder.transform(X), y), FinalMLPClassifier)
    click = assert_type(classifier.predict_proba(encoder.transform(X)), NDArray[np.float64])[:, 1]
    assert_type(classifier.classes_, NDArray[Any])
    assert_type(classifier.history_, list[dict[str, Any]])
    assert_type(classifier.best_score_, float | None)
    assert_type(classifier.n_iter_ + classifier.best_epoch_ + classifier.n_features_in_, int)
    assert_type(classifier.network_, nn.Module)

    assert_type(grouped_auc(y, click, X["user"]), float)
    interval = roc_auc_interval(y, probability)
    assert assert_type(interval.low, float) <= interval.high


def test_published_parameters_make_a_classifier() -> None:
    parameters = assert_type(published_configs["finalmlp_frappe"], Mapping[str, Any])
    assert_type(FinalMLPClassifier(**parameters).num_heads, int)


def test_streams_are_parameters() -> None:
    classifier = FinalMLPClassifier(stream1="mlp", stream2=CrossNet(n_layers=2), fusion="sum")
    assert_type(classifier.set_params(stream2__n_layers=3), FinalMLPClassifier)
    assert_type(classifier.linear_term, bool)


def test_misuses_that_a_type_checker_finds() -> None:
    FinalMLPClassifier(num_heads="four")  # type: ignore[arg-type]
    FinalMLPClassifier(early_stopping="auc")  # type: ignore[arg-type]
    CTREncoder(n_bins="many")  # type: ignore[arg-type]
    FinalMLPClassifier(fusion="mean")  # type: ignore[arg-type]
    FinalMLPClassifier(schedule="cosine")  # type: ignore[arg-type]
