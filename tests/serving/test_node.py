"""An exported file in a program that has never heard of this library: Node, with onnxruntime-web from npm."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import to_onnx

SCRIPT = Path(__file__).parents[2] / "examples" / "consumers" / "score.mjs"
RUNTIME = "onnxruntime-web@1.30.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        pytest.skip("needs Node.js and npm")
    folder = tmp_path_factory.mktemp("node")
    subprocess.run([npm, "install", "--silent", "--ignore-scripts", "--no-audit", RUNTIME], cwd=folder, check=True)
    return Path(shutil.copy(SCRIPT, folder)).parent


@pytest.mark.network
def test_node_gives_the_probabilities_of_the_pipeline(folder):
    X, y, _ = make_click_data(1_000, random_state=0)
    X["hour"] = X["time"].dt.hour
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)).fit(X, y)
    to_onnx(model, folder / "clicks.onnx")
    rows = X.assign(user=X["user"].mask(X["hour"] == 3), item=X["item"].mask(X["hour"] == 4, "new"))
    rows["numeric_0"] = rows["numeric_0"].mask(X["hour"] == 5)
    rows["time"] = rows["time"].mask(X["hour"] == 6)
    node = subprocess.run(
        ["node", "score.mjs", "clicks.onnx"],
        cwd=folder,
        input=rows.to_json(orient="records", date_format="iso"),
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_allclose(json.loads(node.stdout), model.predict_proba(rows), rtol=0, atol=1e-5)
