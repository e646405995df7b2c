"""Compressed interaction network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from .._validation import check_widths
from ..nn import CINStream
from ._base import ARRAY, StreamParameters


class CIN(StreamParameters):
    """Compressed interaction network of xDeepFM: vectors of the fields, multiplied and mixed layer by layer. Short
    name "cin".

    Parameters
    ----------
    hidden_units : array-like of int, default=(64, 64)
        Number of vectors of each layer; products have up to one factor more than there are layers.
    units : int, "auto" or None, default="auto"
        Width of a linear map behind the stream; None for none. "auto": 128 where the fusion needs streams of matching
        widths ("bilinear" and "product"), else none.

    See Also
    --------
    sk_finalmlp.nn.CINStream : The formula.

    Notes
    -----
    A layer multiplies all vectors of the layer before with all of the first, which takes time and memory.

    References
    ----------
    Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems", KDD 2018,
    arXiv:1803.05170.

    Examples
    --------
    >>> from sk_finalmlp.streams import CIN
    >>> CIN(hidden_units=(16, 8)).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    24
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "hidden_units": [ARRAY],
    }

    def __init__(self, hidden_units: Sequence[int] = (64, 64), units: int | Literal["auto"] | None = "auto") -> None:
        self.hidden_units = hidden_units
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        check_widths(self, "hidden_units")
        return CINStream(n_fields, embedding_dim, n_statistics, self.hidden_units, generator)
