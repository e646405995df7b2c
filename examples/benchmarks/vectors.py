"""What vectors of ids cost: time and memory of fit, predict_proba and update, beside the same rows without vectors.

    python examples/benchmarks/vectors.py --ids 50000 --length 384

Each way runs in a process of its own, with one network. Seconds are of the processor, since other work on the machine
changes those of the wall.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from _memory import peak_bytes
from _timing import in_new_process
from sklearn.pipeline import make_pipeline

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier

WAYS: dict[str, dict[str, Any] | None] = {
    "without": None,
    "sum": {},
    "replace": {"vectors_mode": "replace"},
    "trained": {"vectors_mode": "sum-trained"},
}


def cost(way: str, n_rows: int, n_ids: int, length: int) -> dict[str, float]:
    """Seconds of a fit, predictions and an update; MB at most, the table of vectors that was given included."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 5_000, n_rows), "item": rng.integers(0, n_ids, n_rows)})
    y = (rng.random(n_rows) < 0.2).astype(int)
    parameters = WAYS[way]
    given = {}
    if parameters is not None:
        table = pd.DataFrame(rng.standard_normal((n_ids, length), np.float32), index=np.arange(n_ids))
        given = {"vectors": {"item": table}, **parameters}
    classifier = FinalMLPClassifier(n_members=1, max_epochs=2, batch_size=1024, random_state=0, device="cpu")
    model = make_pipeline(CTREncoder(statistics=None, **given), classifier)
    seconds = {
        "fit": _seconds(lambda: model.fit(X, y)),
        "predict": _seconds(lambda: model.predict_proba(X)),
        "update of 1,000 rows": _seconds(lambda: sk_finalmlp.update(model, X[:1_000], y[:1_000])),
        "predict a row": _seconds(lambda: [model.predict_proba(X[:1]) for _ in range(100)]) / 100,
    }
    return {**seconds, "megabytes": peak_bytes() / 1e6}


def _seconds(function: Any) -> float:
    start = process_time()
    function()
    return process_time() - start


def main() -> None:
    """A line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--ids", type=int, default=50_000)
    parser.add_argument("--length", type=int, default=384)
    options = parser.parse_args()
    # By its name, which a new process can import.
    measure = import_module(Path(__file__).stem).cost
    for way in options.ways:
        found = in_new_process(measure, way, options.rows, options.ids, options.length)
        load = round(os.getloadavg()[0], 1)
        print(json.dumps({"way": way, **{k: round(v, 4) for k, v in found.items()}, "load": load}), flush=True)


if __name__ == "__main__":
    main()
