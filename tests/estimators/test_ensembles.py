"""Several members, and which fields their streams read."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from drifting import log
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError

import sk_finalmlp.training
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.inspection import embeddings
from sk_finalmlp.nn import Ensemble
from sk_finalmlp.schema import read_schema, write_schema
from sk_finalmlp.streams import MLP

SMALL = {"stream1": MLP((16,)), "stream2": MLP((8,)), "num_heads": 1, "random_state": 0, "device": "cpu"}
# What is named like statistics here comes from no encoder that could say which rows it held out.
QUICK = {**SMALL, "max_epochs": 2, "batch_size": 250, "hold_out": "random"}
DUAL = {name: value for name, value in QUICK.items() if name != "num_heads"}
EMBEDDING = 10


@pytest.fixture(scope="module")
def with_statistics(table):
    """The table with two statistics behind it: 5 fields with an embedding and 2 without."""
    X, y = table
    rng = np.random.default_rng(1)
    rate, count = (rng.standard_normal(len(X)).astype(np.float32) for _ in range(2))
    return X.assign(**{"user & item@rate": rate, "item@count": count}), y


@pytest.fixture(scope="module")
def fitted(with_statistics):
    return FinalMLPClassifier(**QUICK).fit(*with_statistics)


def widths(network):
    """How many features each stream of a network reads."""
    return network.fields1.n_features, network.fields2.n_features


class TestStreams:
    def test_floats_that_are_named_like_statistics_are_statistics(self, fitted):
        kinds = {field.name: field.kind for field in fitted.fields_}
        assert [name for name, kind in kinds.items() if kind == "statistic"] == ["user & item@rate", "item@count"]
        assert kinds["price"] == "numeric"

    def test_a_name_alone_makes_no_statistic(self, with_statistics):
        X, y = with_statistics
        classifier = FinalMLPClassifier(**QUICK).fit(X.astype({"item@count": np.float64}), y)
        kinds = {field.name: field.kind for field in classifier.fields_}
        assert (kinds["item@count"], kinds["user & item@rate"]) == ("numeric", "statistic")

    def test_a_column_that_is_about_no_codes_is_no_statistic(self, with_statistics):
        X, y = with_statistics
        classifier = FinalMLPClassifier(**QUICK).fit(X.rename(columns={"item@count": "clicks@count"}), y)
        assert [field.name for field in classifier.fields_ if field.kind == "statistic"] == ["user & item@rate"]

    def test_statistics_with_a_prefix_are_statistics(self, with_statistics):
        X, y = with_statistics
        classifier = FinalMLPClassifier(**QUICK).fit(X.add_prefix("all__enc__"), y)
        assert [field.kind for field in classifier.fields_].count("statistic") == 2

    def test_codes_that_are_named_like_statistics_are_codes(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK).fit(X.rename(columns={"user": "user@count"}), y)
        assert classifier.fields_[0].kind == "categorical"

    def test_members_read_statistics_in_turns(self, with_statistics):
        classifier = FinalMLPClassifier(**QUICK, n_members=5).fit(*with_statistics)
        plain, everything = 5 * EMBEDDING, 5 * EMBEDDING + 2
        # Numbers and statistics: price, and the two.
        expected = [(plain, everything), (plain, plain), (plain, EMBEDDING + 2), (plain, everything), (plain, plain)]
        assert [widths(member) for member in classifier.network_.members] == expected

    @pytest.mark.parametrize("classifier", [FinalMLPClassifier(**QUICK), FinalMLPClassifier(**DUAL)])
    def test_there_are_two_members_by_default(self, with_statistics, classifier):
        assert len(clone(classifier).fit(*with_statistics).network_.members) == 2

    def test_without_statistics_all_members_read_everything(self, table):
        classifier = FinalMLPClassifier(**QUICK).fit(*table)
        assert [widths(member) for member in classifier.network_.members] == [(5 * EMBEDDING, 5 * EMBEDDING)] * 2

    def test_a_single_member_is_the_plain_network(self, with_statistics):
        classifier = FinalMLPClassifier(**QUICK, n_members=1).fit(*with_statistics)
        assert not isinstance(classifier.network_, Ensemble)
        assert widths(classifier.network_) == (5 * EMBEDDING, 5 * EMBEDDING + 2)

    def test_fields_that_are_named_are_read_by_all_members(self, with_statistics):
        chosen = (None, np.array(["tags", "item@count"]))
        classifier = FinalMLPClassifier(**QUICK, stream_fields=chosen).fit(*with_statistics)
        assert [widths(m) for m in classifier.network_.members] == [(5 * EMBEDDING + 2, EMBEDDING + 1)] * 2

    @pytest.mark.parametrize("chosen", [[2, 7], np.arange(8) % 5 == 2, ["tags", "item@count"]], ids=repr)
    def test_fields_may_be_chosen_by_name_position_or_mask(self, with_statistics, chosen):
        # Positions 2 and 3 are the columns of the tags.
        classifier = FinalMLPClassifier(**QUICK, stream_fields=("auto", chosen), fs1_context=[1, 2]).fit(
            *with_statistics
        )
        for member in classifier.network_.members:
            assert list(member.fields2.sizes) == ["tags", "item@count"]
            assert [field.name for field in member.gate1.context_embedding.fields] == ["item", "tags"]

    @pytest.mark.parametrize("parameter", ["stream_fields", "fs1_context", "fs2_context"])
    @pytest.mark.parametrize(
        ("chosen", "message"),
        [
            ([8], "has position 8; positions go from 0 to 7"),
            ([-1], "has position -1"),
            ([True], r"mask of shape \(1,\)"),
        ],
    )
    def test_positions_outside_of_the_table_are_an_error(self, with_statistics, parameter, chosen, message):
        chosen = (None, chosen) if parameter == "stream_fields" else chosen
        with pytest.raises(ValueError, match=f"{parameter} .*{message}"):
            FinalMLPClassifier(**QUICK, **{parameter: chosen}).fit(*with_statistics)

    @pytest.mark.filterwarnings("ignore:Column .* is named like a statistic of CTREncoder, but")
    @pytest.mark.parametrize("columns", [["user & item@rate", "item@count"], ["price", "item@count"]])
    def test_tables_without_codes(self, with_statistics, columns):
        X, y = with_statistics
        probability = FinalMLPClassifier(**QUICK).fit(X[columns], y).predict_proba(X[columns])
        assert np.isfinite(probability).all()

    def test_unknown_fields_are_an_error(self, with_statistics):
        with pytest.raises(ValueError, match=r"stream_fields names 'usr@rate', but the fields are"):
            FinalMLPClassifier(**QUICK, stream_fields=(None, ["user", "usr@rate"])).fit(*with_statistics)

    @pytest.mark.parametrize(
        "parameters",
        [{"stream_fields": "user"}, {"n_members": 0}, {"scoring": "accurate"}],
    )
    def test_out_of_range(self, with_statistics, parameters):
        with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
            FinalMLPClassifier(**QUICK, **parameters).fit(*with_statistics)

    def test_containers_do_not_matter(self, with_statistics, fitted):
        X, y = with_statistics
        other = FinalMLPClassifier(**QUICK).fit(pl.from_pandas(X), pl.Series(y))
        assert np.array_equal(other.predict_proba(pl.from_pandas(X)), fitted.predict_proba(X))


class TestMembers:
    def test_weights_lie_on_the_simplex_and_are_equal_without_validation_rows(self, with_statistics, fitted):
        assert fitted.network_.weights.sum().item() == pytest.approx(1)
        assert (fitted.network_.weights >= 0).all()
        equal = FinalMLPClassifier(**QUICK, early_stopping=False).fit(*with_statistics)
        assert equal.network_.weights.tolist() == pytest.approx([1 / 2] * 2)
        assert equal.best_score_ is None

    def test_logits_are_the_weighted_mean_of_the_members(self, with_statistics, fitted):
        X, _ = with_statistics
        one = copy.deepcopy(fitted)
        logits = []
        for member in range(2):
            one.network_.weights.zero_()[member] = 1
            logits.append(one.decision_function(X))
        expected = fitted.network_.weights.double().numpy() @ np.array(logits)
        np.testing.assert_allclose(fitted.decision_function(X), expected, rtol=1e-4, atol=1e-5)
        assert not np.allclose(logits[0], logits[1], atol=1e-2)

    def test_copies_keep_weights_and_predictions(self, with_statistics, fitted):
        X, _ = with_statistics
        for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            assert other.network_.weights.tolist() == fitted.network_.weights.tolist()
            assert np.array_equal(other.decision_function(X), fitted.decision_function(X))

    @pytest.mark.parametrize("early_stopping", [True, False])
    def test_several_classes(self, with_statistics, early_stopping):
        X, y = with_statistics
        labels = np.array(["a", "b", "c"])[y + (X["user"] > 15).to_numpy()]
        classifier = FinalMLPClassifier(**QUICK | {"max_epochs": 8}, early_stopping=early_stopping).fit(X, labels)
        probability = classifier.predict_proba(X)
        assert probability.shape == (len(X), 3)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        shares = np.unique(labels, return_counts=True)[1] / len(labels)
        assert log_loss(labels, probability) < -(shares * np.log(shares)).sum() - 0.1

    def test_warm_start_goes_on_with_all_members(self, with_statistics):
        X, y = with_statistics
        model = clone(FinalMLPClassifier(**{**QUICK, "batch_size": 50}, warm_start=True))
        classifier = model.set_params(stream1__dropout=0.2, stream2__dropout=0.2).fit(X, y)
        before = classifier.history_[-1]["train_loss"]
        classifier.fit(X, y)
        assert classifier.history_[2]["train_loss"] < before
        with pytest.raises(ValueError, match=r"changed since the first fit: .*n_members or stream_fields"):
            classifier.set_params(n_members=3).fit(X, y)

    def test_search_over_the_number_of_members(self, with_statistics):
        X, y = with_statistics
        search = GridSearchCV(FinalMLPClassifier(**QUICK), {"n_members": [1, 2]}, cv=2, scoring="roc_auc").fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class TestOptionsOfTheStreams:
    @pytest.mark.parametrize("classifier", [FinalMLPClassifier(**QUICK), FinalMLPClassifier(**DUAL)])
    @pytest.mark.parametrize("options", [{"stream_embeddings": "own"}, {"stream_loss": 0.5}], ids=str)
    @pytest.mark.parametrize("n_members", [1, 3])
    def test_change_the_network_and_its_copies_predict_alike(self, with_statistics, classifier, options, n_members):
        X, y = with_statistics
        labels = y + (X["user"] > 15)
        plain, other = (clone(classifier).set_params(n_members=n_members, **o).fit(X, labels) for o in ({}, options))
        assert not np.allclose(plain.predict_proba(X), other.predict_proba(X))
        assert np.array_equal(pickle.loads(pickle.dumps(other)).predict_proba(X), other.predict_proba(X))

    def test_own_losses_are_in_the_training_loss_alone(self, table):
        X, y = table
        plain, other = (FinalMLPClassifier(**QUICK, stream_loss=weight).fit(X, y).history_[0] for weight in (0.0, 1.0))
        assert other["train_loss"] > 2.5 * plain["train_loss"]
        assert other["valid_loss"] == pytest.approx(plain["valid_loss"], abs=0.1)

    def test_lazy_updates_of_own_tables(self, table, monkeypatch):
        monkeypatch.setattr("sk_finalmlp.training._train._LAZY_FROM_ROWS", 0)
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, stream_embeddings="own").fit(X, y)
        assert np.isfinite(classifier.predict_proba(X)).all()

    def test_embeddings_are_those_of_both_streams_side_by_side(self, table):
        X, y = table
        own = FinalMLPClassifier(**QUICK, n_members=1, stream_embeddings="own", stream_fields=(None, ["item"])).fit(
            X, y
        )
        assert embeddings(own, "item").shape[1] == 2 * EMBEDDING
        assert embeddings(own, "user").shape[1] == EMBEDDING


class TestFinalEpoch:
    def test_changes_the_weights_and_not_the_history(self, table):
        X, y = table
        plain, final = (FinalMLPClassifier(**QUICK, final_epoch=final_epoch).fit(X, y) for final_epoch in (False, True))
        assert [r["valid_loss"] for r in plain.history_] == [r["valid_loss"] for r in final.history_]
        assert plain.network_.weights.tolist() == final.network_.weights.tolist()
        assert not np.allclose(plain.predict_proba(X), final.predict_proba(X), atol=1e-4)

    @pytest.mark.parametrize("case", ["X_val", "warm_start", "early_stopping=False"])
    def test_there_is_none(self, table, case):
        X, y = table
        parameters = {"warm_start": case == "warm_start", "early_stopping": case != "early_stopping=False"}
        validation = {"X_val": X[:300], "y_val": y[:300]} if case == "X_val" else {}
        plain, final = (
            FinalMLPClassifier(**QUICK, **parameters, final_epoch=final_epoch).fit(X[300:], y[300:], **validation)
            for final_epoch in (False, True)
        )
        assert np.array_equal(plain.predict_proba(X), final.predict_proba(X))


class TestWeights:
    """Members weigh more alike where statistics of held-out rows know later rows: they would be trusted too much."""

    @pytest.fixture(scope="class")
    @classmethod
    def impressions(cls):
        return log(n=4_000)

    @pytest.mark.parametrize(
        ("parameters", "hindsight"),
        [({}, True), ({"hold_out": "time"}, False), ({"drop": "time"}, False), ({"statistics": None}, False)],
    )
    def test_what_an_encoder_says_of_hindsight(self, impressions, parameters, hindsight):
        assert read_schema(CTREncoder(**parameters).fit_transform(*impressions)).hindsight is hindsight

    def test_hindsight_of_statistics_brings_weights_together(self):
        X, y = log(n=4_000, drift=0.0)
        encoder = CTREncoder()
        encoded = encoder.fit_transform(X, y)
        plain = write_schema(encoded.copy(), replace(read_schema(encoded), hindsight=False))
        validation = {"X_val": encoder.transform(X[3_000:]), "y_val": y[3_000:]}

        def inequality(table, **rows):
            first, second = FinalMLPClassifier(**SMALL, max_epochs=2).fit(table, y, **rows).network_.weights
            return abs(float(first - second))

        assert inequality(encoded) < inequality(plain) / 2
        assert inequality(encoded, **validation) == inequality(plain, **validation)

    @pytest.mark.parametrize(
        ("drift", "parameters", "hindsight"),
        [(2.0, {}, "codes"), (0.0, {}, "statistics"), (2.0, {"hold_out": "time"}, None)],
    )
    def test_beside_statistics_of_recent_rows_codes_alone_have_hindsight(
        self, monkeypatch, drift, parameters, hindsight
    ):
        seen = []
        train = sk_finalmlp.training.train

        def spy(network, training, validation, *rest):
            seen.append(validation.hindsight)
            return train(network, training, validation, *rest)

        monkeypatch.setattr(sk_finalmlp.training, "train", spy)
        X, y = log(n=4_000, drift=drift)
        FinalMLPClassifier(**SMALL, max_epochs=1).fit(CTREncoder(**parameters).fit_transform(X, y), y)
        assert seen == [hindsight]
