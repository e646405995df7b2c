"""MLflow keeps pipelines by skops, its default, without pickle."""

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

mlflow = pytest.importorskip("mlflow", reason="needs the dependency group mlflow")
pytest.importorskip("mlflow.sklearn")


@pytest.fixture(scope="module")
def clicks():
    X, y, _ = make_click_data(300, random_state=0)
    return X, np.where(y == 1, "click", "none")


@pytest.fixture(scope="module")
def model(clicks):
    return make_pipeline(CTREncoder(), FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0)).fit(*clicks)


@pytest.fixture
def run(tmp_path, monkeypatch):
    # A store in files needs no database.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        yield run


# It looks for a schema in type hints, which for tables say nothing.
@pytest.mark.filterwarnings("ignore:.*AnyType")
def test_logged_models_predict_the_same(clicks, model, run):
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    logged = mlflow.sklearn.log_model(model, name="model", skops_trusted_types=trusted, pip_requirements=[])
    loaded = mlflow.sklearn.load_model(logged.model_uri)
    np.testing.assert_array_equal(loaded.predict_proba(clicks[0]), model.predict_proba(clicks[0]))
    generic = mlflow.pyfunc.load_model(logged.model_uri)
    np.testing.assert_array_equal(generic.predict(clicks[0]), model.predict(clicks[0]))


def test_what_is_not_trusted_is_named(model, run):
    with pytest.raises(mlflow.exceptions.MlflowException, match="CTREncoder"):
        mlflow.sklearn.log_model(model, name="model", pip_requirements=[])
