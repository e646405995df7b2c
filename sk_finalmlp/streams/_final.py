"""The block of FinalNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from .._checks import check_widths
from .._sklearn import StrOptions
from ..nn import FinalStream
from ._base import ARRAY, FRACTION, StreamParameters


class Final(StreamParameters):
    """Block of FinalNet: an MLP in which each layer multiplies its two halves. Short name "final".

    Parameters
    ----------
    hidden_units : array-like of int, default=(128,)
        Width of each layer; even for the form "concat".
    dropout : float, default=0.2
        Dropout rate of each layer, in [0, 1).
    batch_norm : bool, default=True
        Whether layers have batch norm.
    activation : {"relu"} or None, default="relu"
        Activation after the batch norm.
    form : {"concat", "sum"}, default="concat"
        Whether a layer's output is one half concatenated with the product of both, or the sum of these.
    field_gate : bool, default=False
        Whether to add the input times a gate that is linear in the fields, beside the input itself.
    units : int or None, default=None
        Width of a linear layer after the stream; None for no such layer.

    See Also
    --------
    sk_finalmlp.nn.FinalStream : The formula.

    References
    ----------
    Zhu et al., "FINAL: Factorized Interaction Layer for CTR Prediction", SIGIR 2023.

    Examples
    --------
    >>> from sk_finalmlp.streams import Final
    >>> Final(hidden_units=(64, 32)).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    32
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "hidden_units": [ARRAY],
        "dropout": [FRACTION],
        "batch_norm": ["boolean"],
        "activation": [StrOptions({"relu"}), None],
        "form": [StrOptions({"concat", "sum"})],
        "field_gate": ["boolean"],
    }

    def __init__(
        self,
        hidden_units: Sequence[int] = (128,),
        dropout: float = 0.2,
        batch_norm: bool = True,
        activation: Literal["relu"] | None = "relu",
        form: Literal["concat", "sum"] = "concat",
        field_gate: bool = False,
        units: int | None = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.activation = activation
        self.form = form
        self.field_gate = field_gate
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        check_widths(self, "hidden_units")
        return FinalStream(
            n_fields,
            embedding_dim,
            n_statistics,
            self.hidden_units,
            self.dropout,
            self.batch_norm,
            self.activation,
            self.form,
            self.field_gate,
            generator,
        )
