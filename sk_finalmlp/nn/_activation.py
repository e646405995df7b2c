"""What follows a layer's affine map."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ._dropout import Dropout
from ._kernels import activation, normalised_activation
from ._workspace import WorkspaceUser


class Activation(WorkspaceUser):
    """Batch norm (optional), ReLU and dropout.

    Parameters
    ----------
    n_features : int
        Width n of the layer.
    dropout : float, default=0.0
        Probability of an element to be dropped, in [0, 1).
    batch_norm : bool, default=False
        Whether to normalise the layer over the batch.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Activation
    >>> Activation(n_features=3)(torch.tensor([[-1.0, 0.0, 2.0]]))
    tensor([[0., 0., 2.]])
    """

    def __init__(self, n_features: int, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features) if batch_norm else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Activate a layer, (B, n) -> (B, n)."""
        if self.workspace is None:
            normalised = x if self.norm is None else self.norm(x)
            dropped: Tensor = self.dropout(F.relu(normalised))
            return dropped
        if self.norm is None:
            return activation(x, self.dropout, self.workspace)
        return normalised_activation(x, self.norm, self.dropout, self.workspace)
