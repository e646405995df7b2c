"""Products of pairs of fields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from .._checks import check_widths
from .._sklearn import StrOptions
from ..nn import FMStream, ProductStream, Stream, StreamChain
from ._base import ARRAY, FRACTION, StreamParameters


class _WithMLP(StreamParameters):
    """Products without weights, and an MLP on them if wanted."""

    hidden_units: Sequence[int]
    dropout: float
    batch_norm: bool

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "hidden_units": [ARRAY],
        "dropout": [FRACTION],
        "batch_norm": ["boolean"],
    }

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        check_widths(self, "hidden_units", fewest=0)
        products = self._products(n_fields, embedding_dim, n_statistics, generator)
        if len(self.hidden_units) == 0:
            return products
        mlp = Stream(products.out_features, self.hidden_units, self.dropout, self.batch_norm, generator)
        return StreamChain(products, mlp)

    def _automatic_units(self, width: int) -> int | None:
        return None if len(self.hidden_units) else width

    @abstractmethod
    def _products(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> FMStream | ProductStream:
        """The products."""


class FM(_WithMLP):
    """Second order of a factorization machine: the sum of the elementwise products of all pairs of fields. Short name
    "fm".

    Parameters
    ----------
    hidden_units : array-like of int, default=()
        Width of each layer of an MLP on the sum, as in NFM; no MLP by default.
    dropout : float, default=0.2
        Dropout of the MLP, in [0, 1).
    batch_norm : bool, default=True
        Whether the MLP's layers have batch norm.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product") and there is no MLP, else None.

    See Also
    --------
    Product : The products concatenated, not summed.
    sk_finalmlp.nn.FMStream : The formula.

    References
    ----------
    He and Chua, "Neural Factorization Machines for Sparse Predictive Analytics", SIGIR 2017.

    Examples
    --------
    >>> from sk_finalmlp.streams import FM
    >>> FM().build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    10
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (),
        dropout: float = 0.2,
        batch_norm: bool = True,
        units: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.units = units

    def _products(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> FMStream:
        return FMStream(n_fields, embedding_dim, n_statistics, generator)


class Product(_WithMLP):
    """Products of all pairs of fields, and an MLP on them. Short name "product".

    Parameters
    ----------
    form : {"inner", "elementwise"}, default="inner"
        "inner": the inner product of each pair, concatenated with the input itself, as in IPNN. "elementwise": the
        elementwise product of each pair, as in CETN.
    hidden_units : array-like of int, default=(128,)
        Width of each layer of the MLP; empty for no MLP.
    dropout : float, default=0.2
        Dropout of the MLP, in [0, 1).
    batch_norm : bool, default=True
        Whether the MLP's layers have batch norm.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product") and there is no MLP, else None.

    See Also
    --------
    FM : The sum of all products.
    sk_finalmlp.nn.ProductStream : The formula.

    References
    ----------
    Qu et al., "Product-based Neural Networks for User Response Prediction", ICDM 2016.

    Examples
    --------
    >>> from sk_finalmlp.streams import Product
    >>> Product(hidden_units=()).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    37
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_WithMLP._parameter_constraints,
        "form": [StrOptions({"inner", "elementwise"})],
    }

    def __init__(
        self,
        form: Literal["inner", "elementwise"] = "inner",
        hidden_units: Sequence[int] = (128,),
        dropout: float = 0.2,
        batch_norm: bool = True,
        units: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.form = form
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.units = units

    def _products(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> ProductStream:
        return ProductStream(n_fields, embedding_dim, n_statistics, self.form, generator)
