"""What each part of FinalMLP is good for: `make bench-study`, or with `--help` for a part of it.

Single networks on plain codes, each with one thing changed, learn from the same rows and are scored on the same rows.
Rows are appended to `study.csv`, and what is there already isn't fitted again, so an interrupted study goes on where it
stopped; seeds come first, so that it has all variants on as many seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

# The data sets, the peers and the file of results are those of the accuracy comparison.
sys.path.append(str(Path(__file__).parents[1] / "accuracy"))

if TYPE_CHECKING:
    import pandas as pd
    from _runs import Results, Run

_FILE = "study.csv"
_COMPARISONS = "comparisons.csv"


def main() -> None:
    """Fit what is wanted and missing, then compare and draw all that is there."""
    arguments = _parser().parse_args()
    # Libraries size their pools of threads when they are imported.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    from _runs import Results

    results = Results(arguments.out, _FILE)
    if not arguments.no_fit:
        _fit(arguments, results)
    comparisons = _compare(results, arguments)
    from _report import report

    (arguments.out / "study.md").write_text(report(results.records(), comparisons), encoding="utf-8")
    if not arguments.no_plot:
        from _figures import draw

        draw(comparisons, arguments.figures or arguments.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="study", description=__doc__)
    parser.add_argument("--data", nargs="+", help="data sets (default: all)")
    parser.add_argument(
        "--variants",
        nargs="+",
        help="variants, or `ablations`, `heads`, `peers`, `family` or `published` (default: all, in this order)",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--rows", type=int, default=20_000, help="training rows at most (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/study"), help="folder to write to (%(default)s)")
    parser.add_argument("--figures", type=Path, help="folder of the pictures (default: that of --out)")
    parser.add_argument("--no-fit", action="store_true", help="only compare and draw what is there")
    parser.add_argument("--no-plot", action="store_true", help="draw nothing, which needs matplotlib")
    return parser


def _fit(arguments: argparse.Namespace, results: Results) -> None:
    from _data import DATA
    from _runs import wanted

    data, variants = _chosen(arguments.data, DATA), _variants(arguments.variants)
    for seed in arguments.seeds:
        for run in wanted(data, variants, [seed], rows=arguments.rows, part="validation", threads=1):
            if results.lacks(run):
                _measure(run, results)


def _variants(names: list[str] | None) -> list[str]:
    from _family import FAMILY, PUBLISHED
    from _peers import installed
    from _variants import ABLATIONS, HEADS

    groups = {"ablations": list(ABLATIONS), "heads": list(HEADS), "peers": installed()}
    groups |= {"family": list(FAMILY), "published": list(PUBLISHED)}
    expanded = [name for item in names or groups for name in groups.get(item, [item])]
    return _chosen(expanded, [name for group in groups.values() for name in group])


def _chosen(names: list[str] | None, available: Collection[str]) -> list[str]:
    for name in names or []:
        if name not in available:
            sys.exit(f"{name!r} isn't one of {', '.join(available)}.")
    return names or list(available)


def _measure(run: Run, results: Results) -> None:
    from _data import load
    from _family import PUBLISHED
    from _peers import PEERS
    from _runs import measure
    from _variants import VARIANTS
    from sklearn import config_context

    try:
        table = load(run.data, run.rows)
    except OSError as error:
        sys.exit(f"{run.data}: {error} Choose others by --data.")
    make = VARIANTS[run.model].on(run.data) if run.model in VARIANTS else PEERS[run.model]
    # What was published was stopped by the validation rows.
    is_published = run.model in PUBLISHED
    with config_context(enable_metadata_routing=is_published):
        record, probability = measure(run, table, make(run.seed, run.threads), stop_by_scored_rows=is_published)
    results.add(record, table.part(run.part, run.seed)[1], probability)
    scores = f"AUC {record.auc:.4f}  log-loss {record.log_loss:.4f}  fit {record.fit_seconds:.0f} s"
    print(f"{run.data:<14}{run.model:<24}seed {run.seed}  {scores}", flush=True)


def _compare(results: Results, arguments: argparse.Namespace) -> pd.DataFrame:
    """Compare what was fitted, and write it; where the predictions aren't there, read what was written."""
    import pandas as pd

    path = arguments.out / _COMPARISONS
    if not results.keeps_probabilities():
        return pd.read_csv(path)
    from _comparisons import compare

    comparisons = compare(results)
    comparisons.to_csv(path, index=False, float_format="%.6g")
    return comparisons


if __name__ == "__main__":
    main()
