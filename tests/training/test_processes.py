"""Several processes train one network, as one process would."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.fields import Field
from sk_finalmlp.nn import FinalMLP
from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.training import Impressions, Moments, TrainingSettings, train

SCRIPT = Path(__file__).with_name("script_of_processes.py")

# Dropout masks and batch norm differ from those of one process.
EXACT = {"mlp1_dropout": 0.0, "mlp2_dropout": 0.0, "mlp1_batch_norm": False, "mlp2_batch_norm": False}
SMALL = {"mlp1_hidden_units": (8,), "mlp2_hidden_units": (8,), "fs_hidden_units": (4,), "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    X, y, _ = make_click_data(601, n_users=30, n_items=20, random_state=0)
    return CTREncoder(statistics=None).fit_transform(X, y), y


def test_two_processes_learn_what_one_does(rows):
    X, y = rows
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    classifier = FinalMLPClassifier(**SMALL, **EXACT, n_members=1, max_epochs=2, batch_size=100)
    alone, together = (classifier.set_params(n_processes=n).fit(X, y, sample_weight=weights).history_ for n in (1, 2))
    for name in ("train_loss", "valid_loss", "valid_auc"):
        np.testing.assert_allclose([e[name] for e in together], [e[name] for e in alone], atol=1e-4)


def test_the_gradients_of_the_first_step_are_those_of_one_process():
    random = torch.Generator().manual_seed(0)
    n_rows = 101
    impressions = Impressions(
        codes=torch.randint(20, (n_rows, 2), generator=random, dtype=torch.int32),
        values=torch.randn(n_rows, 1, generator=random),
        target=torch.randint(2, (n_rows,), generator=random),
        weight=torch.rand(n_rows, generator=random),
    )
    fields = [Field("user", "categorical", 20), Field("item", "categorical", 20), Field("price", "numeric")]
    settings = TrainingSettings(
        schedule="plateau", precision="float32", learning_rate=1e-3, batch_size=n_rows, max_epochs=1,
        n_iter_no_change=2, tol=1e-6, embedding_regularizer=0.0, net_regularizer=0.0,
        embedding_update="lazy", device=torch.device("cpu"), scoring="neg_log_loss", final_epoch=False,
        verbose=0,
    )  # fmt: skip
    first_moments = []
    for n_processes in (1, 2):
        generator = torch.Generator().manual_seed(1)
        network = FinalMLP(fields, mlp1_dropout=0.0, mlp2_dropout=0.0, mlp1_batch_norm=False, mlp2_batch_norm=False,
                           generator=generator)  # fmt: skip
        moments = Moments.zeros(network)
        train(network, impressions, None, replace(settings, n_processes=n_processes), generator, moments=moments)
        first_moments.append(moments.exp_avg)
    for name, of_one in first_moments[0].items():
        # Adam's first moment is a tenth of the gradient then.
        np.testing.assert_allclose(10 * first_moments[1][name], 10 * of_one, atol=1e-6)


def test_vectors_stay_what_they_are():
    X, y, _ = make_click_data(400, n_users=30, n_items=20, random_state=0)
    vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), index=sorted(X["item"].unique())[:20])
    encoded = CTREncoder(statistics=None, vectors={"item": vectors}).fit_transform(X, y)
    table = encoded.attrs["sk_finalmlp"]["vectors"]["vector(item)"].vectors
    before = table.copy()
    # The mean of three equal numbers isn't always that number.
    FinalMLPClassifier(**SMALL, n_members=1, max_epochs=1, batch_size=100, n_processes=3).fit(encoded, y)
    assert np.array_equal(table, before)


def test_rows_on_disk_are_shared_too(tmp_path):
    X, y, _ = make_click_data(400, n_users=30, n_items=20, random_state=0)
    X.assign(click=y).to_parquet(path := tmp_path / "clicks.parquet")
    encoded = CTREncoder(statistics=None).fit_transform(path, "click")
    classifier = FinalMLPClassifier(**SMALL, **EXACT, n_members=1, max_epochs=1, batch_size=100)
    alone, together = (classifier.set_params(n_processes=n).fit(encoded, "click").history_[0] for n in (1, 2))
    assert together["valid_loss"] == pytest.approx(alone["valid_loss"], abs=1e-4)


class KillsTheOthers:
    """An observer by whom the other process dies after the first epoch."""

    def begin_epoch(self, final):
        pass

    def end_epoch(self, network, result):
        for process in active_children():
            os.kill(process.pid, signal.SIGKILL)
        return False


def test_a_process_that_is_killed_is_named(rows):
    X, _ = rows
    codes = torch.from_numpy(X[["user", "item"]].to_numpy(np.int32))
    n_rows = len(codes)
    impressions = Impressions(codes, torch.empty(n_rows, 0), torch.arange(n_rows) % 2, torch.ones(n_rows))
    settings = TrainingSettings(
        schedule="plateau", precision="float32", learning_rate=1e-3, batch_size=50, max_epochs=100,
        n_iter_no_change=2, tol=1e-6, embedding_regularizer=0.0, net_regularizer=0.0, embedding_update="dense",
        device=torch.device("cpu"), scoring="neg_log_loss", final_epoch=False, verbose=0, n_processes=2,
    )  # fmt: skip
    network = FinalMLP([Field(name, "categorical", 400) for name in ("user", "item")])
    with pytest.raises(RuntimeError, match="process 1 of 2 died without a word"):
        train(network, impressions, None, settings, torch.Generator(), KillsTheOthers())


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """What two processes of torchrun write."""
    folder = tmp_path_factory.mktemp("processes")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", SCRIPT, folder]
    subprocess.run([sys.executable, *command], check=True, timeout=100)
    return [(folder / str(rank)).read_text().splitlines() for rank in range(2)]


def test_processes_of_a_launcher_end_with_the_same_bits(lines):
    (first, *_), (second, *_) = lines
    assert first == second
    assert first.startswith("weights ")


def test_other_rows_are_refused(lines):
    for _, message, _ in lines:
        assert "Processes that train together need the same rows, but process 1 of 2 has others" in message


def test_an_error_of_one_process_ends_the_others_and_names_it(lines):
    (_, _, lost), (_, _, failed) = lines
    assert failed == "OSError: the disk has burnt"
    assert lost == "RuntimeError: The training ended, because process 1 of 2 failed: OSError: the disk has burnt."


def test_too_few_rows_are_refused():
    X, y = np.arange(8).reshape(8, 1) % 2, np.arange(8) % 2
    with pytest.raises(ValueError, match="8 training rows are too few for 5 processes"):
        FinalMLPClassifier(n_processes=5, early_stopping=False, random_state=0).fit(X, y)
