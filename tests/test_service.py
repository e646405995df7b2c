"""The web service of the examples, through a client."""

import importlib.util
import json
from pathlib import Path

import joblib
import pytest
from fastapi.testclient import TestClient
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

APP = Path(__file__).parents[1] / "examples" / "service" / "app.py"


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("service_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def impressions():
    return make_click_data(2_000, n_users=50, n_items=20, random_state=0)[:2]


@pytest.fixture(scope="module")
def model(impressions):
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0)).fit(*impressions)


@pytest.fixture
def client(app, model, tmp_path, monkeypatch):
    """A client of the service around the model as it comes from its file."""
    joblib.dump(model, tmp_path / "model.joblib")
    monkeypatch.setenv("MODEL", str(tmp_path / "model.joblib"))
    with TestClient(app.from_environment()) as client:
        yield client


def test_service_gives_the_probabilities_of_the_pipeline(client, model, impressions):
    rows = impressions[0][:20]
    answer = client.post("/score", json={"impressions": json.loads(rows.to_json(orient="records", date_format="iso"))})
    assert answer.status_code == 200
    assert answer.json()["probabilities"] == pytest.approx(model.predict_proba(rows)[:, 1].tolist(), rel=1e-5)
    assert answer.json()["missing"] == [[]] * 20


@pytest.mark.parametrize(
    "impression", [{}, {"user": None, "numeric_0": None, "tags": None}, {"user": "new", "item": "new", "tags": ["new"]}]
)
def test_missing_and_unseen_values_get_a_probability(client, model, impression):
    answer = client.post("/score", json={"impressions": [impression, impression]}).json()
    assert answer["missing"] == [[name for name in model.feature_names_in_ if name not in impression]] * 2
    first, second = answer["probabilities"]
    assert 0 < first == second < 1


def test_misspelt_fields_are_named(client):
    answer = client.post("/score", json={"impressions": [{"user": "user_0"}, {"usr": "user_0"}]})
    assert answer.status_code == 422
    assert "No columns of the model: ['usr']. Its columns are ['user', 'item'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"), [("numeric_0", "cheap"), ("time", "noon"), ("time", 5), ("user", ["a"]), ("user", {"id": 1})]
)
def test_values_that_cannot_be_read_are_named(client, field, value):
    answer = client.post("/score", json={"impressions": [{field: value}]})
    assert answer.status_code == 422
    assert f"Column '{field}'" in answer.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"impressions": []}, {"impressions": [{}] * 1_001}, {"impressions": [3]}])
def test_other_bodies_are_refused(client, body):
    assert client.post("/score", json=body).status_code == 422


def test_health_says_what_the_model_reads(client, model):
    assert client.get("/health").json() == {"columns": list(model.feature_names_in_)}
