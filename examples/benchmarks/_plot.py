"""The results as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from _results import Result
from matplotlib.figure import Figure

_COLORS = {True: "tab:green", False: "tab:red"}


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw each result that has a target as its distance from it: right of the line is better than the target."""
    judged = [result for result in results if result.met is not None]
    figure = Figure(figsize=(10, 1 + 0.4 * len(judged)), layout="constrained")
    ax = figure.subplots()
    for position, result in enumerate(judged):
        values = [_times_better(result, value) for value in (result.median, *result.spread)]
        ax.plot(sorted(values[1:]), [position] * 2, color=_COLORS[bool(result.met)], linewidth=4, alpha=0.4)
        ax.plot(values[0], position, "o", color=_COLORS[bool(result.met)])
    ax.axvline(1, color="black", linewidth=1)
    ax.set(xscale="log", xlabel="times better than the target (median, quartiles)")
    ax.set_yticks(range(len(judged)), [f"{result.what}  {result.target}" for result in judged], fontsize=8)
    ax.invert_yaxis()
    figure.savefig(path, dpi=120)


def _times_better(result: Result, value: float) -> float:
    if result.at_least is not None:
        return value / result.at_least
    # A measured zero, such as no module loaded, is as good as it gets.
    return (result.at_most or 1) / value if value > 0 else 10.0
