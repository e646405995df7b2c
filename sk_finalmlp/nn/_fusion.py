"""Fusion of the two streams (section 3.3 of the paper)."""

from __future__ import annotations

from math import gcd
from typing import Final, Literal

import torch
from torch import Tensor, nn

from ._layers import Linear, draw_xavier


class SumFusion(nn.Module):
    """Logits from the sum of two streams' linear outputs: logit = w1.o1 + b1 + w2.o2 + b2.

    Parameters
    ----------
    x_dim, y_dim : int
        Widths of the two streams.
    n_outputs : int, default=1
        Number C of logits.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import SumFusion
    >>> SumFusion(x_dim=40, y_dim=20)(torch.ones(3, 40), torch.ones(3, 20)).shape
    torch.Size([3, 1])
    """

    def __init__(self, x_dim: int, y_dim: int, n_outputs: int = 1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.linear_x = Linear(x_dim, n_outputs, generator=generator)
        self.linear_y = Linear(y_dim, n_outputs, generator=generator)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse two streams: (B, x_dim), (B, y_dim) -> (B, C)."""
        self._check_widths(x, y)
        return self.linear_x(x) + self.linear_y(y)

    def _check_widths(self, x: Tensor, y: Tensor) -> None:
        expected = (self.linear_x.in_features, self.linear_y.in_features)
        if (x.shape[1], y.shape[1]) != expected:
            raise ValueError(
                f"The fusion is made for streams of widths {expected[0]} and {expected[1]}; it got tensors of shapes "
                f"{tuple(x.shape)} and {tuple(y.shape)}."
            )

    @property
    def bias(self) -> Tensor:
        """What is added to the logits of all rows, shape (C,)."""
        return self.linear_x.bias


class MultiHeadBilinearFusion(SumFusion):
    """Logits from two streams: the linear terms of `SumFusion`, and a bilinear term for each head.

    logit = w1.o1 + b1 + w2.o2 + b2 + sum over h of o1_h' W_h o2_h, where o1_h and o2_h are the H equal slices of
    o1 and o2.

    Parameters
    ----------
    x_dim, y_dim, n_outputs, generator
        As for :class:`SumFusion`.
    num_heads : int, default=1
        Number H of heads; must divide both widths.

    Raises
    ------
    ValueError
        If `num_heads` doesn't divide both widths.

    Notes
    -----
    All W_h together are initialised as one Xavier-normal matrix of shape (H * x/H * y/H, C), as in the reference
    implementation. The bilinear term is then of the same order as the linear ones.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import MultiHeadBilinearFusion
    >>> fusion = MultiHeadBilinearFusion(x_dim=40, y_dim=20, num_heads=5)
    >>> fusion(torch.ones(3, 40), torch.ones(3, 20)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self, x_dim: int, y_dim: int, n_outputs: int = 1, num_heads: int = 1, generator: torch.Generator | None = None
    ) -> None:
        if num_heads < 1 or x_dim % num_heads or y_dim % num_heads:
            common = gcd(x_dim, y_dim)
            divisors = [heads for heads in range(1, common + 1) if common % heads == 0]
            raise ValueError(
                f"num_heads={num_heads} doesn't divide both stream widths, {x_dim} and {y_dim}: "
                f"each head needs an equal slice of both. It can be one of {divisors}."
            )
        super().__init__(x_dim, y_dim, n_outputs, generator)
        self.num_heads = num_heads
        self.n_outputs = n_outputs
        x_head, y_head = x_dim // num_heads, y_dim // num_heads
        start = draw_xavier(torch.empty(num_heads * x_head * y_head, n_outputs), generator)
        self.bilinear = nn.Parameter(start.view(num_heads, x_head, y_head, n_outputs).movedim(3, 2).contiguous())

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse two streams.

        Parameters
        ----------
        x, y : Tensor of float32, shapes (B, x_dim) and (B, y_dim)
            Outputs of the streams.

        Returns
        -------
        Tensor of float32, shape (B, C)
            Logits.
        """
        self._check_widths(x, y)
        x_heads = x.view(len(x), self.num_heads, -1).transpose(0, 1)
        projected = torch.bmm(x_heads, self.bilinear.flatten(start_dim=2))
        by_output = projected.view(self.num_heads, len(x), self.n_outputs, -1).permute(1, 2, 0, 3)
        factors = by_output.reshape(len(x), self.n_outputs, -1) + self.linear_y.weight
        return self.linear_x(x) + (factors * y.unsqueeze(1)).sum(dim=2) + self.linear_y.bias

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}"


class ConcatFusion(Linear):
    """Logits from two concatenated streams: logit = w.[o1; o2] + b.

    This is `SumFusion` with one bias instead of two, and initial weights for the joint width.

    Parameters
    ----------
    x_dim, y_dim, n_outputs, generator
        As for :class:`SumFusion`.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import ConcatFusion
    >>> ConcatFusion(x_dim=40, y_dim=20)(torch.ones(3, 40), torch.ones(3, 20)).shape
    torch.Size([3, 1])
    """

    def __init__(self, x_dim: int, y_dim: int, n_outputs: int = 1, generator: torch.Generator | None = None) -> None:
        super().__init__(x_dim + y_dim, n_outputs, generator=generator)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """Fuse two streams: (B, x_dim), (B, y_dim) -> (B, C)."""
        return super().forward(torch.cat([x, y], dim=1))


class ProductFusion(Linear):
    """Logits from the elementwise product of two streams of equal width: logit = w.(o1 * o2) + b.

    Parameters
    ----------
    x_dim, y_dim : int
        Widths of the two streams; must be equal.
    n_outputs, generator
        As for :class:`SumFusion`.

    Raises
    ------
    ValueError
        If the widths differ.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import ProductFusion
    >>> ProductFusion(x_dim=40, y_dim=40)(torch.ones(3, 40), torch.ones(3, 40)).shape
    torch.Size([3, 1])
    """

    def __init__(self, x_dim: int, y_dim: int, n_outputs: int = 1, generator: torch.Generator | None = None) -> None:
        if x_dim != y_dim:
            raise ValueError(
                f"fusion='product' multiplies the streams element by element, but their widths are {x_dim} and "
                f"{y_dim}. Give both the same width: the last of hidden_units, or units of a stream that has it."
            )
        super().__init__(x_dim, n_outputs, generator=generator)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """Fuse two streams: (B, x_dim), (B, x_dim) -> (B, C)."""
        return super().forward(x * y)


FusionName = Literal["bilinear", "sum", "concat", "product"]
Fusion = MultiHeadBilinearFusion | SumFusion | ConcatFusion | ProductFusion

_PLAIN_FUSIONS: Final[dict[str, type[SumFusion | ConcatFusion | ProductFusion]]] = {
    "sum": SumFusion,
    "concat": ConcatFusion,
    "product": ProductFusion,
}


def make_fusion(
    name: FusionName, x_dim: int, y_dim: int, n_outputs: int, num_heads: int, generator: torch.Generator | None
) -> Fusion:
    """The fusion of a name; only the bilinear one has heads."""
    if name == "bilinear":
        return MultiHeadBilinearFusion(x_dim, y_dim, n_outputs, num_heads, generator)
    if name not in _PLAIN_FUSIONS:
        raise ValueError(f"fusion must be one of {['bilinear', *_PLAIN_FUSIONS]}, got {name!r}.")
    return _PLAIN_FUSIONS[name](x_dim, y_dim, n_outputs, generator)
