"""Scores and comparisons as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from _comparisons import ALL, LEVEL

_SCORES = {"auc": "AUC", "log_loss": "log-loss"}
_UNIT = 1e-4


def report(records: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """All tables."""
    parts = ["# Study", "", *_scores(records)]
    for (family, score, n_train), own in comparisons.groupby(["family", "score", "n_train"], sort=False):
        parts += ["", f"## {family}: {_SCORES[score]}, {n_train} training rows", "", *_differences(own)]
    note = "Differences in units of 0.0001 with 95% intervals; bold where Holm's correction leaves p < 0.05."
    return "\n".join([*parts, "", note, ""])


def _scores(records: pd.DataFrame) -> list[str]:
    """A line per data set and model: mean and standard deviation over seeds."""
    titles = ["data", "training rows", "model", "seeds", *_SCORES.values(), "fit [s]"]
    groups = records.groupby(["data", "n_train", "model"], sort=False)
    lines = [
        [
            data,
            str(n_train),
            model,
            str(len(own)),
            *(_score(own[score]) for score in _SCORES),
            _mean(own["fit_seconds"]),
        ]
        for (data, n_train, model), own in groups
    ]
    return _table(titles, lines)


def _differences(own: pd.DataFrame) -> list[str]:
    """A line per model, a column per data set."""
    data = [name for name in own["data"].unique() if name != ALL]
    data += [ALL] * (ALL in set(own["data"]))
    cells = {(row["model"], row["data"]): _difference(row) for row in own.to_dict("records")}
    reference_of = own.groupby("model", sort=False)["reference"].first()
    lines = [
        [model, reference, *(cells.get((model, name), "") for name in data)]
        for model, reference in reference_of.items()
    ]
    return _table(["model", "minus", *data], lines)


def _score(values: pd.Series) -> str:
    return f"{values.mean():.4f} ± {values.std():.4f}" if len(values) > 1 else f"{values.mean():.4f}"


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.3g}"


def _difference(row: dict[str, float]) -> str:
    difference, low, high = (f"{row[name] / _UNIT:+.0f}" for name in ("difference", "low", "high"))
    text = f"{difference} [{low}, {high}]"
    return f"**{text}**" if row["pvalue_holm"] < LEVEL else text


def _table(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    rows = [list(titles), *map(list, lines)]
    rows.insert(1, ["---"] * len(rows[0]))
    return [f"| {' | '.join(row)} |" for row in rows]
