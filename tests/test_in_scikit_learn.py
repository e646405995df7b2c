"""The pipeline in scikit-learn's hands, on real impressions."""

import os
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import small_models
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

SMALL = small_models.SMALL | {
    "stream1": MLP((16,)),
    "stream2": MLP((16,)),
    "num_heads": 2,
    "max_epochs": 3,
    "batch_size": 200,
}


def pipeline(**parameters):
    return Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(**SMALL))]).set_params(**parameters)


@pytest.fixture(scope="module")
def fitted(movielens):
    X, _, y, _ = movielens
    return pipeline(clf__max_epochs=20).fit(X, y)


@pytest.fixture(scope="module")
def expected(movielens):
    """Probabilities of a pipeline as it is."""
    X, X_test, y, _ = movielens
    return pipeline().fit(X, y).predict_proba(X_test)


def test_pipeline_ranks_clicks_above_the_others(movielens, fitted):
    _, X, _, y = movielens
    assert roc_auc_score(y, fitted.predict_proba(X)[:, 1]) > 0.62
    assert fitted.score(X, y) > y.mean()


def test_fields_are_those_that_the_encoder_wrote(fitted):
    read = [(field.name, field.kind) for field in fitted["clf"].fields_]
    assert read == [(field.name, field.kind) for field in fitted["enc"].fields_]
    assert ("genres", "multi-valued") in read


def test_new_users_missing_values_and_lists_get_finite_probabilities(movielens, fitted):
    X = movielens[1][:50].copy()
    X["user"] = 10**6
    X["gender"] = None
    X["release_year"] = np.nan
    X["time"] = pd.NaT
    X["genres"] = [["Western", "Opera"], []] * 25
    assert np.isfinite(fitted.predict_proba(X)).all()


def test_polars_in_same_probabilities_out(movielens, fitted):
    X = movielens[1]
    assert np.array_equal(fitted.predict_proba(pl.from_pandas(X)), fitted.predict_proba(X))


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_output_configuration_does_not_change_the_model(movielens, expected, output):
    X, X_test, y, _ = movielens
    with config_context(transform_output=output):
        assert np.array_equal(pipeline().fit(X, y).predict_proba(X_test), expected)
    with_set_output = pipeline().set_output(transform=output).fit(X, y)
    assert np.array_equal(with_set_output.predict_proba(X_test), expected)


def test_grid_search_over_encoder_model_and_training_in_two_processes(movielens):
    X, _, y, _ = movielens
    grid = {"enc__min_frequency": [1, 5], "clf__num_heads": [1, 4], "clf__learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(pipeline(clf__max_epochs=1), grid, scoring="neg_log_loss", cv=2, n_jobs=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 8


def test_randomized_search(movielens):
    X, _, y, _ = movielens
    distributions = {
        "enc__max_categories": [50, 500, None],
        "clf__embedding_dim": [4, 10],
        "clf__stream1__dropout": [0, 0.3],
    }
    search = RandomizedSearchCV(pipeline(), distributions, n_iter=2, scoring="roc_auc", cv=2, random_state=0)
    assert search.fit(X, y).best_score_ > 0.5


def test_cross_validate_gives_the_same_in_processes_and_in_line(movielens):
    X, _, y, _ = movielens
    serial, parallel = (
        cross_validate(pipeline(), X, y, cv=2, scoring="roc_auc", n_jobs=n_jobs)["test_score"] for n_jobs in (1, 2)
    )
    # Workers have one torch thread each, which may round differently.
    assert serial == pytest.approx(parallel, abs=0.01)


def test_cross_val_predict(movielens):
    X, _, y, _ = movielens
    probabilities = cross_val_predict(pipeline(clf__max_epochs=10), X, y, cv=3, method="predict_proba")
    assert roc_auc_score(y, probabilities[:, 1]) > 0.58


def test_calibration(movielens):
    X, X_test, y, y_test = movielens
    calibrated = CalibratedClassifierCV(pipeline(clf__class_weight={False: 1, True: 9}), cv=2).fit(X, y)
    assert calibrated.predict_proba(X_test)[:, 1].mean() == pytest.approx(y_test.mean(), abs=0.05)


def test_column_transformer_in_front(movielens):
    X, X_test, y, _ = movielens
    transformer = ColumnTransformer(
        [
            ("frequent", CTREncoder(min_frequency=10, statistics=None), ["user", "item"]),
            ("other", CTREncoder(statistics=None), ["age", "genres"]),
        ],
        verbose_feature_names_out=False,
    )
    model = make_pipeline(transformer.set_output(transform="pandas"), FinalMLPClassifier(**SMALL)).fit(X, y)
    assert [field.kind for field in model[-1].fields_] == ["categorical"] * 3 + ["multi-valued"]
    assert np.isfinite(model.predict_proba(X_test)).all()


def test_codes_of_ordinal_encoder(movielens):
    X, X_test, y, _ = movielens
    columns = ["user", "item", "occupation"]
    encoder = OrdinalEncoder(dtype=int, handle_unknown="use_encoded_value", unknown_value=1682)
    model = make_pipeline(encoder, FinalMLPClassifier(**SMALL)).fit(X[columns], y)
    assert [field.kind for field in model[-1].fields_] == ["categorical"] * 3
    assert np.isfinite(model.predict_proba(X_test[columns])).all()


def test_voting(movielens):
    X, X_test, y, y_test = movielens
    linear = make_pipeline(
        ColumnTransformer([("onehot", OneHotEncoder(handle_unknown="ignore"), ["user", "item"])]), LogisticRegression()
    )
    dual = make_pipeline(
        CTREncoder(), FinalMLPClassifier(fusion="sum", stream1=MLP((16,)), stream2=MLP((16,)), max_epochs=3)
    )
    votes = VotingClassifier([("final", pipeline()), ("dual", dual), ("linear", linear)], voting="soft").fit(X, y)
    assert roc_auc_score(y_test, votes.predict_proba(X_test)[:, 1]) > 0.65


def test_clone_has_the_parameters_and_nothing_learned(fitted):
    copy = clone(fitted)
    assert repr(copy["clf"].get_params()) == repr(fitted["clf"].get_params())
    assert not hasattr(copy["clf"], "network_")


def test_pipeline_memory(movielens, expected, tmp_path):
    X, X_test, y, _ = movielens
    for _ in range(2):
        cached = pipeline(memory=str(tmp_path)).fit(X, y)
        assert np.array_equal(cached.predict_proba(X_test), expected)
    assert list(tmp_path.rglob("output.pkl"))


def test_pipeline_transforms_validation_rows(movielens):
    X, X_test, y, y_test = movielens
    with config_context(enable_metadata_routing=True):
        classifier = FinalMLPClassifier(**SMALL).set_fit_request(X_val=True, y_val=True)
        model = Pipeline([("enc", CTREncoder()), ("clf", classifier)], transform_input=["X_val"])
        model.fit(X, y, X_val=X_test, y_val=y_test)
    encoder = CTREncoder()
    codes = encoder.fit_transform(X, y)
    expected = FinalMLPClassifier(**SMALL).fit(codes, y, X_val=encoder.transform(X_test), y_val=y_test)
    assert np.array_equal(model.predict_proba(X_test), expected.predict_proba(encoder.transform(X_test)))


def test_sample_weight_is_routed(movielens):
    X, X_test, y, _ = movielens
    weight = np.where(y, 9.0, 1.0)
    by_step = pipeline().fit(X, y, clf__sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        model = pipeline()
        model["clf"].set_fit_request(sample_weight=True)
        model["enc"].set_fit_request(sample_weight=False)
        routed = model.fit(X, y, sample_weight=weight)
        scorers = {
            "weighted": get_scorer("neg_log_loss").set_score_request(sample_weight=True),
            "unweighted": get_scorer("neg_log_loss").set_score_request(sample_weight=False),
        }
        scores = cross_validate(model, X, y, cv=2, scoring=scorers, params={"sample_weight": weight})
    assert np.array_equal(routed.predict_proba(X_test), by_step.predict_proba(X_test))
    assert routed.predict_proba(X_test)[:, 1].mean() > y.mean() + 0.1
    assert (scores["test_weighted"] > scores["test_unweighted"]).all()


def test_permutation_importance_finds_the_item(movielens, fitted):
    _, X, _, y = movielens
    importances = permutation_importance(fitted, X, y, scoring="roc_auc", n_repeats=2, random_state=0)
    assert X.columns[importances.importances_mean.argmax()] in ("item", "user")


def test_joblib_in_a_fresh_process(movielens, fitted, tmp_path):
    _, X, _, _ = movielens
    joblib.dump(fitted, tmp_path / "model.joblib")
    X.to_pickle(tmp_path / "X.pkl")
    program = f"""
        import joblib, numpy as np, pandas as pd
        model = joblib.load({str(tmp_path / "model.joblib")!r})
        np.save({str(tmp_path / "p.npy")!r}, model.predict_proba(pd.read_pickle({str(tmp_path / "X.pkl")!r})))
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(program)], check=True)
    assert np.array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(X))


def test_array_api_dispatch():
    program = """
        import numpy as np, sklearn
        from sk_finalmlp import FinalMLPClassifier
        X = np.random.default_rng(0).integers(0, 6, size=(200, 2))
        classifier = FinalMLPClassifier(max_epochs=1, random_state=0)
        for n_classes in (2, 3):
            y = X[:, 0] % n_classes
            plain = classifier.fit(X, y).predict_proba(X)
            with sklearn.config_context(array_api_dispatch=True):
                assert np.array_equal(classifier.fit(X, y).predict_proba(X), plain)
    """
    # SciPy reads it when it is imported.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, env=environment)


def test_memory_mapped_model_predicts_the_same(movielens, fitted, tmp_path):
    _, X, _, _ = movielens
    joblib.dump(fitted, tmp_path / "model.joblib")
    assert np.array_equal(
        joblib.load(tmp_path / "model.joblib", mmap_mode="r").predict_proba(X), fitted.predict_proba(X)
    )
