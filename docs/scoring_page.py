"""Write what the page that scores in the browser is served with: `python docs/scoring_page.py FOLDER`.

A small model, what can be chosen on the page, and onnxruntime-web, of which npm brings one known version.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import to_onnx
from sk_finalmlp.streams import MLP

RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME_FILES = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"]

DEVICES = ["phone", "tablet", "laptop", "desktop", "television"]
DAY = pd.Timestamp("2024-01-29")
N_USERS, N_CANDIDATES = 20, 12


def fetch_runtime(folder: Path) -> None:
    """Put the files of onnxruntime-web that a browser loads into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit(
            f"npm is missing: it fetches {RUNTIME} for the page that scores in the browser. Install Node.js, or build "
            "the site without that page: make docs BROWSER="
        )
    with TemporaryDirectory() as downloads:
        subprocess.run([npm, "pack", "--silent", RUNTIME], cwd=downloads, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(downloads).iterdir()
        if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != RUNTIME_SHA512:
            sys.exit(f"{RUNTIME} isn't the archive that it was when its checksum was written down.")
        with tarfile.open(archive) as package:
            for name in RUNTIME_FILES:
                (folder / name).write_bytes(package.extractfile(f"package/dist/{name}").read())


def make_impressions() -> tuple[pd.DataFrame, pd.Series]:
    """Impressions with columns that a shop would have."""
    X, y, _ = make_click_data(
        30_000, n_users=200, n_items=40, n_contexts=1, n_numeric=1, click_rate=0.3, logit_scale=2, random_state=0
    )
    X["device"] = X["context_0"].map({f"value_{code}": device for code, device in enumerate(DEVICES)})
    X["price"] = (20 + 5 * X["numeric_0"]).round(2)
    return X[["user", "segment", "item", "category", "tags", "price", "device", "time"]], y


def fit_model(X: pd.DataFrame, y: pd.Series) -> Pipeline:
    """One small network, so that the page loads at once."""
    classifier = FinalMLPClassifier(
        embedding_dim=8, stream1=MLP((64,)), stream2=MLP((64,)), n_members=1, max_epochs=4, random_state=0
    )
    return make_pipeline(CTREncoder(), classifier).fit(X, y)


def make_choices(X: pd.DataFrame) -> dict[str, object]:
    """Users, devices and candidates to choose from, the most frequent ones."""
    users = X[["user", "segment"]].drop_duplicates("user").set_index("user")
    items = X[["item", "category", "tags"]].drop_duplicates("item").set_index("item")
    prices = np.random.default_rng(0).normal(20, 5, N_CANDIDATES).round(2)
    candidates = items.loc[[f"item_{number}" for number in range(N_CANDIDATES)]].assign(price=prices)
    return {
        "users": users.loc[[f"user_{number}" for number in range(N_USERS)]].reset_index().to_dict("records"),
        "devices": DEVICES,
        "day": int(DAY.timestamp() * 1e6),
        "items": candidates.reset_index().to_dict("records"),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    fetch_runtime(folder)
    X, y = make_impressions()
    model = fit_model(X, y)
    to_onnx(model, folder / "clicks.onnx")
    sk_finalmlp.save(model, folder / "clicks.model")
    (folder / "choices.json").write_text(json.dumps(make_choices(X)), encoding="utf-8")
