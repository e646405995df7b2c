"""Adam at a cost that doesn't grow with the embedding tables, and its moments from one training to the next."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ..nn import fused_adam

_PARTS_OF_A_GAP = 2
_ROWS_AT_ONCE = 65_536

# Powers of beta1 below this change no correction.
_NOTHING = 1e-9


class LazyAdam(Adam):
    """Adam that updates a row of an embedding table only when a batch contains it.

    Parameters with dense gradients are updated as by `torch.optim.Adam`. For a parameter with a sparse gradient, a step
    updates only the rows in the gradient. In the steps that a row misses, its gradient under plain Adam would be weight
    decay alone. The row catches up on these when it is next in a gradient, or by `settle`: exactly for the decay of the
    moments, approximately for the weight, by the sum of the learning rates of those steps. Rows that miss no step are
    updated as by plain Adam.

    The state is plain Adam's, two numbers per weight, and for each row its last step and the sum of the learning rates
    up to it.

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
    >>> table(torch.tensor([3, 8, 3])).sum().backward()
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
        for parameter, options in ((p, group) for group in self.param_groups for p in group["params"]):
            state = self.state[parameter]
            if "last_step" in state:
                tables = (parameter, state["exp_avg"], state["exp_avg_sq"], state["last_step"], state["last_lr_sum"])
                parts = zip(*(torch.split(table, _ROWS_AT_ONCE) for table in tables), strict=True)
                for *part, last_step, last_lr_sum in parts:
                    missed = last_step, state["n_steps"], state["lr_sum"] - last_lr_sum
                    for table, values in zip(part, _catch_up(_Rows(*part), *missed, options), strict=True):
                        table.copy_(values)
                state["last_step"].fill_(state["n_steps"])
                state["last_lr_sum"].fill_(state["lr_sum"])

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
            for tensor, values in zip(table, _adam_step(table, gradient, n, options), strict=True):
                tensor.copy_(values)

    def _update_rows(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any]) -> None:
        state = self._state_of_rows(parameter)
        gradient = gradient.coalesce()
        touched = gradient.indices()[0]
        tables = _Rows(parameter, state["exp_avg"], state["exp_avg_sq"])
        rows = _Rows(*(table.index_select(0, touched) for table in tables))
        learning_rates = state["lr_sum"] - state["last_lr_sum"][touched]
        rows = _catch_up(rows, state["last_step"][touched], state["n_steps"], learning_rates, options)
        state["n_steps"] += 1
        state["lr_sum"] += options["lr"]
        rows = _adam_step(rows, gradient.values(), state["n_steps"], options)
        for table, values in zip(tables, rows, strict=True):
            table.index_copy_(0, touched, values)
        state["last_step"][touched] = state["n_steps"]
        state["last_lr_sum"][touched] = state["lr_sum"]

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
            n_rows, device = (len(parameter),), parameter.device
            state["lr_sum"] = 0.0
            state["last_step"] = torch.full(n_rows, state["n_steps"], dtype=torch.int32, device=device)
            state["last_lr_sum"] = torch.zeros(n_rows, dtype=dtype, device=device)
        return state


class _Rows(NamedTuple):
    """Rows of a table and of its moments, all of shape (n, d)."""

    weight: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor


def _adam_step(rows: _Rows, gradient: Tensor, n_steps: int, options: dict[str, Any]) -> _Rows:
    """A step of plain Adam, the `n_steps`-th."""
    beta1, beta2 = options["betas"]
    gradient = gradient.add(rows.weight, alpha=options["weight_decay"])
    exp_avg = rows.exp_avg.lerp(gradient, 1 - beta1)
    exp_avg_sq = rows.exp_avg_sq.mul(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    deviation = exp_avg_sq.div(1 - beta2**n_steps).sqrt_().add_(options["eps"])
    weight = rows.weight.addcdiv(exp_avg, deviation, value=-options["lr"] / (1 - beta1**n_steps))
    return _Rows(weight, exp_avg, exp_avg_sq)


def _catch_up(rows: _Rows, last_step: Tensor, n_steps: int, learning_rates: Tensor, options: dict[str, Any]) -> _Rows:
    """Take the missed steps of rows: weight decay alone, lambda * w, and what is left of the momentum."""
    # A long gap is taken in parts, with exponential decay so that no weight crosses zero, at the mean learning rate.
    beta1, beta2 = options["betas"]
    decay = options["weight_decay"]
    first = last_step.unsqueeze(1).to(rows.weight.dtype)
    missed = n_steps - first
    learning_rate = learning_rates.unsqueeze(1).to(rows.weight.dtype) / missed.clamp(min=1)

    def deviation(weight: Tensor, steps: Tensor) -> Tensor:
        """Square root of the second moment at these steps into the gap."""
        kept = beta2**steps
        second = kept * rows.exp_avg_sq + (1 - kept) * (decay * weight).square()
        corrected: Tensor = second / (1 - beta2 ** (first + steps).clamp_(min=1))
        return corrected.sqrt_().add_(options["eps"])

    weight = rows.weight
    sums = _corrected_sums(beta1).to(weight)
    of_first, of_last = (sums[steps.long().clamp_(max=len(sums) - 1)] for steps in (first, first + missed))
    remainder = of_first - beta1**missed * of_last
    weight = weight - learning_rate * remainder * rows.exp_avg / deviation(weight, (missed.clamp(max=5) + 1) / 2)
    for part in range(_PARTS_OF_A_GAP):
        into_the_gap = missed * ((part + 0.5) / _PARTS_OF_A_GAP) + 0.5
        steps = (missed - (1 - beta1**first) * remainder) / _PARTS_OF_A_GAP
        weight = weight * torch.exp(-learning_rate * decay * steps / deviation(weight, into_the_gap))
    exp_avg = torch.lerp(decay * weight, rows.exp_avg, beta1**missed)
    exp_avg_sq = torch.lerp((decay * weight).square(), rows.exp_avg_sq, beta2**missed)
    is_behind = missed > 0
    caught_up = zip((weight, exp_avg, exp_avg_sq), rows, strict=True)
    return _Rows(*(torch.where(is_behind, new, old) for new, old in caught_up))


@cache
def _corrected_sums(beta1: float) -> Tensor:
    """Return the sum of beta1^k / (1 - beta1^(t + k)) over k = 1, 2, ..., for each step t until it doesn't change."""
    # So far a first moment alone moves its weight after step t, in units of learning rate over deviation.
    n_steps = math.ceil(math.log(_NOTHING) / math.log(beta1)) if beta1 else 1
    sums = [beta1 / (1 - beta1)]
    for step in range(n_steps, 0, -1):
        sums.append(beta1 / (1 - beta1**step) + beta1 * sums[-1])
    return torch.tensor(sums[::-1], dtype=torch.float64)


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
