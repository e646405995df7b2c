"""The plain stream; the network has its module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

from .._sklearn import Interval, StrOptions
from ..nn import DEFAULT_DROPOUT, Stream
from ._base import Reads, StreamParameters


@dataclass(eq=False, repr=False)
class MLP(StreamParameters):
    """Multi-layer perceptron: in each layer a linear map, batch norm, ReLU and dropout. Short name "mlp".

    Parameters
    ----------
    hidden_units : array-like of int, default=(128,)
        Width of each layer.
    dropout : float or "auto", default="auto"
        Dropout rate of each layer, in [0, 1). "auto": 0.2. In a classifier, 0.05 for more than 400,000 rows in the
        first fit; 0.3 for at most 50,000, or a member that reads statistics, unless more fields are numbers than codes.
    batch_norm : bool, default=True
        Whether layers have batch norm.

    See Also
    --------
    sk_finalmlp.nn.Stream : The module that it builds.

    Examples
    --------
    >>> from sk_finalmlp.streams import MLP
    >>> MLP(hidden_units=(400, 400)).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=0
    ... ).out_features
    400
    """

    hidden_units: Sequence[int] = (128,)
    dropout: float | Literal["auto"] = "auto"
    batch_norm: bool = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})]
    }

    def _make(self, reads: Reads) -> Stream:
        dropout = DEFAULT_DROPOUT if self.dropout == "auto" else self.dropout
        return Stream(reads.n_features, self.hidden_units, dropout, self.batch_norm, reads.generator)
