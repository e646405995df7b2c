"""Scores of a fit from Parquet files beside one in memory: `python examples/benchmarks/from_files.py`.

The files hold the training rows as they are, or sorted by the first column, as exports often are. All fits have the
defaults, and are scored on validation rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

sys.path.append(str(Path(__file__).parent / "accuracy"))

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from _real import REAL
from _tables import Table
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier

N_FILES = 4


def main() -> None:
    """Fit each way with each seed, and print the scores and seconds."""
    parser = argparse.ArgumentParser(prog="from_files", description=__doc__)
    parser.add_argument("--data", nargs="+", default=["movielens", "frappe"], choices=REAL)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    for name in options.data:
        table = REAL[name].load()
        scores = pd.DataFrame([record for seed in options.seeds for record in measure(table, seed)])
        print(name, scores.groupby("rows", sort=False).agg(["mean", "std"]).round(4).to_string(), sep="\n", flush=True)


def measure(table: Table, seed: int) -> Iterator[dict[str, Any]]:
    """The scores of the three fits."""
    X, y = table.part("train", seed)
    frame = X.assign(click=y)
    yield {"rows": "in memory", **_scores(table, seed, X, y)}
    for rows, ordered in {"files": frame, "sorted files": frame.sort_values(X.columns[0], kind="stable")}.items():
        with tempfile.TemporaryDirectory() as folder:
            write(ordered, Path(folder))
            yield {"rows": rows, **_scores(table, seed, folder, "click")}


def write(frame: pd.DataFrame, folder: Path) -> None:
    """Write the rows in their order to some files."""
    size = -(-len(frame) // N_FILES)
    for number in range(N_FILES):
        part = frame.iloc[number * size : (number + 1) * size]
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), folder / f"part-{number}.parquet")


def _scores(table: Table, seed: int, X: Any, y: Any) -> dict[str, float]:
    model = Pipeline([("enc", CTREncoder()), ("clf", FinalMLPClassifier(random_state=seed, device="cpu"))])
    start = process_time()
    model.fit(X, y)
    seconds = process_time() - start
    X_scored, y_scored = table.part("validation", seed)
    probability = model.predict_proba(X_scored)[:, 1]
    return {
        "auc": roc_auc_score(y_scored, probability),
        "log_loss": log_loss(y_scored, probability),
        "cpu_seconds": seconds,
    }


if __name__ == "__main__":
    main()
