"""What the time since a key was last seen is worth: the defaults without and with the columns of `add_recency`.

    python examples/benchmarks/recency.py movielens flights click_drift --seeds 0 1 2
    MOVIELENS_10M_HOME=DATA python examples/benchmarks/recency.py movielens_tags --part test

Data sets are those of the accuracy comparison, with a column of times. Of tags, whose negatives are drawn, the log
holds the tags alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "accuracy"))


@dataclass(frozen=True)
class Past:
    """Which keys were last seen when: arguments of `add_recency`; `of_clicks` if the log is that of the clicks."""

    key: tuple[Any, ...]
    longest: str
    of_clicks: bool = False


PASTS = {
    "movielens": Past(("user", "item"), "30D"),
    "flights": Past(("tailnum", "dest", ("carrier", "flight")), "7D"),
    "click_drift": Past(("user", "item", ("user", "item")), "7D"),
    "movielens_tags": Past(("user", "item", "tag", ("user", "tag")), "365D", of_clicks=True),
}


def main() -> None:
    """Print a line per fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=list(PASTS))
    parser.add_argument("--models", nargs="+", choices=["finalmlp", "lightgbm"], default=["finalmlp", "lightgbm"])
    parser.add_argument("--part", choices=["validation", "test"], default="validation", help="rows that are scored")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    from _folders import FOLDERS
    from _real import REAL
    from _runs import Run
    from _synthetic import SYNTHETIC

    for data in options.data:
        table = (REAL | FOLDERS | SYNTHETIC)[data].load()
        for seed in options.seeds:
            for model in options.models:
                run = Run(data=data, rows=0, part=options.part, model=model, seed=seed, threads=1)
                for past in (None, PASTS[data]):
                    print(f"{data:<16}{model:<10}seed {seed}  {_scores(table, past, model, run)}", flush=True)


def _scores(table: Any, past: Past | None, model: str, run: Any) -> str:
    """Scores and cost of a fit."""
    from _models import MODELS
    from _runs import measure

    if past is not None:
        table = replace(table, X=_with_recency(table.X, table.y, past, in_seconds=model == "lightgbm"))
    record, p = measure(run, table, MODELS[model](run.seed, run.threads))
    scores = f"AUC {record.auc:.4f}  log-loss {record.log_loss:.4f}  mean {p.mean() / record.click_rate:.2f}"
    return f"{'without' if past is None else 'with':<9}{scores}  fit {record.fit_seconds:.0f} s"


def _with_recency(X: Any, y: Any, past: Past, in_seconds: bool) -> Any:
    from sk_finalmlp.preprocessing import add_recency

    where = y == 1 if past.of_clicks else None
    added = add_recency(X, key=list(past.key), time="time", longest=past.longest, where=where)
    if not in_seconds:
        return added
    new = [column for column in added if column not in X]
    return added.assign(**{column: added[column].dt.total_seconds() for column in new})


if __name__ == "__main__":
    main()
