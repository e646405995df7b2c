"""Exported graphs answer as the pipeline does, or are refused with a reason."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from drifting import log
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, streams
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.nn import StreamChain
from sk_finalmlp.serving import make_predictor, to_onnx
from sk_finalmlp.serving._export import export
from sk_finalmlp.serving._to_onnx import make_session

N_ROWS = 1200


@pytest.fixture(scope="module")
def table():
    """A column of every kind that there is."""
    X, y, _ = make_click_data(N_ROWS, n_users=100, n_items=40, random_state=0)
    rng = np.random.default_rng(0)
    many = rng.integers(-3, 20, N_ROWS)
    X = X.assign(
        id=many,
        id_with_gaps=pd.array(np.where(many > 0, many, 5), "Int64"),
        flag=many > 4,
        half=many / 2,
        whole=rng.integers(0, 10**9, N_ROWS),
        skewed=np.exp(rng.normal(size=N_ROWS) * 5),
        constant=1.5,
        nothing=np.nan,
        wait=pd.to_timedelta(many, unit="s"),
        date=X["time"].dt.date,
        utc=X["time"].dt.tz_localize("UTC"),
        fixed=X["time"].dt.tz_localize("+05:30"),
        genres=[f"a{i % 5}|b{i % 3} | c" if i % 7 else "" for i in many],
        codes=[[int(i) % 4, 2] if i % 5 else None for i in many],
    )
    X.loc[::7, ["user", "half", "numeric_0", "time", "genres"]] = None
    X.loc[::11, "numeric_1"] = np.inf
    X.loc[::13, "id_with_gaps"] = pd.NA
    return X, y


@pytest.fixture(scope="module")
def encoded(table):
    X, y = table
    return CTREncoder().fit_transform(X[["user", "item", "numeric_0", "tags"]], y), y


def tensors(exported, X):
    return {column.name: column.tensor(X[column.name].tolist()) for column in exported.inputs}


def run(exported, feed):
    session = onnxruntime.InferenceSession(exported.model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"numeric_encoding": "standard", "min_frequency": 5},
        {"numeric_encoding": "bins", "crosses": [("user", "item"), ("time_hour", "half", "flag")]},
        {"numeric_encoding": "bins", "n_bins": 200, "statistics": ["id", ("user", "id"), ("tags", "item")]},
        {"numeric_encoding": "log", "max_categories": 5, "drop": ["nothing", "tags"]},
        {"categorical": ["half", "time"], "multi_valued": ["user"], "max_length": 2},
        {"datetime_parts": ["day", "month", "weekday", "elapsed"]},
    ],
)
@pytest.mark.filterwarnings("ignore:Most rows hold parts of dates that fit didn't see")
def test_encoder(table, rules):
    X, y = table
    encoder = CTREncoder(categorical=["half"]).set_params(**rules).fit(X, y)
    exported = export(encoder)
    shifted = X.assign(time=X["time"] - pd.Timedelta("20500D"), whole=X["whole"] * 3, user=X["user"].where(X["flag"]))
    for rows in (X, shifted):
        encoded = encoder.transform(rows)
        outputs = run(exported, tensors(exported, rows))
        assert list(outputs) == [f"{name}:encoded" for name in encoded.columns]
        for name, column in encoded.items():
            output = outputs[f"{name}:encoded"]
            assert output.dtype == column.dtype
            np.testing.assert_allclose(output[:, 0], column, atol=1e-6, rtol=0, err_msg=str(name))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_memory_grows_with_the_codes_of_a_long_list():
    lists = [["b"], ["a", "b", "c"], []] * 300
    lists[7] = [f"t{i}" for i in range(300)]
    X = pd.DataFrame({"tags": lists})
    encoder = CTREncoder().fit(X)
    exported = export(encoder)
    session = make_session(exported.model.SerializeToString())
    before = resident()
    outputs = session.run(None, tensors(exported, X))
    # The session keeps what it has needed. Elements against columns would be 650 MB.
    assert resident() < before + 100 * 2**20
    np.testing.assert_array_equal(np.hstack(outputs), encoder.transform(X))


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_statistics_of_recent_rows():
    X, y = log()
    encoder = CTREncoder().fit(X, y)
    exported = export(encoder)
    outputs = run(exported, tensors(exported, X))
    assert "item@recent_count:encoded" in outputs
    for name, column in encoder.transform(X).items():
        np.testing.assert_allclose(outputs[f"{name}:encoded"][:, 0], column, atol=1e-6, rtol=0, err_msg=str(name))


@pytest.mark.parametrize(
    "classifier",
    [
        FinalMLPClassifier(),
        FinalMLPClassifier(fs1_context=["user", "tags"], fs2_context=["numeric_0"], n_members=1, num_heads=4),
        FinalMLPClassifier(
            stream1=streams.MLP(batch_norm=False),
            stream_embeddings="own",
            stream_fields=(["user", "item", "tags"], "auto"),
        ),
        FinalMLPClassifier(fusion="sum", feature_selection=False, n_members=2, stream_loss=0.1),
        FinalMLPClassifier(fusion="concat", linear_term=True, n_members=1),
        FinalMLPClassifier(fusion="product", feature_selection="stream2", n_members=1),
        FinalMLPClassifier(stream2=None, n_members=1),
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_pipeline(table, classifier, n_classes, tmp_path):
    X, y = table
    y = y if n_classes == 2 else np.array(["buy", "click", "none"])[np.arange(N_ROWS) % 3]
    X = X[["user", "item", "numeric_0", "tags", "time"]]
    model = make_pipeline(CTREncoder(), classifier.set_params(max_epochs=1, random_state=0)).fit(X, y)
    to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    feed = tensors(export(model), X)
    labels, probabilities = session.run(["label", "probabilities"], feed)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(labels, model.predict(X))
    for n_rows in (1, 3):
        few = session.run(["probabilities"], {name: tensor[:n_rows] for name, tensor in feed.items()})[0]
        np.testing.assert_allclose(few, probabilities[:n_rows], atol=1e-6)


@pytest.mark.parametrize(
    "classifier",
    [
        FinalMLPClassifier(stream_embeddings="own"),
        FinalMLPClassifier(stream_embeddings="own", stream_fields=(["user@rate"], ["item@rate", "user@count"])),
    ],
)
def test_member_of_statistics_alone(table, classifier, tmp_path):
    X, y = table
    encoder = CTREncoder(statistics=["user", "item"])
    model = make_pipeline(encoder, classifier.set_params(n_members=3, max_epochs=1, random_state=0))
    to_onnx(model.fit(X[["user", "item"]], y), tmp_path / "model.onnx")


@pytest.mark.parametrize("linear_term", [False, True])
def test_classifier_of_statistics_alone(table, linear_term, tmp_path):
    X, y = table
    X = CTREncoder(statistics=["user", "item"]).fit_transform(X[["user", "item"]], y).filter(like="@rate")
    classifier = FinalMLPClassifier(linear_term=linear_term, n_members=1, max_epochs=1, random_state=0).fit(X, y)
    to_onnx(classifier, tmp_path / "classifier.onnx")


def test_classifier_alone(encoded, tmp_path):
    X, y = encoded
    classifier = FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0).fit(X, y)
    to_onnx(classifier, tmp_path / "classifier.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "classifier.onnx", providers=["CPUExecutionProvider"])
    feed = {name: column.to_numpy().reshape(-1, 1) for name, column in X.items()}
    np.testing.assert_allclose(session.run(["probabilities"], feed)[0], classifier.predict_proba(X), atol=1e-6)


@pytest.fixture
def rare(encoded):
    """A classifier of clicks that are rare, whose probabilities are about 2e-6."""
    X, y = encoded
    classifier = FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0).fit(X, y)
    classifier.network_.shift_logits(torch.tensor([-13.0]))
    return classifier


def test_probabilities_of_rare_clicks(encoded, rare):
    X, _ = encoded
    expected = rare.predict_proba(X)
    assert expected[:, 1].max() < 1e-4
    outputs = run(export(rare), {name: column.to_numpy().reshape(-1, 1) for name, column in X.items()})
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5)


def test_check_sees_a_relative_error_of_rare_clicks(rare, tmp_path, monkeypatch):
    # By its own operator, onnxruntime is off by some percent.
    monkeypatch.setattr("sk_finalmlp.serving._export.sigmoid", lambda x: x.graph.node("Sigmoid", x))
    with pytest.raises(RuntimeError, match=r"differ in a probability by .* times its value"):
        to_onnx(rare, tmp_path / "model.onnx")


def test_check_sees_a_wrong_label(rare, tmp_path, monkeypatch):
    monkeypatch.setattr("sk_finalmlp.serving._export.exportable", lambda classes: np.array([1, 0]))
    with pytest.raises(RuntimeError, match="differ in a label"):
        to_onnx(rare, tmp_path / "model.onnx")


def test_negative_and_large_codes_are_unknown(encoded):
    X, y = encoded
    classifier = FinalMLPClassifier(max_epochs=1, n_members=1, random_state=0).fit(X, y)
    exported = export(classifier)
    feeds = [{name: column.to_numpy()[:3].reshape(-1, 1) for name, column in X.items()} for _ in range(3)]
    for feed, code in zip(feeds, (-1, 10**9, 2**63 - 1), strict=True):
        feed["item"] = np.full((3, 1), code)
    negative, beyond, largest = (run(exported, feed)["probabilities"] for feed in feeds)
    np.testing.assert_array_equal(negative, beyond)
    np.testing.assert_array_equal(largest, beyond)


def test_table_without_names(tmp_path):
    X = np.array([["ann", 1.5], ["bob", 2.5], [None, np.nan]] * 20, dtype=object)
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1)).fit(X, [0, 1, 1] * 20)
    to_onnx(model, tmp_path / "model.onnx")
    predict = make_predictor(tmp_path / "model.onnx")
    rows = [{"x0": user, "x1": price} for user, price in X]
    np.testing.assert_allclose(predict(rows), model.predict_proba(X), atol=1e-6)


def test_versions_are_as_stated(table, tmp_path):
    to_onnx(CTREncoder().fit(*table), tmp_path / "encoder.onnx")
    model = onnx.load(tmp_path / "encoder.onnx")
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 20, "ai.onnx.ml": 4}
    assert model.ir_version == 9


def test_frozen_encoder(table, tmp_path):
    X, y = table
    encoder = FrozenEstimator(CTREncoder().fit(X[["user"]][:500], y[:500]))
    model = make_pipeline(encoder, FinalMLPClassifier(max_epochs=1)).fit(X[["user"]][500:900], y[500:900])
    to_onnx(model, tmp_path / "model.onnx")


def test_difference_is_an_error_and_writes_nothing(table, tmp_path, monkeypatch):
    X, y = table
    encoder = CTREncoder().fit(X[["numeric_0"]], y)
    monkeypatch.setattr(
        "sk_finalmlp.serving._encoder.count_below", lambda values, knots, or_equal: values.graph.constant([[1]])
    )
    with pytest.raises(RuntimeError, match=r"differ in column 'numeric_0' by .* on the row \{'numeric_0'"):
        to_onnx(encoder, tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


def repeated(*values):
    return pd.DataFrame({"column": list(values) * 10})


@pytest.mark.parametrize(
    ("X", "rules", "message"),
    [
        (repeated("a", "b"), {"n_hash_buckets": 5}, "hashed .* Fit with `max_categories`"),
        (repeated("a", ""), {}, "empty strings"),
        (repeated("1", "2"), {"numeric": ["column"]}, "numbers as text.*to_numeric"),
        (repeated(2**63, 1), {}, "uint64 as categories.*astype"),
        (repeated(pd.Timedelta("1s"), pd.Timedelta("2s")), {"categorical": ["column"]}, "duration"),
        (
            repeated(*pd.to_datetime(["2024-01-01", "2024-07-01"])),
            {"numeric": ["column"]},
            "times .* taken as a number",
        ),
        (
            repeated(*pd.to_datetime(["2024-01-01", "2024-07-01"]).tz_localize("Europe/Berlin")),
            {},
            r"Europe/Berlin.*tz_localize\(None\)",
        ),
        (
            repeated(*pd.to_datetime(["2024-01-01", "2024-07-01"]).tz_localize("Asia/Kolkata")),
            {},
            r"only zones of a fixed offset go into a graph.*tz_convert\('\+05:30'\)",
        ),
        (repeated(["a|b"], ["c"]), {}, r"'a\|b' contains '\|'"),
        (repeated([True], [False]), {}, "elements are bool.*strings"),
        (repeated(-(2**63), 5), {}, "stands for a missing value"),
        (repeated("a", "b").set_axis(["label"], axis=1), {}, "can't be called 'label'.*rename"),
    ],
)
def test_what_onnx_can_not_do_is_refused(X, rules, message, tmp_path):
    encoder = CTREncoder(**rules).fit(X)
    with pytest.raises(ValueError, match=f"(?s)olumn .*{message}"):
        to_onnx(encoder, tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


def test_hashed_crosses_are_refused(table, tmp_path):
    X = table[0][["user", "item"]]
    encoder = CTREncoder(crosses=[("user", "item")], n_hash_buckets=9).fit(X)
    with pytest.raises(ValueError, match="hashed"):
        to_onnx(encoder, tmp_path / "encoder.onnx")


@pytest.mark.parametrize(
    "stream",
    [
        streams.CIN(hidden_units=(8, 4)),
        streams.CrossNet(),
        streams.CrossNet(version="v1"),
        streams.CrossNet(rank=4),
        streams.CrossNet(rank=3, n_experts=2),
        streams.FM(),
        streams.Final(),
        streams.Final(activation=None, form="sum", field_gate=True),
        streams.GatedCrossNet(),
        streams.MaskNet(),
        streams.MaskNet(n_blocks=2, embedding_norm=False, layer_norm=False),
        streams.Product(),
        streams.Product(form="elementwise"),
        streams.QNN(),
        streams.SelfAttention(),
        streams.SelfAttention(layer_norm=True, scaled=True),
    ],
    ids=str,
)
def test_stream(encoded, stream):
    X, y = encoded
    classifier = FinalMLPClassifier(stream2=stream, n_members=1, max_epochs=1, random_state=0).fit(X, y)
    outputs = run(export(classifier), {name: column.to_numpy().reshape(-1, 1) for name, column in X.items()})
    np.testing.assert_allclose(outputs["probabilities"], classifier.predict_proba(X), atol=2e-6)


class Chained:
    """Builder of a stream of the user, of torch's own layers."""

    def __init__(self, *layers):
        self.layers = layers

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        linear = torch.nn.Linear(n_fields * embedding_dim + n_statistics, 8)
        return StreamChain(linear, *self.layers, torch.nn.Linear(8, 8))


def test_stream_of_layers_of_torch(encoded):
    X, y = encoded
    layers = torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5)
    classifier = FinalMLPClassifier(stream2=Chained(*layers), n_members=1, max_epochs=1, random_state=0).fit(X, y)
    outputs = run(export(classifier), {name: column.to_numpy().reshape(-1, 1) for name, column in X.items()})
    np.testing.assert_allclose(outputs["probabilities"], classifier.predict_proba(X), atol=2e-6)


def test_layer_of_the_user_is_refused(encoded, tmp_path):
    stream = Chained(torch.nn.GELU())
    classifier = FinalMLPClassifier(stream2=stream, n_members=1, max_epochs=1, random_state=0).fit(*encoded)
    with pytest.raises(ValueError, match=r"A layer GELU can't be exported; these can: .*'Linear'.* Serve the"):
        to_onnx(classifier, tmp_path / "model.onnx")


class Sum(torch.nn.Module):
    out_features = 1

    def forward(self, x):
        return x.sum(dim=1, keepdim=True)


class SumWithNodes(Sum):
    def add_nodes(self, graph, x):
        return graph.unsqueeze(graph.sum(x, 1), 1)


class Sums:
    """Builder of a stream of the user."""

    def __init__(self, module):
        self.module = module

    def build(self, n_fields, embedding_dim, n_statistics, generator=None):
        return self.module()


def test_stream_of_the_user_may_add_its_nodes(encoded):
    X, y = encoded
    classifier = FinalMLPClassifier(stream2=Sums(SumWithNodes), fusion="sum", n_members=1, max_epochs=1).fit(X, y)
    outputs = run(export(classifier), {name: column.to_numpy().reshape(-1, 1) for name, column in X.items()})
    np.testing.assert_allclose(outputs["probabilities"], classifier.predict_proba(X), atol=2e-6)


def test_stream_of_the_user_is_refused(encoded, tmp_path):
    classifier = FinalMLPClassifier(stream2=Sums(Sum), fusion="sum", n_members=1, max_epochs=1).fit(*encoded)
    with pytest.raises(ValueError, match=r"A layer Sum can't be exported; these can: .*or give it a method add_nodes"):
        to_onnx(classifier, tmp_path / "model.onnx")


def test_other_steps_are_refused(table, tmp_path):
    X, y = table
    model = make_pipeline(CTREncoder(), LogisticRegression()).fit(X[["user", "item"]], y)
    with pytest.raises(ValueError, match=r"\['CTREncoder', 'LogisticRegression'\] can't be exported"):
        to_onnx(model, tmp_path / "model.onnx")
