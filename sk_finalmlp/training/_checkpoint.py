"""The state of a training on disk after each epoch, from which a training that was killed goes on to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from ..nn import dropout_state, restore_dropout
from ._batches import Batches
from ._callbacks import Best, BestEpoch, EpochRecord, Patience, finished_epochs


class Checkpoint(Callback):
    """Writes the state of a training at the end of each epoch: the first process does, and all go on from the file."""

    def __init__(
        self,
        path: Path,
        batches: Batches,
        schedule: list[tuple[str, Callback]],
        best: BestEpoch,
        record: EpochRecord,
        patience: Patience,
    ) -> None:
        self.path = path
        self.batches = batches
        self.schedule = schedule
        self.best = best
        self.record = record
        self.patience = patience
        self.processes = batches.processes

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        dropout = self.processes.gathered(dropout_state(net.module_))
        if self.processes.rank == 0:
            self._write(net, dropout)

    def _write(self, net: Any, dropout: list[list[Tensor]]) -> None:
        optimizer = net.optimizer_
        state = {
            "network": net.module_.state_dict(),
            # Torch would load all that is learned about a parameter as floats of its type.
            "of_parameters": [dict(optimizer.state[parameter]) for parameter in _parameters(optimizer)],
            "groups": [{name: v for name, v in group.items() if name != "params"} for group in optimizer.param_groups],
            "schedule": [callback.lr_scheduler_.state_dict() for _, callback in self.schedule],
            "generator": self.batches.generator.get_state(),
            "dropout": dropout,
            "batches": self.batches.state(),
            "best": tuple(self.best.so_far),
            "shift": self.record.shift,
            "history": finished_epochs(net.history),
            "monitored": [epoch.get("monitored") for epoch in net.history],
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        # In one step, so that a kill leaves the file of this epoch or of the one before.
        partial.replace(self.path)

    def resume(self, net: Any) -> int:
        """Bring a training that has just begun to where the file's was; the number of its epochs, 0 without a file."""
        is_there = self.processes.gathered(self.path.exists())
        if not all(is_there):
            if any(is_there):
                raise ValueError(
                    f"checkpoint: process {is_there.index(False)} of {self.processes.size} doesn't see {self.path}, "
                    "which others do. Name a folder that all machines share."
                )
            return 0
        state = torch.load(self.path, weights_only=True)
        if len(state["dropout"]) != self.processes.size:
            raise ValueError(
                f"checkpoint: {self.path} is of a training in {len(state['dropout'])} processes, but "
                f"{self.processes.size} go on. Use as many, or remove the file."
            )
        net.module_.load_state_dict(state["network"])
        optimizer = net.optimizer_
        for parameter, learned in zip(_parameters(optimizer), state["of_parameters"], strict=True):
            if learned:
                optimizer.state[parameter] = learned
        for group, saved in zip(optimizer.param_groups, state["groups"], strict=True):
            group.update(saved)
        for (_, callback), saved in zip(self.schedule, state["schedule"], strict=True):
            callback.lr_scheduler_.load_state_dict(saved)
        self.batches.generator.set_state(state["generator"])
        restore_dropout(net.module_, state["dropout"][self.processes.rank])
        self.batches.restore(state["batches"])
        self.best.so_far = Best(*state["best"])
        self.record.shift = state["shift"]
        for epoch, monitored in zip(state["history"], state["monitored"], strict=True):
            net.history.new_epoch()
            for name, value in epoch.items():
                net.history.record(name, value)
            if monitored is not None:
                net.history.record("monitored", monitored)
        self.patience.on_epoch_end(net)
        return len(state["history"])

    def remove(self) -> None:
        """The training has ended."""
        if self.processes.rank == 0:
            self.path.unlink(missing_ok=True)


def _parameters(optimizer: Any) -> list[Any]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
