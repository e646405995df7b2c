"""What a user of the classifiers sees: labels, columns, weights, reproducibility, persistence."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.metrics import log_loss, roc_auc_score

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP

SMALL = {"stream1": MLP((32,)), "stream2": MLP((16,)), "num_heads": 1, "embedding_regularizer": 0.01, "random_state": 0}
PLAIN = {"stream1": MLP((16,), batch_norm=False), "stream2": MLP((16,), batch_norm=False)}
QUICK = {**SMALL, "max_epochs": 2, "batch_size": 250}


@pytest.fixture(scope="module")
def fitted(table):
    X, y = table
    return FinalMLPClassifier(**QUICK).fit(X[:1500], y[:1500])


@pytest.fixture(
    scope="module",
    params=[{}, {"fs1_context": ["user"], "fs2_context": ["item", "price"]}],
    ids=["one gate", "contexts"],
)
def wide(table, request):
    """A network of full width: products of narrower ones have fewer kernels."""
    return FinalMLPClassifier(random_state=0, max_epochs=2, **request.param).fit(*table)


class TestLearning:
    @pytest.mark.parametrize(
        "classifier",
        [
            FinalMLPClassifier(**SMALL),
            FinalMLPClassifier(**SMALL, fs1_context=["user"], fs2_context=["item", "price", "tags"]),
            FinalMLPClassifier(**SMALL, fusion="sum", feature_selection=False),
        ],
        ids=["FinalMLP", "with contexts", "DualMLP"],
    )
    def test_finds_the_interaction(self, table, classifier):
        X, y = table
        probability = classifier.fit(X[:1500], y[:1500]).predict_proba(X[1500:])[:, 1]
        assert roc_auc_score(y[1500:], probability) > 0.85

    @pytest.mark.parametrize(
        "labels",
        [np.array(["no", "yes"]), np.array([False, True]), np.array([-1, 1]), np.array([2.0, 5.0])],
        ids=["str", "bool", "int", "float"],
    )
    def test_labels_of_any_type(self, table, fitted, labels):
        X, y = table
        other = FinalMLPClassifier(**QUICK).fit(X[:1500], labels[y[:1500]])
        assert other.classes_.tolist() == labels.tolist()
        assert (other.predict(X) == labels[fitted.predict(X)]).all()

    def test_more_than_two_classes(self, table):
        X, y = table
        y = np.array(["a", "b", "c"])[y + (X["price"] > 0.7)]
        classifier = FinalMLPClassifier(**SMALL).fit(X[:1500], y[:1500])
        probabilities = classifier.predict_proba(X[1500:])
        assert probabilities.shape == classifier.decision_function(X[1500:]).shape == (500, 3)
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert log_loss(y[1500:], probabilities) < 0.8
        assert np.isfinite([record["valid_auc"] for record in classifier.history_]).all()
        assert classifier.best_score_ == -min(record["valid_loss"] for record in classifier.history_)

    def test_decision_function_is_the_log_odds(self, table, fitted):
        X, _ = table
        probability = fitted.predict_proba(X)
        assert fitted.decision_function(X) == pytest.approx(np.log(probability[:, 1] / probability[:, 0]))

    def test_class_weight_is_a_sample_weight(self, table):
        X, y = table
        by_class = FinalMLPClassifier(**SMALL, class_weight={0: 1, 1: 5}).fit(X, y)
        by_row = FinalMLPClassifier(**SMALL).fit(X, y, sample_weight=np.where(y == 1, 5, 1))
        assert by_class.predict_proba(X) == pytest.approx(by_row.predict_proba(X), abs=1e-3)
        assert by_class.predict_proba(X)[:, 1].mean() > y.mean() + 0.1

    @pytest.mark.parametrize("size", [1e-300, 1e-50, 1e300])
    def test_only_ratios_of_class_weights_count(self, table, size):
        X, y = table
        one, other = (
            FinalMLPClassifier(**QUICK, class_weight={0: scale, 1: 4 * scale}).fit(X, y) for scale in (1, size)
        )
        np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-4)

    def test_class_weights_are_those_of_the_training_rows_on_validation_rows_too(self, table):
        X, y = table
        rare, common = np.flatnonzero(y == 1)[:100], np.flatnonzero(y == 0)[:900]
        rows = np.concatenate([rare, common])
        classifier = FinalMLPClassifier(**QUICK, class_weight="balanced").fit(X.iloc[rows], y[rows], X_val=X, y_val=y)
        record = classifier.history_[classifier.best_epoch_ - 1]
        weight = np.where(y == 1, 1000 / 200, 1000 / 1800)
        expected = log_loss(y, classifier.predict_proba(X), sample_weight=weight)
        assert record["valid_loss"] == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("scale", [1e-60, 1e60])
    def test_weights_of_any_size(self, table, scale):
        X, y = table
        scaled = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=np.full(len(y), scale))
        assert np.array_equal(scaled.predict_proba(X), FinalMLPClassifier(**QUICK).fit(X, y).predict_proba(X))

    @pytest.mark.parametrize("scale", [2.0**-1000, 2.0**900])
    def test_class_weights_of_any_size(self, table, scale):
        X, y = table
        scaled = FinalMLPClassifier(**QUICK, class_weight={0: 3 * scale, 1: scale}).fit(X, y)
        one = FinalMLPClassifier(**QUICK, class_weight={0: 3, 1: 1}).fit(X, y)
        assert np.array_equal(scaled.predict_proba(X), one.predict_proba(X))

    def test_sample_weights_of_very_different_sizes(self, table):
        X, y = table
        weight = 10 ** np.random.default_rng(0).uniform(-300, 300, len(y))
        weight[:200] = 1e300
        classifier = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=weight)
        without = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=np.where(weight > 1e270, weight, 0))
        assert np.array_equal(classifier.predict_proba(X), without.predict_proba(X))

    def test_a_row_of_weight_zero_is_as_if_it_were_not_there(self, table):
        X, y = table
        # Which rows are held out depends on their numbers, so that rows in between would shift them.
        weight = np.arange(len(y)) < 1_500
        weighted = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=weight)
        without = FinalMLPClassifier(**QUICK).fit(X[weight], y[weight])
        assert np.array_equal(weighted.predict_proba(X), without.predict_proba(X))

    def test_a_row_of_weight_zero_among_the_others_is_left_out(self, table):
        X, y = table
        weight = np.arange(len(y)) % 2
        classifier = FinalMLPClassifier(**QUICK, early_stopping=False)
        weighted = clone(classifier).fit(X, y, sample_weight=weight)
        without = classifier.fit(X[weight > 0], y[weight > 0])
        assert np.array_equal(weighted.predict_proba(X), without.predict_proba(X))

    def test_weights_equal_repeated_rows_in_a_full_batch(self, table):
        X, y = table[0][:200], table[1][:200]
        repeats = np.arange(200) % 3
        streams = {"stream1": MLP((32,), 0.0, batch_norm=False), "stream2": MLP((16,), 0.0, batch_norm=False)}
        parameters = {"batch_size": 10**6, "early_stopping": False, "max_epochs": 3, "fs1_context": ["user"], **streams}
        weighted = FinalMLPClassifier(**SMALL | parameters).fit(X, y, sample_weight=repeats)
        repeated = FinalMLPClassifier(**SMALL | parameters).fit(X.loc[X.index.repeat(repeats)], np.repeat(y, repeats))
        assert weighted.predict_proba(X) == pytest.approx(repeated.predict_proba(X), abs=1e-4)

    def test_size_of_all_weights_does_not_matter(self, table):
        X, y = table
        one = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=np.full(len(y), 1.0))
        four = FinalMLPClassifier(**QUICK).fit(X, y, sample_weight=np.full(len(y), 4.0))
        assert np.array_equal(one.predict_proba(X), four.predict_proba(X))

    def test_rare_clicks_start_at_their_rate(self, table):
        X, y = table[0][:300], np.repeat([0, 1], [285, 15])
        classifier = FinalMLPClassifier(**QUICK | {"learning_rate": 1e-9}).fit(X, y)
        assert classifier.predict_proba(X)[:, 1].mean() == pytest.approx(0.05, abs=0.02)

    def test_rare_classes_start_at_their_rates(self, table):
        X, y = table[0][:300], np.repeat(["a", "b", "c"], [240, 45, 15])
        classifier = FinalMLPClassifier(**QUICK | {"learning_rate": 1e-9}).fit(X, y)
        assert classifier.predict_proba(X).mean(axis=0) == pytest.approx([0.8, 0.15, 0.05], abs=0.05)


class TestColumns:
    def test_fields_by_type_of_column(self, fitted):
        assert fitted.fields_ == [
            Field("user", "categorical", n_codes=21),
            Field("item", "categorical", n_codes=31),
            Field("tags", "multi-valued", n_codes=6, n_columns=2),
            Field("is_new", "categorical", n_codes=3),
            Field("price", "numeric"),
        ]

    @pytest.mark.parametrize(
        "chosen",
        [["user", "tags@1"], [0, 3], [True, False, False, True, False, False]],
        ids=["names", "positions", "mask"],
    )
    def test_chosen_columns_are_categorical_and_all_others_numeric(self, table, chosen):
        X, y = table
        fields = FinalMLPClassifier(**QUICK, categorical_features=chosen).fit(X, y).fields_
        assert [field.name for field in fields if field.kind == "categorical"] == ["user", "tags@1"]
        assert [field.name for field in fields if field.kind == "numeric"] == ["item", "tags@0", "is_new", "price"]

    def test_name_of_a_multi_valued_field_stands_for_its_columns(self, table):
        X, y = table
        fields = FinalMLPClassifier(**QUICK, categorical_features=["tags"]).fit(X, y).fields_
        assert fields[2] == Field("tags", "multi-valued", n_codes=6, n_columns=2)
        assert {field.kind for field in fields[:2] + fields[3:]} == {"numeric"}

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "uint64", "float32", "float64"])
    def test_codes_of_any_type(self, table, dtype):
        X, y = table
        X = X.assign(item=np.arange(len(X)) % 128)
        parameters = {**QUICK, "categorical_features": ["user", "item", "tags", "is_new"]}
        classifier = FinalMLPClassifier(**parameters).fit(X, y)
        other = X.astype({"item": dtype})
        assert np.array_equal(classifier.predict_proba(other), classifier.predict_proba(X))
        again = FinalMLPClassifier(**parameters).fit(other, y)
        assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))

    def test_codes_that_fill_their_type(self, table):
        X, y = table
        X = X.assign(item=(np.arange(len(X)) % 256).astype(np.uint8))
        assert FinalMLPClassifier(**QUICK).fit(X, y).fields_[1].n_codes == 257

    def test_codes_beyond_every_integer_are_unknown(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, categorical_features=["user", "item"]).fit(X, y)
        unknown = classifier.predict_proba(X.assign(item=10**6))
        assert np.array_equal(classifier.predict_proba(X.assign(item=1e20)), unknown)
        assert np.array_equal(classifier.predict_proba(X.assign(item=np.uint64(2**64 - 1))), unknown)

    def test_numbers_far_from_unit_scale_are_warned_about(self, table):
        X, y = table
        with pytest.warns(UserWarning, match=r"Numeric column 'price' has mean .* Standardise it"):
            FinalMLPClassifier(**QUICK).fit(X.assign(price=X["price"] * 1e5), y)

    def test_parameters_may_be_arrays(self, table):
        X, y = table
        lists = FinalMLPClassifier(**{**QUICK, "stream1": MLP([16, 8]), "fs1_context": ["user", "item"]})
        arrays = FinalMLPClassifier(
            **{**QUICK, "stream1": MLP(np.array([16, 8])), "fs1_context": pd.Index(["user", "item"])}
        )
        assert np.array_equal(lists.fit(X, y).predict_proba(X), arrays.fit(X, y).predict_proba(X))

    def test_columns_named_by_integers_can_be_contexts(self, table):
        X, y = table
        X = X[["user", "item", "price"]].set_axis([0, 1, 2], axis=1)
        classifier = FinalMLPClassifier(**QUICK, n_members=1, fs1_context=[0]).fit(X, y)
        assert classifier.network_.gate1.context_embedding.fields == [classifier.fields_[0]]

    def test_no_categorical_column(self, table):
        X, y = table
        fields = FinalMLPClassifier(**QUICK, categorical_features=None).fit(X, y).fields_
        assert [field.kind for field in fields] == ["numeric"] * 6

    def test_containers_do_not_matter(self, table, fitted):
        X, y = table
        nullable = X.astype({"user": "Int64", "item": "UInt8", "price": "Float64", "is_new": "boolean"})
        arrow = X.convert_dtypes(dtype_backend="pyarrow")
        expected = fitted.predict_proba(X)
        for other in (pl.from_pandas(X), nullable, arrow):
            assert np.array_equal(fitted.predict_proba(other), expected)
        again = FinalMLPClassifier(**QUICK).fit(pl.from_pandas(X[:1500]), pl.Series(y[:1500]))
        assert np.array_equal(again.predict_proba(X), expected)

    def test_int_and_integral_float_columns_give_the_same(self, table, fitted):
        X, y = table
        floats = X.astype(float)
        categorical = ["user", "item", "tags", "is_new"]
        again = FinalMLPClassifier(**QUICK, categorical_features=["user", "item", "is_new"])
        ints = FinalMLPClassifier(**QUICK, categorical_features=["user", "item", "is_new"])
        again.fit(floats[:1500], y[:1500]), ints.fit(X[:1500], y[:1500])
        assert np.array_equal(again.predict_proba(floats), ints.predict_proba(X))
        with pytest.raises(ValueError, match="names 'tags', but the table has the columns"):
            FinalMLPClassifier(**QUICK, categorical_features=categorical).fit(floats, y)

    def test_unseen_codes_are_all_the_same_unknown(self, table):
        X, y = table
        known = X["item"].between(1, 20) & (X["item"] != 7)
        classifier = FinalMLPClassifier(**QUICK).fit(X[known], y[known])
        rows = pd.concat([X[:1]] * 5, ignore_index=True).assign(item=[0, 7, 25, 10**9, 3])
        beyond, gap, larger, huge, seen = classifier.predict_proba(rows)[:, 1]
        assert beyond == gap == larger == huge != seen

    def test_integral_floats_alone_are_warned_about(self, table):
        X, y = table
        array = X[["user", "item"]].to_numpy(dtype=float)
        with pytest.warns(UserWarning, match="name them in categorical_features or use OrdinalEncoder"):
            FinalMLPClassifier(**QUICK).fit(array, y)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            FinalMLPClassifier(**QUICK, categorical_features=None).fit(array, y)
            FinalMLPClassifier(**QUICK, categorical_features=[0, 1]).fit(array, y)

    def test_codes_among_floats_are_warned_about(self, table):
        X, y = table
        array = X[["user", "price", "item"]].to_numpy(dtype=float)
        with pytest.warns(UserWarning, match=r"2 of 3 columns of floats contain only whole numbers \('x0', 'x2'\)"):
            FinalMLPClassifier(**QUICK).fit(array, y)
        with pytest.warns(UserWarning, match=r"1 of 2 columns of floats contain only whole numbers \('user'\)"):
            FinalMLPClassifier(**QUICK).fit(X.astype({"user": float}), y)
        for categorical_features in ([0, 2], None):
            FinalMLPClassifier(**QUICK, categorical_features=categorical_features).fit(array, y)

    def test_floats_that_can_be_no_codes_are_not_warned_about(self, table):
        X, y = table
        X = X.assign(constant=0.0, sign=np.sign(X["price"]), is_new=X["is_new"].astype(float))
        FinalMLPClassifier(**QUICK).fit(X, y)

    def test_columns_of_an_array_are_named_by_position(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, fs1_context=["x1"]).fit(X[["user", "item"]].to_numpy(), y)
        assert [field.name for field in classifier.fields_] == ["x0", "x1"]


class TestValidation:
    def test_validation_rows_decide_about_the_epoch(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**SMALL, n_iter_no_change=2)
        classifier.fit(X[:1500], y[:1500], X_val=X[1500:], y_val=y[1500:])
        record = classifier.history_[classifier.best_epoch_ - 1]
        assert log_loss(y[1500:], classifier.predict_proba(X[1500:])) == pytest.approx(record["valid_loss"], abs=1e-5)
        assert classifier.best_score_ == pytest.approx(-record["valid_loss"])
        assert classifier.n_iter_ == len(classifier.history_) == classifier.best_epoch_ + 2

    def test_validation_weights_count(self, table):
        X, y = table
        weight = np.where(y[1500:] == 1, 9.0, 1.0)
        classifier = FinalMLPClassifier(**QUICK).fit(
            X[:1500], y[:1500], X_val=X[1500:], y_val=y[1500:], sample_weight_val=weight
        )
        record = classifier.history_[classifier.best_epoch_ - 1]
        expected = log_loss(y[1500:], classifier.predict_proba(X[1500:]), sample_weight=weight)
        assert record["valid_loss"] == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("fraction", [0.001, 0.1, 0.999])
    def test_each_class_is_in_both_parts(self, table, fraction):
        X, y = table[0][:300], np.repeat(["a", "b", "c"], [2, 3, 295])
        classifier = FinalMLPClassifier(**QUICK, validation_fraction=fraction).fit(X, y)
        assert np.isfinite([record["valid_auc"] for record in classifier.history_]).all()

    def test_a_class_with_one_row_leaves_no_hold_out(self, table):
        X, y = table[0][:50], np.repeat(["a", "b"], [1, 49])
        with pytest.warns(UserWarning, match="'a' has a single row, so none is held out"):
            classifier = FinalMLPClassifier(**QUICK).fit(X, y)
        assert classifier.n_iter_ == 2
        assert classifier.best_score_ is None
        assert "valid_loss" not in classifier.history_[0]

    def test_without_early_stopping_nothing_is_held_out(self, table):
        classifier = FinalMLPClassifier(**QUICK, early_stopping=False).fit(*table)
        assert classifier.n_iter_ == classifier.best_epoch_ == 2
        assert "valid_loss" not in classifier.history_[0]


class TestWarmStart:
    def test_goes_on(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, warm_start=True, early_stopping=False).fit(X, y)
        before = classifier.history_[-1]["train_loss"]
        classifier.fit(X, y)
        assert [record["epoch"] for record in classifier.history_] == [1, 2, 3, 4]
        assert classifier.n_iter_ == classifier.best_epoch_ == 4
        assert classifier.history_[2]["train_loss"] < before

    def test_without_it_a_second_fit_begins_anew(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK).fit(X, y)
        first = classifier.predict_proba(X)
        assert np.array_equal(classifier.fit(X, y).predict_proba(X), first)

    def test_held_out_rows_stay_held_out(self, table):
        X, y = table
        parameters = {**QUICK, **PLAIN, "random_state": None}
        classifier = FinalMLPClassifier(**parameters, warm_start=True)
        classifier.fit(X, y)
        before = classifier.history_[classifier.best_epoch_ - 1]["valid_loss"]
        after = classifier.set_params(learning_rate=1e-30, max_epochs=1).fit(X, y).history_[-1]["valid_loss"]
        assert after == pytest.approx(before, abs=1e-6)

    def test_changed_parameters_of_the_network_are_an_error(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match=r"have changed since the first fit: \['embedding_dim'\]"):
            classifier.set_params(embedding_dim=3).fit(X, y)

    def test_other_classes_are_an_error(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match=r"classes of the first fit, \[0, 1\]; it has \[0, 3\]"):
            classifier.fit(X, y * 3)

    def test_fields_stay_those_of_the_first_fit(self, table):
        X, y = table
        classifier = FinalMLPClassifier(**QUICK, warm_start=True).fit(X, y)
        fields = classifier.fields_
        classifier.fit(X.assign(item=X["item"] + 25), y)
        assert classifier.fields_ == fields


class TestReproducibility:
    def test_same_seed_same_bits(self, table, fitted):
        X, y = table
        again = clone(fitted).fit(X[:1500], y[:1500])
        assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))

    def test_other_seed_other_bits(self, table, fitted):
        X, y = table
        other = clone(fitted).set_params(random_state=1).fit(X[:1500], y[:1500])
        assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))

    def test_concurrent_fits_and_predictions_do_not_disturb_each_other(self, table, fitted):
        X, y = table
        expected = fitted.predict_proba(X)
        with ThreadPoolExecutor(4) as pool:
            fits = [pool.submit(clone(fitted).fit, X[:1500], y[:1500]) for _ in range(4)]
            predictions = [pool.submit(fitted.predict_proba, X) for _ in range(8)]
        for prediction in predictions:
            assert np.array_equal(prediction.result(), expected)
        for fit in fits:
            assert np.array_equal(fit.result().predict_proba(X), expected)

    @pytest.mark.parametrize("random_state", [None, 0], ids=["no seed", "seed"])
    def test_the_caller_s_state_is_left_alone(self, table, random_state):
        X, y = table
        X_before, y_before = X.copy(), y.copy()
        torch_state, n_threads = torch.get_rng_state(), torch.get_num_threads()
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        FinalMLPClassifier(**QUICK | {"random_state": random_state}).fit(X, y).predict_proba(X)
        pd.testing.assert_frame_equal(X, X_before)
        assert np.array_equal(y, y_before)
        assert torch.equal(torch.get_rng_state(), torch_state)
        np.testing.assert_equal(np.random.get_state(legacy=False), numpy_state)  # noqa: NPY002
        assert torch.get_num_threads() == n_threads

    def test_random_state_instance_moves_on(self, table):
        X, y = table
        rng = np.random.RandomState(0)
        first, second = (FinalMLPClassifier(**QUICK | {"random_state": rng}).fit(X, y) for _ in range(2))
        assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))

    @pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 100])
    def test_probability_of_a_row_does_not_depend_on_the_others(self, table, wide, n_rows):
        X, _ = table
        some = np.random.default_rng(n_rows).choice(len(X), n_rows, replace=False)
        assert np.array_equal(wide.predict_proba(X.iloc[some]), wide.predict_proba(X)[some])


class TestPersistence:
    @pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_copies_predict_the_same_bits(self, table, fitted, copy_of):
        X, _ = table
        state = torch.get_rng_state()
        other = copy_of(fitted)
        assert np.array_equal(other.predict_proba(X), fitted.predict_proba(X))
        assert other.history_ == fitted.history_
        assert torch.equal(torch.get_rng_state(), state)

    def test_set_params_after_fit_does_not_change_the_network(self, table, fitted):
        X, _ = table
        changed = copy.deepcopy(fitted).set_params(stream1=MLP((7,)), num_heads=1)
        again = pickle.loads(pickle.dumps(changed))
        assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))

    def test_a_copy_can_be_trained_on(self, table, fitted):
        X, y = table
        again = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True, max_epochs=1).fit(X, y)
        assert again.n_iter_ == fitted.n_iter_ + 1

    def test_an_unfitted_one_is_picklable(self):
        with pytest.raises(NotFittedError):
            pickle.loads(pickle.dumps(FinalMLPClassifier())).predict([[1, 2]])

    def test_another_version_that_cannot_be_read_says_so(self, fitted, monkeypatch):
        monkeypatch.setattr("sk_finalmlp._description.__version__", "9.0")
        state = fitted.__getstate__()
        state["_served"]["network"]["gate3.weight"] = np.zeros(3)
        monkeypatch.undo()
        message = r"saved by version 9\.0 of sk_finalmlp, and version .* can't read it\. Install version 9\.0"
        with pytest.warns(InconsistentVersionWarning), pytest.raises(ValueError, match=message):
            FinalMLPClassifier().__setstate__(state)


@pytest.mark.parametrize("make", [lambda y: y, pd.Series, lambda y: pd.DataFrame({"y": y})])
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_nullable_labels_stay_what_they_are(make):
    X = np.arange(40).reshape(-1, 1) % 5
    for y in (pd.array(X[:, 0] > 2, "boolean"), pd.array(X[:, 0] % 2, "Int64")):
        classifier = FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0).fit(X, make(y))
        np.testing.assert_array_equal(classifier.classes_, np.unique(y.to_numpy()), strict=True)
