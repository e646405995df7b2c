"""The lazy optimizer against plain Adam."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.training import LazyAdam, _train

OPTIONS = {"lr": 1e-2, "weight_decay": 0.1}
N_ROWS, DIM = 40, 3


def train_both(n_steps, rows_of_step, one_cycle=False, **options):
    """Tables after training, by plain Adam with dense gradients and by LazyAdam with sparse ones."""
    options = {**OPTIONS, **options}
    start = torch.randn(N_ROWS, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.randn(N_ROWS, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tables = []
    for optimizer_class in (torch.optim.Adam, LazyAdam):
        table = nn.Parameter(start.clone())
        optimizer = optimizer_class([table], **options)
        if one_cycle:
            schedule = OneCycleLR(optimizer, max_lr=options["lr"], total_steps=n_steps, cycle_momentum=False)
        for step in range(n_steps):
            rows = rows_of_step(step)
            if optimizer_class is LazyAdam:
                optimizer.catch_up(table, rows)
            vectors = nn.functional.embedding(rows, table, sparse=optimizer_class is LazyAdam)
            optimizer.zero_grad()
            (vectors - target[rows]).square().sum().backward()
            optimizer.step()
            if one_cycle:
                schedule.step()
        if optimizer_class is LazyAdam:
            optimizer.settle()
        tables.append(table.detach())
    return *tables, start


def all_rows(step):
    return torch.arange(N_ROWS)


def some_rows(share):
    generator = torch.Generator().manual_seed(2)
    masks = torch.rand(1000, N_ROWS, generator=generator) < share
    return lambda step: masks[step].nonzero()[:, 0]


def test_is_plain_adam_where_every_step_touches_every_row():
    dense, lazy, _ = train_both(50, all_rows)
    torch.testing.assert_close(lazy, dense)


def take_steps(table, optimizer, steps):
    rows_of_step = some_rows(0.3)
    for step in steps:
        optimizer.zero_grad()
        nn.functional.embedding(rows_of_step(step), table, sparse=True).square().sum().backward()
        optimizer.step()


def test_goes_on_from_a_saved_state_to_the_same_bits():
    table = nn.Parameter(torch.randn(N_ROWS, DIM, generator=torch.Generator().manual_seed(0)))
    optimizer = LazyAdam([table], **OPTIONS)
    take_steps(table, optimizer, range(10))
    other_table, saved = nn.Parameter(table.detach().clone()), copy.deepcopy(optimizer.state_dict())
    other = LazyAdam([other_table], lr=1.0)
    other.load_state_dict(saved)
    for one, its_optimizer in ((table, optimizer), (other_table, other)):
        take_steps(one, its_optimizer, range(10, 20))
        its_optimizer.settle()
    assert torch.equal(table, other_table)
    assert copy.deepcopy(optimizer).param_groups[0]["lr"] == OPTIONS["lr"]


def rows_by_turns(step):
    """Each row in one step of one to seventeen."""
    rows = torch.arange(N_ROWS)
    return rows[step % (rows % 17 + 1) == 0]


@pytest.mark.parametrize("decay", [0.0, 0.02, 0.6, 4.0])
def test_is_plain_adam_where_rows_miss_up_to_sixteen_steps(decay):
    dense, lazy, _ = train_both(300, rows_by_turns, one_cycle=True, weight_decay=decay)
    torch.testing.assert_close(lazy, dense, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_is_close_to_plain_adam_where_steps_miss_rows(share, decay):
    dense, lazy, start = train_both(300, some_rows(share), weight_decay=decay)
    assert (lazy - dense).abs().mean() < 0.03 * (dense - start).abs().mean()


@pytest.mark.parametrize(("share", "tolerance"), [(0.5, 1e-9), (0.1, 0.005), (0.02, 0.03)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_is_close_to_plain_adam_where_the_learning_rate_changes_with_each_step(share, tolerance, decay):
    dense, lazy, start = train_both(300, some_rows(share), one_cycle=True, weight_decay=decay)
    assert (lazy - dense).abs().mean() < tolerance * (dense - start).abs().mean()


def test_a_gap_counts_by_the_learning_rates_of_its_steps():
    # The last steps of a cycle move nothing, but rows that only the first and the last step touch have missed the peak.
    dense, lazy, start = train_both(200, lambda step: torch.tensor([3, *([7, 8] if step in {0, 199} else [])]), True)
    moved = (dense - start)[[7, 8]].abs().mean()
    assert (lazy - dense)[[7, 8]].abs().mean() < 0.05 * moved


@pytest.mark.parametrize("n_before", [1, 3, 10])
@pytest.mark.parametrize("n_missed", [1, 2, 5, 30])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_steps_that_are_missed_in_the_beginning_have_corrected_moments(n_before, n_missed, decay):
    def rows_of_step(step):
        return torch.arange(2 if step < n_before else 1)

    dense, lazy, _ = train_both(n_before + n_missed, rows_of_step, weight_decay=decay)
    before = train_both(n_before, rows_of_step, weight_decay=decay)[0]
    missed = (dense - before)[1]
    torch.testing.assert_close((lazy - before)[1], missed, rtol=0.05, atol=0)


def test_repeated_rows_of_a_batch_add_up():
    dense, lazy, _ = train_both(20, lambda step: torch.arange(N_ROWS).repeat(2))
    torch.testing.assert_close(lazy, dense)


def test_a_step_leaves_the_rows_alone_that_it_does_not_touch():
    table = nn.Embedding(N_ROWS, DIM, sparse=True)
    before = table.weight.detach().clone()
    optimizer = LazyAdam(table.parameters(), **OPTIONS)
    for _ in range(3):
        table(torch.tensor([3, 7])).square().sum().backward()
        optimizer.step()
    changed = (table.weight != before).any(dim=1)
    assert changed.nonzero()[:, 0].tolist() == [3, 7]


def test_settling_twice_is_settling_once():
    table = nn.Embedding(N_ROWS, DIM, sparse=True)
    optimizer = LazyAdam(table.parameters(), **OPTIONS)
    for row in (3, 7):
        table(torch.tensor([row])).square().sum().backward()
        optimizer.step()
    optimizer.settle()
    once = table.weight.detach().clone()
    optimizer.settle()
    assert torch.equal(table.weight, once)


def test_rows_of_zeros_stay_zero():
    table = nn.Embedding(N_ROWS, DIM, padding_idx=0, sparse=True)
    optimizer = LazyAdam(table.parameters(), **OPTIONS)
    for _ in range(3):
        table(torch.tensor([0, 7])).square().sum().backward()
        optimizer.step()
    optimizer.settle()
    assert not table.weight[0].any()


def test_weights_vanish_in_a_long_gap():
    table = nn.Embedding(2, DIM, sparse=True)
    optimizer = LazyAdam(table.parameters(), lr=0.1, weight_decay=1.0)
    for _ in range(500):
        table(torch.tensor([1])).square().sum().backward()
        optimizer.step()
    optimizer.settle()
    assert table.weight[0].abs().max() < 1e-3


@pytest.mark.parametrize("fused", [True, False])
def test_dense_gradients_move_the_weights_as_plain_adam_does(fused):
    start = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    own, plain = ([nn.Parameter(weight.clone()) for weight in start] for _ in range(2))
    optimizers = LazyAdam(own, **OPTIONS, fused=fused), torch.optim.Adam(plain, **OPTIONS)
    for step in range(4):
        for (first, second), optimizer in zip((own, plain), optimizers, strict=True):
            optimizer.zero_grad()
            # A parameter without a gradient misses the step.
            (first.square().sum() + (second.sin().sum() if step % 2 else 0)).backward()
            optimizer.step()
    torch.testing.assert_close(own, plain)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_training_is_the_same_however_large_its_tables(monkeypatch, n_members):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 40, (2_000, 2)), rng.integers(0, 2, 2_000)
    losses = []
    for n_rows in (0, 10**9):
        monkeypatch.setattr(_train, "_LAZY_FROM_ROWS", n_rows)
        classifier = FinalMLPClassifier(
            n_members=n_members, max_epochs=2, batch_size=50, early_stopping=False, random_state=0
        )
        losses.append([epoch["train_loss"] for epoch in classifier.fit(X, y).history_])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_does_not_import_the_compiler_of_torch():
    code = """
import sys, torch
from sk_finalmlp.training import LazyAdam
weight = torch.nn.Parameter(torch.ones(3))
optimizer = LazyAdam([weight], fused=True)
optimizer.zero_grad()
weight.sum().backward()
optimizer.step()
assert weight.max() < 1
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
