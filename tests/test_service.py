"""The web service of the examples, through a client."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.preprocessing import add_history
from sk_finalmlp.serving import to_onnx

EXAMPLES = Path(__file__).parents[1] / "examples"
OF_ITEMS = ["item", "category", "tags"]


@pytest.fixture(scope="module")
def impressions():
    return make_click_data(2_000, n_users=50, n_items=20, random_state=0)[:2]


def fit(X, y, **options):
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0, **options)).fit(X, y)


@pytest.fixture(scope="module")
def model(impressions):
    return fit(*impressions)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "clicks.onnx"
    to_onnx(model, path)
    return path.read_bytes()


@pytest.fixture
def path(exported, tmp_path):
    """The file that the service reads, and that a test may replace."""
    path = tmp_path / "clicks.onnx"
    path.write_bytes(exported)
    return path


@pytest.fixture
def client(path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from service.app import create_app

    with TestClient(create_app(path, seconds_between_looks=0.01)) as client:
        yield client


@pytest.fixture
def request_body(impressions):
    """A user's context and all items, in JSON's types."""
    X = impressions[0]
    context = json.loads(X.drop(columns=OF_ITEMS)[:1].to_json(orient="records", date_format="iso"))[0]
    return {"context": context, "candidates": X[OF_ITEMS].drop_duplicates("item").to_dict("records")}


@pytest.fixture
def client_with_histories(impressions, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from service.app import create_app
    from service.histories import HistoryStore

    X, y = impressions
    X = add_history(X, user="user", item={"clicked": "item"}, time="time", where=y == 1)
    classifier = FinalMLPClassifier(max_epochs=1, random_state=0, history_pooling="attention")
    model = make_pipeline(CTREncoder(histories={"clicked": "item"}), classifier).fit(X, y)
    to_onnx(model, tmp_path / "clicks.onnx")
    with TestClient(
        create_app(tmp_path / "clicks.onnx", histories=HistoryStore("user", {"clicked": "item"}))
    ) as client:
        yield client


def test_history_of_a_user_comes_from_the_store(client_with_histories, request_body):
    client, user = client_with_histories, request_body["context"]["user"]

    def scores(**context):
        body = {**request_body, "context": {**request_body["context"], **context}}
        return client.post("/score", json=body).json()

    assert scores() == scores(clicked=[])
    assert scores()["missing"] == []
    for item in ("item_3", "item_5"):
        assert client.post("/click", json={"user": user, "values": {"item": item}}).status_code == 204
    assert scores() == scores(clicked=["item_3", "item_5"]) != scores(clicked=[])
    assert scores(user="somebody else") == scores(user="somebody else", clicked=[])


def table_of(X, body):
    rows = X[:1].drop(columns=OF_ITEMS).merge(X[OF_ITEMS].drop_duplicates("item"), how="cross")
    assert len(rows) == len(body["candidates"]) == 20
    return rows[X.columns]


def test_candidates_get_the_probabilities_of_the_pipeline(client, model, impressions, request_body):
    answer = client.post("/score", json=request_body)
    assert answer.status_code == 200
    expected = model.predict_proba(table_of(impressions[0], request_body))[:, 1]
    assert answer.json()["probabilities"] == pytest.approx(expected.tolist(), abs=1e-6)
    assert answer.json()["missing"] == []


@pytest.mark.parametrize(
    ("body", "n_missing"),
    [
        ({"candidates": [{}, {}]}, 10),
        ({"context": {"user": None, "numeric_0": None}, "candidates": [{}, {"tags": None}]}, 8),
        ({"context": {"user": "new"}, "candidates": [{"item": "new"}, {"item": "newer", "tags": ["new"]}]}, 8),
    ],
)
def test_missing_and_unseen_values_get_a_probability(client, body, n_missing):
    answer = client.post("/score", json=body).json()
    assert len(answer["missing"]) == n_missing
    first, second = answer["probabilities"]
    assert 0 < first == second < 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"context": {"usr": "user_0"}, "candidates": [{}]}, "context.usr: Extra inputs are not permitted"),
        ({"candidates": [{}, {"numeric_0": "cheap"}]}, "candidates.1.numeric_0: Input should be a valid number"),
        ({"candidates": [{"user": ["a"]}]}, "candidates.0.user: Input should be a valid string"),
        ({"candidates": [{"time": 5}]}, "candidates.0.time: Input should be a valid string"),
        ({"candidates": [{"time": "noon"}]}, "Column 'time': 'noon' is not a time"),
        ({"context": {"item": "a"}, "candidates": [{"item": "b"}]}, "Column 'item' is in the context and in a"),
        ({"candidates": [{"tags": '["red"]'}]}, "Column 'tags': '[\"red\"]' is a list that was written as text"),
        ({"candidates": [{"tags": [True]}]}, "candidates.0.tags: Input should be a valid string, or Input should be"),
        ({"candidates": [{}], "candidate": {}}, "candidate: Extra inputs are not permitted"),
        ({"candidates": []}, "candidates: List should have at least 1 item"),
        ({"candidates": [{}] * 1_001}, "candidates: List should have at most 1000 items"),
        ({}, "candidates: Field required"),
    ],
)
def test_what_cannot_be_read_is_named(client, body, message):
    answer = client.post("/score", json=body)
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert detail.startswith(message)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[" * 100_000, 400),
        (b'{"candidates": [{"numeric_0": NaN}]}', 422),
        (b'{"candidates": [{"numeric_0": 1e999}]}', 422),
        (b'{"candidates": [{"numeric_0": 1%s}]}' % (b"0" * 10_000), 400),
        (b'{"candidates": [{"user": "\\ud800"}]}', 422),
        (b'{"candidates": [{"user\\ud800": ""}]}', 422),
        (b'{"candidates": [{"user": "\xff"}]}', 400),
        (b" " * 1_000_001, 413),
    ],
    ids=["empty", "deep", "NaN", "infinite", "huge", "half a character", "half in a name", "not UTF-8", "too long"],
)
def test_damaged_bodies_are_refused(client, body, status):
    answer = client.post("/score", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def counted(client, name):
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


def test_a_new_file_is_taken_over_and_a_bad_one_is_not(client, path, impressions, request_body):
    X, y = impressions
    before = client.post("/score", json=request_body).json()

    path.write_bytes(b"no model")
    wait_for(lambda: counted(client, "model_files_total") == {("refused",): 1})
    to_onnx(fit(X.drop(columns="tags"), y), path)
    wait_for(lambda: counted(client, "model_files_total") == {("refused",): 2})
    assert client.post("/score", json=request_body).json() == before

    other = fit(X, y, num_heads=1)
    to_onnx(other, path)
    wait_for(lambda: client.get("/health").json()["model"] != before["model"])
    after = client.post("/score", json=request_body).json()
    expected = other.predict_proba(table_of(X, request_body))[:, 1]
    assert after["probabilities"] == pytest.approx(expected.tolist(), abs=1e-6)
    assert after["model"] != before["model"]


def test_health_says_what_the_model_reads(client, model):
    health = client.get("/health").json()
    assert list(health["columns"]) == list(model.feature_names_in_)
    assert health["columns"]["numeric_0"] == "number"


def test_metrics_count_answers_candidates_and_missing_columns(client, request_body):
    client.post("/score", json=request_body)
    client.post("/score", json={"context": {"user": "user_0"}, "candidates": [{"item": "item_0"}]})
    client.post("/score", json={})
    assert counted(client, "answers_total") == {("200",): 2, ("422",): 1}
    assert counted(client, "candidates_total") == {(): 21}
    assert counted(client, "missing_columns_total")["tags",] == 1
    assert counted(client, "answer_seconds_count")[()] >= 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer")
def test_a_stopped_service_answers_what_it_was_asked(path, request_body):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        options = ["--factory", "service.app:from_environment", "--fd", str(listening.fileno()), "--app-dir", EXAMPLES]
        service = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *options],
            env={**os.environ, "MODEL": str(path)},
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
        )
        client = socket.create_connection(listening.getsockname())
    with service, client:
        body = json.dumps(request_body).encode()
        # It answers 100 once it reads the body, of which half is there when it is told to stop.
        head = (
            f"POST /score HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert client.recv(1_000).startswith(b"HTTP/1.1 100")
        client.sendall(body[:10])
        service.send_signal(signal.SIGTERM)
        client.sendall(body[10:])
        assert client.recv(1_000).startswith(b"HTTP/1.1 200")
    assert service.returncode in (0, -signal.SIGTERM)
