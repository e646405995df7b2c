"""Callbacks of a training: records, early stopping, checkpoints, lines on the screen, the guard against NaN."""

from __future__ import annotations

import logging
import math
import multiprocessing
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._warnings import warn
from ..nn import dropout_sources
from ._adam import Moments
from ._objective import Scores
from ._processes import Alone
from ._rows import Batches, Impressions
from ._scores import Scoring, evaluate, predict_logits
from ._settings import EpochObserver, TrainingResult

logger = logging.getLogger("sk_finalmlp.training")

_IN_THE_LINE = ("train_loss", "valid_loss", "valid_auc")
# What the loop alone reads in a record.
_OF_THE_LOOP = ("batches", "monitored")

_A_FEW_ROWS = 256

# Warn only above 3 times the CPU time and 1 s.
_SECONDS_PER_WORKED_SECOND = 3
_SECONDS_WORTH_A_WARNING = 1


class StopTraining(Exception):
    """Raised by a callback to end the training after an epoch."""


def _check_losses(net: Any, name: str, losses: Sequence[float]) -> None:
    for loss in losses:
        if not math.isfinite(loss):
            raise _divergence(f"The {name} became {loss}", net)


def _check_logits(net: Any, some: Impressions) -> None:
    """Refuse what no loss tells: how the last step has ended."""
    logits = predict_logits(net.module_.eval(), some.codes, some.values)
    if not torch.isfinite(logits).all():
        raise _divergence("The logits became NaN or infinite", net)


def _divergence(what: str, net: Any) -> FloatingPointError:
    return FloatingPointError(
        f"{what} in epoch {len(net.history)}. Try a lower learning_rate, batch norm in both streams, and numeric "
        "columns of unit variance without extreme values (CTREncoder makes such columns)."
    )


@dataclass
class EpochRecord(Callback):
    """Writes the first process's record of an epoch, and stops at NaN losses, on accelerators after the epoch."""

    validation: Impressions | None
    scoring: Scoring
    processes: Alone
    shift: Tensor | None = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.start_ = time.perf_counter()
        if self.shift is not None:
            # The training goes on unaffected.
            net.module_.shift_logits(-self.shift)

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        # Before a schedule sets the next one.
        self.learning_rate_ = net.optimizer_.param_groups[0]["lr"]
        if not net.is_accelerated:
            _check_losses(net, "training loss", net.history[-1, "batches", -1:, "train_loss"])

    def on_epoch_end(self, net: Any, dataset_train: Batches, **kwargs: Any) -> None:
        # Each process has normalised by its slices, and tables may be behind: before anything reads the network.
        self.processes.average_buffers(net.module_)
        net.optimizer_.settle()
        losses, sizes = (net.history[-1, "batches", :, name] for name in ("train_loss", "train_batch_size"))
        _check_losses(net, "training loss", losses)
        _check_logits(net, dataset_train.impressions.some(_A_FEW_ROWS))
        record = {"train_loss": float(np.average(losses, weights=sizes))}
        if self.validation is not None:
            training = dataset_train.impressions
            scores, logits, self.shift = evaluate(net.module_, self.validation, training, self.processes)
            _check_losses(net, "loss on the validation rows", [scores["valid_loss"]])
            record |= scores | self._monitored(scores, logits, self.validation)
        record |= {"learning_rate": self.learning_rate_, "seconds": time.perf_counter() - self.start_}
        for name, value in self.processes.told(record).items():
            net.history.record(name, value)

    def _monitored(self, scores: Scores, logits: Tensor, rows: Impressions) -> dict[str, float]:
        """The score that decides, higher for better, and its record where it is neither loss nor AUC."""
        if self.scoring == "neg_log_loss":
            return {"monitored": -scores["valid_loss"]}
        if self.scoring != "roc_auc":
            name, score = self.scoring(logits, rows)
            return {f"valid_{name}": score, "monitored": score}
        if math.isnan(scores["valid_auc"]):
            raise ValueError(
                "scoring='roc_auc' needs validation rows of every class, but one is missing. Add such rows, or set "
                "scoring='neg_log_loss'."
            )
        return {"monitored": scores["valid_auc"]}


class WaitingThreads(Callback):
    """Warns if the training thread slept in the first epoch: other processes keep the cores busy."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.start_ = time.perf_counter(), time.thread_time()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        n_threads = torch.get_num_threads()
        if len(net.history) > 1 or n_threads == 1:
            return
        passed, worked = time.perf_counter() - self.start_[0], time.thread_time() - self.start_[1]
        if passed > max(_SECONDS_WORTH_A_WARNING, _SECONDS_PER_WORKED_SECOND * worked):
            warn(
                f"The first epoch took {passed:.1f} s, but the training had a core only for {worked:.1f} s: other "
                f"processes or threads keep the cores busy, and the {n_threads} threads of torch wait for each other. "
                "One thread is faster then: set the environment variable OMP_NUM_THREADS=1 before Python starts, or "
                "call torch.set_num_threads(1) before fit."
            )


class Best(NamedTuple):
    """The best epoch so far, 0 before the end of the first, and the number of epochs that it was chosen from."""

    epoch: int
    score: float | None
    weights: dict[str, Tensor]
    n_epochs: int


_NONE_YET = Best(0, None, {}, 0)


@dataclass
class BestEpoch(Callback):
    """Remembers the weights of the best epoch, without validation rows the last one, and waits for a better one."""

    tol: float
    n_iter_no_change: int
    so_far: Best = _NONE_YET
    #: Whether it is the best of all; then the final epoch begins.
    is_chosen: bool = False

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        # At the beginning of the next epoch, when all callbacks are done with the last one.
        if not self.is_chosen and self.so_far.n_epochs - self.so_far.epoch >= self.n_iter_no_change:
            raise StopTraining

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        best, epoch, score = self.so_far, len(net.history), net.history[-1].get("monitored")
        if best.score is None or score > best.score + self.tol:
            best = Best(epoch, score, {name: value.clone() for name, value in net.module_.state_dict().items()}, epoch)
        # In one step, so that Ctrl-C leaves the weights of the epoch that is said to be the best.
        self.so_far = best._replace(n_epochs=epoch)

    def result(self, net: Any) -> TrainingResult:
        """History and best epoch of the epochs that are over."""
        history = [
            {name: value for name, value in epoch.items() if name not in _OF_THE_LOOP}
            for epoch in net.history[: self.so_far.n_epochs]
        ]
        return TrainingResult(history, self.so_far.epoch, self.so_far.score)


@dataclass
class Observed(Callback):
    """Tells an observer of each epoch; the first process's observer may end the training."""

    observer: EpochObserver | None
    best: BestEpoch
    processes: Alone

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if self.observer:
            self.observer.begin_epoch(self.best.is_chosen)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if not self.best.is_chosen:
            self.result_ = self.best.result(net)
        ends = self.observer is not None and self.observer.end_epoch(net.module_, self.result_)
        if self.processes.told(ends):
            raise StopTraining


@dataclass
class KeptMoments(Callback):
    """Begins a training with the moments of the last one, and overwrites them at the end of each epoch."""

    moments: Moments

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        for name, parameter in net.module_.named_parameters():
            first, second = torch.tensor(self.moments.of_weights[name], device=parameter.device)
            net.optimizer_.state[parameter] |= {"exp_avg": first, "exp_avg_sq": second, "n_steps": self.moments.n_steps}

    def on_epoch_end(self, net: Any, dataset_train: Any, **kwargs: Any) -> None:
        net.optimizer_.settle()
        for name, parameter in net.module_.named_parameters():
            state = net.optimizer_.state[parameter]
            self.moments.of_weights[name] = torch.stack([state["exp_avg"], state["exp_avg_sq"]]).numpy(force=True)
        self.moments.n_steps += len(dataset_train)


@dataclass
class EpochLines(Callback):
    """Logs a line per epoch, and writes it to the standard output if `written`."""

    best: BestEpoch
    written: bool

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        record = net.history[-1]
        title = "final epoch" if self.best.is_chosen else f"epoch {record['epoch']:2d}"
        # At most 80 characters, a terminal's width.
        losses = [f"{name} {record[name]:.4f}" for name in _IN_THE_LINE if name in record]
        line = "  ".join([title, *losses, f"lr {record['learning_rate']:.0e}", f"{record['seconds']:.1f}s"])
        logger.info(line)
        if self.written:
            # In one piece, so that lines of several processes don't mix.
            sys.stdout.write(f"{_label()}{line}\n")
            sys.stdout.flush()


def _label() -> str:
    """Process and thread of a training, if not the main ones, to tell lines of several apart."""
    process, thread = multiprocessing.current_process(), threading.current_thread()
    names = [process.name] if process.name != "MainProcess" else []
    names += [thread.name] if thread is not threading.main_thread() else []
    return "".join(f"{name}: " for name in names)


@dataclass
class Checkpoint(Callback):
    """Writes the state of a training after each epoch, in the first process; all go on from it to the same bits."""

    path: Path
    batches: Batches
    schedule: list[Any]
    best: BestEpoch
    record: EpochRecord

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        dropout = self.batches.processes.gathered([source.get_state() for source in dropout_sources(net.module_)])
        if self.batches.processes.rank == 0:
            self._write(net, dropout)

    def _write(self, net: Any, dropout: list[list[Tensor]]) -> None:
        state = {
            "network": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": [callback.lr_scheduler_.state_dict() for callback in self.schedule],
            "generator": self.batches.generator.get_state(),
            "dropout": dropout,
            "n_passes": self.batches.n_passes,
            "best": tuple(self.best.so_far),
            "shift": self.record.shift,
            "history": [{name: value for name, value in epoch.items() if name != "batches"} for epoch in net.history],
        }
        partial = self.path.with_suffix(".partial")
        try:
            torch.save(state, partial)
            # In one step, so that a kill leaves the file of this epoch or of the one before.
            partial.replace(self.path)
        except (OSError, RuntimeError) as error:
            # Torch says nothing of a full disk, nor of the file.
            raise OSError(
                f"checkpoint: {self.path} can't be written. Free space in its folder, or name another one; where there "
                "is a file of the epoch before, the next fit goes on from it."
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Bring a training that has just begun to where the file's was, if there is one."""
        processes = self.batches.processes
        is_there = processes.gathered(self.path.exists())
        if not all(is_there):
            if any(is_there):
                raise ValueError(
                    f"checkpoint: process {is_there.index(False)} of {processes.size} doesn't see {self.path}, "
                    "which others do. Name a folder that all machines share."
                )
            return
        state = torch.load(self.path, weights_only=True)
        if len(state["dropout"]) != processes.size:
            raise ValueError(
                f"checkpoint: {self.path} is of a training in {len(state['dropout'])} processes, but "
                f"{processes.size} go on. Use as many, or remove the file."
            )
        self._restore(net, state)

    def _restore(self, net: Any, state: dict[str, Any]) -> None:
        net.module_.load_state_dict(state["network"])
        net.optimizer_.load_state_dict(state["optimizer"])
        for callback, saved in zip(self.schedule, state["schedule"], strict=True):
            callback.lr_scheduler_.load_state_dict(saved)
        self.batches.generator.set_state(state["generator"])
        dropout = state["dropout"][self.batches.processes.rank]
        for source, saved in zip(dropout_sources(net.module_), dropout, strict=True):
            source.set_state(saved)
        self.batches.n_passes = state["n_passes"]
        self.best.so_far = Best(*state["best"])
        self.record.shift = state["shift"]
        for epoch in state["history"]:
            net.history.new_epoch()
            for name, value in epoch.items():
                net.history.record(name, value)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        if self.batches.processes.rank == 0:
            self.path.unlink(missing_ok=True)
