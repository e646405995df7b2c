"""The examples of batch scoring, run on one machine: equal to the pipeline to the last bit. `make test-engines`."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

EXAMPLES = Path(__file__).parents[1] / "examples" / "engines"
ENGINES = {
    "with_dask": importlib.util.find_spec("dask"),
    "with_ray": importlib.util.find_spec("ray"),
    "with_spark": importlib.util.find_spec("pyspark") and shutil.which("java"),
}


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


@pytest.mark.parametrize("example", ENGINES)
def test_scores_equal_those_of_the_pipeline_to_the_last_bit(example, files, tmp_path):
    if not ENGINES[example]:
        pytest.skip("the engine, or the Java that it runs on, isn't installed")
    folder, expected = files
    # Workers of Spark are started by name, and any interpreter may have that.
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    command = [
        sys.executable,
        EXAMPLES / f"{example}.py",
        folder / "clicks.model",
        folder / "impressions",
        tmp_path / "out",
    ]
    subprocess.run(command, check=True, env=environment)
    scored = pd.read_parquet(tmp_path / "out")
    keys = ["time", "user", "item", "numeric_0"]
    expected, scored = expected.sort_values(keys), scored.sort_values(keys)
    np.testing.assert_array_equal(scored["probability"], expected["probability"])
    assert scored["tags"].map(list).tolist() == expected["tags"].tolist()
