"""What each column of a raw table adds to the logit of a row."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .._sklearn import AT_LEAST_ONE, validate_params
from .._warnings import shown
from ._model import best_of, classifier_of, encoder_of
from ._panels import Display, check_matplotlib
from ._tables import Coalitions, RawTable, check_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# 256 predictions of each row.
_MAX_EXACT = 8


@validate_params({"n_permutations": [AT_LEAST_ONE], "random_state": ["random_state"]})
def row_contributions(
    estimator: Any,
    X: Any,
    *,
    columns: str | Sequence[str] | None = None,
    n_permutations: int = 50,
    random_state: int | RandomState | None = None,
) -> pd.DataFrame:
    r"""How much each column of a raw table adds to the logit of each row.

    Parameters
    ----------
    estimator : estimator
        A fitted pipeline of `CTREncoder` and a classifier of this library for two classes, or a search that found one.
    X : dataframe or array-like of shape (n_samples, n_features)
        Raw rows to be explained.
    columns : str or sequence of str, default=None
        The columns, `x0`, `x1`, ... in an array; all if None. The others stay known throughout.
    n_permutations : int, default=50
        Number of random orders of the columns where there are more than 8; each takes as many predictions of all rows
        as there are columns.
    random_state : int, RandomState instance or None, default=None
        Seed of these orders.

    Returns
    -------
    DataFrame of shape (n_samples, n_columns)
        A row per row of `X`, a column per column, in units of the logit. A row adds up to its logit minus the logit
        with all columns unknown.

    Raises
    ------
    ValueError
        If `X` is no table, or has no column of a name, or the classifier has more than two classes.
    TypeError
        If there is no `CTREncoder` or no classifier of this library in `estimator`.

    See Also
    --------
    RowContributionsDisplay : The same as a picture.
    pair_interactions : How much two columns move the logit together.

    Notes
    -----
    A column that is unknown is missing in the raw table, and with it all that is made of it: its code, its statistics,
    the crosses that it is part of. Let :math:`f(S)` be the logit of a row when the columns :math:`S` of all :math:`k`
    are known. The contribution of column :math:`i` is its Shapley value, the change when it becomes known, averaged
    over all orders of columns:

    .. math::
        \phi_i = \sum_{S \not\ni i} \frac{|S|! \, (k - |S| - 1)!}{k!} \, \bigl(f(S \cup \{i\}) - f(S)\bigr)

    For up to 8 columns it is exact. For more, it is the mean over `n_permutations` random orders, the same for all
    rows, with a standard error that falls with the root of their number; the sums are exact.

    It says what the model makes of a row, not what would happen if the row were another. Columns that tell the same
    share what they add. Where `fit` saw few missing values, a row of unknown columns is foreign to the model, and its
    logit may be far from the click rate's: compare rows, and columns of a row, rather than signs.

    References
    ----------
    L. S. Shapley, "A Value for n-Person Games", Contributions to the Theory of Games II (1953). J. Castro, D. Gómez,
    J. Tejada, "Polynomial calculation of the Shapley value based on sampling", Computers & Operations Research 36
    (2009).

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.inspection import row_contributions
    >>> X, y, _ = make_click_data(2000, random_state=0)
    >>> X = X[["user", "item", "tags"]]
    >>> model = make_pipeline(
    ...     CTREncoder(), FinalMLPClassifier(n_members=1, random_state=0)
    ... ).fit(X, y)
    >>> contributions = row_contributions(model, X[:5])
    >>> contributions.shape
    (5, 3)
    >>> unknown = model.decision_function(X[:1].assign(user=None, item=None, tags=None))
    >>> bool(
    ...     abs(unknown + contributions.sum(axis=1) - model.decision_function(X[:5])).max()
    ...     < 1e-4
    ... )
    True
    """
    return _explain(estimator, X, columns, n_permutations, random_state)[0]


def _explain(
    estimator: Any, X: Any, columns: str | Sequence[str] | None, n_permutations: int, random_state: Any
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Contributions, and the logits of the rows with all columns unknown."""
    _check_model(estimator)
    table = RawTable(X)
    chosen = table.names if columns is None else [columns] if isinstance(columns, str) else list(columns)
    check_columns(chosen, table.names)

    def logits_of(coalitions: Coalitions) -> NDArray[np.float64]:
        parts = table.with_unknown(chosen, coalitions)
        found = np.concatenate([best_of(estimator).decision_function(part) for part in parts])
        return found.reshape(len(coalitions), len(table))

    if len(chosen) <= _MAX_EXACT:
        values, unknown = _exact(len(chosen), logits_of)
    else:
        random = check_random_state(random_state)
        orders = np.array([random.permutation(len(chosen)) for _ in range(n_permutations)])
        values, unknown = _sampled(orders, logits_of)
    return pd.DataFrame(values.T, index=table.index, columns=chosen), unknown


def _check_model(estimator: Any) -> None:
    classifier = classifier_of(estimator)
    if encoder_of(estimator) is None:
        raise TypeError(
            "row_contributions makes columns of the raw table unknown, so it needs a pipeline with a CTREncoder; "
            f"{type(estimator).__name__} has none."
        )
    if len(classifier.classes_) > 2:
        raise ValueError(
            f"The classifier has the {len(classifier.classes_)} classes {shown(classifier.classes_.tolist())}, and a "
            "contribution is one to the single logit of two classes."
        )


def _exact(n_columns: int, logits_of: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shapley values, shape (k, n), and the logits without any column, shape (n,)."""
    numbers = np.arange(2**n_columns)
    known = (numbers[:, None] >> np.arange(n_columns) & 1).astype(bool)
    logits = logits_of(known)
    n_known = known.sum(axis=1)
    weight = np.array([factorial(n) * factorial(n_columns - n - 1) / factorial(n_columns) for n in range(n_columns)])
    values = np.empty((n_columns, logits.shape[1]))
    for column in range(n_columns):
        without = numbers[~known[:, column]]
        values[column] = weight[n_known[without]] @ (logits[without | 1 << column] - logits[without])
    return values, logits[0]


def _sampled(orders: NDArray[np.intp], logits_of: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean over orders of the columns, shape (m, k), of what each column changes in its turn."""
    n_orders, n_columns = orders.shape
    ranks = orders.argsort(axis=1)
    none, every = logits_of(np.array([[False] * n_columns, [True] * n_columns]))
    known = ranks[:, None, :] < np.arange(1, n_columns)[:, None]
    between = logits_of(known.reshape(-1, n_columns)).reshape(n_orders, n_columns - 1, -1)
    values = np.zeros((n_columns, len(none)))
    for order, logits in zip(orders, between, strict=True):
        values[order] += np.diff(np.vstack([none, logits, every]), axis=0)
    return values / n_orders, none


class RowContributionsDisplay(Display):
    """What each column of a raw table adds to the logit, for one row or for many.

    Make it by :meth:`from_estimator`; the parameters are kept as attributes.

    Parameters
    ----------
    contributions : DataFrame of shape (n_samples, n_columns)
        What `row_contributions` returns.
    unknown_logit : ndarray of shape (n_samples,)
        Logits of the rows with all columns unknown.
    values : DataFrame of str, shape (n_samples, n_columns)
        What the rows hold, as it is written beside the bars of a single row.

    Attributes
    ----------
    axes_ : list of Axes
        A single panel.
    figure_ : Figure
        The figure that holds it.

    See Also
    --------
    row_contributions : The numbers alone, what exactly they are and how to read them.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.inspection import RowContributionsDisplay
    >>> X, y, _ = make_click_data(2000, random_state=0)
    >>> X = X[["user", "item", "tags"]]
    >>> model = make_pipeline(
    ...     CTREncoder(), FinalMLPClassifier(n_members=1, random_state=0)
    ... ).fit(X, y)
    >>> display = RowContributionsDisplay.from_estimator(model, X[:1])
    >>> display.values.iloc[0].to_dict()
    {'user': 'user_65', 'item': 'item_428', 'tags': "['tag_4', 'tag_8', 'tag_12']"}
    """

    def __init__(self, contributions: pd.DataFrame, unknown_logit: NDArray[np.float64], values: pd.DataFrame) -> None:
        self.contributions = contributions
        self.unknown_logit = unknown_logit
        self.values = values

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        columns: str | Sequence[str] | None = None,
        n_permutations: int = 50,
        random_state: int | RandomState | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute the contributions and draw them.

        Parameters
        ----------
        estimator, X, columns, n_permutations, random_state
            As for :func:`row_contributions`.
        ax : Axes, default=None
            Where to draw, as for :meth:`plot`.

        Returns
        -------
        RowContributionsDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        contributions, unknown_logit = _explain(estimator, X, columns, n_permutations, random_state)
        values = RawTable(X).texts(list(contributions.columns)).set_axis(contributions.index)
        return cls(contributions, unknown_logit, values).plot(ax=ax)

    def plot(self, ax: Any = None, *, max_columns: int = 20) -> Self:
        """Draw the display: bars for one row, a point per row for many.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None for a figure of its own.
        max_columns : int, default=20
            Columns to draw at most: those with the largest contributions, by the mean of their sizes.

        Returns
        -------
        RowContributionsDisplay
            The display itself.
        """
        sizes = self.contributions.abs().mean().sort_values(ascending=False, kind="stable")
        drawn = self.contributions[sizes.index[:max_columns]]
        self._make_panels(ax, (1, 1), (7.0, 1.5 + 0.3 * drawn.shape[1]))
        (panel,) = self.axes_
        if len(drawn) == 1:
            self._draw_row(panel, drawn)
        else:
            _draw_rows(panel, drawn)
        panel.axvline(0, color="0.5", linewidth=0.8)
        panel.invert_yaxis()
        panel.set_xlabel("contribution to the logit")
        panel.grid(axis="x", alpha=0.3)
        return self

    def _draw_row(self, panel: Axes, drawn: pd.DataFrame) -> None:
        row = drawn.iloc[0]
        labels = [f"{name} = {self.values[name].iloc[0]}" for name in drawn.columns]
        colours = np.where(row > 0, "C3", "C0")
        panel.barh(range(len(row)), row, color=colours)
        panel.set_yticks(range(len(row)), labels)
        unknown = self.unknown_logit[0]
        logit = unknown + self.contributions.iloc[0].sum()
        panel.set_title(f"logit {logit:.2f}; {unknown:.2f} with all of it unknown", fontsize="medium")


def _draw_rows(panel: Axes, drawn: pd.DataFrame) -> None:
    places = np.arange(drawn.shape[1])
    # Rows of one contribution are adjacent, in the order of the table.
    beside = np.linspace(-0.3, 0.3, len(drawn))
    for place, name in zip(places, drawn.columns, strict=True):
        panel.plot(drawn[name], place + beside, ".", markersize=3, alpha=0.5, color="C0")
    panel.barh(places, drawn.abs().mean(), height=0.8, color="0.85", zorder=0, label="mean size")
    panel.set_yticks(places, [str(name) for name in drawn.columns])
    panel.legend()
