"""The differences to CatBoost as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_TITLES = {"auc": "AUC minus CatBoost's", "log_loss": "log-loss of CatBoost minus that of the model"}
_SIGNS = {"auc": 1, "log_loss": -1}
_WIDTH_OF_INTERVAL = 1.96


def plot(summary: pd.DataFrame, path: Path) -> None:
    """Draw two panels per data set: how much better than CatBoost each model is, with 95% intervals.

    An interval is made of the larger one of the two standard errors: over seeds, and by the scored rows.
    """
    compared = summary[summary["auc_difference"].notna()]
    models = list(compared["model"].unique())
    data = list(compared["data"].unique())
    figure = Figure(figsize=(11, (0.7 + 0.2 * len(models)) * len(data)), layout="constrained")
    for name, pair in zip(data, figure.subplots(len(data), 2, squeeze=False), strict=True):
        for score, ax in zip(_TITLES, pair, strict=True):
            _draw(ax, compared[compared["data"] == name].to_dict("records"), models, score)
            ax.set_title(f"{name}: {_TITLES[score]}", fontsize=9)
    figure.suptitle("Right of the line: better than CatBoost", fontsize=10)
    figure.savefig(path, dpi=120)


def _draw(ax: Axes, rows: list[dict[str, Any]], models: list[str], score: str) -> None:
    ax.axvline(0, color="black", linewidth=1)
    for row in rows:
        color = "tab:red" if row["model"].startswith("finalmlp") else "tab:blue"
        better = _SIGNS[score] * row[f"{score}_difference"]
        error = np.nanmax([row[f"{score}_seed_error"], row.get(f"{score}_row_error", np.nan), 0])
        interval = _WIDTH_OF_INTERVAL * error
        ax.errorbar(better, models.index(row["model"]), xerr=interval, fmt="o", color=color, capsize=3)
    ax.set_yticks(range(len(models)), models, fontsize=8)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="x", alpha=0.3)
