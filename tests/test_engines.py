"""The examples with engines, run on one machine: they give what one process gives. `make test-engines`."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

EXAMPLES = Path(__file__).parents[1] / "examples" / "engines"
ENGINES = {
    "dask": importlib.util.find_spec("dask") and importlib.util.find_spec("distributed"),
    "ray": importlib.util.find_spec("ray"),
    "spark": importlib.util.find_spec("pyspark") and shutil.which("java"),
    "torchrun": True,
}


def run(example, *arguments):
    """What an example writes to the standard output."""
    engine = example.rpartition("_")[2]
    if not ENGINES[engine]:
        pytest.skip("the engine, or the Java that it runs on, isn't installed")
    # Workers of Spark are started by name, and any interpreter may have that; those of its distributor by torchrun.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "PYSPARK_PYTHON": sys.executable,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"] if engine == "torchrun" else []
    command = [sys.executable, *launcher, EXAMPLES / f"{example}.py", *arguments]
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, impressions in three files, of which one is empty, and their probabilities."""
    X, y, _ = make_click_data(600, n_users=50, n_items=20, random_state=0)
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, y)
    folder = tmp_path_factory.mktemp("files")
    sk_finalmlp.save(model, folder / "clicks.model")
    (folder / "impressions").mkdir()
    for number, rows in enumerate([X[:200], X[:0], X[200:]]):
        rows.to_parquet(folder / "impressions" / f"{number}.parquet")
    return folder, X.assign(probability=model.predict_proba(X)[:, 1])


@pytest.mark.parametrize("example", ["with_dask", "with_ray", "with_spark"])
def test_scores_equal_those_of_the_pipeline_to_the_last_bit(example, files, tmp_path):
    folder, expected = files
    run(example, folder / "clicks.model", folder / "impressions", tmp_path / "out")
    scored = pd.read_parquet(tmp_path / "out")
    keys = ["time", "user", "item", "numeric_0"]
    expected, scored = expected.sort_values(keys), scored.sort_values(keys)
    np.testing.assert_array_equal(scored["probability"], expected["probability"])
    assert scored["tags"].map(list).tolist() == expected["tags"].tolist()


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Impressions with clicks, in two files."""
    X, y, _ = make_click_data(600, n_users=50, n_items=20, random_state=0)
    rows = X.assign(click=y)
    folder = tmp_path_factory.mktemp("clicks")
    for number, part in enumerate([rows[:200], rows[200:]]):
        part.to_parquet(folder / f"{number}.parquet", index=False)
    return folder, X, y


@pytest.fixture(scope="module")
def one_process(clicks):
    """A model that one process has trained."""
    folder, _, _ = clicks
    return make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0)).fit(folder, "click")


@pytest.mark.parametrize("engine", ENGINES)
def test_processes_of_an_engine_train_together(engine, clicks, one_process, tmp_path):
    folder, X, y = clicks
    written = run(f"train_with_{engine}", folder, tmp_path / "clicks.model")
    model = sk_finalmlp.load(tmp_path / "clicks.model")
    losses = [log_loss(y, fitted.predict_proba(X)) for fitted in (model, one_process)]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
    # The second process is silent.
    assert engine == "ray" or written.count("epoch  1") == 1


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_search_finds_the_scores_of_one_process(engine, clicks):
    folder, X, y = clicks
    model = Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(max_epochs=1, random_state=0))])
    search = GridSearchCV(model, {"clf__num_heads": [1, 2]}, scoring="neg_log_loss", cv=2).fit(X, y)
    *_, line = run(f"search_with_{engine}", folder).splitlines()
    assert [float(score) for score in line.split()] == search.cv_results_["mean_test_score"].tolist()
