"""Adam at a cost that doesn't grow with the embedding tables, and its moments from one training to the next."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ..nn import fused_adam

# Missed steps that are taken one by one; those of a longer gap follow in a few parts.
_SINGLE_STEPS = 16
_PARTS_OF_A_GAP = 2
_TINY = 1e-12

# Few enough to stay in the cache.
_ROWS_AT_ONCE = 4096


class LazyAdam(Adam):
    """Adam that updates a row of an embedding table only when a batch contains it.

    Parameters with dense gradients are updated as by `torch.optim.Adam`. For a parameter with a sparse gradient, a step
    updates only the rows in the gradient. In the steps that a row misses, its gradient under plain Adam would be weight
    decay alone. The row catches up on these by `catch_up`, to be called before it is read, else when it is next in a
    gradient, or by `settle`: exactly on the first 16 steps of a gap, and on the rest in two parts, by the sums of their
    learning rates. Where 1 in 50 steps touches a row, weights ended apart from plain Adam's by .4% of their way without
    weight decay and by 2% with it, where 1 in 10 does, by .1%, and where none misses more than 16 steps, by rounding.

    The state is plain Adam's, two numbers per weight, the last step of each row, and the sum of the learning rates up
    to each step.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    **options : Any
        `lr`, `betas`, `eps`, `weight_decay` and `fused` of `torch.optim.Adam`.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import LazyAdam
    >>> table = torch.nn.Embedding(1_000_000, 10, sparse=True)
    >>> optimizer = LazyAdam(table.parameters(), lr=1e-3, weight_decay=0.1)
    >>> rows = torch.tensor([3, 8, 3])
    >>> optimizer.catch_up(table.weight, rows)
    >>> table(rows).sum().backward()
    >>> optimizer.step()
    >>> optimizer.settle()
    """

    # Torch's wrapper of these imports its compiler: a second of the first fit.
    add_param_group = inspect.unwrap(Adam.add_param_group)
    zero_grad = inspect.unwrap(Adam.zero_grad)
    state_dict = inspect.unwrap(Adam.state_dict)
    # Adam's looks for steps that are counted in tensors.
    __setstate__ = Optimizer.__setstate__

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; with a closure, compute loss and gradients by it first and return the loss."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for options in self.param_groups:
            gradients = {p: p.grad for p in options["params"] if p.grad is not None}
            for parameter in [p for p, gradient in gradients.items() if gradient.is_sparse]:
                self._update_rows(parameter, gradients.pop(parameter), options)
            self._update(gradients, options)
        return loss

    @torch.no_grad()
    def settle(self) -> None:
        """Catch up on missed steps of all rows, before the tables are read."""
        for parameter in [p for group in self.param_groups for p in group["params"]]:
            if "last_step" in self.state[parameter]:
                self._catch_up(parameter, torch.arange(len(parameter), device=parameter.device))

    @torch.no_grad()
    def catch_up(self, parameter: Tensor, rows: Tensor) -> None:
        """Catch up on missed steps of some rows of a table, before they are read.

        Parameters
        ----------
        parameter : Tensor
            The table.
        rows : Tensor of int64
            Positions of the rows, also several times.
        """
        state = self._state_of_rows(parameter)
        rows = rows.flatten()
        self._catch_up(parameter, torch.unique(rows[state["last_step"][rows] < state["n_steps"]]))

    def _catch_up(self, parameter: Tensor, rows: Tensor) -> None:
        """Catch up on missed steps of some rows, each given once."""
        options = next(group for group in self.param_groups if any(p is parameter for p in group["params"]))
        state = self.state[parameter]
        tables = _Rows(parameter, state["exp_avg"], state["exp_avg_sq"])
        lr_sums = state["lr_sums"][: state["n_steps"] + 1]
        # Those that have missed the most steps come first.
        last_steps, order = state["last_step"][rows].long().sort()
        for part, last_step in zip(
            torch.split(rows[order], _ROWS_AT_ONCE), torch.split(last_steps, _ROWS_AT_ONCE), strict=True
        ):
            behind = _Rows(*(table.index_select(0, part) for table in tables))
            _take_missed_steps(behind, last_step, lr_sums, options)
            for table, values in zip(tables, behind, strict=True):
                table.index_copy_(0, part, values)
        state["last_step"][rows] = state["n_steps"]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state; torch's own method would cast the sums of learning rates to the weights' type."""
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for parameter, number in zip(group["params"], saved["params"], strict=True):
                own = state_dict["state"].get(number, {})
                on_device = {name: value.to(parameter.device) for name, value in own.items() if torch.is_tensor(value)}
                self.state[parameter] = own | on_device
            group.update({name: value for name, value in saved.items() if name != "params"})

    def _update(self, gradients: dict[Tensor, Tensor], options: dict[str, Any]) -> None:
        """Take a step of plain Adam; torch's own would count the steps of each parameter in a tensor of its own."""
        states = [self._state_of(parameter) for parameter in gradients]
        for state in states:
            state["n_steps"] += 1
        tables = [_Rows(p, state["exp_avg"], state["exp_avg_sq"]) for p, state in zip(gradients, states, strict=True)]
        n_steps = [state["n_steps"] for state in states]
        if options["fused"]:
            fused_adam(tables, [*gradients.values()], n_steps, options)
            return
        for table, gradient, n in zip(tables, gradients.values(), n_steps, strict=True):
            _take_step(table, gradient, n, options["lr"], options)

    def _update_rows(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any]) -> None:
        gradient = gradient.coalesce()
        touched = gradient.indices()[0]
        self.catch_up(parameter, touched)
        state = self.state[parameter]
        tables = _Rows(parameter, state["exp_avg"], state["exp_avg_sq"])
        rows = _Rows(*(table.index_select(0, touched) for table in tables))
        state["n_steps"] += 1
        _note_rate(state, options["lr"])
        _take_step(rows, gradient.values(), state["n_steps"], options["lr"], options)
        for table, values in zip(tables, rows, strict=True):
            table.index_copy_(0, touched, values)
        state["last_step"][touched] = state["n_steps"]

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["n_steps"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state

    def _state_of_rows(self, parameter: Tensor) -> dict[str, Any]:
        state = self._state_of(parameter)
        if "last_step" not in state:
            # A few steps' rate is a small difference of large sums: float64, which mps doesn't have.
            dtype = torch.float32 if parameter.device.type == "mps" else torch.float64
            n_steps, device = state["n_steps"], parameter.device
            state["last_step"] = torch.full((len(parameter),), n_steps, dtype=torch.int32, device=device)
            state["lr_sums"] = torch.zeros(n_steps + 1, dtype=dtype, device=device)
        return state


def _note_rate(state: dict[str, Any], rate: float) -> None:
    """Add the learning rate of a step to the list of sums, which grows by half where it is full."""
    sums, n_steps = state["lr_sums"], state["n_steps"]
    if n_steps == len(sums):
        state["lr_sums"] = sums = torch.cat([sums, sums.new_zeros(n_steps // 2 + 64)])
    sums[n_steps] = sums[n_steps - 1] + rate


class _Rows(NamedTuple):
    """Rows of a table and of its moments, all of shape (n, d)."""

    weight: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor

    def first(self, n: int) -> _Rows:
        """Return views of the first rows."""
        return _Rows(*(table[:n] for table in self))


def _take_step(rows: _Rows, gradient: Tensor | None, n_steps: Any, rate: Any, options: dict[str, Any]) -> None:
    """Take a step of plain Adam, the `n_steps`-th at its rate, numbers or columns of them; no gradient is zero."""
    beta1, beta2 = options["betas"]
    decay = rows.weight * options["weight_decay"]
    gradient = decay if gradient is None else decay.add_(gradient)
    rows.exp_avg.lerp_(gradient, 1 - beta1)
    rows.exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    deviation = rows.exp_avg_sq.div(1 - beta2**n_steps).sqrt_().add_(options["eps"])
    rows.weight.sub_((rows.exp_avg * (rate / (1 - beta1**n_steps))).div_(deviation))


def _take_missed_steps(rows: _Rows, last_step: Tensor, lr_sums: Tensor, options: dict[str, Any]) -> None:
    """Take the missed steps of rows, in ascending order of their last one, by weight decay and momentum alone."""
    n_steps = len(lr_sums) - 1
    missed = torch.arange(_SINGLE_STEPS + 1, device=last_step.device)
    *n_behind, n_far = torch.searchsorted(last_step, n_steps - missed).tolist()
    for k, n in enumerate(n_behind):
        if not n:
            return
        step = last_step[:n] + k + 1
        rate = _column(lr_sums[step] - lr_sums[step - 1], rows)
        _take_step(rows.first(n), None, _column(step, rows), rate, options)
    first = last_step[:n_far] + _SINGLE_STEPS
    for parts in range(_PARTS_OF_A_GAP, 0, -1):
        last = first + (n_steps - first) // parts
        _take_many_steps(rows.first(n_far), first, last, lr_sums, options)
        first = last


def _take_many_steps(rows: _Rows, first: Tensor, last: Tensor, lr_sums: Tensor, options: dict[str, Any]) -> None:
    """Take the steps after the first up to the last one at once, by the sum of their rates and the deviation amid."""
    beta1, beta2 = options["betas"]
    decay = options["weight_decay"]
    before, n, rates = (_column(column, rows) for column in (first, last - first, lr_sums[last] - lr_sums[first]))
    decayed = decay * rows.weight
    # What is left of earlier gradients moves a weight in the beginning, and the rest of its moment lets it decay.
    deviation = rows.exp_avg_sq.div(1 - beta2**before).sqrt_().add_(options["eps"])
    rate = _column(lr_sums[first + 1] - lr_sums[first], rows) / (1 - beta1 ** (before + 1 / (1 - beta1)))
    remainder = rate * (1 - beta1**n) * beta1 / (1 - beta1)
    amid = torch.lerp(decayed.square(), rows.exp_avg_sq, beta2 ** (n / 2))
    step = rates / amid.div_(1 - beta2 ** (before + n / 2)).sqrt_().add_(options["eps"])
    rows.weight.sub_(remainder * (rows.exp_avg - decayed) / deviation).mul_(torch.exp(-decay * step))
    rows.exp_avg.copy_(torch.lerp(decay * rows.weight, rows.exp_avg, beta1**n))
    twice = (2 * decay * step).clamp_(min=_TINY)
    mean_square = decayed.square() * (-torch.expm1(-twice) / twice)
    rows.exp_avg_sq.copy_(torch.lerp(mean_square, rows.exp_avg_sq, beta2**n))


def _column(values: Tensor, rows: _Rows) -> Tensor:
    """Return a value of each row as a column of the weights' type."""
    return values.to(rows.weight.dtype).unsqueeze(1)


@dataclass
class Moments:
    """Adam's first and second moment of each weight of a network, by name, and the number of steps."""

    of_weights: dict[str, NDArray[np.float32]]
    n_steps: int = 0

    @classmethod
    def zeros(cls, network: nn.Module) -> Moments:
        """Moments of a network before its first step."""
        # By numpy: the system hands out pages of zeros when they are first written to.
        return cls({name: np.zeros((2, *weight.shape), np.float32) for name, weight in network.named_parameters()})
