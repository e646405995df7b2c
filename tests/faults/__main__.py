"""Faults and what is lost by them, as a table: `make faults`, or `python -m faults --help` from `tests/`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from . import concurrency, disk, files, signals
from .children import run
from .models import prepare
from .results import Result, table

FAULTS = {"signals": signals.examine, "files": files.examine, "disk": disk.examine, "concurrency": concurrency.examine}


def main() -> int:
    """Try the faults that the command line names, and print the table."""
    options = _options()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if run(partial(prepare, folder), folder / "work") != "prepared":
            return 1
        for fault in options.only:
            results += FAULTS[fault](folder, options.tries, random.Random(options.seed))
    print(table(results))
    return int(any(result.n_lost for result in results if not result.loses))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--tries", type=int, default=50, help="tries of each fault (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what the moments are drawn from (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="faults to try")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
