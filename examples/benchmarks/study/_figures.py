"""The comparisons as pictures, drawn from their table alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from _comparisons import ALL, LEVEL
from _peers import PEERS
from _variants import ABLATIONS, HEADS_OF_WIDTH, REFERENCE, VARIANTS, name_of_heads
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_SCORES = {"auc": "AUC", "log_loss": "log-loss"}
_BETTER = {"auc": "right of the line is better", "log_loss": "left of the line is better"}
_COLORS = {
    "gates": "tab:blue",
    "fusion": "tab:orange",
    "streams": "tab:green",
    "baselines": "tab:purple",
    "start": "tab:red",
}
_COLOR_OF_PEERS = "tab:gray"


def draw(comparisons: pd.DataFrame, folder: Path) -> list[Path]:
    """Write a picture for each family of comparisons that is there."""
    families = {"ablations": _forests, "peers": _forests, "heads": _curves}
    paths = []
    for family, make in families.items():
        own = comparisons[comparisons["family"] == family]
        if len(own):
            paths.append(folder / f"study-{family}.svg")
            # The same picture is the same file, and a small one.
            with mpl.rc_context({"svg.hashsalt": family, "svg.fonttype": "none"}):
                make(_in_panels(own)).savefig(paths[-1], metadata={"Date": None})
    return paths


def _forests(own: pd.DataFrame) -> Figure:
    """A panel per data set and score: each model's difference to the reference."""
    models = [model for model in [*ABLATIONS, *PEERS] if model in set(own["model"])]
    panels = list(own["panel"].unique())
    figure = Figure(figsize=(3 + 2.2 * len(panels), 2 * (1 + 0.2 * len(models))), layout="constrained")
    axes = figure.subplots(2, len(panels), sharey=True, squeeze=False)
    for score, row in zip(_SCORES, axes, strict=True):
        for panel, ax in zip(panels, row, strict=True):
            _forest(ax, own[(own["panel"] == panel) & (own["score"] == score)], models)
            ax.set_title(f"{panel}: {_SCORES[score]}", fontsize=9)
            ax.set_xlabel(_BETTER[score], fontsize=7)
    title = f"Difference to {REFERENCE}, 95% intervals; filled: significant after Holm's correction"
    figure.suptitle(title, fontsize=10)
    return figure


def _forest(ax: Axes, rows: pd.DataFrame, models: list[str]) -> None:
    ax.axvline(0, color="black", linewidth=1)
    for row in rows.to_dict("records"):
        part = VARIANTS[row["model"]].part if row["model"] in VARIANTS else ""
        color = _COLORS.get(part, _COLOR_OF_PEERS)
        position = models.index(row["model"])
        ax.plot([row["low"], row["high"]], [position] * 2, color=color)
        filling = color if row["pvalue_holm"] < LEVEL else "white"
        ax.plot(row["difference"], position, "o", color=color, markerfacecolor=filling, markersize=5)
    ax.set_yticks(range(len(models)), [_label(model) for model in models], fontsize=8)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=7)
    ax.grid(axis="x", alpha=0.3)


def _curves(own: pd.DataFrame) -> Figure:
    """A panel per data set and score: the difference to one head over the number of heads, a line per width."""
    panels = list(own["panel"].unique())
    figure = Figure(figsize=(1 + 2.6 * len(panels), 6), layout="constrained")
    axes = figure.subplots(2, len(panels), squeeze=False)
    for score, row in zip(_SCORES, axes, strict=True):
        for panel, ax in zip(panels, row, strict=True):
            ax.axhline(0, color="black", linewidth=1)
            for width in HEADS_OF_WIDTH:
                _curve(ax, own[(own["panel"] == panel) & (own["score"] == score)], width)
            ax.set_title(f"{panel}: {_SCORES[score]}", fontsize=9)
            ax.set_xscale("log", base=2)
            ax.tick_params(labelsize=7)
            ax.grid(alpha=0.3)
    for ax in axes[1]:
        ax.set_xlabel("heads", fontsize=8)
    axes[0, 0].legend(title="width", fontsize=7, title_fontsize=7)
    figure.suptitle("Difference to one head on streams of the same width, 95% intervals", fontsize=10)
    return figure


def _curve(ax: Axes, rows: pd.DataFrame, width: int) -> None:
    heads_of = {name_of_heads(width, heads): heads for heads in HEADS_OF_WIDTH[width]}
    points = sorted(rows[rows["model"].isin(heads_of)].to_dict("records"), key=lambda point: heads_of[point["model"]])
    # Intervals of several widths side by side, not on top of each other.
    shift = 1.06 ** (list(HEADS_OF_WIDTH).index(width) - 1)
    heads = [heads_of[point["model"]] * shift for point in points]
    differences = [point["difference"] for point in points]
    margins = [point["high"] - point["difference"] for point in points]
    ax.errorbar(heads, differences, margins, marker="o", markersize=4, label=width)


def _in_panels(own: pd.DataFrame) -> pd.DataFrame:
    """The comparisons with the titles of their panels, which name the number of training rows where it is unusual."""
    usual = own["n_train"].mode()[0]
    names = own["data"].replace(ALL, "mean of all")
    with_rows = names + ", " + own["n_train"].astype("str") + " rows"
    return own.assign(panel=names.where(own["n_train"] == usual, with_rows))


def _label(model: str) -> str:
    return ABLATIONS[model].stands_for if model in ABLATIONS else model
