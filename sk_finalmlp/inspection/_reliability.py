"""Predicted click probabilities against click rates."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from .._checks import Label, bin_edges, check_clicks, check_probabilities, check_weights
from .._sklearn import AT_LEAST_ONE, BETWEEN_0_AND_1, StrOptions, validate_params
from ._model import click_probabilities
from ._panels import Display, check_matplotlib, error_bars

_DIAGONAL = "perfectly calibrated"


@validate_params(
    {
        "n_bins": [AT_LEAST_ONE],
        "strategy": [StrOptions({"uniform", "quantile"})],
        "confidence_level": [BETWEEN_0_AND_1],
    }
)
def reliability_bins(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    n_bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "quantile",
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> pd.DataFrame:
    r"""Mean probability and click rate of rows of similar probability.

    Parameters
    ----------
    y_true, y_proba : array-like of shape (n_samples,)
        Labels of two classes, or of one, and probabilities of a click.
    n_bins, strategy, sample_weight, pos_label
        As for :func:`sk_finalmlp.metrics.expected_calibration_error`.
    confidence_level : float, default=0.95
        Confidence level of the interval for the click rate, between 0 and 1.

    Returns
    -------
    DataFrame
        One row per bin that isn't empty, with the columns

        - `low`, `high`: where the bin begins and ends; `high` belongs to it;
        - `mean_probability`, `click_rate`: means by weight;
        - `click_rate_low`, `click_rate_high`: Wilson's confidence interval of the click rate, for as many rows as the
          weights are worth by Kish, :math:`(\sum w)^2 / \sum w^2`;
        - `rows`, `weight`: number of rows and sum of their weights.

    Raises
    ------
    ValueError
        As :func:`sk_finalmlp.metrics.expected_calibration_error`.

    See Also
    --------
    ReliabilityDisplay : The same as a picture.
    sk_finalmlp.metrics.expected_calibration_error : One number for all of it.

    References
    ----------
    E. B. Wilson. "Probable Inference, the Law of Succession, and Statistical Inference." JASA 22 (1927).

    Examples
    --------
    >>> from sk_finalmlp.inspection import reliability_bins
    >>> clicked = [0, 0, 0, 1, 1, 1]
    >>> probability = [0.1, 0.1, 0.1, 0.1, 0.8, 0.8]
    >>> reliability_bins(clicked, probability, n_bins=2)[
    ...     ["mean_probability", "click_rate", "rows"]
    ... ]
       mean_probability  click_rate  rows
    0               0.1        0.25     4
    1               0.8        1.00     2
    """
    clicks = check_clicks(y_true, pos_label)
    probabilities = check_probabilities(y_proba, clicks).astype(np.float64)
    weights = check_weights(sample_weight, clicks)
    counts = weights > 0
    clicks, probabilities, weights = clicks[counts], probabilities[counts], weights[counts]
    edges = bin_edges(probabilities, weights, n_bins, strategy)
    ends = (0.0, 1.0) if strategy == "uniform" else (probabilities.min(), probabilities.max())
    codes, filled = pd.factorize(np.searchsorted(edges, probabilities), sort=True)
    summed = (weights, weights * probabilities, weights * clicks, weights**2)
    weight, probability, clicked, squares = (np.bincount(codes, own) for own in summed)
    rate = clicked / weight
    low, high = _wilson_interval(rate, weight**2 / squares, confidence_level)
    columns = {
        "low": np.concatenate([ends[:1], edges])[filled],
        "high": np.concatenate([edges, ends[1:]])[filled],
        "mean_probability": probability / weight,
        "click_rate": rate,
        "click_rate_low": low,
        "click_rate_high": high,
        "rows": np.bincount(codes),
        "weight": weight,
    }
    return pd.DataFrame(columns)


def _wilson_interval(
    rate: NDArray[np.float64], n: NDArray[np.float64], confidence_level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    squared = norm.isf((1 - confidence_level) / 2) ** 2 / n
    center = (rate + squared / 2) / (1 + squared)
    margin = np.sqrt(squared * rate * (1 - rate) + squared**2 / 4) / (1 + squared)
    return np.clip(center - margin, 0, 1), np.clip(center + margin, 0, 1)


class ReliabilityDisplay(Display):
    """Reliability diagram: click rates over predicted probabilities.

    Make it by :meth:`from_estimator` or :meth:`from_predictions`; the parameters are kept as attributes. It differs
    from :class:`sklearn.calibration.CalibrationDisplay` in that it takes sample weights, has bins of equal weight by
    default, and shows how sure each click rate is.

    Parameters
    ----------
    bins : DataFrame
        The bins, as `reliability_bins` returns them.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    axes_ : list of Axes
        The diagram, with the confidence interval of each click rate, as a single panel.
    figure_ : Figure
        The figure that holds them.

    See Also
    --------
    reliability_bins : The numbers alone.

    Notes
    -----
    A point above the diagonal says that rows of this probability are clicked more often than predicted. Of intervals
    of 95 %, one in twenty misses the diagonal even where the probabilities are true. With bins of equal weight, points
    lie close together where there are many rows.

    Examples
    --------
    >>> from sk_finalmlp.inspection import ReliabilityDisplay
    >>> clicked = [0, 0, 0, 1, 1, 1]
    >>> probability = [0.1, 0.1, 0.1, 0.1, 0.8, 0.8]
    >>> display = ReliabilityDisplay.from_predictions(
    ...     clicked, probability, n_bins=2, name="first"
    ... )
    >>> round(display.calibration_error, 3)
    0.167

    A second model in the same panel:

    >>> other = [0.2, 0.2, 0.2, 0.2, 0.9, 0.9]
    >>> display = ReliabilityDisplay.from_predictions(
    ...     clicked, other, n_bins=2, name="second", ax=display.axes_
    ... )
    """

    def __init__(self, bins: pd.DataFrame, *, name: str | None = None) -> None:
        self.bins = bins
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, pos_label: Label | None = None, **options: Any
    ) -> Self:
        """Predict and draw.

        Parameters
        ----------
        estimator : estimator
            Any fitted classifier of two classes, or a pipeline or search of one.
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows that it wasn't trained on.
        y : array-like of shape (n_samples,)
            Their labels.
        pos_label : bool, int, float or str, default=None
            Label of a click; by default the greater of the two.
        **options : Any
            Other arguments of :meth:`from_predictions`.

        Returns
        -------
        ReliabilityDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(y, click_probabilities(estimator, X, pos_label), pos_label=pos_label, **options)

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, y_proba: ArrayLike, *, name: str | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draw probabilities that are there already.

        Parameters
        ----------
        y_true, y_proba
            As for :func:`reliability_bins`.
        name : str, default=None
            Name of the model in the legend.
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`plot`.
        **options : Any
            `n_bins`, `strategy`, `confidence_level`, `sample_weight` and `pos_label` of :func:`reliability_bins`.

        Returns
        -------
        ReliabilityDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        return cls(reliability_bins(y_true, y_proba, **options), name=name).plot(ax=ax)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error with these bins."""
        gaps = (self.bins["mean_probability"] - self.bins["click_rate"]).abs()
        return float(np.average(gaps, weights=self.bins["weight"]))

    def _draw(self, ax: Any) -> None:
        self._make_panels(ax, (1, 1), (5.6, 5.0))
        (panel,) = self.axes_
        if _DIAGONAL not in panel.get_legend_handles_labels()[1]:
            panel.axline((0, 0), slope=1, color="0.6", linestyle=":", label=_DIAGONAL)
        rate = self.bins["click_rate"]
        margins = error_bars(self.bins, "click_rate")
        error = f"calibration error {self.calibration_error:.4f}"
        label = error if self.name is None else f"{self.name} ({error})"
        panel.errorbar(self.bins["mean_probability"], rate, yerr=margins, fmt="o-", capsize=3, label=label)
        panel.set(xlabel="predicted probability", ylabel="click rate")
        panel.legend(loc="upper left")
