"""Classifiers train on rows on disk as on the same rows in memory."""

import gc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from sklearn import config_context
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.streams import MLP

SMALL = {
    "n_members": 1,
    "stream1": MLP((8,)),
    "stream2": MLP((8,)),
    "fs_hidden_units": (4,),
    "embedding_dim": 4,
    "max_epochs": 2,
    "batch_size": 100,
    "random_state": 0,
}


def make_model(encoder=None, **parameters):
    encoder = {"drop": "weight", "statistics": ["item"], **(encoder or {})}
    return Pipeline([("enc", CTREncoder(**encoder)), ("clf", FinalMLPClassifier(**{**SMALL, **parameters}))])


@pytest.fixture
def encoded(folder):
    return CTREncoder(statistics=["item"]).fit_transform(folder, "click", "weight")


def test_a_pipeline_fits_and_predicts_rows_in_files(clicks, folder, temp_folder):
    model = make_model({"temp_folder": temp_folder}).fit(ds.dataset(folder), "click")
    X = clicks.drop(columns="click")
    probability = model.predict_proba(ds.dataset(folder))
    np.testing.assert_allclose(probability, model.predict_proba(X), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(folder), model.predict(X))
    np.testing.assert_allclose(model.predict_proba(pl.from_pandas(X).lazy()), probability, rtol=1e-5)
    assert model.predict_proba(ds.dataset(folder).to_table().to_reader()).shape == (len(X), 2)


def test_it_scores_rows_in_files(clicks, folder):
    model = make_model().fit(folder, "click")
    X, y = clicks.drop(columns="click"), clicks["click"]
    assert model.score(folder, "click") == pytest.approx(model.score(X, y))
    weighted = model[-1].score(model[:-1].transform(folder), "click", "weight")
    assert weighted == pytest.approx(model[-1].score(model[:-1].transform(X), y, clicks["weight"]))
    with pytest.raises(ValueError, match="X has no column 'clicked'"):
        model.score(folder, "clicked")


def test_it_learns_as_much_as_in_memory(clicks, folder):
    X, y = clicks.drop(columns="click"), clicks["click"]
    options = {"max_epochs": 4, "learning_rate": 0.01}
    on_disk, in_memory = make_model(**options).fit(folder, "click"), make_model(**options).fit(X, y)
    assert on_disk[-1].fields_ == in_memory[-1].fields_
    assert on_disk[-1].best_score_ == pytest.approx(in_memory[-1].best_score_, abs=0.02)
    losses = [log_loss(y, model.predict_proba(X)) for model in (on_disk, in_memory)]
    assert losses[0] == pytest.approx(losses[1], abs=0.03)
    assert losses[0] < log_loss(y, np.full(len(y), y.mean())) - 0.03


def test_the_same_seed_gives_the_same_bits(folder):
    first, second = (make_model().fit(folder, "click").predict_proba(folder) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_files_in_the_order_of_the_labels_are_no_harm(clicks, tmp_path, write_folder):
    by_label = write_folder(clicks.sort_values("click"), tmp_path / "sorted")
    model = make_model().fit(by_label, "click")
    shuffled = make_model().fit(write_folder(clicks.sample(frac=1, random_state=0), tmp_path / "shuffled"), "click")
    assert model[-1].best_score_ == pytest.approx(shuffled[-1].best_score_, abs=0.05)


def test_weights_of_rows_and_classes(clicks, folder):
    X, y, weight = clicks.drop(columns=["click", "weight"]), clicks["click"], clicks["weight"]
    encoder, classifier = CTREncoder(statistics=None), FinalMLPClassifier(**SMALL, class_weight="balanced")
    model = Pipeline([("enc", encoder), ("clf", classifier)])
    model.fit(folder, "click", enc__sample_weight="weight", clf__sample_weight="weight")
    in_memory = FinalMLPClassifier(**SMALL, class_weight="balanced").fit(
        CTREncoder(statistics=None).fit_transform(X, y, weight), y, weight
    )
    assert model[-1].history_[0]["valid_loss"] == pytest.approx(in_memory.history_[0]["valid_loss"], abs=0.05)
    mean = np.average(model.predict_proba(folder)[:, 1], weights=weight)
    assert mean == pytest.approx(
        np.average(in_memory.predict_proba(encoder.transform(X))[:, 1], weights=weight), abs=0.05
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"negative_sampling": 0.5},
        {"negatives_kept": 0.2},
        {"early_stopping": False},
        {"schedule": "plateau", "scoring": "roc_auc", "final_epoch": False},
        {"hold_out": "random", "validation_fraction": 0.05},
    ],
)
def test_parameters_of_the_training(parameters, clicks, folder):
    X, y = clicks.drop(columns="click"), clicks["click"]
    on_disk, in_memory = make_model(**parameters).fit(folder, "click"), make_model(**parameters).fit(X, y)
    assert on_disk[-1].history_[0].keys() == in_memory[-1].history_[0].keys()
    means = [model.predict_proba(X)[:, 1].mean() for model in (on_disk, in_memory)]
    assert means[0] == pytest.approx(means[1], abs=0.05)


def test_three_classes_and_words_as_labels(clicks, tmp_path, write_folder):
    y = np.select([clicks["click"] == 1, clicks["item"] % 2 == 0], ["click", "look"], "nothing")
    folder = write_folder(clicks.assign(click=y), tmp_path / "words")
    model = make_model().fit(folder, "click")
    assert model.classes_.tolist() == ["click", "look", "nothing"]
    assert set(model.predict(folder)) <= set(model.classes_)
    assert model.predict_proba(folder).shape == (len(y), 3)


def test_a_class_of_one_row_is_not_held_out(clicks, tmp_path, write_folder):
    y = clicks["click"].where(clicks.index != 5, 2)
    folder = write_folder(clicks.assign(click=y), tmp_path / "rare")
    with pytest.warns(UserWarning, match="The class 2 has a single row"):
        make_model().fit(folder, "click")


def test_the_last_rows_are_held_out(folder, clicks):
    X, y = clicks.drop(columns="click"), clicks["click"]
    encoder = {"hold_out": "last", "validation_fraction": 0.2}
    on_disk = make_model(encoder, validation_fraction=0.2).fit(folder, "click")
    in_memory = make_model(encoder, validation_fraction=0.2).fit(X, y)
    assert on_disk[-1].best_score_ == pytest.approx(in_memory[-1].best_score_, abs=0.03)


def test_going_on_from_the_last_fit(encoded):
    classifier = FinalMLPClassifier(
        fusion="sum", n_members=1, stream1=MLP((8,)), stream2=MLP((8,)), max_epochs=1, warm_start=True, random_state=0
    )
    classifier.fit(encoded, "click", "weight").fit(encoded, "click", "weight")
    assert [record["epoch"] for record in classifier.history_] == [1, 2]


@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        (
            lambda X: FinalMLPClassifier().fit(X, "clicked"),
            ValueError,
            r"y='clicked', but CTREncoder was given y='click'",
        ),
        (lambda X: FinalMLPClassifier().fit(X, "click", "w"), ValueError, r"sample_weight='w', but .*'weight'"),
        (lambda X: FinalMLPClassifier().fit(X, [0, 1]), TypeError, r"y must be the name of a column, not list"),
        (lambda X: FinalMLPClassifier().fit(X, None), ValueError, r"requires y to be passed"),
        (
            lambda X: FinalMLPClassifier(categorical_features=["user"]).fit(X, "click"),
            ValueError,
            r"Leave it at 'auto'",
        ),
        (
            lambda X: FinalMLPClassifier().fit(X, "click", X_val=X, y_val="click"),
            TypeError,
            r"validation rows are a table in memory\. Read them",
        ),
        (
            lambda X: FinalMLPClassifier(validation_fraction=0.3).fit(X, "click"),
            ValueError,
            r"Set CTREncoder\(validation_fraction=0\.3\) too",
        ),
        (
            lambda X: GridSearchCV(FinalMLPClassifier(), {"num_heads": [1, 2]}).fit(X, "click"),
            TypeError,
            r"Search on a sample of whole users or whole days",
        ),
    ],
)
def test_what_rows_on_disk_can_not_do(fit, error, message, encoded):
    with pytest.raises(error, match=message):
        fit(encoded)


def test_validation_rows_of_the_user_stop_the_training(clicks, folder):
    X, y = clicks.drop(columns="click").iloc[:100], clicks["click"].iloc[:100]
    model = make_model(max_epochs=1, final_epoch=True)
    model.set_params(transform_input=["X_val"])
    with config_context(enable_metadata_routing=True):
        model[-1].set_fit_request(X_val=True, y_val=True)
        model.fit(folder, "click", X_val=X, y_val=y)
    assert model[-1].best_score_ == pytest.approx(-log_loss(y, model.predict_proba(X)), rel=1e-5)


def test_continuous_labels(folder):
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_model({"statistics": None}).fit(folder, "price")


def test_without_labels(folder):
    encoded = CTREncoder().fit_transform(folder)
    with pytest.raises(ValueError, match="fitted without y"):
        FinalMLPClassifier().fit(encoded, "click")


def test_nothing_stays_on_disk_after_an_error_or_an_interrupt(clicks, temp_folder, monkeypatch):
    reads = []

    def frames():
        yield clicks[:1000]
        reads.append(1)
        if len(reads) == 2:
            raise KeyboardInterrupt
        yield clicks[1000:]

    encoder = CTREncoder(drop="weight", temp_folder=temp_folder)
    with pytest.raises(KeyboardInterrupt):
        encoder.fit(frames, "click")
    assert not list(temp_folder.iterdir())
    encoded = CTREncoder(drop="weight", temp_folder=temp_folder).fit_transform(frames, "click")
    monkeypatch.setattr("sk_finalmlp.training.train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FinalMLPClassifier().fit(encoded, "click")
    assert list(temp_folder.iterdir()) == [encoded.folder.path]
    del encoded
    gc.collect()


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_full_disk_is_named_before_the_work_begins(folder, temp_folder, monkeypatch):
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"take about .* has 0\.0 GB left\. Make space, or name a folder"):
        CTREncoder(temp_folder=temp_folder).fit(folder, "click")


def test_a_disk_that_is_full_in_the_end(folder, temp_folder, monkeypatch):
    def append(array, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sk_finalmlp._sources.StoredArray.append", append)
    with pytest.raises(OSError, match=r"The disk of .*temporary is full\. Make space"):
        CTREncoder(temp_folder=temp_folder).fit(folder, "click")


def test_a_fitted_model_can_be_pickled_and_knows_new_rows(folder, clicks, tmp_path):
    import joblib

    model = make_model().fit(folder, "click")
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    X = clicks.drop(columns="click").assign(user=pd.Series(["new"] * len(clicks)))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_callbacks_are_given_labels_and_weights(folder):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")
    encoded = CTREncoder(statistics=None).fit_transform(folder, "click", "weight")
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    classifier = FinalMLPClassifier(**SMALL).set_callbacks(monitor).fit(encoded, "click", "weight")
    plain = FinalMLPClassifier(**SMALL).fit(encoded, "click", "weight")
    rows = next(encoded.batches())
    assert (classifier.predict_proba(rows) == plain.predict_proba(rows)).all()


def test_a_frame_whose_labels_are_named_is_like_its_file(tmp_path):
    X, y, _ = make_click_data(1500, random_state=0)
    X = X.assign(click=y, weight=np.linspace(0.5, 1, len(X)))
    X.to_parquet(tmp_path / "rows.parquet")
    predicted = []
    for rows in (X, tmp_path / "rows.parquet"):
        model = Pipeline(
            [("enc", CTREncoder()), ("clf", FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0))]
        )
        model.fit(rows, "click", enc__sample_weight="weight", clf__sample_weight="weight")
        predicted += [model.predict_proba(rows) for rows in (X, X.drop(columns=["click", "weight"]), rows)]
    for other in predicted[1:]:
        np.testing.assert_array_equal(other, predicted[0])
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- more"):
        model.predict_proba(X.assign(more=1))
