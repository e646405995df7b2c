"""One fit and its scores as a row of a CSV file, which grows by a row per fit and tells what is already there."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from _tables import Part, Table
from sklearn.metrics import log_loss

import sk_finalmlp
from sk_finalmlp.metrics import roc_auc_interval

_PACKAGES = ("scikit-learn", "torch", "catboost", "lightgbm", "pytabkit", "numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is fitted, on what, and by which rows it is scored; `rows` limits the rows of the table (0: all)."""

    data: str
    rows: int
    part: Part
    model: str
    seed: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Record(Run):
    """A run with its scores and costs.

    The standard errors are those of the scored rows: DeLong's of the AUC, and that of the mean loss.
    """

    n_train: int
    n_scored: int
    click_rate: float
    auc: float
    auc_error: float
    log_loss: float
    log_loss_error: float
    fit_seconds: float
    predict_seconds: float
    versions: str
    date: str


def measure(
    run: Run, table: Table, model: Any, *, stop_by_scored_rows: bool = False
) -> tuple[Record, npt.NDArray[np.float64]]:
    """Fit the model on the training rows and score it; also gives the probabilities of the scored rows."""
    X_train, y_train = table.fitted(run.part, run.seed)
    X, y = table.part(run.part, run.seed)
    held_out = {"X_val": X, "y_val": y} if stop_by_scored_rows else {}
    start = perf_counter()
    model.fit(X_train, y_train, **held_out)
    fitted = perf_counter()
    probability = np.asarray(model.predict_proba(X)[:, 1], dtype=np.float64)
    predicted = perf_counter()
    auc, losses = roc_auc_interval(y, probability), row_losses(y.to_numpy(), probability)
    record = Record(
        **asdict(run),
        n_train=len(y_train),
        n_scored=len(y),
        click_rate=float(y.mean()),
        auc=auc.auc,
        auc_error=auc.standard_error,
        log_loss=float(log_loss(y, probability)),
        log_loss_error=float(losses.std() / np.sqrt(len(losses))),
        fit_seconds=fitted - start,
        predict_seconds=predicted - fitted,
        versions=_versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return record, probability


def row_losses(y: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The log-loss of each row; probabilities of 0 and 1 are drawn in a little, as scikit-learn does it."""
    tiny = np.finfo(np.float64).eps
    of_truth = np.where(y == 1, probability, 1 - probability)
    losses: npt.NDArray[np.float64] = -np.log(np.clip(of_truth, tiny, 1 - tiny))
    return losses


class Results:
    """The CSV file of records in a folder, and beside it the probabilities that they were scored by."""

    def __init__(self, folder: Path, file_name: str = "accuracy.csv") -> None:
        self.folder = folder
        self._path = folder / file_name
        self._probabilities = folder / "probabilities"

    def records(self) -> pd.DataFrame:
        """All records; where a run was repeated, the last one."""
        names = [field.name for field in fields(Record)]
        if not self._path.exists():
            return pd.DataFrame(columns=names)
        return pd.read_csv(self._path).drop_duplicates([field.name for field in fields(Run)], keep="last")

    def lacks(self, run: Run) -> bool:
        """Whether the run isn't there yet."""
        records = self.records()
        same = [records[name] == value for name, value in asdict(run).items()]
        return not np.logical_and.reduce(same).any()

    def add(self, record: Record, y: pd.Series, probability: npt.NDArray[np.float64]) -> None:
        """Append a record, whole or not at all, after its probabilities were written."""
        path = self._probability_path(asdict(record))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, y=y.to_numpy(dtype=np.int8), probability=probability.astype(np.float32))
        is_new = not self._path.exists()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Record)])
            if is_new:
                writer.writeheader()
            writer.writerow(asdict(record))

    def probabilities(self, run: dict[str, Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
        """Clicks and probabilities of the rows that a run was scored by; None if the file isn't there."""
        path = self._probability_path(run)
        if not path.exists():
            return None
        with np.load(path) as stored:
            return stored["y"].astype(np.int64), stored["probability"].astype(np.float64)

    def keeps_probabilities(self) -> bool:
        """Whether the probabilities are there, too, and not the records alone."""
        return self._probabilities.is_dir()

    def _probability_path(self, run: dict[str, Any]) -> Path:
        name = "-".join(str(run[field.name]) for field in fields(Run))
        return self._probabilities / f"{name.replace('/', '_')}.npz"


def wanted(
    data: Sequence[str], models: Sequence[str], seeds: Sequence[int], *, rows: int, part: Part, threads: int
) -> Iterator[Run]:
    """All runs, seed by seed, so that an interrupted comparison has all models on as many seeds."""
    for name in data:
        for seed in seeds:
            for model in models:
                yield Run(data=name, rows=rows, part=part, model=model, seed=seed, threads=threads)


def _versions() -> str:
    found = [f"sk_finalmlp {sk_finalmlp.__version__} {_commit()}".rstrip()]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return "; ".join(found)


def _commit() -> str:
    """The commit of the library's working tree, "-dirty" if it was changed; empty where there is no git."""
    command = ["git", "-C", str(Path(sk_finalmlp.__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
