"""What a benchmark hands back: a number, how it spread, and the target that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from _timing import Seconds


@dataclass(frozen=True)
class Result:
    """Values of one measurement over its turns.

    Parameters
    ----------
    benchmark : str
        Which benchmark it belongs to.
    what : str
        What was measured; a ratio reads "numerator / denominator".
    values : sequence of float
        One value per turn.
    at_least, at_most : float, default=None
        The target for the median; without one the number is only stated.
    unit : str, default=""
        Empty for a ratio.
    details : dict of str to float
        Medians that the number was made from, such as the seconds of each contestant.
    """

    benchmark: str
    what: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    details: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median of the values."""
        return float(np.median(self.values))

    @property
    def spread(self) -> tuple[float, float]:
        """Lower and upper quartile of the values."""
        low, high = np.quantile(self.values, [0.25, 0.75])
        return float(low), float(high)

    @property
    def target(self) -> str:
        """The target in words, empty if there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None if there is none."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "benchmark": self.benchmark,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "quartiles": self.spread,
            "target": self.target,
            "met": self.met,
            "values": list(self.values),
            "details": self.details,
        }


def ratio(benchmark: str, seconds: Seconds, numerator: str, denominator: str, **target: float) -> Result:
    """The result of one contestant's seconds over another's, turn by turn."""
    values = [a / b for a, b in zip(seconds[numerator], seconds[denominator], strict=True)]
    details = {f"{name} [s]": float(np.median(seconds[name])) for name in (numerator, denominator)}
    return Result(benchmark, f"{numerator} / {denominator}", values, details=details, **target)


def table(results: Sequence[Result]) -> str:
    """The results as lines of text."""
    rows = [("benchmark", "what", "median", "quartiles", "target", ""), *map(_row, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _row(result: Result) -> tuple[str, ...]:
    low, high = result.spread
    verdict = {None: "", True: "met", False: "MISSED"}[result.met]
    median = f"{result.median:.3g} {result.unit}".strip()
    return (result.benchmark, result.what, median, f"{low:.3g} to {high:.3g}", result.target, verdict)
