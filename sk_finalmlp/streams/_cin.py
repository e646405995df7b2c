"""Compressed interaction network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from .._checks import check_widths
from ..nn import CINStream
from ._base import ARRAY, StreamParameters


class CIN(StreamParameters):
    """Compressed interaction network of xDeepFM, which multiplies and mixes the fields' embeddings layer by layer.
    Short name "cin".

    Parameters
    ----------
    hidden_units : array-like of int, default=(64, 64)
        Number of vectors in each layer. Products have up to one more factor than there are layers.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    See Also
    --------
    sk_finalmlp.nn.CINStream : The formula.

    Notes
    -----
    Each layer multiplies all vectors of the previous layer with all fields, which takes much time and memory.

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
