"""Model files without pickle: what they hold, and what happens to damaged and strange ones."""

import hashlib
import io
import json
import random
import zipfile

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier, ModelFileError
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.streams import CrossNet

RULES = [
    {},
    {"crosses": [("user", "item")], "min_frequency": 2, "statistics": [("user", "item"), "item"]},
    {"numeric_encoding": "bins", "n_hash_buckets": 50},
    {"numeric_encoding": "log", "max_categories": 20, "drop": slice(0, 1)},
    {"numeric_encoding": "standard", "statistics": None, "categorical": ["user"]},
]


@pytest.fixture(scope="module")
def clicks():
    X, y, _ = make_click_data(1500, random_state=0)
    return X, y


@pytest.fixture(scope="module")
def model(clicks):
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(*clicks)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "clicks.model"
    sk_finalmlp.save(model, path)
    return path


def test_predictions_are_equal_to_the_last_bit(clicks, model, saved):
    loaded = sk_finalmlp.load(saved)
    np.testing.assert_array_equal(loaded.predict_proba(clicks[0]), model.predict_proba(clicks[0]))
    pd.testing.assert_frame_equal(loaded[0].statistics_, model[0].statistics_)
    pd.testing.assert_frame_equal(loaded[0].feature_kinds_, model[0].feature_kinds_)
    assert loaded[1].history_ == model[1].history_


@pytest.mark.parametrize("rules", RULES)
def test_encoder_of_any_rule(clicks, tmp_path, rules):
    X, y = clicks
    X = X.assign(hour=X["time"].dt.tz_localize("Europe/Berlin"), day=X["time"].dt.date, seen=X["numeric_0"] > 0)
    encoder = CTREncoder(**rules).fit(X, y)
    sk_finalmlp.save(encoder, tmp_path / "encoder.model")
    loaded = sk_finalmlp.load(tmp_path / "encoder.model")
    pd.testing.assert_frame_equal(loaded.transform(X), encoder.transform(X))
    pd.testing.assert_frame_equal(
        loaded.inverse_transform(encoder.transform(X)), encoder.inverse_transform(encoder.transform(X))
    )
    assert repr(loaded) == repr(encoder)


@pytest.mark.parametrize(
    "classifier",
    [
        FinalMLPClassifier(fs1_context=["user"], class_weight={"no": 1.0, "yes": 2, "maybe": 1}),
        FinalMLPClassifier(n_members=1, device="cpu"),
        FinalMLPClassifier(stream2=CrossNet(n_layers=1), random_state=np.random.RandomState(0)),
    ],
)
def test_classifier_of_several_classes(clicks, tmp_path, classifier):
    X = CTREncoder().fit_transform(clicks[0])
    y = np.array(["no", "yes", "maybe"])[np.arange(len(X)) % 3]
    classifier = clone(classifier).set_params(max_epochs=1).fit(X, y)
    sk_finalmlp.save(classifier, tmp_path / "classifier.model")
    loaded = sk_finalmlp.load(tmp_path / "classifier.model")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_same_model_has_the_same_bytes(model, saved, tmp_path):
    sk_finalmlp.save(sk_finalmlp.load(saved), tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == saved.read_bytes()


def test_metadata_requests_stay(clicks, tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = FinalMLPClassifier(max_epochs=1).set_fit_request(X_val=True, y_val=True)
        model = Pipeline([("enc", CTREncoder()), ("clf", classifier)], transform_input=["X_val"])
        sk_finalmlp.save(model, tmp_path / "unfitted.model")
        loaded = sk_finalmlp.load(tmp_path / "unfitted.model")
        X, y = clicks
        loaded.fit(X[:1200], y[:1200], X_val=X[1200:], y_val=y[1200:])


def test_containers_that_were_asked_for_stay(clicks, tmp_path):
    encoder = CTREncoder(statistics=None).set_output(transform="polars").fit(*clicks)
    sk_finalmlp.save(encoder, tmp_path / "polars.model")
    loaded = sk_finalmlp.load(tmp_path / "polars.model")
    assert loaded.transform(clicks[0]).equals(encoder.transform(clicks[0]))


def test_paths_become_text(tmp_path):
    model = make_pipeline(CTREncoder(temp_folder=tmp_path), FinalMLPClassifier(checkpoint=tmp_path))
    sk_finalmlp.save(model, tmp_path / "paths.model")
    loaded = sk_finalmlp.load(tmp_path / "paths.model")
    assert loaded[0].temp_folder == loaded[1].checkpoint == str(tmp_path)


def test_frozen_encoder(clicks, tmp_path):
    frozen = FrozenEstimator(CTREncoder().fit(*clicks))
    sk_finalmlp.save(frozen, tmp_path / "frozen.model")
    loaded = sk_finalmlp.load(tmp_path / "frozen.model")
    pd.testing.assert_frame_equal(loaded.transform(clicks[0]), frozen.transform(clicks[0]))


def test_step_that_is_not_known_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"Pipeline\.steps\[1\]\[1\] is a LogisticRegression .*skops"):
        sk_finalmlp.save(make_pipeline(CTREncoder(), LogisticRegression()), tmp_path / "x.model")


def test_cache_of_pickles_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"Pipeline\.memory is a folder of pickles"):
        sk_finalmlp.save(make_pipeline(CTREncoder(), memory=str(tmp_path)), tmp_path / "x.model")


def test_subclass_is_not_known(tmp_path):
    class FinalMLPClassifier(sk_finalmlp.FinalMLPClassifier):
        pass

    with pytest.raises(TypeError, match="is a FinalMLPClassifier of"):
        sk_finalmlp.save(FinalMLPClassifier(), tmp_path / "x.model")


def test_function_as_a_parameter_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"CTREncoder\.categorical is <function .* which a model file can't hold"):
        sk_finalmlp.save(CTREncoder(categorical=lambda X: []), tmp_path / "x.model")
    assert not list(tmp_path.iterdir())


def test_interrupted_call_leaves_the_old_file(model, saved, monkeypatch):
    before = saved.read_bytes()

    def fail(file):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        sk_finalmlp.save(model[0], saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def mutations(contents, n_mutations):
    """Truncated and bit-flipped contents."""
    rng = random.Random(0)
    for i in range(n_mutations):
        if i % 2:
            yield contents[: rng.randrange(len(contents))]
        else:
            flipped = bytearray(contents)
            flipped[rng.randrange(len(contents))] ^= 1 << rng.randrange(8)
            yield bytes(flipped)


def test_damaged_files_give_one_error(clicks, tmp_path):
    path = tmp_path / "small.model"
    sk_finalmlp.save(CTREncoder(statistics=None).fit(clicks[0][:50]), path)
    for contents in mutations(path.read_bytes(), 300):
        path.write_bytes(contents)
        with pytest.raises(ModelFileError, match=r"small\.model"):
            sk_finalmlp.load(path)


def rewrite(path, change_tree=lambda tree: None, arrays=None):
    """Change a file and make its checksum right, as somebody would who wants to do harm."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    tree = json.loads(entries["model.json"])
    change_tree(tree)
    entries["model.json"] = json.dumps(tree).encode()
    if arrays is not None:
        entries["arrays.safetensors"] = safetensors.numpy.save(arrays)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, contents in entries.items():
            file.writestr(name, contents)
        file.comment = b"0" * 64
    contents = buffer.getvalue()[:-64]
    path.write_bytes(contents + hashlib.sha256(contents).hexdigest().encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.update(format=2), "it has format 2"),
        (lambda tree: tree.update(code="import os"), "a field 'code' isn't known"),
        (lambda tree: tree["model"].update(estimator="PCA"), "a class 'PCA' isn't known"),
        (lambda tree: tree["model"].update(estimator="os.system"), r"a class 'os\.system' isn't known"),
        (lambda tree: tree["model"]["state"].update(colour=1), "Pipeline has no 'colour'"),
        (lambda tree: tree["model"]["state"].update(memory="/tmp"), "Pipeline has no 'memory'"),
        (lambda tree: tree["model"]["state"].update(verbose={"call": "exit"}), "a field 'call' isn't known"),
        (lambda tree: tree["model"]["state"].update(verbose={"array": "none"}), "'none'"),
        (lambda tree: tree.pop("model"), "'model'"),
    ],
)
def test_what_is_not_known_is_an_error(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=message):
        sk_finalmlp.load(saved)


def test_field_of_a_part_that_is_not_known_is_an_error(saved):
    def add_field(tree):
        text = json.dumps(tree["model"]).replace('["$part", "Field"]', '["$part", "Field"], ["colour", 1]', 1)
        tree["model"] = json.loads(text)

    rewrite(saved, add_field)
    with pytest.raises(ModelFileError, match="colour"):
        sk_finalmlp.load(saved)


def test_missing_arrays_are_an_error(saved):
    rewrite(saved, arrays={})
    with pytest.raises(ModelFileError, match="can't be read as a model"):
        sk_finalmlp.load(saved)


def test_skops_reads_and_writes_models(clicks, model, tmp_path):
    io = pytest.importorskip("skops.io")
    io.dump(model, tmp_path / "model.skops")
    ours = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert {name.rpartition(".")[2] for name in ours} == {"CTREncoder", "FinalMLPClassifier", "MLP"}
    loaded = io.load(tmp_path / "model.skops", trusted=ours)
    np.testing.assert_array_equal(loaded.predict_proba(clicks[0]), model.predict_proba(clicks[0]))
