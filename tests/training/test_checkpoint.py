"""A training that was killed goes on after its last finished epoch, to the same bits."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import _callbacks, _train

N_ROWS = 600


@pytest.fixture(scope="module")
def rows():
    X, y, _ = make_click_data(N_ROWS, n_users=30, n_items=20, random_state=0)
    return CTREncoder(statistics=None).fit_transform(X, y), y


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    X, y, _ = make_click_data(N_ROWS, n_users=30, n_items=20, random_state=0)
    X.assign(click=y).to_parquet(path := tmp_path_factory.mktemp("clicks") / "clicks.parquet")
    return CTREncoder(statistics=None).fit_transform(path, "click"), "click"


def make_classifier(folder, **parameters):
    small = {"stream1": MLP((8,)), "stream2": MLP((8,)), "fs_hidden_units": (4,), "max_epochs": 4}
    return FinalMLPClassifier(**{**small, "random_state": 0, "checkpoint": folder, **parameters})


def fit_killed(monkeypatch, classifier, X, y, epoch, **data):
    """A fit that ends as if it were killed when this epoch begins."""
    begin, n_begun = _callbacks.EpochRecord.on_epoch_begin, []

    def on_epoch_begin(self, net, **kwargs):
        n_begun.append(1)
        if len(n_begun) == epoch:
            raise RuntimeError("killed")
        begin(self, net, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(_callbacks.EpochRecord, "on_epoch_begin", on_epoch_begin)
        with pytest.raises(RuntimeError, match="killed"):
            classifier.fit(X, y, **data)


def check_goes_on(monkeypatch, folder, X, y, epoch, **parameters):
    whole = make_classifier(None, **parameters).fit(X, y)
    classifier = make_classifier(folder, **parameters)
    fit_killed(monkeypatch, classifier, X, y, epoch)
    assert len(list(folder.iterdir())) == 1
    classifier.fit(X, y)
    assert not list(folder.iterdir())
    for name, weight in whole.network_.state_dict().items():
        np.testing.assert_array_equal(classifier.network_.state_dict()[name], weight)
    scores = [[(record["epoch"], record.get("valid_loss")) for record in fit.history_] for fit in (whole, classifier)]
    assert scores[0] == scores[1]
    assert classifier.best_score_ == whole.best_score_


@pytest.mark.parametrize(
    ("epoch", "parameters"),
    [
        (3, {}),
        (5, {}),
        (2, {"schedule": "plateau", "negative_sampling": 0.6, "n_members": 1}),
    ],
    ids=["third epoch", "final epoch", "plateau"],
)
def test_goes_on_to_the_same_bits(rows, tmp_path, monkeypatch, epoch, parameters):
    check_goes_on(monkeypatch, tmp_path, *rows, epoch, **parameters)


def test_tables_that_are_updated_lazily(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(_train, "_LAZY_FROM_ROWS", 0)
    check_goes_on(monkeypatch, tmp_path, *rows, 4, early_stopping=False, n_members=1)


def test_patience_that_is_over_stays_over(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(_train, "_TOLERANCE", 10.0)
    check_goes_on(monkeypatch, tmp_path, *rows, 3, n_iter_no_change=1, max_epochs=9, n_members=1)


@pytest.mark.parametrize("parameters", [{}, {"negative_sampling": 0.6}])
def test_rows_on_disk(stored, tmp_path, monkeypatch, parameters):
    check_goes_on(monkeypatch, tmp_path, *stored, 3, n_members=1, **parameters)


def test_other_rows_and_other_parameters_begin_anew(rows, tmp_path, monkeypatch):
    X, y = rows
    fit_killed(monkeypatch, make_classifier(tmp_path, n_members=1), X, y, 2)
    (killed,) = tmp_path.iterdir()
    for classifier, table in [
        (make_classifier(tmp_path, n_members=1, num_heads=2), X),
        (make_classifier(tmp_path, n_members=1), X[::-1].reset_index(drop=True)),
    ]:
        fit_killed(monkeypatch, classifier, table, y, 2)
    assert len(list(tmp_path.iterdir())) == 3
    assert killed.exists()


def test_a_late_row_and_each_validation_row_and_weight_make_another_training(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X, y, weight = rng.integers(0, 9, (1_600, 2)), rng.integers(0, 2, 1_600), np.ones(1_600)
    own = {"X_val": X[:90], "y_val": y[:90], "sample_weight_val": np.ones(90)}
    late, other_weight = X.copy(), weight.copy()
    late[1_599, 0], other_weight[1_599] = 8 - late[1_599, 0], 0.5
    fits = [
        (X, weight, own),
        (late, weight, own),
        (X, other_weight, own),
        (X, weight, own | {"X_val": 8 - own["X_val"]}),
        (X, weight, own | {"y_val": 1 - own["y_val"]}),
        (X, weight, own | {"sample_weight_val": np.linspace(0.5, 1, 90)}),
    ]
    for table, weights, validation in fits:
        classifier = make_classifier(tmp_path, n_members=1)
        fit_killed(monkeypatch, classifier, table, y, 2, sample_weight=weights, **validation)
    assert len(list(tmp_path.iterdir())) == len(fits)


def test_a_late_row_on_disk_makes_another_training(tmp_path, monkeypatch):
    X, y, _ = make_click_data(1_600, n_users=30, n_items=20, random_state=0)
    (checkpoints := tmp_path / "checkpoints").mkdir()
    for user in X["user"].unique()[:2]:
        X.loc[1_599, "user"] = user
        X.assign(click=y).to_parquet(path := tmp_path / "clicks.parquet")
        encoded = CTREncoder(statistics=None).fit_transform(path, "click")
        fit_killed(monkeypatch, make_classifier(checkpoints, n_members=1), encoded, "click", 2)
    assert len(list(checkpoints.iterdir())) == 2


def test_needs_a_seed(rows, tmp_path):
    with pytest.raises(ValueError, match=r"needs an integer as random_state.*it is None"):
        make_classifier(tmp_path, random_state=None).fit(*rows)


def test_a_training_from_other_weights_begins_anew(rows, tmp_path, monkeypatch):
    X, y = rows
    first, other = (make_classifier(None, warm_start=True, learning_rate=rate).fit(X, y) for rate in (1e-3, 1e-2))
    for classifier in (first, other):
        classifier.set_params(checkpoint=tmp_path, learning_rate=1e-3)
        fit_killed(monkeypatch, classifier, X, y, epoch=2)
    assert len(list(tmp_path.iterdir())) == 2


MODULE = """
from sklearn.metrics import log_loss, make_scorer
from sk_finalmlp.nn import Stream

def score(estimator, X, y):
    return helped(log_loss(y, estimator.predict_proba(X)))

def helped(loss):
    return {sign}loss

class Wide:
    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        return Stream(n_fields * embedding_dim + n_statistics, [8], {dropout}, generator=generator)

scorer = make_scorer(lambda y, p: {sign}log_loss(y, p), response_method="predict_proba")
"""


def module_of(**text):
    """What is in a file, as it is imported anew."""
    names = {"__name__": "scores"}
    exec(MODULE.format(**{"sign": "-", "dropout": 0.0, **text}), names)
    return names


@pytest.mark.parametrize(
    ("parameters_of", "changed"),
    [
        (lambda module: {"scoring": module["score"]}, {"sign": ""}),
        (lambda module: {"scoring": module["scorer"]}, {"sign": ""}),
        (lambda module: {"stream1": module["Wide"]()}, {"dropout": 0.5}),
    ],
    ids=["function", "scorer", "stream"],
)
def test_other_code_of_a_scorer_or_stream_begins_anew(rows, tmp_path, monkeypatch, parameters_of, changed):
    for text in ({}, {}, changed):
        module = module_of(**text)
        monkeypatch.setitem(sys.modules, "scores", SimpleNamespace(**module))
        fit_killed(monkeypatch, make_classifier(tmp_path, n_members=1, **parameters_of(module)), *rows, 2)
        n_files = len(list(tmp_path.iterdir()))
        assert n_files == 1 + bool(text)


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_one_before(rows, tmp_path, monkeypatch, full_disk):
    X, y = rows
    classifier = make_classifier(tmp_path, n_members=1)
    fit_killed(monkeypatch, classifier, X, y, 2)
    (before,) = tmp_path.iterdir()
    contents = before.read_bytes()
    with full_disk(), pytest.raises(OSError, match=rf"checkpoint: {re.escape(str(before))} can't be written\. Free"):
        classifier.fit(X, y)
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == contents
