"""What was fitted, in scikit-learn's HTML representation of an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata

from ._sklearn import HtmlRepresentation, is_fitted

_MAX_ROWS = 100


@dataclass(frozen=True)
class Summary:
    """A table that unfolds.

    Parameters
    ----------
    title : str
        What the table is about.
    header : sequence of str
        Names of its columns; none for a table of names and values.
    rows : sequence of sequence of object
        Its cells.
    is_open : bool, default=False
        Whether it is unfolded from the start.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    is_open: bool = False

    def to_html(self) -> str:
        """The table in the style of scikit-learn's table of parameters."""
        lines = [_row(cells) for cells in self.rows[:_MAX_ROWS]]
        if self.header:
            lines.insert(0, _row(self.header, '<th style="color: black; text-align: left">{}</th>'))
        if len(self.rows) > _MAX_ROWS:
            lines.append(_row([f"... and {len(self.rows) - _MAX_ROWS:,} more"]))
        return (
            f'<div class="estimator-table"><details{" open" if self.is_open else ""}>'
            f"<summary>{escape(self.title)}</summary>"
            f'<table class="parameters-table"><tbody>{"".join(lines)}</tbody></table></details></div>'
        )


def _row(cells: Sequence[object], cell: str = "<td>{}</td>") -> str:
    # The class gives scikit-learn's black on white, in dark notebooks too.
    return f'<tr class="default">{"".join(cell.format(escape(str(content))) for content in cells)}</tr>'


class FittedSummary(HtmlRepresentation):
    """Mixin that shows what was fitted before the parameters, and links to the documentation."""

    def _summaries(self) -> list[Summary]:
        """Tables about the fitted estimator, first what is most asked for."""
        raise NotImplementedError

    def _html_before_parameters(self) -> str:
        return "".join(summary.to_html() for summary in self._summaries()) if is_fitted(self) else ""

    def _documentation_address(self) -> str:
        return _documentation_address()


def _documentation_address() -> str:
    """Where the documentation is, as the installed package says; empty if it doesn't."""
    try:
        addresses = metadata.metadata("sk-finalmlp").get_all("Project-URL", [])
    except metadata.PackageNotFoundError:
        return ""
    named: dict[str, str] = dict(address.split(", ", maxsplit=1) for address in addresses)
    return named.get("Documentation", "").rstrip("/")
