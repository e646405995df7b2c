"""AUC on validation rows over seconds of training, as a table and a picture: what a longer wait brings, and to whom.

Each point of this library is a fit by itself, since a cycle is planned for its length; a point of boosted trees is what
the trees so far predict. Seconds are of processor time of the fit, encoder included, on one thread; scoring isn't
counted. Trees end after their usual number, or after a number of seconds. Where `FUXICTR_HOME` names the reference
implementation, each of its epochs is a point, if the table suits it.

    OMP_NUM_THREADS=1 python examples/benchmarks/accuracy/time_to_score.py frappe movielens --seconds 60 --out scores

Files of points that were measured before are drawn, too: `--points some.csv others.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import _fuxictr
import numpy as np
import pandas as pd
from _features import Categories, Flattener, categorical_columns
from _folders import FOLDERS
from _models import finalmlp
from _real import REAL
from _synthetic import SYNTHETIC
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

_EPOCHS = (1, 2, 3, 4)
_N_POINTS = 12
_N_EPOCHS_OF_FUXICTR = 8
_SEED = 0


class Rows(NamedTuple):
    """Training and validation rows."""

    X: pd.DataFrame
    y: pd.Series
    X_val: pd.DataFrame
    y_val: pd.Series


class Point(NamedTuple):
    """A score and the seconds that it took."""

    seconds: float
    auc: float


def points_of_finalmlp(rows: Rows, seconds: float) -> Iterator[Point]:
    """A fit of each of a few lengths, and one of the default length."""
    for max_epochs in (*_EPOCHS, "auto"):
        start = process_time()
        model = finalmlp(_SEED, 1, clf__max_epochs=max_epochs).fit(rows.X, rows.y)
        yield Point(process_time() - start, roc_auc_score(rows.y_val, model.predict_proba(rows.X_val)[:, 1]))


def points_of_catboost(rows: Rows, seconds: float) -> Iterator[Point]:
    """The trees of one fit, as many as there were after some of its seconds."""
    from catboost import CatBoostClassifier

    start = process_time()
    flat = Flattener().fit(rows.X)
    X, watch = flat.transform(rows.X), _Watch(start, seconds)
    trees = CatBoostClassifier(
        random_seed=_SEED,
        thread_count=1,
        cat_features=categorical_columns(X),
        allow_writing_files=False,
        verbose=False,
    ).fit(X, rows.y, callbacks=[watch])
    X_val = flat.transform(rows.X_val)
    yield from _prefixes(watch, rows, lambda n_trees: trees.predict_proba(X_val, ntree_end=n_trees)[:, 1])


def points_of_lightgbm(rows: Rows, seconds: float) -> Iterator[Point]:
    """The trees of one fit, as many as there were after some of its seconds."""
    from lightgbm import LGBMClassifier

    start = process_time()
    encoder = make_pipeline(Flattener(), Categories()).fit(rows.X)
    watch = _Watch(start, seconds)
    trees = LGBMClassifier(random_state=_SEED, n_jobs=1, verbose=-1)
    trees.fit(encoder.transform(rows.X), rows.y, callbacks=[watch.after_iteration])
    X_val = encoder.transform(rows.X_val)
    yield from _prefixes(watch, rows, lambda n_trees: trees.predict_proba(X_val, num_iteration=n_trees)[:, 1])


def points_of_fuxictr(rows: Rows, seconds: float) -> Iterator[Point]:
    """Its epochs, in the published configuration."""
    if _fuxictr.can_read(rows.X):
        for point in _fuxictr.points(*rows, _N_EPOCHS_OF_FUXICTR, _SEED):
            yield Point(*point)


class _Watch:
    """Notes when each tree is done; CatBoost ends where it is told so."""

    def __init__(self, start: float, seconds: float) -> None:
        self.start = start
        self.limit = seconds
        self.seconds: list[float] = []

    def after_iteration(self, info: Any) -> bool:
        self.seconds.append(process_time() - self.start)
        return self.seconds[-1] < self.limit


def _prefixes(watch: _Watch, rows: Rows, predict: Callable[[int], np.ndarray]) -> Iterator[Point]:
    n_trees = len(watch.seconds)
    for n in np.unique(np.geomspace(1, n_trees, min(n_trees, _N_POINTS)).round().astype(int)):
        yield Point(watch.seconds[n - 1], roc_auc_score(rows.y_val, predict(int(n))))


CONTESTANTS = {
    "sk_finalmlp": points_of_finalmlp,
    "CatBoost": points_of_catboost,
    "LightGBM": points_of_lightgbm,
    "FuxiCTR's FinalMLP": points_of_fuxictr,
}
DATA = REAL | FOLDERS | SYNTHETIC


def measure(name: str, models: Sequence[str], n_rows: int | None, seconds: float) -> pd.DataFrame:
    """The points of each contestant on a data set."""
    table = DATA[name].load().thinned(n_rows)
    rows = Rows(*table.part("train", _SEED), *table.part("validation", _SEED))
    return pd.DataFrame(
        {"data": name, "model": model, **point._asdict()}
        for model in models
        for point in CONTESTANTS[model](rows, seconds)
    )


def plot(points: pd.DataFrame, path: Path) -> None:
    """A panel for each data set, a line for each model."""
    data = points["data"].unique()
    figure = Figure(figsize=(5 * len(data), 3.6), layout="constrained")
    for name, ax in zip(data, figure.subplots(1, len(data), squeeze=False, sharex=True)[0], strict=True):
        for model, own in points[points["data"] == name].groupby("model", sort=False):
            ax.plot(own["seconds"], own["auc"], "o-", label=model, markersize=4)
        ax.set(xscale="log", xlabel="seconds of processor time", ylabel="AUC, validation rows", title=name)
        ax.grid(alpha=0.3)
        ax.legend()
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", choices=[*DATA, []])
    parser.add_argument("--models", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--points", nargs="+", type=Path, default=[], help="files of points from before")
    parser.add_argument("--rows", type=int, help="at most so many rows of each table")
    parser.add_argument("--seconds", type=float, default=300, help="end CatBoost after so many")
    parser.add_argument("--out", type=Path, default=Path("time-to-score"), help="path of both files, without suffix")
    options = parser.parse_args(arguments)
    measured = (measure(name, options.models, options.rows, options.seconds) for name in options.data)
    points = pd.concat([*map(pd.read_csv, options.points), *measured])
    points.to_csv(options.out.with_suffix(".csv"), index=False, float_format="%.4f")
    plot(points, options.out.with_suffix(".svg"))
    print(points.to_string(index=False))


if __name__ == "__main__":
    main()
