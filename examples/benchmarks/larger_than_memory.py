"""Memory and speed of a fit to more rows than memory holds.

Writes clicks of ten columns to Parquet (user of a million values, item, category and device as strings, two
floats, a position, a bool, a time, and the label), fits the pipeline to the folder in a process of its own, and writes
the rows a second of each pass and the largest anonymous memory. With `--in-memory`, the same rows are read into a
DataFrame and fitted as one, for comparison.

    python examples/benchmarks/larger_than_memory.py --rows 1000000 10000000 --folder clicks
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROWS_OF_FILE = 1_000_000
N_USERS, N_ITEMS, N_CATEGORIES, N_DEVICES = 1_000_000, 50_000, 100, 8


def write_clicks(folder: Path, n_rows: int, n_users: int = N_USERS) -> None:
    """Write the rows, file by file, unless they are there."""
    if folder.exists():
        return
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, start in enumerate(range(0, n_rows, ROWS_OF_FILE)):
        table = clicks(np.random.default_rng(number), min(ROWS_OF_FILE, n_rows - start), start, n_users)
        pq.write_table(table, partial / f"part-{number:04d}.parquet", row_group_size=ROWS_OF_FILE // 2)
    partial.rename(folder)


def clicks(random: np.random.Generator, n_rows: int, start: int, n_users: int) -> pa.Table:
    """Rows whose click rate depends on the user's and the item's hidden tastes, and on the position."""
    user = (n_users * random.random(n_rows) ** 1.5).astype(np.int64)
    item = (N_ITEMS * random.random(n_rows) ** 2).astype(np.int64)
    position = random.integers(1, 20, n_rows)
    logit = -2 + np.sin(user * 12.9898) + 1.5 * np.sin(item * 78.233) - 0.1 * position
    hour = random.integers(0, 24 * 30, n_rows)
    return pa.table(
        {
            "user": _names("user_", user),
            "item": _names("item_", item),
            "category": _names("category_", item % N_CATEGORIES),
            "device": _names("device_", random.integers(0, N_DEVICES, n_rows)),
            "price": np.exp(random.normal(size=n_rows)),
            "age": random.normal(40, 12, n_rows),
            "position": position,
            "is_new": random.random(n_rows) < 0.1,
            "time": (hour * 3_600_000_000 + random.integers(0, 3_600_000_000, n_rows)).astype("datetime64[us]"),
            "click": (random.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(np.int8),
        }
    )


def _names(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


class AnonymousMemory(threading.Thread):
    """Watches the anonymous memory of this process; mapped files, which the system can take back, don't count."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = 0.0

    def run(self) -> None:
        """Look twenty times a second."""
        while True:
            self.largest = max(self.largest, self.now())
            time.sleep(0.05)

    @staticmethod
    def now() -> float:
        """Megabytes at the moment."""
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1000 for line in status if line.startswith("RssAnon"))


def fit(folder: Path, in_memory: bool, statistics: str | None, results: multiprocessing.Queue) -> None:
    """Fit for one epoch, and report."""
    from sk_finalmlp import CTREncoder, FinalMLPClassifier

    memory = AnonymousMemory()
    memory.start()
    at_start = memory.now()
    encoder = CTREncoder(statistics=statistics, temp_folder=None if in_memory else folder.parent, verbose=not in_memory)
    classifier = FinalMLPClassifier(n_members=1, max_epochs=1, batch_size=4096, random_state=0, verbose=1)
    start, processor = time.perf_counter(), time.process_time()
    if in_memory:
        frame = ds.dataset(folder).to_table().to_pandas()
        y = frame.pop("click")
        encoded = encoder.fit_transform(frame, y)
        encoder_seconds = time.perf_counter() - start
        classifier.fit(encoded, y)
    else:
        encoded = encoder.fit_transform(ds.dataset(folder), "click")
        encoder_seconds = time.perf_counter() - start
        classifier.fit(encoded, "click")
    del encoded
    results.put(
        {
            "in_memory": in_memory,
            "rows": ds.dataset(folder).count_rows(),
            "seconds": round(time.perf_counter() - start, 1),
            "cpu_seconds": round(time.process_time() - processor, 1),
            "encoder_seconds": round(encoder_seconds, 1),
            "epoch": classifier.history_[0],
            "rss_anon_at_start_mb": round(at_start),
            "rss_anon_mb": round(memory.largest),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        }
    )


def main(arguments: list[str]) -> None:
    """Measure each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--users", type=int, default=N_USERS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--no-statistics", action="store_true")
    chosen = parser.parse_args(arguments)
    for n_rows in chosen.rows:
        folder = chosen.folder / f"clicks-{n_rows}"
        write_clicks(folder, n_rows, chosen.users)
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        statistics = None if chosen.no_statistics else "auto"
        process = context.Process(target=fit, args=(folder, chosen.in_memory, statistics, results))
        process.start()
        print(json.dumps(results.get()))
        process.join()


if __name__ == "__main__":
    main(sys.argv[1:])
