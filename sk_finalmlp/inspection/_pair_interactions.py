"""How much two columns of any model interact in the logit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from ..schema import column_names
from ._model import best_of, classifier_of


def pair_interactions(
    estimator: Any, X: Any, *, columns: Sequence[str] | None = None, random_state: int | RandomState | None = None
) -> pd.DataFrame:
    r"""How much two columns of a table move the logit together.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this library, a pipeline that ends in one, or a search that found one.
    X : dataframe or array-like of shape (n_samples, n_features)
        Rows; some thousands are enough. Every pair of columns takes a prediction of all of them.
    columns : sequence of str, default=None
        The columns to pair, `x0`, `x1`, ... for those of an array; all if None. Columns `tags@0`, `tags@1`, ... of a
        table that is encoded already are one, `tags`.
    random_state : int, RandomState instance or None, default=None
        Seed of which row takes over values from which.

    Returns
    -------
    DataFrame
        One row and one column per column, symmetric; NaN on the diagonal.

    Raises
    ------
    ValueError
        If `X` has no column of a name.
    TypeError
        If there is no classifier of this library in `estimator`.

    See Also
    --------
    field_interactions : What the bilinear fusion alone makes of pairs of fields.

    Notes
    -----
    Each row :math:`x` is given a partner at random; :math:`x_{\setminus i}` is the row with column :math:`i` taken over
    from the partner. The interaction of :math:`i` and :math:`j` is the second difference of the logit

    .. math:: \Delta_{ij}(x) = f(x) - f(x_{\setminus i}) - f(x_{\setminus j}) + f(x_{\setminus ij})

    and its strength the root mean square over the rows, in units of the logit. Of more than two classes, the logits are
    taken less their mean over the classes, and the mean square is also over these.

    It is 0 where the effect of one column is the same whatever the other holds, and so it is for a model that adds up
    what its columns say. It includes whatever the model makes of a pair: the fusion, products in a stream, an MLP,
    gates, and the click rates of crosses that `CTREncoder` adds.

    References
    ----------
    J. H. Friedman, B. E. Popescu, "Predictive Learning via Rule Ensembles", Annals of Applied Statistics 2 (2008),
    section 8.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import pair_interactions
    >>> X = pd.DataFrame(np.random.default_rng(0).integers(0, 5, (500, 3)), columns=["user", "item", "hour"])
    >>> clf = FinalMLPClassifier(stream2="crossnet", random_state=0).fit(X, (X["user"] + X["item"]) % 2)
    >>> strengths = pair_interactions(clf, X, random_state=0)
    >>> strengths.stack().idxmax()
    ('user', 'item')
    """
    classifier = classifier_of(estimator)
    model = best_of(estimator)
    table = _Table(X)
    groups = {name: [name] for name in table.names}
    if not isinstance(model, Pipeline):
        groups = {field.name: column_names([field]) for field in classifier.fields_}
    chosen = list(groups) if columns is None else list(columns)
    unknown = [name for name in chosen if name not in groups]
    if unknown:
        raise ValueError(f"X has no column {unknown[0]!r}; it has {list(groups)}.")
    partners = check_random_state(random_state).permutation(len(table))

    def logits(*names: str) -> NDArray[np.float64]:
        taken_over = [column for name in names for column in groups[name]]
        return _between_classes(model.decision_function(table.with_values_of(taken_over, partners)))

    return _second_differences(chosen, logits(), {name: logits(name) for name in chosen}, logits)


def _second_differences(
    names: Sequence[str], plain: NDArray[np.float64], single: Mapping[str, NDArray[np.float64]], logits: Any
) -> pd.DataFrame:
    strengths = np.full((len(names), len(names)), np.nan)
    for i, j in combinations(range(len(names)), 2):
        effect = plain - single[names[i]] - single[names[j]] + logits(names[i], names[j])
        strengths[i, j] = strengths[j, i] = np.sqrt(np.square(effect).mean(axis=0).sum())
    return pd.DataFrame(strengths, index=list(names), columns=list(names))


def _between_classes(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """A single logit as it is; those of several classes less their mean, as they are defined up to a constant."""
    return logits if logits.ndim == 1 else logits - logits.mean(axis=1, keepdims=True)


class _Table:
    """A dataframe or an array whose columns can take over values from other rows."""

    def __init__(self, X: Any) -> None:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        self._table = frame if isinstance(frame, nw.DataFrame) else np.asarray(X)
        self.names = (
            [str(name) for name in frame.columns]
            if isinstance(frame, nw.DataFrame)
            else [f"x{position}" for position in range(self._table.shape[1])]
        )

    def __len__(self) -> int:
        return len(self._table)

    def with_values_of(self, names: Sequence[str], rows: NDArray[np.intp]) -> Any:
        """The table with the columns of these names in another order of rows."""
        if isinstance(self._table, nw.DataFrame):
            return self._table.with_columns(*(self._table[name][rows] for name in names)).to_native()
        positions = [self.names.index(name) for name in names]
        changed = self._table.copy()
        changed[:, positions] = self._table[rows][:, positions]
        return changed
