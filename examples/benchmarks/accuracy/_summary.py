"""Means and spreads over seeds, and the differences to CatBoost on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _runs import Results, row_losses

from sk_finalmlp.metrics import delong_test

_OPPONENT = "catboost"
_SCORES = ("auc", "log_loss")


def summarise(results: Results, **of: str | int) -> pd.DataFrame:
    """One row per data set and model, of the records whose `part`, `rows` and `threads` are those given.

    Columns are `n` (seeds) and `n_compared` (those that CatBoost has, too), `calibration` (the mean prediction over the
    click rate, the mean over seeds), of each score the `_mean` and the `_std` over seeds, and of its difference to
    CatBoost, on the seeds that both have, the mean, the standard error over seeds (`_seed_error`) and that which the
    scored rows of one seed give (`_row_error`). The first is unknown for one seed, and where the split is the same for
    each seed it tells of the model's own chance alone; the second tells of the chance of the rows.
    """
    records = results.records()
    for name, value in of.items():
        records = records[records[name] == value]
    groups = records.groupby(["data", "model"], sort=False)
    return pd.DataFrame([_row(group, records, results) for _, group in groups])


def to_markdown(summary: pd.DataFrame, roles: dict[str, str]) -> str:
    """The summary as a table in Markdown, best AUC first in each data set; `roles` says what each is for."""
    titles = ["data", "for", "model", "seeds", "AUC", "log-loss", "mean prediction / click rate"]
    titles += ["AUC - CatBoost", "log-loss - CatBoost", "fit [s]"]
    lines = [_line(titles), _line(["---"] * len(titles))]
    for data, of_data in summary.groupby("data", sort=False) if len(summary) else []:
        best_first = of_data.sort_values("auc_mean", ascending=False).to_dict("records")
        lines += [_line([str(data), roles[data], *_cells(row)]) for row in best_first]
    notes = [
        "Scores: mean ± standard deviation over seeds (standard error of the mean). Differences: mean on the same rows",
        "(standard error over seeds; standard error by the scored rows, for the AUC DeLong's).",
    ]
    return "\n".join([*lines, "", *notes, ""])


def _row(group: pd.DataFrame, records: pd.DataFrame, results: Results) -> dict[str, Any]:
    data, model = group[["data", "model"]].iloc[0]
    row = {"data": data, "model": model, "n": len(group), "fit_seconds": group["fit_seconds"].mean()}
    row["calibration"] = _calibration(group, results)
    for score in _SCORES:
        row |= {f"{score}_mean": group[score].mean(), f"{score}_std": group[score].std()}
    if model == _OPPONENT:
        return row
    opponents = records[(records["data"] == data) & (records["model"] == _OPPONENT)]
    pairs = group.merge(opponents, on=["seed", "threads"], suffixes=("", "_opponent"))
    row["n_compared"] = len(pairs)
    for score in _SCORES:
        differences = pairs[score] - pairs[f"{score}_opponent"]
        row |= {f"{score}_difference": differences.mean(), f"{score}_seed_error": _error(differences)}
    return row | _errors_by_rows(pairs, results)


def _calibration(group: pd.DataFrame, results: Results) -> float:
    """Mean prediction over click rate; NaN where the probabilities aren't there."""
    scored = [results.probabilities(run) for run in group.to_dict("records")]
    ratios = [probability.mean() / clicks.mean() for clicks, probability in filter(None, scored)]
    return float(np.mean(ratios)) if ratios else np.nan


def _error(values: pd.Series) -> float:
    return float(values.std() / np.sqrt(len(values)))


def _errors_by_rows(pairs: pd.DataFrame, results: Results) -> dict[str, float]:
    """Standard errors of the differences, root mean square over the seeds."""
    errors = [_errors_of_pair(pair, results) for pair in pairs.to_dict("records")]
    found = np.array([error for error in errors if error is not None])
    if not len(found):
        return {}
    means = np.sqrt((found**2).mean(axis=0))
    return {f"{score}_row_error": float(mean) for score, mean in zip(_SCORES, means, strict=True)}


def _errors_of_pair(pair: dict[str, Any], results: Results) -> tuple[float, float] | None:
    ours, theirs = results.probabilities(pair), results.probabilities(pair | {"model": _OPPONENT})
    if ours is None or theirs is None:
        return None
    clicks = ours[0]
    differences = row_losses(clicks, ours[1]) - row_losses(clicks, theirs[1])
    auc_error = delong_test(clicks, ours[1], theirs[1]).standard_error
    return auc_error, float(differences.std() / np.sqrt(len(differences)))


def _cells(row: dict[str, Any]) -> list[str]:
    scores = [_score(row, score) for score in _SCORES]
    differences = [_difference(row, score) for score in _SCORES]
    calibration = "" if np.isnan(row["calibration"]) else f"{row['calibration']:.3f}"
    compared = row.get("n_compared", np.nan)
    seeds = f"{row['n']}" if np.isnan(compared) or compared == row["n"] else f"{row['n']} ({compared:.0f} compared)"
    return [row["model"], seeds, *scores, calibration, *differences, f"{row['fit_seconds']:.3g}"]


def _score(row: dict[str, Any], score: str) -> str:
    mean, spread = row[f"{score}_mean"], row[f"{score}_std"]
    return f"{mean:.4f} ± {spread:.4f} ({spread / np.sqrt(row['n']):.4f})" if row["n"] > 1 else f"{mean:.4f}"


def _difference(row: dict[str, Any], score: str) -> str:
    mean = row.get(f"{score}_difference", np.nan)
    if np.isnan(mean):
        return ""
    errors = [row.get(f"{score}_{kind}_error", np.nan) for kind in ("seed", "row")]
    return f"{mean:+.4f} ({'; '.join('?' if np.isnan(error) else f'{error:.4f}' for error in errors)})"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
