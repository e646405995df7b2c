"""What came of the tries of a fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Result:
    """Outcomes of the tries of one fault.

    Parameters
    ----------
    name : str
        The fault.
    loses : bool
        Whether losses are known and documented.
    outcomes : Counter
        How often each outcome came; those that begin with "lost" are losses.
    """

    name: str
    loses: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str) -> None:
        """Count the outcome of a try."""
        self.outcomes[outcome] += 1

    @property
    def n_lost(self) -> int:
        """Number of losses."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.startswith("lost"))


def table(results: list[Result]) -> str:
    """Results as a table in Markdown."""
    lines = ["| fault | tries | losses | what came of it |", "|---|---|---|---|"]
    for result in results:
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in result.outcomes.most_common())
        lines.append(f"| {result.name} | {result.outcomes.total()} | {result.n_lost} | {outcomes} |")
    return "\n".join(lines)
