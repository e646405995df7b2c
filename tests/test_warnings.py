"""Warnings name the line of the user's file, however deep the call."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.metrics import roc_auc_interval

N = 200
COLUMNS = {"user": np.arange(N) % 7, "id": [f"id {row}" for row in range(N)]}
CLICKS = np.arange(N) % 2


@pytest.fixture
def whole_floats():
    """Codes that became floats."""
    return pd.DataFrame({"x": np.arange(N, dtype=float) % 5})


def network():
    return FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0)


def files_named_by(call):
    """The files of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert caught
    return {warning.filename for warning in caught}


def test_of_an_encoder():
    X = pd.DataFrame(COLUMNS)
    assert files_named_by(lambda: CTREncoder().fit_transform(X, np.arange(N) % 3 - 1)) == {__file__}


def test_of_a_classifier(whole_floats):
    assert files_named_by(lambda: network().fit(whole_floats, CLICKS)) == {__file__}


def test_of_a_pipeline(whole_floats):
    assert files_named_by(lambda: make_pipeline(network()).fit(whole_floats, CLICKS)) == {__file__}


def test_of_a_search_and_a_validation(whole_floats):
    search = GridSearchCV(network(), {"batch_size": [64]}, cv=2)
    assert files_named_by(lambda: search.fit(whole_floats, CLICKS)) == {__file__}
    assert files_named_by(lambda: cross_val_score(network(), whole_floats, CLICKS, cv=2)) == {__file__}


def test_of_rows_in_files(tmp_path):
    X = pd.DataFrame(COLUMNS).assign(click=np.arange(N) % 3 - 1)
    X.to_parquet(tmp_path / "rows.parquet")
    assert files_named_by(lambda: CTREncoder().fit(str(tmp_path), "click")) == {__file__}


def test_of_a_score():
    assert files_named_by(lambda: roc_auc_interval([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])) == {__file__}


def test_of_a_pickle_of_another_version(monkeypatch):
    pickled = pickle.dumps(CTREncoder())
    monkeypatch.setattr("sk_finalmlp._description.__version__", "9.0")
    with pytest.warns(InconsistentVersionWarning) as caught:
        pickle.loads(pickled)
    assert {warning.filename for warning in caught} == {__file__}
