"""Trainings that begin with the moments of the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor

from ..nn import FieldEmbedding
from ._lazy_adam import no_learning_rates
from ._moments import Moments


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
        "last_lr_sum": no_learning_rates(table),
    }
