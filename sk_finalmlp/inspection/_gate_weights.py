"""Weights of the gates of the two streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from .._sklearn import AT_LEAST_ONE, validate_params
from ..estimators import FinalMLPClassifier
from ._model import Batch, batches, field_gates, gated_classifier_of, read_rows, weighted_members_of
from ._panels import Display, among_largest, check_matplotlib, draw_cells, label_rows
from ._tables import group_rows, read_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_STREAMS = (1, 2)


@validate_params({"max_values": [AT_LEAST_ONE]})
def gate_weights(estimator: Any, X: Any, *, by: str | ArrayLike | None = None, max_values: int = 12) -> pd.DataFrame:
    """Mean gate of each field in both streams, by the values of a column if wanted.

    Parameters
    ----------
    estimator : estimator
        A fitted `FinalMLPClassifier` with gates, a pipeline that ends in one, or a
        search that found one.
    X : dataframe or array-like of shape (n_samples, n_features)
        Rows to take the mean over; some thousands are enough.
    by : str or array-like of shape (n_samples,), default=None
        Name of a column of `X`, or a value for each row, such as the user's segment. Where the gates have no context
        (`fs1_context`, `fs2_context`), all rows have the same.
    max_values : int, default=12
        Largest number of groups, which are made as the slices of :func:`slice_scores`.

    Returns
    -------
    DataFrame
        One row per field, and one column per stream, 1 and 2; with `by`, one per stream and value. A field that a
        stream doesn't read, or reads without a gate, has NaN.

    Raises
    ------
    ValueError
        If the classifier has no gates, or `X` no such column.
    TypeError
        If there is no classifier of this library in `estimator`.

    See Also
    --------
    GateWeightsDisplay : The same as a picture.

    Notes
    -----
    A gate is 2 * sigmoid(g), one number for each feature of a field's embedding; here is their mean. 1 is neutral, 0
    shuts the field out, 2 doubles it. The networks of an ensemble count by their weight in the vote, those that read
    the field.

    A gate scales a field, but the layer behind it may undo that: compare a field between segments and streams rather
    than one field with another, and ask a permutation importance (:func:`sklearn.inspection.permutation_importance`)
    which field matters.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import gate_weights
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.integers(0, 5, (500, 2)), columns=["user", "item"])
    >>> clf = FinalMLPClassifier(fs1_context=["user"], max_epochs=2).fit(
    ...     X, (X["user"] + X["item"]) % 2
    ... )
    >>> gate_weights(clf, X).shape, gate_weights(clf, X, by="user").shape
    ((2, 2), (2, 10))
    """
    classifier = gated_classifier_of(estimator)
    column = pd.Series(0, index=range(len(X))) if by is None else read_column(X, by)
    check_consistent_length(X, column)
    groups, values = group_rows(column, max_values)
    names = [field.name for field in classifier.fields_ if not field.is_added]
    gates = _gates_of_rows(classifier, names, read_rows(estimator, classifier, X))
    means = [pd.DataFrame(of_stream, columns=names).groupby(groups).mean().set_axis(values).T for of_stream in gates]
    table = pd.concat(means, axis=1, keys=_STREAMS, names=["stream", values.name]).rename_axis("field")
    return table.droplevel(1, axis=1) if by is None else table


def _gates_of_rows(classifier: FinalMLPClassifier, names: list[str], rows: Batch) -> NDArray[np.float64]:
    """Gate of each row and field in each stream, the mean over the members that read it; shape (2, n, F)."""
    gates = np.zeros((2, len(rows[0]), len(names)))
    votes = np.zeros((2, 1, len(names)))
    for weight, member in weighted_members_of(classifier):
        for stream, path in enumerate(member.paths):
            if path.gate is not None:
                read = [names.index(name) for name in path.fields.sizes]
                votes[stream, :, read] += weight
                for chunk, batch in batches(rows):
                    gates[stream, chunk][:, read] += weight * field_gates(path.gate, path.fields, batch)
    with np.errstate(invalid="ignore"):
        return gates / votes


class GateWeightsDisplay(Display):
    """Mean gate of each field in both streams, by the values of a column if wanted.

    Make it by :meth:`from_estimator`; the parameter is kept as an attribute.

    Parameters
    ----------
    weights : DataFrame
        The gates, as `gate_weights` returns them.

    Attributes
    ----------
    axes_ : list of Axes
        The panels: a single one, or one for each stream where there are groups of rows.
    figure_ : Figure
        The figure that holds them.

    See Also
    --------
    gate_weights : The numbers alone, what each means and how to read them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import GateWeightsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.integers(0, 5, (500, 2)), columns=["user", "item"])
    >>> clf = FinalMLPClassifier(fs1_context=["user"], max_epochs=2).fit(
    ...     X, (X["user"] + X["item"]) % 2
    ... )
    >>> GateWeightsDisplay.from_estimator(clf, X, by="user").weights.columns.names
    FrozenList(['stream', 'user'])
    """

    def __init__(self, weights: pd.DataFrame) -> None:
        self.weights = weights

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Any = None, **options: Any) -> Self:
        """Compute the gates and draw them.

        Parameters
        ----------
        estimator, X
            As for :func:`gate_weights`.
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`plot`.
        **options : Any
            `by` and `max_values` of :func:`gate_weights`.

        Returns
        -------
        GateWeightsDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        return cls(gate_weights(estimator, X, **options)).plot(ax=ax)

    def plot(self, ax: Any = None, *, max_fields: int = 25) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`TrainingHistoryDisplay.plot`.
        max_fields : int, default=25
            Fields to draw at most: those with a gate furthest from 1.

        Returns
        -------
        GateWeightsDisplay
            The display itself.
        """
        drawn = self.weights[among_largest((self.weights - 1).abs(), max_fields)]
        height = 1.3 + 0.28 * len(drawn)
        if self.weights.columns.nlevels == 1:
            self._make_panels(ax, (1, 1), (6.4, height))
            _draw_points(self.axes_[0], drawn)
        else:
            self._make_panels(ax, (1, 2), (4.0 + 0.35 * drawn.shape[1], height + 0.8), sharey=True)
            _draw_groups(self.axes_, drawn)
        return self


def _draw_points(panel: Axes, weights: pd.DataFrame) -> None:
    rows = np.arange(len(weights))
    panel.axvline(1, color="0.6", linestyle=":")
    for stream, marker in zip(_STREAMS, "os", strict=True):
        panel.plot(weights[stream], rows, marker, color=f"C{stream - 1}", label=f"stream {stream}")
    label_rows(panel, [str(name) for name in weights.index])
    panel.set_xlabel("mean gate")
    panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)


def _draw_groups(panels: list[Axes], weights: pd.DataFrame) -> None:
    """Colours for the gates, white where neutral."""
    furthest = float(np.nanmax(np.abs(weights.to_numpy() - 1)))
    for stream, panel in zip(_STREAMS, panels, strict=True):
        of_stream = pd.DataFrame(weights[stream])
        cells = draw_cells(panel, of_stream, cmap="RdBu", vmin=1 - furthest, vmax=1 + furthest)
        panel.set_title(f"stream {stream}")
    panels[0].figure.colorbar(cells, ax=panels, label="mean gate")
