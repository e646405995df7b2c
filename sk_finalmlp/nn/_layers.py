"""Layers with initial weights and dropout masks from a generator; no row depends on another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)

#: BLAS picks its kernel by the number of rows, and kernels differ in the last bits. With a multiple of this number of
#: rows it is always the same one, so that a row's output doesn't depend on the rows beside it.
ROW_MULTIPLE = 32

# Few enough to stay in the cache, and to need no pages of their own.
_BITS_AT_ONCE = 65_536

# On the meta device, where nothing is to be filled, torch would import its compiler, which takes more than a second.


def draw_normal(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    """Fill a tensor in place from N(0, std^2)."""
    return tensor if tensor.is_meta else nn.init.normal_(tensor, std=std, generator=generator)


def draw_xavier(tensor: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill a matrix in place by Xavier's rule, from a normal distribution."""
    return tensor if tensor.is_meta else nn.init.xavier_normal_(tensor, generator=generator)


class Linear(nn.Linear):
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

    def reset_parameters(self) -> None:
        """Draw nothing: `torch.nn.Linear` calls this before the generator is known."""


def linear_of_parts(x: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` of concatenated parts; some need no gradient."""
    first, *others = torch.split(weight, [part.shape[1] for part in x], dim=1)
    output = F.linear(x[0], first, bias)
    for part, own in zip(x[1:], others, strict=True):
        # Autocast leaves operations in place alone.
        output.addmm_(part.to(output.dtype), own.t().to(output.dtype))
    return output


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that uses its running statistics while frozen, even in training.

    Parameters
    ----------
    num_features : int
        Width n of the input.

    Attributes
    ----------
    frozen : bool
        Whether the running statistics are frozen.

    Examples
    --------
    >>> from sk_finalmlp.nn import BatchNorm
    >>> norm = BatchNorm(30)
    >>> norm.frozen = True
    >>> norm.train().training
    False
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    frozen = False

    def train(self, mode: bool = True) -> BatchNorm:
        """Set the mode; a frozen layer is always in evaluation mode."""
        return super().train(mode and not self.frozen)


def modules_of(network: nn.Module, kind: type[Module]) -> list[Module]:
    """Return the modules of a class in a network."""
    return [module for module in network.modules() if isinstance(module, kind)]


@contextmanager
def lent(modules: Sequence[nn.Module], **attributes: Any) -> Iterator[None]:
    """Set attributes of modules, within the context; then those of their class count again."""
    try:
        for module in modules:
            vars(module).update(attributes)
        yield
    finally:
        for module in modules:
            for name in attributes:
                vars(module).pop(name, None)


class RandomBits:
    """Source of random 16-bit numbers on the CPU, four from each word of a generator of NumPy."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self._words = np.random.SFC64(int(torch.randint(2**63 - 1, (), generator=generator)))

    def get_state(self) -> Tensor:
        """Return the state of the generator."""
        words: Any = self._words.state["state"]
        return torch.from_numpy(words["state"].view(np.int64))

    def set_state(self, state: Tensor) -> None:
        """Restore a state of the generator."""
        self._words.state = {**self._words.state, "state": {"state": state.numpy().view(np.uint64)}}

    def drop_(self, x: Tensor, p: float) -> Tensor:
        """Multiply each element in place by 0 with the probability `p`, to 1 / 65536, else by 1 / (1 - p)."""
        for part in torch.split(x.view(-1), _BITS_AT_ONCE):
            words = np.asarray(self._words.random_raw(-(-len(part) // 4)))
            is_kept = words.view(np.uint16)[: len(part)] >= round(p * 2**16)
            # Infinity times zero is no number: that a training diverges is found at its loss.
            with np.errstate(invalid="ignore"):
                np.multiply(part.numpy(), is_kept, out=part.numpy())
            part.mul_(1 / (1 - p))
        return x


class Dropout(nn.Module):
    """Set elements to zero with probability `p` and scale the others by 1 / (1 - p); the identity in evaluation.

    `torch.nn.Dropout` draws from the global generator, which concurrent fits would share. This one draws from the
    generator that `dropout_generator` sets during training.

    Parameters
    ----------
    p : float
        Dropout rate: the probability that an element is set to zero, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator
    >>> dropout = Dropout(0.5)
    >>> with dropout_generator(dropout, torch.Generator().manual_seed(0)):
    ...     dropout(torch.ones(2, 4)).unique()
    tensor([0., 2.])
    """

    generator: torch.Generator | None = None
    bits: RandomBits | None = None

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be in [0, 1), got {p!r}.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of `x`, any shape, in training mode."""
        if not self.is_active:
            return x
        return x * self.drop_(torch.ones(x.shape, dtype=x.dtype, device=x.device))

    @property
    def is_active(self) -> bool:
        """Whether it drops anything."""
        return self.training and self.p > 0

    def extra_repr(self) -> str:
        return f"p={self.p}"

    def drop_(self, x: Tensor) -> Tensor:
        """Drop elements in place; `x` is contiguous."""
        if x.device.type != "cpu":
            return x.mul_(torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)).mul_(1 / (1 - self.p))
        # On the CPU bernoulli_ draws one element at a time, which is a third of a training step.
        bits = self.bits or RandomBits(None)
        # NumPy has no bfloat16.
        return bits.drop_(x, self.p) if x.dtype == torch.float32 else x.mul_(bits.drop_(torch.ones(x.shape), self.p))


class _ReluDropout(Function):
    """ReLU and dropout in one matrix, which tells the gradient which elements were dropped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: Dropout) -> Tensor:
        output = dropout.drop_(F.relu(x.contiguous()))
        ctx.save_for_backward(output)
        ctx.scale = 1 / (1 - dropout.p)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (output,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, output, 0).mul_(ctx.scale), None


def dropout_generator(network: nn.Module, generator: torch.Generator) -> AbstractContextManager[None]:
    """Let all dropout layers of a network draw from one generator, within the context.

    Parameters
    ----------
    network : torch.nn.Module
        Network, on the device of the generator.
    generator : torch.Generator
        Source of the dropout masks.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator
    >>> layer = Dropout(0.5)
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     first = layer(torch.ones(100))
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     again = layer(torch.ones(100))
    >>> torch.equal(first, again)
    True
    """
    bits = RandomBits(generator) if generator.device.type == "cpu" else None
    return lent(modules_of(network, Dropout), generator=generator, bits=bits)


def dropout_sources(network: nn.Module) -> list[RandomBits | torch.Generator]:
    """Return what the dropout layers of a network draw from, each source once."""
    sources = [layer.bits or layer.generator for layer in modules_of(network, Dropout)]
    return list(dict.fromkeys(source for source in sources if source is not None))


class Activation(nn.Module):
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
        return self.joint([self], x)

    def folded(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Fold batch norm in evaluation mode into weight and bias of the linear map before it."""
        if bias is None:
            bias = weight.new_zeros(len(weight))
        if self.norm is None:
            return weight, bias
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return weight * scale.unsqueeze(1), self.norm.bias + (bias - self.norm.running_mean) * scale

    @staticmethod
    def joint(layers: Sequence[Activation], x: Tensor) -> Tensor:
        """Activate several layers that are alike, side by side."""
        norms = [layer.norm for layer in layers if layer.norm is not None]
        normalised = _normalised(norms, x) if norms else x
        dropout = layers[0].dropout
        if dropout.is_active:
            return _ReluDropout.apply(normalised, dropout)
        # In place, prediction saves a matrix; a gradient needs both.
        return F.relu(normalised, inplace=bool(norms) and not torch.is_grad_enabled())


def _normalised(norms: Sequence[BatchNorm], x: Tensor) -> Tensor:
    """Apply the batch norms of layers side by side in one call."""
    if len(norms) == 1:
        return norms[0](x)
    joined = zip(*((norm.running_mean, norm.running_var, norm.weight, norm.bias) for norm in norms), strict=True)
    mean, variance, weight, bias = map(torch.cat, joined)
    first = norms[0]
    normalised = F.batch_norm(x, mean, variance, weight, bias, first.training, first.momentum, first.eps)
    if first.training:
        _note_batch(norms, mean, variance)
    return normalised


def _note_batch(norms: Sequence[BatchNorm], mean: Tensor, variance: Tensor) -> None:
    """Give the layers side by side their parts of the running statistics after a batch."""
    end = 0
    for norm in norms:
        start, end = end, end + norm.num_features
        norm.running_mean.copy_(mean[start:end])
        norm.running_var.copy_(variance[start:end])
        norm.num_batches_tracked.add_(1)
