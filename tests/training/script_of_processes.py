"""A script for torchrun: `test_processes.py` starts it in several processes, and each writes what it finds."""

import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

import joblib
import numpy as np
import pandas as pd
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.nn import TwoStreamNetwork
from sk_finalmlp.preprocessing import CTREncoder
from sk_finalmlp.schema import Field, read_schema
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import Impressions, Moments, TrainingSettings, _callbacks, _train, train

# Dropout masks and batch norm differ from those of one process.
EXACT = {"stream1": MLP(dropout=0.0, batch_norm=False), "stream2": MLP(dropout=0.0, batch_norm=False)}
SMALL = {"stream1": MLP((8,)), "stream2": MLP((8,)), "fs_hidden_units": (4,), "n_members": 1}


def end_in_the_second_epoch(end):
    """Call a function when this process begins the second epoch of a training."""
    begin = _callbacks.EpochRecord.on_epoch_begin

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            end()
        begin(self, net, **kwargs)

    return patch.object(_callbacks.EpochRecord, "on_epoch_begin", on_epoch_begin)


def fail():
    raise OSError("the disk has burnt")


def fit(n_rows, **parameters):
    """Fit to so many rows: a hash of the weights, or the error."""
    random = np.random.default_rng(0)
    X, y = random.integers(0, 20, (n_rows, 3)), np.arange(n_rows) % 2
    classifier = FinalMLPClassifier(**{**SMALL, "max_epochs": 3, "batch_size": 64, "n_members": 2, **parameters})
    try:
        network = classifier.fit(X, y).network_
    except (OSError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"weights {joblib.hash([weight.numpy() for weight in network.state_dict().values()])}"


def histories(folder):
    """Records of a fit to weighted rows in memory, and of one to rows on disk."""
    X, y, _ = make_click_data(601, n_users=30, n_items=20, random_state=0)
    classifier = FinalMLPClassifier(
        **{**SMALL, "stream1": MLP((8,), 0.0, False), "stream2": MLP((8,), 0.0, False)},
        random_state=0,
        max_epochs=2,
        batch_size=100,
    )
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    in_memory = classifier.fit(CTREncoder(statistics=None).fit_transform(X, y), y, sample_weight=weight).history_
    (own := folder / f"clicks{os.environ['RANK']}").mkdir(exist_ok=True)
    X.assign(click=y).to_parquet(path := own / "clicks.parquet")
    on_disk = classifier.fit(CTREncoder(statistics=None).fit_transform(path, "click"), "click").history_
    return in_memory, on_disk


def first_gradients():
    """Adam's first moment after a step on one batch, where tables are updated lazily: a tenth of the gradient."""
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
        n_iter_no_change=2, embedding_regularizer=0.0, net_regularizer=0.0, device=torch.device("cpu"),
        scoring="neg_log_loss", final_epoch=False, verbose=0, joins_processes=True,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    network = TwoStreamNetwork(fields, **EXACT, generator=generator)
    moments = Moments.zeros(network)
    with patch.object(_train, "_LAZY_FROM_ROWS", 0):
        train(network, impressions, None, settings, generator, moments=moments)
    return {name: array[0] for name, array in moments.of_weights.items()}


def are_vectors_left_alone():
    """Whether a fit leaves vectors of items as they are: the mean of three equal numbers isn't always that number."""
    X, y, _ = make_click_data(400, n_users=30, n_items=20, random_state=0)
    vectors = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), index=sorted(X["item"].unique())[:20])
    encoded = CTREncoder(statistics=None, vectors={"item": vectors}).fit_transform(X, y)
    (table,) = (table.vectors for table in read_schema(encoded).vectors.values())
    before = table.copy()
    FinalMLPClassifier(**SMALL, max_epochs=1, batch_size=100, random_state=0).fit(encoded, y)
    return np.array_equal(table, before)


def main(folder):
    """Fit to the same rows, to others, to few, and with an error in one of the processes."""
    rank = int(os.environ["RANK"])
    found = {
        "weights": fit(300),
        "other rows": fit(300 if rank == 1 else 310),
        "few rows": fit(5, early_stopping=False),
        "histories": histories(folder),
        "gradients": first_gradients(),
        "vectors": are_vectors_left_alone(),
    }
    with patch.dict(os.environ):
        del os.environ["WORLD_SIZE"]
        found |= {"histories alone": histories(folder), "gradients alone": first_gradients()}
    if rank == 1:
        end_in_the_second_epoch(fail).__enter__()
    joblib.dump({**found, "error": fit(300)}, folder / str(rank))


def fit_beside_one_that_is_killed(folder):
    """Fit in two processes, the second of which dies in the second epoch."""
    if os.environ["RANK"] == "1":
        end_in_the_second_epoch(lambda: os.kill(os.getpid(), signal.SIGKILL)).__enter__()
    joblib.dump(fit(300), folder / "error")


if __name__ == "__main__":
    (fit_beside_one_that_is_killed if sys.argv[2:] else main)(Path(sys.argv[1]))
