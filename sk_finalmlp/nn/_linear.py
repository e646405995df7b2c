"""Linear layer with the initial weights of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._kernels import linear
from ._start_weights import draw_xavier
from ._workspace import WorkspaceUser

#: BLAS picks its kernel by the number of rows, and kernels differ in the last bits. With a multiple of this number of
#: rows it is always the same one, so that a row's output doesn't depend on the rows beside it.
ROW_MULTIPLE = 32


class Linear(nn.Linear, WorkspaceUser):
    """Linear layer with Xavier-normal initial weights and zero bias.

    `torch.nn.Linear` draws its initial weights from the global generator. This one takes a generator, and leaves the
    caller's random state unchanged.

    Parameters
    ----------
    in_features, out_features : int
        Widths of input and output.
    bias : bool, default=True
        Whether to add a learned bias.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Linear
    >>> Linear(30, 10)(torch.ones(5, 30)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        draw_xavier(self.weight, generator)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map the rows of a matrix, (B, in_features) -> (B, out_features)."""
        if self.workspace is None or len(x) == 1:
            return super().forward(x)
        return linear(x, self.weight, self.bias, self.workspace)

    @staticmethod
    def joint(layers: Sequence[Linear], weights: Sequence[Tensor], x: Tensor) -> Tensor:
        """Several maps of one input, side by side, with weights that stand for their own."""
        weight, workspace = torch.cat([*weights]), layers[0].workspace
        biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
        bias = torch.cat(biases) if biases else None
        return F.linear(x, weight, bias) if workspace is None else linear(x, weight, bias, workspace)

    def reset_parameters(self) -> None:
        """Draw nothing: `torch.nn.Linear` calls this before the generator is known."""
