"""Codes of the encoder that other tools turn into floats on their way to the classifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

SMALL = {"embedding_dim": 2, "stream1": MLP((4,)), "stream2": MLP((4,)), "num_heads": 1, "n_members": 1}
N_ROWS = 200
CODES_AS_FLOATS = r"2 of \d columns of floats contain only whole numbers .* and are taken as quantities"

clf = FinalMLPClassifier(**SMALL, feature_selection=False, max_epochs=1, random_state=0)
enc = CTREncoder(statistics=None)
with_statistics = CTREncoder(statistics=["user"])

rng = np.random.default_rng(0)
X = pd.DataFrame(
    {"user": rng.integers(0, 20, N_ROWS), "item": rng.choice(list("abcdef"), N_ROWS), "price": rng.random(N_ROWS)}
)
y = rng.integers(0, 2, N_ROWS)
several = y + (rng.random(N_ROWS) < 0.3)
partly_labelled = np.where(rng.random(N_ROWS) < 0.2, -1, y)
two_labels = np.c_[y, 1 - y]


@pytest.mark.filterwarnings("ignore:y holds -1 next to 0 and 1")
@pytest.mark.parametrize(
    ("model", "y"),
    [
        (make_pipeline(enc, SelectKBest(k="all"), clf), y),
        (make_pipeline(with_statistics, SelectKBest(k="all"), clf), y),
        (make_pipeline(FeatureUnion([("enc", enc)]), clf), y),
        (make_pipeline(ColumnTransformer([("enc", with_statistics, ["user", "item"])]), clf), y),
        (make_pipeline(with_statistics, BaggingClassifier(clf, n_estimators=1)), y),
        (make_pipeline(with_statistics, AdaBoostClassifier(clf, n_estimators=1)), y),
        (make_pipeline(enc, StackingClassifier([("clf", clf)], clf, cv=2, passthrough=True)), y),
        (make_pipeline(enc, OneVsOneClassifier(clf)), several),
        (make_pipeline(enc, ClassifierChain(clf)), two_labels),
        (make_pipeline(enc, SelfTrainingClassifier(clf)), partly_labelled),
    ],
    ids=lambda model: "" if isinstance(model, np.ndarray) else "-".join(type(step).__name__ for step in model),
)
def test_are_warned_about(model, y):
    with pytest.warns(UserWarning, match=CODES_AS_FLOATS) as caught:
        model.fit(X, y)
    expected = ("only whole numbers", "statistic", "y holds -1")
    assert all(any(part in str(warning.message) for part in expected) for warning in caught)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (make_pipeline(enc, SelectKBest(k="all"), clf).set_output(transform="pandas"), y),
        (make_pipeline(FeatureUnion([("enc", enc)]), clf).set_output(transform="pandas"), y),
        # As skrub's TableVectorizer does; pandas keeps the schema.
        (make_pipeline(enc, FunctionTransformer(lambda X: X.astype(np.float32)), clf), y),
        (BaggingClassifier(make_pipeline(enc, clf), n_estimators=1), y),
        (make_pipeline(enc, OneVsRestClassifier(clf)), several),
        (make_pipeline(enc, MultiOutputClassifier(clf)), two_labels),
        (
            make_pipeline(
                enc,
                SelectKBest(k="all"),
                FinalMLPClassifier(**{**clf.get_params(deep=False), "categorical_features": [0, 1]}),
            ),
            y,
        ),
    ],
    ids=lambda model: "" if isinstance(model, np.ndarray) else type(model).__name__,
)
def test_stay_codes_by_what_the_warning_advises(model, y):
    model.fit(X, y)
    last = model[-1] if hasattr(model, "steps") else model
    fitted = getattr(last, "estimators_", [last])[0]
    kinds = [field.kind for field in getattr(fitted, "steps", [(None, fitted)])[-1][1].fields_]
    assert kinds == ["categorical", "categorical", "numeric"]


LISTS = pd.DataFrame(
    {
        "history": [rng.integers(0, 9, length).tolist() for length in rng.integers(0, 6, N_ROWS)],
        "item": rng.integers(0, 10, N_ROWS),
        "user": X["user"],
    }
)
WITH_HISTORY = CTREncoder(statistics=None, histories={"history": "item"})
LIKE_LISTS = r"Columns 0 to 4 look like the elements of a list or history.*set_output\(transform='pandas'\)"


def test_lists_that_lose_their_names_are_warned_about():
    columns = ColumnTransformer([("enc", WITH_HISTORY, [*LISTS])])
    with pytest.warns(UserWarning, match=LIKE_LISTS):
        model = make_pipeline(columns, clf).fit(LISTS, y)
    assert len(model[-1].fields_) == 7
    named = make_pipeline(columns.set_output(transform="pandas"), clf).fit(LISTS, y)
    assert [field.kind for field in named[-1].fields_] == ["history", "categorical", "categorical"]


def test_other_codes_without_names_are_not():
    codes = WITH_HISTORY.fit_transform(LISTS).to_numpy()
    assert len(clone(clf).set_params(categorical_features=list(range(7))).fit(codes, y).fields_) == 7
    # Values that are missing together, and one column of fewer values than the column before it.
    several = np.where(rng.random(N_ROWS) < 0.2, 0, rng.integers(1, [[20], [10], [5]], (3, N_ROWS)))
    assert len(clone(clf).fit(several.T, y).fields_) == 3
    assert len(clone(clf).fit(codes[:, [0, 1, 5, 2]], y).fields_) == 4
