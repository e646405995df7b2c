"""Adam's moments, kept from one training to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor, nn

from ..nn import FieldEmbedding


@dataclass
class Moments:
    """Adam's two moments of each weight of a network, and the number of steps.

    Parameters
    ----------
    exp_avg, exp_avg_sq : dict of {str: ndarray of float32}
        The moments by name of the parameter.
    n_steps : int, default=0
        Number of steps so far.

    Examples
    --------
    >>> from torch import nn
    >>> from sk_finalmlp.training import Moments
    >>> Moments.zeros(nn.Linear(3, 1)).exp_avg
    {'weight': array([[0., 0., 0.]], dtype=float32), 'bias': array([0.], dtype=float32)}
    """

    exp_avg: dict[str, NDArray[np.float32]]
    exp_avg_sq: dict[str, NDArray[np.float32]]
    n_steps: int = 0

    @classmethod
    def zeros(cls, network: nn.Module) -> Moments:
        """Those of a network before its first step."""
        # By numpy, for which the system hands out pages of zeros when they are first written to.
        first, second = (
            {name: np.zeros(tuple(parameter.shape), np.float32) for name, parameter in network.named_parameters()}
            for _ in range(2)
        )
        return cls(first, second)


class KeptMoments(Callback):
    """Begins a training with the moments of the last one, and keeps those of its end.

    Parameters
    ----------
    moments : Moments
        Those of the last training; they are overwritten at the end of each epoch.
    """

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        kept, network = self.moments, net.module_
        lazy = {id(m.table) for m in network.modules() if isinstance(m, FieldEmbedding) and m.sparse_gradient}
        for name, parameter in network.named_parameters():
            state = net.optimizer_.state[parameter]
            state["exp_avg"] = _tensor_like(parameter, kept.exp_avg[name])
            state["exp_avg_sq"] = _tensor_like(parameter, kept.exp_avg_sq[name])
            if id(parameter) in lazy:
                state |= _settled(parameter, kept.n_steps)
            else:
                state["step"] = torch.tensor(float(kept.n_steps), device=parameter.device)

    def on_epoch_end(self, net: Any, dataset_train: Any, **kwargs: Any) -> None:
        net.optimizer_.settle()
        for name, parameter in net.module_.named_parameters():
            state = net.optimizer_.state[parameter]
            self.moments.exp_avg[name] = state["exp_avg"].numpy(force=True)
            self.moments.exp_avg_sq[name] = state["exp_avg_sq"].numpy(force=True)
        self.moments.n_steps += len(dataset_train)


def _tensor_like(parameter: Tensor, array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(array)).to(parameter.device)


def _settled(table: Tensor, n_steps: int) -> dict[str, Any]:
    """The state of a lazy table of which no row has missed a step."""
    return {
        "n_steps": n_steps,
        "lr_sum": 0.0,
        "last_step": torch.full((len(table),), n_steps, dtype=torch.int32, device=table.device),
        "last_lr_sum": torch.zeros(len(table), dtype=torch.float64, device=table.device),
    }
