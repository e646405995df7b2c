"""Scores of a model on parts of the rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import entropy
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils import check_consistent_length

from .._checks import Label, check_clicks, check_probabilities, check_weights
from .._sklearn import AT_LEAST_ONE, BETWEEN_0_AND_1, validate_params
from ..metrics import roc_auc_interval
from ._model import click_probabilities
from ._panels import Display, check_matplotlib, error_bars, label_rows
from ._tables import group_rows, read_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OVERALL = "all rows"


@validate_params({"max_values": [AT_LEAST_ONE], "confidence_level": [BETWEEN_0_AND_1]})
def slice_scores(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    by: ArrayLike,
    *,
    max_values: int = 12,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> pd.DataFrame:
    """AUC and log-loss on the rows of each value of a column.

    Parameters
    ----------
    y_true, y_proba : array-like of shape (n_samples,)
        Labels of two classes and probabilities of a click.
    by : array-like of shape (n_samples,)
        Value of each row, such as the user's age group.
    max_values : int, default=12
        Largest number of slices. Floats of more values are cut at quantiles; of other columns the most frequent values
        have slices of their own, and a slice "other values" takes the rest. For other slices, pass what
        :func:`pandas.cut` makes of the column.
    confidence_level : float, default=0.95
        Confidence level of the interval for the AUC, between 0 and 1.
    sample_weight, pos_label
        As for :func:`reliability_bins`.

    Returns
    -------
    DataFrame
        One row per slice, and the last for all rows, with the columns

        - `rows`: number of rows;
        - `click_rate`, `mean_probability`: means by weight;
        - `auc`, `auc_low`, `auc_high`: AUC with DeLong's confidence interval, as by
          :func:`sk_finalmlp.metrics.roc_auc_interval`; NaN where the slice has one class, the interval also where a
          class has a single row or where the AUC is 0 or 1;
        - `log_loss`: mean log-loss;
        - `entropy`: log-loss of a constant prediction of the slice's click rate.

    Raises
    ------
    ValueError
        As :func:`sk_finalmlp.metrics.expected_calibration_error`.

    See Also
    --------
    SliceScoresDisplay : The same as a picture.

    Notes
    -----
    Log-losses of slices differ because their click rates do: compare each with its `entropy`. The AUC of all rows may
    be higher than in every slice, as it also rewards separating the slices. Of many slices, one is far off by chance.

    Examples
    --------
    >>> from sk_finalmlp.inspection import slice_scores
    >>> clicked = [0, 1, 0, 1, 0, 0, 1, 1]
    >>> probability = [0.2, 0.6, 0.3, 0.7, 0.6, 0.1, 0.4, 0.7]
    >>> device = ["phone", "phone", "phone", "phone", "desk", "desk", "desk", "desk"]
    >>> slice_scores(clicked, probability, device)[["rows", "auc", "log_loss"]].round(3)
              rows    auc  log_loss
    phone        4  1.000     0.362
    desk         4  0.750     0.574
    all rows     8  0.906     0.468
    """
    clicks = check_clicks(y_true, pos_label)
    probabilities = check_probabilities(y_proba, clicks).astype(np.float64)
    weights = check_weights(sample_weight, clicks)
    check_consistent_length(clicks, by)
    codes, names = group_rows(by, max_values)
    counts = weights > 0
    every = [(name, counts & (codes == code)) for code, name in enumerate(names)]
    kept = [(name, rows) for name, rows in [*every, (_OVERALL, counts)] if rows.any()]
    records = [_scores(clicks[rows], probabilities[rows], weights[rows], confidence_level) for _, rows in kept]
    return pd.DataFrame(records, index=pd.Index([name for name, _ in kept], name=names.name))


def _scores(
    clicks: NDArray[np.bool_], probabilities: NDArray[np.float64], weights: NDArray[np.float64], confidence_level: float
) -> dict[str, float]:
    click_rate = float(np.average(clicks, weights=weights))
    auc, low, high = _auc_with_interval(clicks, probabilities, weights, confidence_level)
    return {
        "rows": len(clicks),
        "click_rate": click_rate,
        "mean_probability": float(np.average(probabilities, weights=weights)),
        "auc": auc,
        "auc_low": low,
        "auc_high": high,
        "log_loss": log_loss(clicks, probabilities, sample_weight=weights, labels=[False, True]),
        "entropy": float(entropy([click_rate, 1 - click_rate])),
    }


def _auc_with_interval(
    clicks: NDArray[np.bool_], probabilities: NDArray[np.float64], weights: NDArray[np.float64], confidence_level: float
) -> tuple[float, float, float]:
    fewest = min(clicks.sum(), (~clicks).sum())
    if fewest == 0:
        return np.nan, np.nan, np.nan
    if fewest == 1:
        return roc_auc_score(clicks, probabilities, sample_weight=weights), np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        auc, low, high, error = roc_auc_interval(
            clicks, probabilities, confidence_level=confidence_level, sample_weight=weights
        )
    return (auc, low, high) if error > 0 else (auc, np.nan, np.nan)


class SliceScoresDisplay(Display):
    """AUC and log-loss on the rows of each value of a column.

    Make it by :meth:`from_estimator` or :meth:`from_predictions`; the parameter is kept as an attribute.

    Parameters
    ----------
    scores : DataFrame
        The scores, as `slice_scores` returns them.

    Attributes
    ----------
    axes_ : list of Axes
        The panels: AUC with its interval, and log-loss next to the slice's click rate as a constant prediction.
    figure_ : Figure
        The figure that holds them.

    See Also
    --------
    slice_scores : The numbers alone, what each means and how to read them.

    Examples
    --------
    >>> from sk_finalmlp.inspection import SliceScoresDisplay
    >>> clicked = [0, 1, 0, 1, 0, 0, 1, 1]
    >>> probability = [0.2, 0.6, 0.3, 0.7, 0.6, 0.1, 0.4, 0.7]
    >>> device = ["phone", "phone", "phone", "phone", "desk", "desk", "desk", "desk"]
    >>> display = SliceScoresDisplay.from_predictions(clicked, probability, device)
    >>> display.scores["auc"].to_dict()
    {'phone': 1.0, 'desk': 0.75, 'all rows': 0.90625}
    """

    def __init__(self, scores: pd.DataFrame) -> None:
        self.scores = scores

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        by: str | ArrayLike,
        *,
        pos_label: Label | None = None,
        **options: Any,
    ) -> Self:
        """Predict, score and draw.

        Parameters
        ----------
        estimator, X, y, pos_label
            As for :meth:`ReliabilityDisplay.from_estimator`.
        by : str or array-like of shape (n_samples,)
            Name of a column of `X`, or a value for each row.
        **options : Any
            Other arguments of :meth:`from_predictions`.

        Returns
        -------
        SliceScoresDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        probability, column = click_probabilities(estimator, X, pos_label), read_column(X, by)
        return cls.from_predictions(y, probability, column, pos_label=pos_label, **options)

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, y_proba: ArrayLike, by: ArrayLike, *, ax: Any = None, **options: Any
    ) -> Self:
        """Score and draw.

        Parameters
        ----------
        y_true, y_proba, by
            As for :func:`slice_scores`.
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`plot`.
        **options : Any
            `max_values`, `confidence_level`, `sample_weight` and `pos_label` of :func:`slice_scores`.

        Returns
        -------
        SliceScoresDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        return cls(slice_scores(y_true, y_proba, by, **options)).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        size = (8.0, 1.4 + 0.3 * len(self.scores))
        self._make_panels(ax, (1, 2), size, sharey=True)
        rows = np.arange(len(self.scores))
        self._draw_aucs(self.axes_[0], rows)
        self._draw_log_losses(self.axes_[1], rows)
        labels = [f"{name}  (n = {n:,})" for name, n in self.scores["rows"].items()]
        if self.scores.index.name is not None:
            self.axes_[0].set_ylabel(str(self.scores.index.name))
        for panel in self.axes_:
            label_rows(panel, labels)
            panel.axhline(len(rows) - 1.5, color="0.6", linewidth=0.8)

    def _draw_aucs(self, panel: Axes, rows: NDArray[np.intp]) -> None:
        auc = self.scores["auc"]
        panel.errorbar(auc, rows, xerr=error_bars(self.scores, "auc"), fmt="o", color="C0", capsize=3)
        panel.axvline(auc.iloc[-1], color="0.6", linestyle=":")
        panel.set_xlabel("AUC")

    def _draw_log_losses(self, panel: Axes, rows: NDArray[np.intp]) -> None:
        panel.plot(self.scores["log_loss"], rows, "o", color="C1", label="model")
        panel.plot(self.scores["entropy"], rows, "|", color="0.5", markersize=12, label="click rate of the slice")
        panel.set_xlabel("log-loss")
        # Above the panel, where it hides no slice.
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize="small")
