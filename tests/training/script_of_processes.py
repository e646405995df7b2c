"""A script for a launcher of processes; `test_processes.py` starts two of it."""

import os
import sys

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


def write_fit(n_rows):
    """Fit, and write a hash of the weights, or the error."""
    random = np.random.default_rng(0)
    X, y = random.integers(0, 20, (n_rows, 3)), np.arange(n_rows) % 2
    classifier = FinalMLPClassifier(mlp1_hidden_units=(8,), mlp2_hidden_units=(8,), max_epochs=3, batch_size=64)
    try:
        network = classifier.fit(X, y).network_
    except (OSError, RuntimeError, ValueError) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return
    sys.stdout.write(f"weights {joblib.hash([weight.numpy() for weight in network.state_dict().values()])}\n")


def main():
    """Fit to the same rows, to other rows, and with an error in one of the processes."""
    is_first = os.environ["RANK"] == "0"
    write_fit(300)
    write_fit(310 if is_first else 300)
    if not is_first:
        fail_in_the_second_epoch()
    write_fit(300)


if __name__ == "__main__":
    main()
