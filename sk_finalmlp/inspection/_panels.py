"""Panels of displays, in their own figure or the user's, and the optional matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


_LONGEST_LABEL = 20


class Display:
    """A picture of numbers in panels; each display says in `_draw` what is in them."""

    axes_: list[Axes]
    figure_: Figure | SubFigure

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Axes to replace by the panels, such as from `plt.subplots()`, or one for each panel, such as `axes_` of
            another display, to compare with it; None for a figure of its own.

        Returns
        -------
        self : object
            The display itself.
        """
        self._draw(ax)
        return self

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError

    def _make_panels(
        self, ax: Any, shape: tuple[int, int], size: tuple[float, float], width_ratios: Any = None, **shared: Any
    ) -> None:
        """Set the panels: a figure of their own, a grid in the place of `ax`, or `ax` themselves."""
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib import pyplot as plt

        n_panels = shape[0] * shape[1]
        if ax is not None and np.size(ax) not in (1, n_panels):
            raise ValueError(f"{type(self).__name__} has {n_panels} panels, but ax has {np.size(ax)} axes.")
        if ax is not None and np.size(ax) == n_panels:
            self.axes_ = list(np.ravel(ax))
        else:
            if ax is None:
                parts = plt.figure(figsize=size, layout="constrained").add_gridspec(*shape, width_ratios=width_ratios)
            else:
                parts = _place_of(np.ravel(ax)[0], n_panels).subgridspec(*shape, width_ratios=width_ratios)
            self.axes_ = list(parts.subplots(squeeze=False, **shared).ravel())
        self.figure_ = self.axes_[0].figure


def check_matplotlib(caller: str) -> None:
    """Raise an ImportError that says how to install matplotlib, unless it is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'{caller} draws with matplotlib, which isn\'t installed: pip install "sk-finalmlp[plot]".'
        ) from error


def _place_of(ax: Axes, n_panels: int) -> Any:
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"The {n_panels} panels can only take the place of axes in a grid: pass axes of plt.subplots(), or "
            f"{n_panels} axes."
        )
    ax.set_axis_off()
    return place


def among_largest(table: pd.DataFrame, most: int) -> pd.Series[bool]:
    """Return the rows of the largest numbers, up to a maximum."""
    return table.max(axis=1).rank(ascending=False, method="first") <= most


def draw_cells(panel: Axes, table: pd.DataFrame, **colours: Any) -> Any:
    """Draw a table as coloured cells, with the names of its rows and columns."""
    image = panel.imshow(table.to_numpy(dtype=float), aspect="auto", **colours)
    panel.set_facecolor("0.85")
    panel.set_yticks(range(len(table)), [_label(name) for name in table.index])
    panel.set_xticks(range(table.shape[1]), [_label(name) for name in table.columns], rotation=90)
    if table.columns.name is not None:
        panel.set_xlabel(str(table.columns.name))
    return image


def _label(name: Any) -> str:
    """Return a name as an axis has room for it."""
    text = str(name)
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def error_bars(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return how far the interval of a column reaches, below and above, as matplotlib's error bars take it."""
    return np.abs(table[[f"{name}_low", f"{name}_high"]].sub(table[name], axis=0).to_numpy().T)


def label_rows(panel: Axes, labels: Sequence[str]) -> None:
    """Name the rows of a panel, from top to bottom."""
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.grid(axis="y", alpha=0.3)
