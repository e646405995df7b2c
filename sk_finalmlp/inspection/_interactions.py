"""Interactions of pairs of fields: in the bilinear fusion of a model's streams, and in the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from torch import Tensor

from ..schema import column_names
from ._model import (
    batches,
    best_of,
    classifier_of,
    fused_classifier_of,
    head_terms,
    interactions,
    read_rows,
    weighted_members_of,
)
from ._panels import Display, among_largest, check_matplotlib, draw_cells
from ._tables import RawTable, check_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_TICKS = 20

_Logits = TypeVar("_Logits", Tensor, NDArray[np.float64])


def head_strengths(estimator: Any, X: Any) -> pd.DataFrame:
    r"""How much each term of the fusion moves the logit.

    Parameters
    ----------
    estimator : estimator
        A fitted `FinalMLPClassifier` with bilinear fusion, a pipeline that ends in one, or a search that found one.
    X : dataframe or array-like of shape (n_samples, n_features)
        Rows, at least two; some thousands are enough.

    Returns
    -------
    DataFrame
        One row per term, "stream 1", "stream 2", "head 1", ..., and one column per member of the ensemble, from 1.

    Raises
    ------
    ValueError
        If the classifier has no bilinear fusion.
    TypeError
        If there is no classifier of this library in `estimator`.

    See Also
    --------
    field_interactions : The same by pairs of fields.

    Notes
    -----
    The logit of a network is a constant, a linear term of each stream and a bilinear term of each head,
    :math:`w_1 o_1 + w_2 o_2 + \sum_h o_{1h}' W_h o_{2h}`. Here is the standard deviation of each term over the rows,
    times the member's weight in the vote: in units of the logit, as it enters the prediction. Of more than two
    classes, the terms are taken less their mean over the classes, and it is the root mean square over them.

    Heads that stay near 0 say that fewer would do. Terms depend on each other, so their strengths don't add up to the
    logit's. Heads of the same number in two members have nothing in common.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import head_strengths
    >>> X = np.random.default_rng(0).integers(0, 5, (500, 2))
    >>> clf = FinalMLPClassifier(num_heads=2, max_epochs=2, random_state=0).fit(
    ...     X, X.sum(axis=1) % 2
    ... )
    >>> list(head_strengths(clf, X).index)
    ['stream 1', 'stream 2', 'head 1', 'head 2']
    """
    classifier = fused_classifier_of(estimator)
    rows = read_rows(estimator, classifier, X)
    strengths = {}
    for number, (weight, member) in enumerate(weighted_members_of(classifier), start=1):
        terms = torch.cat([torch.cat(head_terms(member, batch), dim=1) for _, batch in batches(rows)])
        deviations = _less_mean(terms).double().std(dim=0, correction=0)
        strengths[number] = weight * deviations.square().mean(dim=1).sqrt().numpy(force=True)
    names = ["stream 1", "stream 2", *(f"head {head}" for head in range(1, len(strengths[1]) - 1))]
    return pd.DataFrame(strengths, index=names).rename_axis(index="term", columns="member")


def field_interactions(estimator: Any, X: Any, *, random_state: int | RandomState | None = None) -> pd.DataFrame:
    r"""How much a field in the first stream and one in the second move the logit together.

    Parameters
    ----------
    estimator, X
        As for :func:`head_strengths`.
    random_state : int, RandomState instance or None, default=None
        Seed of the random partner of each row.

    Returns
    -------
    DataFrame
        One row per field that a first stream reads, one column per field that a second stream reads.

    See Also
    --------
    head_strengths : The same by heads; it raises the same errors.
    pair_interactions : Interactions of pairs of columns in the whole model, with any streams and fusion.

    Notes
    -----
    Let :math:`f(a, b)` be the logit when the first stream reads :math:`a` and the second :math:`b`, both after their
    gates. Each row :math:`x` is given a partner at random, :math:`x_{\setminus i}` is the row with the embedding of
    field :math:`i` taken over from the partner, and the gates stay the row's own. The interaction of :math:`i` and
    :math:`j` is the second difference

    .. math::
        \Delta_{ij}(x) = f(x, x) - f(x_{\setminus i}, x) - f(x, x_{\setminus j}) + f(x_{\setminus i}, x_{\setminus j})
                       = \sum_h (o_1(x) - o_1(x_{\setminus i}))_h' \, W_h \, (o_2(x) - o_2(x_{\setminus j}))_h

    for a single network, because the fusion is bilinear in :math:`o_1` and :math:`o_2`; for an ensemble, its mean by
    the weights of the vote. The strength is the root mean square of it over the rows, in units of the logit. Of more
    than two classes, the logits are taken less their mean over the classes, and the mean square is also over these.

    So 0.3 for `user` and `item` says: change what the first stream reads of the user and what the second reads of the
    item, and the logit moves by about 0.3 beyond the sum of what each change does alone. It is 0 where the one effect
    is the same for any value of the other field. The diagonal is a field that meets itself in the other stream.

    Not in it is what a stream makes of its fields by itself: fields may interact inside one MLP and be 0 here.
    Redundant fields, such as `item` and `item@rate`, share their interactions.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.3. Second
    differences as a measure of interaction: J. H. Friedman, B. E. Popescu, "Predictive Learning via Rule Ensembles",
    Annals of Applied Statistics 2 (2008), section 8.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import field_interactions
    >>> X = pd.DataFrame(
    ...     np.random.default_rng(0).integers(0, 5, (500, 2)), columns=["user", "item"]
    ... )
    >>> clf = FinalMLPClassifier(stream_fields=(["user"], ["item"]), max_epochs=2)
    >>> clf = clf.fit(X, (X["user"] + X["item"]) % 2)
    >>> field_interactions(clf, X, random_state=0).shape
    (1, 1)
    """
    classifier = fused_classifier_of(estimator)
    codes, values = read_rows(estimator, classifier, X)
    donors = torch.from_numpy(check_random_state(random_state).permutation(len(codes))).to(codes.device)
    names = [field.name for field in classifier.fields_]
    squares = np.zeros((len(names), len(names)))
    for part, batch in batches((codes, values)):
        effects = _mean_interactions(classifier, batch, (codes[donors[part]], values[donors[part]]))
        squares += effects.square().mean(dim=3).sum(dim=2).numpy(force=True)
    table = pd.DataFrame(np.sqrt(squares / len(codes)), index=names, columns=names)
    # Of each stream, the fields that any member reads.
    paths = [member.paths for _, member in weighted_members_of(classifier)]
    read1, read2 = (
        [name for name in names if any(name in of_member[stream].fields.sizes for of_member in paths)]
        for stream in (0, 1)
    )
    return table.loc[read1, read2].rename_axis(index="field in stream 1", columns="field in stream 2")


def _mean_interactions(classifier: Any, rows: tuple[Tensor, Tensor], donors: tuple[Tensor, Tensor]) -> Tensor:
    """Second differences of the ensemble's logit, shape (F, F, n, C); 0 for fields that don't meet."""
    position = {field.name: number for number, field in enumerate(classifier.fields_)}
    members = weighted_members_of(classifier)
    total = rows[1].new_zeros(len(position), len(position), len(rows[0]), members[0][1].fusion.n_outputs)
    for weight, member in members:
        first, second = ([position[name] for name in path.fields.sizes] for path in member.paths)
        total[np.ix_(first, second)] += weight * interactions(member, rows, donors)
    return _less_mean(total).double()


def _less_mean(logits: _Logits) -> _Logits:
    """Return logits of several classes less their mean, as they are defined up to a constant; a single one as it is."""
    return logits if logits.ndim == 1 or logits.shape[-1] == 1 else logits - logits.mean(-1)[..., None]


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
        The columns to pair, `x0`, `x1`, ... in an array; all if None. Columns `tags@0`, `tags@1`, ... of an encoded
        table are one, `tags`.
    random_state : int, RandomState instance or None, default=None
        Seed of the random partner of each row.

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

    It is 0 where the effect of one column is the same for any value of the other, as in a model that adds up its
    columns' effects. It includes all that the model makes of a pair: the fusion, products in a stream, an MLP,
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
    >>> X = pd.DataFrame(
    ...     np.random.default_rng(0).integers(0, 5, (500, 3)), columns=["user", "item", "hour"]
    ... )
    >>> clf = FinalMLPClassifier(stream2="crossnet", random_state=0).fit(
    ...     X, (X["user"] + X["item"]) % 2
    ... )
    >>> strengths = pair_interactions(clf, X, random_state=0)
    >>> strengths.stack().idxmax()
    ('user', 'item')
    """
    classifier = classifier_of(estimator)
    model = best_of(estimator)
    table = RawTable(X)
    groups = {name: [name] for name in table.names}
    if not isinstance(model, Pipeline):
        groups = {field.name: column_names([field]) for field in classifier.fields_}
    chosen = list(groups) if columns is None else list(columns)
    check_columns(chosen, list(groups))
    partners = check_random_state(random_state).permutation(len(table))

    def logits(*names: str) -> NDArray[np.float64]:
        taken_over = [column for name in names for column in groups[name]]
        return _less_mean(model.decision_function(table.with_values_of(taken_over, partners)))

    plain, single = logits(), {name: logits(name) for name in chosen}
    strengths = pd.DataFrame(np.nan, index=chosen, columns=chosen)
    for one, other in combinations(chosen, 2):
        effect = plain - single[one] - single[other] + logits(one, other)
        strengths.loc[one, other] = strengths.loc[other, one] = np.sqrt(np.square(effect).mean(axis=0).sum())
    return strengths


class InteractionDisplay(Display):
    """How much the terms of the fusion, and pairs of fields in it, move the logit.

    Make it by :meth:`from_estimator`; the parameters are kept as attributes.

    Parameters
    ----------
    heads : DataFrame
        Strength of each term of the fusion, as `head_strengths` returns it.
    fields : DataFrame
        Strength of each pair of fields, as `field_interactions` returns it.

    Attributes
    ----------
    axes_ : list of Axes
        The panels: terms, and pairs of fields.
    figure_ : Figure
        The figure that holds them.

    See Also
    --------
    head_strengths : The first numbers alone, what exactly they are and how to read them.
    field_interactions : The second numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> from sk_finalmlp.inspection import InteractionDisplay
    >>> X = pd.DataFrame(
    ...     np.random.default_rng(0).integers(0, 5, (500, 2)), columns=["user", "item"]
    ... )
    >>> clf = FinalMLPClassifier(max_epochs=2).fit(X, (X["user"] + X["item"]) % 2)
    >>> display = InteractionDisplay.from_estimator(clf, X, random_state=0)
    >>> display.heads.shape, display.fields.shape
    ((10, 2), (2, 2))
    """

    def __init__(self, heads: pd.DataFrame, fields: pd.DataFrame) -> None:
        self.heads = heads
        self.fields = fields

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, random_state: int | RandomState | None = None, ax: Any = None
    ) -> Self:
        """Compute the strengths and draw them.

        Parameters
        ----------
        estimator, X, random_state
            As for :func:`field_interactions`.
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`plot`.

        Returns
        -------
        InteractionDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        fields = field_interactions(estimator, X, random_state=random_state)
        return cls(head_strengths(estimator, X), fields).plot(ax=ax)

    def plot(self, ax: Any = None, *, max_fields: int = 25) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, as for :meth:`TrainingHistoryDisplay.plot`.
        max_fields : int, default=25
            Fields of each stream to draw at most: those with the strongest interactions.

        Returns
        -------
        InteractionDisplay
            The display itself.
        """
        drawn = self.fields.loc[among_largest(self.fields, max_fields), among_largest(self.fields.T, max_fields)]
        cells_width, cells_height = 2.5 + 0.26 * drawn.shape[1], 2.5 + 0.26 * drawn.shape[0]
        size = (4.5 + cells_width, max(4.5, cells_height))
        self._make_panels(ax, (1, 2), size, width_ratios=(4.0, cells_width))
        self._draw_heads(self.axes_[0])
        cells = draw_cells(self.axes_[1], drawn, cmap="viridis", vmin=0)
        self.axes_[1].set_ylabel("field in stream 1")
        self.figure_.colorbar(cells, ax=self.axes_[1], label="interaction in the logit")
        return self

    def _draw_heads(self, panel: Axes) -> None:
        terms = np.arange(len(self.heads))
        for member, strengths in self.heads.items():
            panel.plot(terms, strengths, "o", markersize=5, label=f"member {member}")
        ticks = terms[:: ceil(len(terms) / _MAX_TICKS)]
        panel.set_xticks(ticks, self.heads.index[ticks], rotation=90)
        panel.set_ylim(bottom=0, auto=True)
        panel.set_ylabel("deviation in the logit")
        panel.grid(axis="y", alpha=0.3)
        if self.heads.shape[1] > 1:
            panel.legend()
