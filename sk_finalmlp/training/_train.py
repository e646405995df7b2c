"""Training of a network, from its initial weights to its best epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial

import torch
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from .._warnings import warn
from ..nn import BatchNorm, FieldEmbedding, dropout_generator, lent, members_of, modules_of
from ._adam import LazyAdam, Moments
from ._callbacks import (
    BestEpoch,
    Checkpoint,
    EpochLines,
    EpochRecord,
    KeptMoments,
    Observed,
    StopTraining,
    WaitingThreads,
    logger,
)
from ._device import kept_memory, product_dtype, threads_of_steps
from ._net import ClickNet
from ._processes import ALONE, Alone, Group, is_started_with_others, joined_group
from ._rows import AnyImpressions, Batches, digest_of
from ._scores import correct_mean
from ._settings import EpochObserver, TrainingResult, TrainingSettings

# Published values without parameters.
_LEARNING_RATE_FACTOR = 0.1
_MIN_LEARNING_RATE = 1e-6

# Least improvement of the monitored score.
_TOLERANCE = 1e-6

# Share of the steps with a rising rate in one cycle.
_WARM_UP = 0.15

# In smaller tables a dense update is faster, and it is exact.
_LAZY_FROM_ROWS = 100_000


def train(
    network: nn.Module,
    impressions: AnyImpressions,
    validation: AnyImpressions | None,
    settings: TrainingSettings,
    generator: torch.Generator,
    observer: EpochObserver | None = None,
    moments: Moments | None = None,
) -> TrainingResult:
    """Train a network in place.

    The loss is the mean weighted cross-entropy, its gradient clipped to norm 10, plus lambda/2 times the sum of
    squares of the embedding tables; the optimizer is Adam. Each member of an ensemble has its own loss, clipped
    separately.

    In one cycle, the learning rate falls along a cosine. With the precision "bfloat16", weights, sums, batch norm,
    tables, loss and all scores are float32 nonetheless.

    With validation rows, the network is scored after each epoch. Training ends after `n_iter_no_change` epochs without
    improvement, and the weights of the best epoch are restored. With `final_epoch`, one more epoch follows, at a tenth
    of the learning rate, which also trains on the validation rows; it isn't in the history. Ctrl-C ends the training
    after the last finished epoch.

    With validation rows, a constant is added to the logits before each scoring and at the end, so that the mean
    prediction over the training rows is their click rate; see `ClickNetwork.shift_logits`.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps codes and values to logits; see `sk_finalmlp.nn.ClickNetwork`. `gate_regularizer` applies to
        its `context_parameters`, `embedding_regularizer` to its other `embedding_parameters`, and `net_regularizer` to
        all others.
    impressions : Impressions
        Training rows.
    validation : Impressions or None
        Rows for early stopping; None to train for `max_epochs`.
    settings : TrainingSettings
        How to train.
    generator : torch.Generator
        Random generator of the order of rows and of dropout, on the CPU.
    observer : EpochObserver, default=None
        Notified of each epoch, including the final one; may end the training.
    moments : Moments, default=None
        Adam's initial moments, which are overwritten with those at the end. None to start at 0 and keep none.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        If the precision is bfloat16 where the device has no instructions for it.
    FloatingPointError
        If the loss becomes NaN or infinite.
    KeyboardInterrupt
        If Ctrl-C comes before the end of the first epoch.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import TwoStreamNetwork
    >>> from sk_finalmlp.training import Impressions, TrainingSettings, predict_logits, train
    >>> generator = torch.Generator().manual_seed(0)
    >>> codes = torch.randint(20, (1000, 2), generator=generator, dtype=torch.int32)
    >>> clicked = (codes.sum(dim=1) > 20).long()
    >>> rows = Impressions(codes, torch.empty(1000, 0), clicked, weight=torch.ones(1000))
    >>> network = TwoStreamNetwork(
    ...     [Field("user", "categorical", n_codes=20), Field("item", "categorical", n_codes=20)]
    ... )
    >>> settings = TrainingSettings(batch_size=64, max_epochs=3)
    >>> result = train(network, rows, None, settings, generator)
    >>> [record["epoch"] for record in result.history]
    [1, 2, 3]
    >>> predict_logits(network.eval(), rows.codes, rows.values).shape
    torch.Size([1000, 1])
    """
    joins = settings.joins_processes and is_started_with_others()
    with joined_group(settings.device) if joins else nullcontext(ALONE) as processes:
        if isinstance(processes, Group):
            settings = _prepare(processes, network, impressions, validation, settings, generator)
        n_validation = 0 if validation is None else len(validation)
        device = settings.device
        logger.info("Training on %d rows, validation on %d, on device %s", len(impressions), n_validation, device)
        result = _train(processes, network, impressions, validation, settings, generator, observer, moments)
    n_epochs = len(result.history)
    logger.info("The training ended after %d epochs; epoch %d is the best", n_epochs, result.best_epoch)
    return result


def _prepare(
    processes: Group,
    network: nn.Module,
    impressions: AnyImpressions,
    validation: AnyImpressions | None,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> TrainingSettings:
    """Let all processes begin alike, and refuse rows that aren't the same; the settings of this process."""
    described = digest_of(impressions), digest_of(validation)
    of_processes = processes.gathered((described, len(impressions)))
    for rank, (own, n_rows) in enumerate(of_processes):
        if own != of_processes[0][0]:
            raise ValueError(
                f"Processes that train together need the same rows, but process {rank} of {processes.size} has others "
                f"({n_rows} for training) than process 0 ({of_processes[0][1]}). Give all of them the same X and y, "
                "and an integer as random_state of encoder and classifier; or remove the variable WORLD_SIZE, and each "
                "trains by itself."
            )
    if len(impressions) < 2 * processes.size:
        raise ValueError(
            f"{len(impressions)} training rows are too few for {processes.size} processes: each takes at least two "
            "rows of a batch. Fit in one process."
        )
    processes.start_alike(network, generator)
    device = settings.device
    if device.type == "cuda" and device.index is None:
        number = int(os.environ.get("LOCAL_RANK", processes.rank))
        device = torch.device("cuda", number % torch.cuda.device_count())
    return replace(settings, device=device, verbose=0 if processes.rank else settings.verbose)


def _train(
    processes: Alone,
    network: nn.Module,
    impressions: AnyImpressions,
    validation: AnyImpressions | None,
    settings: TrainingSettings,
    generator: torch.Generator,
    observer: EpochObserver | None,
    moments: Moments | None,
) -> TrainingResult:
    """Take all epochs, go back to the best one, take the final epoch, and correct the mean prediction."""
    best = BestEpoch(_TOLERANCE, settings.n_iter_no_change)
    watchers: list[Callback] = [EpochLines(best, written=settings.verbose >= 1)]
    watchers += [Observed(observer, best, processes)] if observer or processes.size > 1 else []
    kept = [] if moments is None else [KeptMoments(moments)]
    batches_of = partial(
        Batches,
        batch_size=settings.batch_size,
        generator=generator,
        device=settings.device,
        negative_sampling=settings.negative_sampling,
        processes=processes,
    )
    batches = batches_of(impressions)
    net = _make_net(network, settings, [*kept, *_callbacks(batches, validation, settings, best, watchers)])
    try:
        _fit(net, batches, settings)
        best.is_chosen = True
        network.load_state_dict(best.so_far.weights)
        if validation is not None:
            if settings.final_epoch:
                # On all rows, at a low learning rate, since no held-out rows can stop it.
                impressions = impressions.and_(validation)  # type: ignore[arg-type]
                rate = settings.learning_rate * _LEARNING_RATE_FACTOR
                settings = replace(settings, learning_rate=rate, max_epochs=1)
                final = _make_net(network, settings, [EpochRecord(None, settings.scoring, processes), *watchers])
                _fit(final, batches_of(impressions), settings)
            correct_mean(network.eval(), impressions)
    except KeyboardInterrupt:
        if not best.so_far.epoch:
            raise
        processes.leave("the training was interrupted there")
        _go_back(network, best)
    else:
        net.notify("on_train_end")
    network.eval().zero_grad()
    return best.result(net)


def _go_back(network: nn.Module, best: BestEpoch) -> None:
    """Take back what a network was lent, as Ctrl-C may have come while that was done, and give it the best weights."""
    with dropout_generator(network, torch.Generator()), _sparse_gradients(network), kept_memory():
        pass
    network.load_state_dict(best.so_far.weights)
    where = "the final epoch, or in what follows it" if best.is_chosen else f"epoch {best.so_far.n_epochs + 1}"
    warn(
        f"The training was interrupted in {where}; the model has the weights of epoch {best.so_far.epoch}, the best so "
        "far."
    )


def _fit(net: ClickNet, batches: Batches, settings: TrainingSettings) -> None:
    """Take the epochs, or those that are left after a checkpoint."""
    network = net.module_
    # The network is lent threads, random numbers and memory.
    with ExitStack() as loans:
        if batches.device.type == "cpu":
            n_rows = batches.batch_size // batches.processes.size
            net.map_members = loans.enter_context(threads_of_steps(network, n_rows))
            loans.enter_context(kept_memory())
        # Each member has a generator of its own, so its draws don't depend on other members.
        for member, generator in [(member, _generator_of_dropout(batches)) for member in members_of(network)]:
            loans.enter_context(dropout_generator(member, generator))
        loans.enter_context(_sparse_gradients(network, net.optimizer_.catch_up))
        if settings.freeze_norms:
            loans.enter_context(lent(modules_of(network, BatchNorm), frozen=True))
        loans.enter_context(suppress(StopTraining))
        net.notify("on_train_begin")
        net.fit_loop(batches, epochs=settings.max_epochs - len(net.history))


def _generator_of_dropout(batches: Batches) -> torch.Generator:
    """The batches' generator on one CPU process, else one seeded from it and the rank."""
    if batches.device.type == "cpu" and batches.processes.size == 1:
        return batches.generator
    seed = int(torch.randint(2**62, (), generator=batches.generator))
    return torch.Generator(batches.device).manual_seed(seed + batches.processes.rank)


def _sparse_gradients(
    network: nn.Module, catch_up: Callable[[Tensor, Tensor], None] | None = None
) -> AbstractContextManager[None]:
    """Let large embedding tables have sparse gradients, for the time of the training: LazyAdam updates them by row."""
    large = [layer for layer in modules_of(network, FieldEmbedding) if len(layer.table) >= _LAZY_FROM_ROWS]
    return lent(large, sparse_gradient=True, before_reading=catch_up)


def _make_net(network: nn.Module, settings: TrainingSettings, callbacks: Sequence[Callback]) -> ClickNet:
    # The loss is a mean over the members, and so is the penalty.
    n_members = len(members_of(network))
    of_context = settings.embedding_regularizer if settings.gate_regularizer is None else settings.gate_regularizer
    net = ClickNet(
        network,
        criterion=nn.Identity,
        optimizer=LazyAdam,
        lr=settings.learning_rate,
        # (lambda / 2) * w^2 in the loss is lambda * w in the gradient, which is Adam's (coupled) weight decay.
        optimizer__weight_decay=settings.net_regularizer / n_members,
        optimizer__param_groups=[
            ("embedding", {"weight_decay": settings.embedding_regularizer / n_members}),
            ("context", {"weight_decay": of_context / n_members}),
        ],
        optimizer__fused=settings.device.type != "mps",
        device=settings.device,
        callbacks=callbacks,
        verbose=0,
    )
    net.autocast_dtype = product_dtype(settings.precision, settings.device)
    net.initialize()
    return net


def _callbacks(
    batches: Batches,
    validation: AnyImpressions | None,
    settings: TrainingSettings,
    best: BestEpoch,
    watchers: Sequence[Callback],
) -> list[Callback]:
    """Return all callbacks of the epochs before the final one, in calling order."""
    scored = None if validation is None else validation.for_scores(settings.device)
    waiting = [WaitingThreads()] if settings.device.type == "cpu" else []
    record = EpochRecord(scored, settings.scoring, batches.processes)
    if settings.schedule == "one_cycle":
        schedule = [_one_cycle(settings, len(batches))]
    else:
        schedule = [] if scored is None else [_plateau(settings)]
    saved = [] if settings.checkpoint is None else [Checkpoint(settings.checkpoint, batches, schedule, best, record)]
    return [*waiting, record, *schedule, best, *watchers, *saved]


def _one_cycle(settings: TrainingSettings, n_batches: int) -> LRScheduler:
    return LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        event_name=None,
        max_lr=settings.learning_rate,
        # A cycle of one step would end at a rate of 0.
        total_steps=max(2, settings.max_epochs * n_batches),
        pct_start=_WARM_UP,
        cycle_momentum=False,
    )


def _plateau(settings: TrainingSettings) -> LRScheduler:
    return LRScheduler(
        torch.optim.lr_scheduler.ReduceLROnPlateau,
        event_name=None,
        monitor="monitored",
        mode="max",
        factor=_LEARNING_RATE_FACTOR,
        # Torch counts the epochs before the one that lowers the rate.
        patience=(settings.n_iter_no_change + 1) // 2 - 1,
        threshold=_TOLERANCE,
        threshold_mode="abs",
        min_lr=_MIN_LEARNING_RATE,
    )
