"""The classifier of any pair of streams."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import GateWeightsDisplay, embeddings, field_interactions, gate_weights, head_strengths
from sk_finalmlp.nn import Ensemble, FeatureGate, Stream
from sk_finalmlp.streams import CIN, MLP, QNN, CrossNet, Final, MaskNet, Product, SelfAttention, stream_names

SMALL_MLP = MLP((16,))
QUICK = {
    "stream1": SMALL_MLP,
    "max_epochs": 2,
    "batch_size": 128,
    "n_members": 1,
    "num_heads": 1,
    "random_state": 0,
    "device": "cpu",
    # What is named like a statistic here comes from no encoder that could say which rows it held out.
    "hold_out": "random",
}


@pytest.fixture(scope="module")
def with_statistics(table):
    X, y = table
    rate = np.random.default_rng(1).standard_normal(len(X)).astype(np.float32)
    return X.assign(**{"user & item@rate": rate}), y


EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "Weights and repeated rows make different batches; "
    "test_classifier.py shows the equivalence in one full batch.",
}
# Small and fast, as the checks fit dozens of times.
CHECKED = {
    "n_members": 1,
    "embedding_dim": 4,
    "fs_hidden_units": (8,),
    "num_heads": 2,
    "max_epochs": 3,
}
PAIRS = [
    FinalMLPClassifier(stream1=MLP((32,)), stream2=CrossNet(2, units=16), **CHECKED),
    FinalMLPClassifier(stream1=MLP((32,)), stream2=SelfAttention(1, 2, 8), fusion="sum", **CHECKED),
    FinalMLPClassifier(stream1=Final((32,)), stream2="fm", fusion="concat", feature_selection="stream1", **CHECKED),
    FinalMLPClassifier(stream1=MaskNet((32,)), stream2=QNN(1, units=32), fusion="product", **CHECKED),
]


@pytest.mark.filterwarnings("ignore:.*columns of floats contain only whole numbers")
@parametrize_with_checks(PAIRS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_checks_of_parameters():
    check_param_validation("FinalMLPClassifier", FinalMLPClassifier(max_epochs=2))


def test_a_short_name_is_a_stream_of_default_parameters(table):
    X, y = table
    named, given = (FinalMLPClassifier(**{**QUICK, "stream1": stream}).fit(X, y) for stream in ("mlp", MLP()))
    assert np.array_equal(named.predict_proba(X), given.predict_proba(X))


@pytest.mark.parametrize("stream2", stream_names())
def test_every_stream_learns_and_its_copies_predict_alike(table, stream2):
    X, y = table
    parameters = {**QUICK, "num_heads": 4, "max_epochs": 6, "learning_rate": 0.03, "embedding_regularizer": 0.1}
    classifier = FinalMLPClassifier(**{**parameters, "stream2": stream2}).fit(X, y)
    probability = classifier.predict_proba(X)
    assert roc_auc_score(y, probability[:, 1]) > 0.75
    assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), probability)
    assert np.array_equal(classifier.predict_proba(X[:7]), probability[:7])
    first, second = (clone(classifier).set_params(max_epochs=1).fit(X, y) for _ in range(2))
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("stream2", stream_names())
def test_every_stream_takes_statistics_classes_weights_members_and_lazy_tables(with_statistics, stream2, monkeypatch):
    monkeypatch.setattr("sk_finalmlp.training._train._LAZY_FROM_ROWS", 0)
    X, y = with_statistics
    labels = np.array(["a", "b", "c"])[y + (X["user"] > 15).to_numpy()]
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    parameters = {**QUICK, "n_members": 3, "num_heads": 4, "max_epochs": 1}
    classifier = FinalMLPClassifier(**{**parameters, "stream2": stream2}).fit(X, labels, sample_weight=weight)
    assert isinstance(classifier.network_, Ensemble)
    probability = classifier.predict_proba(X)
    assert probability.shape == (len(X), 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1)


@pytest.mark.parametrize("stream1", stream_names())
def test_every_stream_stands_alone(with_statistics, stream1):
    X, y = with_statistics
    classifier = FinalMLPClassifier(**{**QUICK, "stream1": stream1, "stream2": None, "max_epochs": 1}).fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()
    # It reads all that the two streams would.
    assert "user & item@rate" in classifier.network_.fields1.sizes


@pytest.mark.parametrize(
    ("fusion", "stream_embeddings", "stream_loss", "linear_term"),
    list(product(["bilinear", "sum", "concat", "product"], ["shared", "own"], [0.0, 0.3], [False, True])),
)
def test_options_go_with_each_other(with_statistics, fusion, stream_embeddings, stream_loss, linear_term):
    X, y = with_statistics
    classifier = FinalMLPClassifier(
        **{**QUICK, "max_epochs": 1},
        stream2=CrossNet(units=16),
        fusion=fusion,
        stream_embeddings=stream_embeddings,
        stream_loss=stream_loss,
        linear_term=linear_term,
    ).fit(X, y)
    probability = classifier.predict_proba(X)
    assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), probability)


class TestSearch:
    def test_over_streams_their_parameters_and_fusions_in_a_pipeline(self):
        X = pd.DataFrame({"user": ["a", "b", "c", "d"] * 50, "item": ["x", "y"] * 100})
        y = [0, 1, 1, 0] * 50
        classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1})
        search = GridSearchCV(
            Pipeline([("enc", CTREncoder()), ("clf", classifier)]),
            [
                {"clf__stream2": [CrossNet()], "clf__stream2__n_layers": [1, 2]},
                {"clf__stream2": ["fm", SelfAttention(n_heads=2)], "clf__fusion": ["sum", "bilinear"]},
                {"clf__stream1__hidden_units": [(8,)], "clf__stream2": [None]},
            ],
            cv=2,
        ).fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(search.cv_results_["params"]) == 7

    def test_a_parameter_makes_a_stream_of_a_short_name(self):
        classifier = FinalMLPClassifier().set_params(stream1__hidden_units=(8,), stream2="qnn", stream2__n_layers=1)
        assert repr(classifier.stream1) == "MLP(hidden_units=(8,))"
        assert repr(classifier.stream2) == "QNN(n_layers=1)"
        with pytest.raises(ValueError, match="Invalid parameter 'n_layers' for estimator FM"):
            FinalMLPClassifier(stream2="fm").set_params(stream2__n_layers=2)
        with pytest.raises(ValueError, match="There is no stream named 'mlps'; there are"):
            FinalMLPClassifier(stream2="mlps").set_params(stream2__n_layers=2)
        with pytest.raises(ValueError, match=r"stream2=None has no parameters"):
            FinalMLPClassifier(stream2=CrossNet()).set_params(stream2=None, stream2__n_layers=2)

    def test_a_fit_leaves_the_stream_of_the_caller_alone(self, table):
        X, y = table
        stream = CrossNet()
        classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1}, stream2=stream).fit(X, y)
        before = classifier.predict_proba(X)
        assert classifier.stream2 is stream
        assert stream.units == "auto"
        stream.set_params(n_layers=9)
        assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), before)


class Wide(BaseEstimator):
    """A stream of one's own."""

    def __init__(self, width=16):
        self.width = width

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        layer = torch.nn.Linear(n_fields * embedding_dim + n_statistics, self.width)
        return torch.nn.init.zeros_(layer.weight) is not None and layer


def test_a_stream_of_ones_own(table):
    X, y = table
    classifier = FinalMLPClassifier(**QUICK, stream2=Wide()).set_params(stream2__width=32).fit(X, y)
    assert classifier.network_.stream2.out_features == 32
    assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), classifier.predict_proba(X))


# As a search over numpy's ranges sets them.
OF_NUMPY = [
    MLP(np.array([16, 8])),
    CIN((np.int64(8), np.int64(4))),
    SelfAttention(attention_dim=np.int64(16)),
    Final(np.array([16]), units=np.int64(8)),
    MaskNet(np.array([16])),
    Product(hidden_units=np.array([16])),
    CrossNet(np.int64(2), rank=np.int64(4), units=np.int64(8)),
]


@pytest.mark.parametrize("fusion", ["bilinear", "sum"])
@pytest.mark.parametrize("stream2", OF_NUMPY, ids=repr)
def test_parameters_may_be_numbers_and_arrays_of_numpy(table, stream2, fusion, tmp_path):
    X, y = table
    classifier = FinalMLPClassifier(**{**QUICK, "max_epochs": 1}, stream2=stream2, fusion=fusion, warm_start=True)
    classifier.fit(X, y).fit(X, y).partial_fit(X[:20], y[:20])
    sk_finalmlp.save(classifier, tmp_path / "model")
    again = sk_finalmlp.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert np.array_equal(
        again.partial_fit(X[20:], y[20:]).predict_proba(X), classifier.partial_fit(X[20:], y[20:]).predict_proba(X)
    )


class PlainStream:
    """A stream of one's own that scikit-learn knows nothing of."""

    def __init__(self):
        self.width = 16

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        return Stream(n_fields * embedding_dim + n_statistics, [self.width], generator=generator)


class TestWarmStart:
    def test_goes_on_with_the_same_streams(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2=CrossNet(units=16), warm_start=True).fit(X, y)
        before = classifier.history_[0]["train_loss"]
        classifier.fit(X, y)
        assert len(classifier.history_) == 4
        assert classifier.history_[2]["train_loss"] < before

    def test_goes_on_with_a_stream_that_has_no_parameters_of_scikit_learn(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2=PlainStream(), warm_start=True).fit(X, y)
        assert len(classifier.fit(X, y).history_) == 4
        assert len(classifier.partial_fit(X, y).history_) == 5
        classifier.stream2.width = 32
        with pytest.raises(ValueError, match=r"changed since the first fit: \['stream2'\]"):
            classifier.partial_fit(X, y)

    def test_refuses_streams_that_have_changed(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2=CrossNet(units=16), warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match=r"changed since the first fit: \['stream2'\]"):
            classifier.set_params(stream2__n_layers=5).fit(X, y)
        with pytest.raises(ValueError, match="n_members or stream_fields"):
            classifier.set_params(stream2__n_layers=3, n_members=2).fit(X, y)


class TestInspection:
    def test_gates_of_one_stream(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2="fm", feature_selection="stream2").fit(X, y)
        weights = gate_weights(classifier, X)
        assert weights[1].isna().all()
        assert weights[2].between(0, 2).all()
        assert GateWeightsDisplay.from_estimator(classifier, X).weights.equals(weights)

    def test_a_network_without_gates(self, table):
        classifier = FinalMLPClassifier(**QUICK, stream2=None, feature_selection="stream2").fit(*table)
        with pytest.raises(ValueError, match="no gates: it was fitted with feature_selection='stream2'"):
            gate_weights(classifier, table[0])

    def test_bilinear_fusion_of_any_streams(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**{**QUICK, "num_heads": 2}, stream2=CIN((8,), units=16)).fit(X, y)
        assert list(head_strengths(classifier, X).index) == ["stream 1", "stream 2", "head 1", "head 2"]
        assert field_interactions(classifier, X, random_state=0).shape == (5, 5)

    @pytest.mark.parametrize("function", [head_strengths, field_interactions])
    def test_another_fusion_says_so(self, table, function):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2="fm", fusion="sum").fit(X, y)
        with pytest.raises(ValueError, match=r"This FinalMLPClassifier has no bilinear fusion: .* pair_interactions"):
            function(classifier, X)

    def test_embeddings_of_streams_with_own_tables(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream2="fm", fusion="sum", stream_embeddings="own").fit(X, y)
        assert embeddings(classifier, "user").shape[1] == 20

    def test_html(self, table):
        classifier = FinalMLPClassifier(**QUICK, stream2=CrossNet())
        assert "CrossNet" in classifier._repr_html_()
        assert "embeddings" in classifier.fit(*table)._repr_html_()
        assert "n_layers" in CrossNet()._repr_html_()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stream_fields": (None, ["usr"])}, r"stream_fields names 'usr', but the fields are \['user'"),
        (
            {"stream_fields": (None, [])},
            "stream_fields is empty, and a stream needs a field to read. None stands for all",
        ),
        ({"stream_fields": ([False] * 7, None)}, "stream_fields is empty"),
        ({"fs2_context": ["usr"]}, r"fs2_context names 'usr', but the fields are \['user'"),
        ({"fs1_context": ["user & item@rate"]}, r"fs1_context names 'user & item@rate', a statistic, .* \['user'"),
    ],
    ids=str,
)
def test_fields_that_cannot_be_chosen_are_named_with_their_parameter(with_statistics, parameters, message):
    with pytest.raises(ValueError, match=message):
        FinalMLPClassifier(**QUICK, **parameters).fit(*with_statistics)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stream2": "deepfm"}, "'stream2' parameter of FinalMLPClassifier"),
        ({"stream1": None}, "'stream1' parameter of FinalMLPClassifier"),
        ({"fusion": "mean"}, "'fusion' parameter of FinalMLPClassifier"),
        ({"feature_selection": "both"}, "'feature_selection' parameter of FinalMLPClassifier"),
        ({"stream2": CrossNet(n_layers=0)}, "'n_layers' parameter of CrossNet"),
        ({"stream2": CrossNet(units=10), "num_heads": 4}, "num_heads=4 doesn't divide both stream widths, 16 and 10"),
        ({"stream2": CrossNet(units=10), "fusion": "product"}, "widths are 16 and 10"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_an_error(table, parameters, message):
    error = ValueError if "width" in message else InvalidParameterError
    with pytest.raises(error, match=message):
        FinalMLPClassifier(**{**QUICK, **parameters}).fit(*table)


@pytest.mark.parametrize("made", ["fitted", "updated", "unpickled"])
def test_gates_that_all_rows_share_are_computed_before_the_first_prediction(table, monkeypatch, made):
    X, y = table
    classifier = FinalMLPClassifier(**QUICK).fit(X, y)
    if made == "updated":
        classifier.partial_fit(X[:50], y[:50])
    if made == "unpickled":
        classifier = pickle.loads(pickle.dumps(classifier))
    expected = classifier.predict_proba(X)
    with monkeypatch.context() as patch:
        patch.setattr(FeatureGate, "of_all_rows", None)
        np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    classifier.network_.gate1.context_vector.data += 1
    classifier.network_.eval()
    assert not np.array_equal(classifier.predict_proba(X), expected)


def test_hooks_on_the_network_see_each_prediction(table):
    X, y = table
    classifier = FinalMLPClassifier(**QUICK).fit(X, y)
    expected, seen = classifier.predict_proba(X), []
    classifier.network_.stream1.register_forward_hook(lambda *args: seen.append(args[-1]))
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-5)
    assert [len(output) for output in seen] == [-(-len(X) // 32) * 32]
