"""Products of pairs of fields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .._sklearn import StrOptions
from ..nn import Stream, StreamChain
from ._base import FieldVectors, Graph, Reads, StreamParameters, Value


class _WithMLP(StreamParameters):
    """Products without weights, and an MLP on them if wanted."""

    hidden_units: Sequence[int]
    dropout: float
    batch_norm: bool

    _fewest_layers: ClassVar[int] = 0

    def _make(self, reads: Reads) -> nn.Module:
        products = self._products(reads)
        if len(self.hidden_units) == 0:
            return products
        mlp = Stream(products.out_features, self.hidden_units, self.dropout, self.batch_norm, reads.generator)
        return StreamChain(products, mlp)

    def _automatic_units(self, width: int) -> int | None:
        return None if len(self.hidden_units) else width

    @abstractmethod
    def _products(self, reads: Reads) -> FMStream | ProductStream:
        """Make the products."""


@dataclass(eq=False, repr=False)
class FM(_WithMLP):
    """Second order of a factorization machine, or bi-interaction: the sum of v_i * v_j over all pairs i < j. Short name
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

    Notes
    -----
    It is computed as .5 ((sum of v)^2 - sum of v^2), in time linear in the number of fields.

    References
    ----------
    Rendle, "Factorization Machines", ICDM 2010. He and Chua, "Neural Factorization Machines for Sparse Predictive
    Analytics", SIGIR 2017, equation 3.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.streams import FM
    >>> FM().build(n_fields=3, embedding_dim=10, n_statistics=0)(torch.ones(5, 30))[0, 0]
    tensor(3.)
    """

    hidden_units: Sequence[int] = ()
    dropout: float = 0.2
    batch_norm: bool = True
    units: int | Literal["auto"] | None = "auto"

    def _products(self, reads: Reads) -> FMStream:
        return FMStream(reads)


@dataclass(eq=False, repr=False)
class Product(_WithMLP):
    """Products of all pairs of fields, and an MLP on them. Short name "product".

    Parameters
    ----------
    form : {"inner", "elementwise"}, default="inner"
        "inner": the input itself, concatenated with the inner products <v_i, v_j> of all pairs i < j, as in IPNN.
        "elementwise": the concatenated vectors v_i * v_j of all pairs i <= j, as in CETN.
    hidden_units : array-like of int, default=(128,)
        Width of each layer of the MLP; empty for no MLP.
    dropout, batch_norm, units
        As for :class:`FM`.

    See Also
    --------
    FM : The sum of all products.

    References
    ----------
    Qu et al., "Product-based Neural Networks for User Response Prediction", ICDM 2016. Li et al., "CETN:
    Contrast-enhanced Through Network for Click-Through Rate Prediction", 2023.

    Examples
    --------
    >>> from sk_finalmlp.streams import Product
    >>> Product(hidden_units=()).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    37
    """

    form: Literal["inner", "elementwise"] = "inner"
    hidden_units: Sequence[int] = (128,)
    dropout: float = 0.2
    batch_norm: bool = True
    units: int | Literal["auto"] | None = "auto"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"form": [StrOptions({"inner", "elementwise"})]}

    def _products(self, reads: Reads) -> ProductStream:
        return ProductStream(reads, self.form)


class FMStream(nn.Module):
    """The sum of `FM`."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self.vectors = FieldVectors(reads)
        self.out_features = reads.embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, d)."""
        v: Tensor = self.vectors(x)
        return 0.5 * (v.sum(dim=1).square() - v.square().sum(dim=1))

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        v = self.vectors.add_nodes(graph, x)
        total = graph.sum(v, 1)
        return (total * total - graph.sum(v * v, 1)) * graph.constant(0.5, "float32")


class ProductStream(nn.Module):
    """The products of `Product`."""

    first: Tensor
    second: Tensor

    def __init__(self, reads: Reads, form: str) -> None:
        super().__init__()
        self.vectors = FieldVectors(reads)
        self.form = form
        n_vectors = self.vectors.n_vectors
        first, second = torch.triu_indices(n_vectors, n_vectors, offset=1 if form == "inner" else 0)
        self.register_buffer("first", first)
        self.register_buffer("second", second)
        self.out_features = len(first) * reads.embedding_dim if form != "inner" else reads.n_features + len(first)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, out_features)."""
        v: Tensor = self.vectors(x)
        if self.form == "elementwise":
            return (v[:, self.first] * v[:, self.second]).flatten(start_dim=1)
        return torch.cat([x, torch.bmm(v, v.transpose(1, 2))[:, self.first, self.second]], dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        v = self.vectors.add_nodes(graph, x)
        products = graph.node("Gather", v, self.first, axis=1) * graph.node("Gather", v, self.second, axis=1)
        if self.form == "elementwise":
            return graph.node("Flatten", products, axis=1)
        return graph.concat([x, graph.sum(products, 2)])
