"""What follows the linear map of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ._dropout import Dropout
from ._kernels import activation, normalised_activation
from ._norm import BatchNorm
from ._workspace import WorkspaceUser


class Activation(WorkspaceUser):
    """Batch norm (optional), ReLU and dropout.

    Parameters
    ----------
    n_features : int
        Width n of the layer.
    dropout : float, default=0.0
        Dropout rate, in [0, 1).
    batch_norm : bool, default=False
        Whether the layer has batch norm.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Activation
    >>> Activation(n_features=3)(torch.tensor([[-1.0, 0.0, 2.0]]))
    tensor([[0., 0., 2.]])
    """

    def __init__(self, n_features: int, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.norm = BatchNorm(n_features) if batch_norm else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Activate a layer, (B, n) -> (B, n)."""
        if self.workspace is None or len(x) == 1 or _is_frozen(self.norm):
            normalised = x if self.norm is None else self.norm(x)
            # In place, prediction writes one matrix less; a gradient needs both.
            in_place = self.norm is not None and not torch.is_grad_enabled()
            dropped: Tensor = self.dropout(F.relu(normalised, inplace=in_place))
            return dropped
        if self.norm is None:
            return activation(x, self.dropout, self.workspace)
        return normalised_activation(x, [self.norm], self.dropout, self.workspace)

    def is_like(self, other: Activation) -> bool:
        """Whether both differ in nothing but their width and what they have learned."""
        return self.dropout.p == other.dropout.p and (self.norm is None) == (other.norm is None)

    def folded(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight and bias of the linear map before it, with batch norm in evaluation mode folded in."""
        if bias is None:
            bias = weight.new_zeros(len(weight))
        if self.norm is None:
            return weight, bias
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return weight * scale.unsqueeze(1), self.norm.bias + (bias - self.norm.running_mean) * scale

    @staticmethod
    def joint(layers: Sequence[Activation], x: Tensor) -> Tensor:
        """Activate several layers that are alike, side by side."""
        first = layers[0]
        norms = [layer.norm for layer in layers if layer.norm is not None]
        if not norms:
            activated: Tensor = first(x)
            return activated
        if first.workspace is not None and not _is_frozen(norms[0]):
            return normalised_activation(x, norms, first.dropout, first.workspace)
        parts = torch.split(x, [norm.num_features for norm in norms], dim=1)
        normalised = torch.cat([norm(part) for norm, part in zip(norms, parts, strict=True)], dim=1)
        dropped: Tensor = first.dropout(F.relu(normalised))
        return dropped


def _is_frozen(norm: BatchNorm | None) -> bool:
    return norm is not None and norm.frozen
