"""Time and memory as the table grows."""

from __future__ import annotations

from statistics import median

from _memory import peak_bytes
from _results import Result
from _sizes import Size
from _timing import in_new_process

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data

_N_EPOCHS = 3
_BATCH_SIZE = 4096


def measure(size: Size) -> list[Result]:
    """Seconds of an epoch, and peak memory of making the table, encoding and training, per row."""
    epochs, results = [], []
    for n_rows in size.n_rows_growth:
        microseconds, n_bytes = in_new_process(epoch_and_memory, n_rows)
        epochs.append(microseconds)
        results += [
            Result("growth", f"epoch per row, {n_rows:.0e} rows", microseconds, unit="us"),
            Result("growth", f"peak memory per row, {n_rows:.0e} rows", [n_bytes], unit="B"),
        ]
    growth = [seconds / median(epochs[0]) for seconds in epochs[-1]]
    # Linear is 1; the rest is for the caches that a larger table no longer fits in.
    return [*results, Result("growth", "epoch per row, most rows / fewest rows", growth, at_most=1.25)]


def epoch_and_memory(n_rows: int) -> tuple[list[float], float]:
    """Microseconds per row of each epoch but the first, and peak bytes per row of all that was held, table included."""
    # What is loaded and allocated once, however many rows there are.
    _fit(1_000)
    before = peak_bytes()
    history = _fit(n_rows).history_
    return [record["seconds"] / n_rows * 1e6 for record in history[1:]], (peak_bytes() - before) / n_rows


def _fit(n_rows: int) -> FinalMLPClassifier:
    X, y, _ = make_click_data(n_rows, random_state=0)
    classifier = FinalMLPClassifier(
        batch_size=_BATCH_SIZE, max_epochs=_N_EPOCHS, early_stopping=False, random_state=0, device="cpu"
    )
    return classifier.fit(CTREncoder().fit_transform(X, y), y)
