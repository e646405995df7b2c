"""The summary as a picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_TITLES = {"auc": "AUC, better to the right", "log_loss": "log-loss, better to the left"}
_WIDTH_OF_INTERVAL = 1.96


def plot(summary: pd.DataFrame, path: Path) -> None:
    """Draw a row of two panels per data set: a dot per model with its 95% interval over seeds."""
    data, models = list(summary["data"].unique()), list(summary["model"].unique())
    height = 0.6 + 0.22 * len(models)
    figure = Figure(figsize=(11, height * len(data)), layout="constrained")
    axes = figure.subplots(len(data), 2, squeeze=False)
    for name, pair in zip(data, axes, strict=True):
        for score, ax in zip(_TITLES, pair, strict=True):
            _draw(ax, summary[summary["data"] == name], models, score)
            ax.set_title(f"{name}: {_TITLES[score]}", fontsize=9)
    figure.savefig(path, dpi=120)


def _draw(ax: Axes, rows: pd.DataFrame, models: list[str], score: str) -> None:
    for row in rows.to_dict("records"):
        position = models.index(row["model"])
        error = row[f"{score}_error"] if row["n"] > 1 else 0
        color = "tab:red" if row["model"].startswith("finalmlp") else "tab:blue"
        ax.errorbar(row[f"{score}_mean"], position, xerr=_WIDTH_OF_INTERVAL * error, fmt="o", color=color, capsize=3)
    ax.set_yticks(range(len(models)), models, fontsize=8)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.grid(axis="x", alpha=0.3)
