"""Measures the speed targets of the library: `make bench`, or `python examples/benchmarks --help`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from pathlib import Path
from time import perf_counter

import fuxictr
import torch
from _results import Result, table
from _sizes import SIZES

BENCHMARKS = ("start", "encoding", "prediction", "serving", "training", "vocabulary", "search", "growth")


def main() -> None:
    """Run the benchmarks that the command line names, print the table, write JSON and a plot."""
    options = _options()
    results: list[Result] = []
    for name in options.only:
        start = perf_counter()
        results += importlib.import_module(name).measure(SIZES[options.size])
        print(f"{name}: {perf_counter() - start:.0f} s", flush=True)
    print(f"\n{table(results)}")
    _write(results, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full", help="how much to measure (default: %(default)s)")
    available = (*BENCHMARKS, "fuxictr") if fuxictr.HOME in os.environ else BENCHMARKS
    parser.add_argument("--only", nargs="+", choices=available, default=available, help="benchmarks to run")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder to write to (%(default)s)")
    parser.add_argument("--no-plot", action="store_true", help="write no plot, which needs matplotlib")
    return parser.parse_args()


def _write(results: list[Result], options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "size": options.size,
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "results": [result.as_dict() for result in results],
    }
    (options.out / "results.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    if not options.no_plot:
        from _plot import plot

        plot(results, options.out / "results.png")


if __name__ == "__main__":
    main()
