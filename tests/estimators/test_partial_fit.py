"""A classifier that goes on learning, or begins with its first rows."""

import math
import pickle

import numpy as np
import pytest
import small_models

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.estimators import TableReader

SMALL = small_models.SMALL | {"batch_size": 200}


def rows(n_codes=20, n_rows=400, seed=0):
    X = np.random.default_rng(seed).integers(0, n_codes, (n_rows, 3))
    return X, (X[:, 0] + X[:, 1]) % 2


@pytest.fixture
def fitted():
    return FinalMLPClassifier(**SMALL).fit(*rows())


def test_the_first_call_needs_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        FinalMLPClassifier(**SMALL).partial_fit(*rows())


@pytest.mark.parametrize(
    "classifier",
    [
        FinalMLPClassifier(**SMALL),
        FinalMLPClassifier(stream2="crossnet", fusion="sum", linear_term=True, stream_embeddings="own", batch_size=200),
    ],
)
def test_begins_without_fit_and_takes_new_codes_in(classifier):
    X, y = rows()
    classifier.partial_fit(X[:50], np.zeros(50, int), classes=[0, 1, 2])
    classifier.partial_fit(*rows(n_codes=60))
    assert classifier.predict_proba(X).shape == (400, 3)
    assert [(epoch["epoch"], epoch["method"]) for epoch in classifier.history_] == [
        (1, "partial_fit"),
        (2, "partial_fit"),
    ]
    with pytest.raises(ValueError, match="is not the same as on last call"):
        classifier.partial_fit(X, y, classes=[0, 1])


def test_grows_tables_by_half_and_no_more_often_than_needed(fitted):
    sizes = []
    for n_codes in range(20, 60, 2):
        fitted.partial_fit(*rows(n_codes))
        sizes.append(fitted.fields_[0].n_codes)
    assert sizes[-1] >= 59
    assert len(set(sizes)) <= 5
    assert len(fitted.network_.embedding.table) == sum(field.n_codes for field in fitted.fields_)


def test_an_unknown_code_becomes_known(fitted):
    X, y = rows()
    X[:, 0] = 99
    unknown = fitted.predict_proba(np.where(X == 99, 98, X))
    assert (fitted.predict_proba(X) == unknown).all()
    fitted.partial_fit(X, y)
    assert (fitted.predict_proba(X) != fitted.predict_proba(np.where(X == 99, 98, X))).any()


def test_a_single_row_is_enough(fitted):
    X, y = rows()
    norms = [b.clone() for name, b in fitted.network_.state_dict().items() if "running" in name]
    fitted.partial_fit(X[:1], y[:1])
    after = [b for name, b in fitted.network_.state_dict().items() if "running" in name]
    assert all((one == other).all() for one, other in zip(norms, after, strict=True))
    assert np.isfinite(fitted.predict_proba(X)).all()


def test_lazy_and_dense_tables_learn_the_same_from_one_batch(monkeypatch):
    X, y = rows()
    probabilities = []
    for lazy_from in (0, math.inf):
        monkeypatch.setattr("sk_finalmlp.training._train._LAZY_FROM_ROWS", lazy_from)
        classifier = FinalMLPClassifier(**SMALL | {"batch_size": 400}).fit(X, y)
        for _ in range(2):
            classifier.partial_fit(X, y)
        probabilities.append(classifier.predict_proba(X)[:, 1])
    np.testing.assert_allclose(*probabilities, atol=1e-4)


def test_keeps_moments_and_the_same_bits_after_a_pickle(fitted):
    other = fitted
    fitted = pickle.loads(pickle.dumps(fitted))
    for seed in range(3):
        for classifier in (fitted, other):
            classifier.partial_fit(*rows(30 + 5 * seed, seed=seed))
        other = pickle.loads(pickle.dumps(other))
    X, _ = rows()
    assert (fitted.predict_proba(X) == other.predict_proba(X)).all()


def test_fit_begins_anew(fitted):
    X, y = rows()
    fitted.partial_fit(X, y).fit(X, y)
    assert fitted.n_iter_ == 1
    assert (fitted.predict_proba(X) == FinalMLPClassifier(**SMALL).fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize("sampling", [{"negative_sampling": 0.5}, {"negatives_kept": 0.5}])
def test_samples_of_negatives_may_lack_them(sampling):
    X, y = rows()
    classifier = FinalMLPClassifier(**SMALL, **sampling).fit(X, y)
    classifier.partial_fit(X[y == 1], y[y == 1]).partial_fit(X[y == 0], y[y == 0])
    assert np.isfinite(classifier.predict_proba(X)).all()


@pytest.mark.parametrize("n_rows", [1, 2])
def test_samples_of_one_negative_are_enough(n_rows):
    classifier = FinalMLPClassifier(**SMALL, negative_sampling=0.5).fit(*rows())
    X, _ = rows(n_rows=n_rows)
    classifier.partial_fit(X, np.zeros(n_rows, int))
    assert np.isfinite(classifier.predict_proba(X)).all()


def test_errors_change_nothing(fitted):
    X, y = rows()
    before = pickle.dumps(fitted)
    for bad, labels, message in [
        (X[:, :2], y, "X has 2 features"),
        (X, y + 1, r"y: the classes \[2\] are new: fit saw \[0, 1\]"),
        (X - 1, y, "negative code"),
        (X * 10**8, y, "has the code"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.partial_fit(bad, labels)
        assert pickle.dumps(fitted) == before
    with pytest.raises(ValueError, match="class_weight='balanced' weighs by the frequencies in all rows"):
        fitted.set_params(class_weight="balanced").partial_fit(X, y)


def test_weights_count(fitted):
    X, y = rows()
    other = pickle.loads(pickle.dumps(fitted))
    weight = np.where(y == 1, 1.0, 0.0)
    fitted.partial_fit(X, y, sample_weight=weight)
    other.partial_fit(X[y == 1], y[y == 1])
    assert (fitted.predict_proba(X) == other.predict_proba(X)).all()


def test_a_prediction_is_of_one_model_where_another_thread_updates_it(fitted, monkeypatch):
    X, _ = rows(n_codes=40, seed=1)
    before, read = fitted.predict_proba(X), TableReader.read

    def read_and_update(self, table):
        matrices = read(self, table)
        with monkeypatch.context() as patch:
            patch.setattr(TableReader, "read", read)
            fitted.partial_fit(*rows(n_codes=40))
        return matrices

    with monkeypatch.context() as patch:
        patch.setattr(TableReader, "read", read_and_update)
        np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert not np.array_equal(fitted.predict_proba(X), before)
