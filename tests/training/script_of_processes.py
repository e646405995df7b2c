"""A script for torchrun, by which `test_processes.py` starts it in two processes."""

import os
import sys
from pathlib import Path

import joblib
import numpy as np

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.training import _callbacks


def fail_in_the_second_epoch():
    """Let the training fail in this process."""
    begin = _callbacks.EpochRecord.on_epoch_begin

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise OSError("the disk has burnt")
        begin(self, net, **kwargs)

    _callbacks.EpochRecord.on_epoch_begin = on_epoch_begin


def fit(n_rows):
    """Fit to so many rows: a hash of the weights, or the error."""
    random = np.random.default_rng(0)
    X, y = random.integers(0, 20, (n_rows, 3)), np.arange(n_rows) % 2
    classifier = FinalMLPClassifier(mlp1_hidden_units=(8,), mlp2_hidden_units=(8,), max_epochs=3, batch_size=64)
    try:
        network = classifier.fit(X, y).network_
    except (OSError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"weights {joblib.hash([weight.numpy() for weight in network.state_dict().values()])}"


def main(folder):
    """Fit to the same rows, to other rows, and with an error in one of the processes."""
    rank = os.environ["RANK"]
    lines = [fit(300), fit(300 if rank == "1" else 310)]
    if rank == "1":
        fail_in_the_second_epoch()
    lines.append(fit(300))
    (Path(folder) / rank).write_text("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
