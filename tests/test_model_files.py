"""Model files without pickle: what they hold, and what happens to damaged and strange ones."""

import json
import pickle
import random
import re
import zipfile

import joblib
import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

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


def test_paths_and_devices_stay(tmp_path):
    encoder = make_pipeline(CTREncoder(), FinalMLPClassifier(checkpoint=tmp_path, device=torch.device("cpu")))
    sk_finalmlp.save(encoder, tmp_path / "x.model")
    read = sk_finalmlp.load(tmp_path / "x.model")[1]
    assert (read.checkpoint, read.device) == (tmp_path, torch.device("cpu"))


def test_frozen_encoder(clicks, tmp_path):
    frozen = FrozenEstimator(CTREncoder().fit(*clicks))
    sk_finalmlp.save(frozen, tmp_path / "frozen.model")
    loaded = sk_finalmlp.load(tmp_path / "frozen.model")
    pd.testing.assert_frame_equal(loaded.transform(clicks[0]), frozen.transform(clicks[0]))


def test_steps_of_scikit_learn(clicks, tmp_path):
    codes = CTREncoder(statistics=None).fit_transform(*clicks)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(codes, clicks[1])
    sk_finalmlp.save(model, tmp_path / "x.model")
    read = sk_finalmlp.load(tmp_path / "x.model")
    np.testing.assert_array_equal(read.predict_proba(codes), model.predict_proba(codes))


def test_cache_of_pickles_is_refused(tmp_path):
    model = make_pipeline(CTREncoder(), memory=str(tmp_path))
    with pytest.raises(ValueError, match="memory is a folder of pickles"):
        sk_finalmlp.save(model, tmp_path / "x.model")
    skops.io.dump(model, tmp_path / "x.model")
    with pytest.raises(ModelFileError, match="memory is a folder of pickles"):
        sk_finalmlp.load(tmp_path / "x.model")


def test_subclass_is_not_known(tmp_path):
    class FinalMLPClassifier(sk_finalmlp.FinalMLPClassifier):
        pass

    with pytest.raises(TypeError, match=r"test_model_files\.FinalMLPClassifier"):
        sk_finalmlp.save(FinalMLPClassifier(), tmp_path / "x.model")


def test_function_as_a_parameter_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"The CTREncoder holds objects of other types .*<lambda>"):
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


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_old_one(model, saved, full_disk):
    before = saved.read_bytes()
    with full_disk(), pytest.raises(OSError, match=r"nothing was changed: .*" + re.escape(str(saved))):
        sk_finalmlp.save(model, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_damaged_files_give_one_error_or_the_same_model(clicks, tmp_path):
    path = tmp_path / "small.model"
    encoder = CTREncoder(statistics=None).fit(clicks[0][:50])
    expected = encoder.transform(clicks[0])
    sk_finalmlp.save(encoder, path)
    n_errors = 0
    for contents in mutations(path.read_bytes(), 300):
        path.write_bytes(contents)
        try:
            assert sk_finalmlp.load(path).transform(clicks[0]).equals(expected)  # a date of the zip, for example
        except ModelFileError as error:
            assert "small.model" in str(error)  # noqa: PT017
            n_errors += 1
    assert n_errors > 270


def rewrite(path, change):
    """Change the schema of a file, as somebody would who wants to do harm."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(entries["schema.json"])
    change(schema)
    entries["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, contents in entries.items():
            file.writestr(name, contents)


def state_of_encoder(schema):
    """The attributes of the first step."""
    (step, *_) = schema["content"]["content"]["steps"]["content"]
    return step["content"][1]["content"]["content"]


def call(module, name):
    """A node that calls a function with a path, if it were trusted."""
    text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": '"x"', "is_json": True}
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [text]}
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": arguments,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda schema: schema.update(protocol=99, __loader__="LaterNode"), "might need to update skops"),
        (lambda schema: schema.update(__class__="PCA2"), "PCA2"),
        (lambda schema: schema.update(__class__="system", __module__="os"), r"os\.system"),
        (lambda schema: state_of_encoder(schema).update(drop=call("os", "system")), r"os\.system"),
        (
            lambda schema: state_of_encoder(schema).update(drop=call("sk_finalmlp.model_files", "replace_file")),
            "replace_file",
        ),
        (
            lambda schema: state_of_encoder(schema).update(drop=call("sk_finalmlp.preprocessing", "add_history")),
            "add_history",
        ),
        (lambda schema: schema.pop("content"), "can't be read as a model"),
    ],
)
def test_what_is_not_trusted_is_an_error(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=message):
        sk_finalmlp.load(saved)


@pytest.mark.parametrize(
    ("position", "name", "message"),
    [
        (0, "transform", "CTREncoder has an attribute 'transform' in place of its class's"),
        (1, "_parameter_constraints", "has an attribute '_parameter_constraints' in place"),
        (1, "_network_class", "can't be read as a model"),
    ],
)
def test_attributes_of_a_class_are_not_set_from_a_file(position, name, message, saved):
    def rename(schema):
        state = schema["content"]["content"]["steps"]["content"][position]["content"][1]["content"]["content"]
        state[name] = state.pop("n_features_in_")

    rewrite(saved, rename)
    with pytest.raises(ModelFileError, match=message):
        sk_finalmlp.load(saved)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(saved, monkeypatch):
    monkeypatch.setattr(sk_finalmlp.model_files, "_FREE_BYTES", 10**6)
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros.npy", bytes(25 * saved.stat().st_size))
    with pytest.raises(ModelFileError, match="20 times as much as the file or more"):
        sk_finalmlp.load(saved)


def _write_arrow(array, compression):
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([array], ["values"])
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
    return np.frombuffer(sink.getvalue(), np.uint8)


@pytest.mark.parametrize(
    ("array", "compression", "message"),
    [
        (pa.array(["a" * 10**6], pa.large_string()), "zstd", "An Arrow array in it is compressed"),
        (pa.array(["a" * 10**6], pa.large_string()), "lz4", "An Arrow array in it is compressed"),
        (pa.nulls(10**9), None, "1,000,000,000 values in"),
        (pa.RunEndEncodedArray.from_arrays([2**31 - 1], ["a"]), None, "There is no type 'run_end_encoded"),
    ],
)
def test_an_array_that_unpacks_to_a_large_one_is_refused(tmp_path, array, compression, message, monkeypatch):
    contents = _write_arrow(array, compression)
    monkeypatch.setattr("sk_finalmlp._description._arrow_bytes", lambda values: contents)
    sk_finalmlp.save(CTREncoder().fit(pd.DataFrame({"user": ["ann", "bob"] * 9})), tmp_path / "x.model")
    with pytest.raises(ModelFileError, match=message):
        sk_finalmlp.load(tmp_path / "x.model")


def test_part_that_is_not_known_is_an_error(saved):
    def rename(schema):
        text = json.dumps(schema).replace('\\"Field\\"', '\\"Fjord\\"')
        schema.update(json.loads(text))

    rewrite(saved, rename)
    with pytest.raises(ModelFileError, match="There is no part 'Fjord'"):
        sk_finalmlp.load(saved)


def test_random_state_that_is_none(tmp_path):
    """NumPy would read beyond the state in the next fit."""
    sk_finalmlp.save(FinalMLPClassifier(random_state=np.random.RandomState(0)), tmp_path / "x.model")

    def move(schema):
        state = schema["content"]["content"]["random_state"]["content"]["content"]["state"]["content"]
        state["pos"]["content"] = "2000000000"

    rewrite(tmp_path / "x.model", move)
    with pytest.raises(ModelFileError, match="random_state has the position 2000000000"):
        sk_finalmlp.load(tmp_path / "x.model")


def _pickle(path):
    path.write_bytes(pickle.dumps({"a": 1}))


def _compressed_pickle(path):
    joblib.dump({"a": 1}, path, compress=3)


def _onnx(path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    path.write_bytes(onnx.helper.make_model(graph, producer_name="sk_finalmlp").SerializeToString())


def _csv(path):
    path.write_text("user,item\nann,3\nZoë,4\n")


def _table(path):
    pd.DataFrame({"user": ["ann"]}).to_parquet(path)


def _of_torch(path):
    torch.save({"a": torch.ones(1)}, path)


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clicks.csv", "user,item\n")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\0\xff no model"), "of an unknown kind"),
        (_pickle, r"a pickle.*joblib\.load"),
        (_compressed_pickle, r"a pickle.*joblib\.load"),
        (_onnx, "an ONNX model.*make_predictor"),
        (_csv, "text, such as a CSV file"),
        (_table, "a Parquet file"),
        (_of_torch, r"a file of torch\.save"),
        (_zip, r"a zip archive of other files: \['clicks\.csv'\]"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, write, message):
    write(tmp_path / "x.model")
    with pytest.raises(ModelFileError, match=f"x.model' can't be read as a model: .* It is {message}"):
        sk_finalmlp.load(tmp_path / "x.model")


def test_arguments_of_save_that_are_swapped_and_a_folder_that_is_missing(model, tmp_path):
    with pytest.raises(TypeError, match=r"The model comes first, sk_finalmlp\.save\(model, path\), and it is a str"):
        sk_finalmlp.save(str(tmp_path / "x.model"), model)
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*models'. Make it first"):
        sk_finalmlp.save(model, tmp_path / "models" / "x.model")
    assert not list(tmp_path.iterdir())


def test_files_of_something_else(tmp_path):
    skops.io.dump([1, 2], tmp_path / "x.model")
    with pytest.raises(ModelFileError, match="It holds a list"):
        sk_finalmlp.load(tmp_path / "x.model")
    with pytest.raises(FileNotFoundError):
        sk_finalmlp.load(tmp_path / "none.model")


def test_file_of_a_later_version_is_named(clicks, saved, monkeypatch):
    def add(schema):
        text = json.dumps(schema).replace('\\"0.1.0\\"', '\\"9.0\\"').replace('\\"Field\\"', '\\"Fjord\\"')
        schema.update(json.loads(text))

    rewrite(saved, add)
    with pytest.warns(InconsistentVersionWarning), pytest.raises(ModelFileError, match=r"saved by version 9\.0"):
        sk_finalmlp.load(saved)


def test_skops_reads_and_writes_the_same_files(clicks, model, saved, tmp_path):
    ours = skops.io.get_untrusted_types(file=saved)
    assert {name.rpartition(".")[2] for name in ours} == {"CTREncoder", "FinalMLPClassifier", "MLP"}
    skops.io.dump(model, tmp_path / "model.skops")
    for loaded in (skops.io.load(saved, trusted=ours), sk_finalmlp.load(tmp_path / "model.skops")):
        np.testing.assert_array_equal(loaded.predict_proba(clicks[0]), model.predict_proba(clicks[0]))
