"""Compares FinalMLP with other models by AUC and log-loss: `make bench-accuracy`, or with `--help` for a part of it.

Each model gets the same raw tables and the same splits. Rows are appended to `accuracy.csv`, and what is there already
isn't fitted again, so an interrupted comparison goes on where it stopped. Choose defaults by the validation rows of
the data sets for tuning; `--part test` and the data sets for confirming are for the end.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _models import Model
    from _tables import DataSet, Table


def main() -> None:
    """Fit what is wanted and missing, then write the summary of all that is there."""
    arguments = _parser().parse_args()
    # Libraries size their pools of threads when they are imported.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)
    from _runs import Results

    data, results = _data(arguments), Results(arguments.out)
    if arguments.list:
        _list(data)
        return
    if not arguments.no_fit:
        _fit(arguments, data, _models(arguments), results)
    _summarise(results, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="accuracy", description=__doc__)
    parser.add_argument("--data", nargs="+", help="data sets, or `tuning`, `confirming` or `later` (default: all)")
    parser.add_argument("--models", nargs="+", help="models (default: all whose packages are there)")
    parser.add_argument("--params", nargs="+", default=[], help="parameters for finalmlp, such as clf__num_heads=4")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--part", choices=("validation", "test"), default="validation", help="rows to score by")
    parser.add_argument("--rows", type=int, default=0, help="at most so many rows of each data set (default: all)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every model (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/accuracy"), help="folder to write to (%(default)s)")
    parser.add_argument("--again", action="store_true", help="fit what is there already, too")
    parser.add_argument("--no-fit", action="store_true", help="only write the summary of what is there")
    parser.add_argument("--no-plot", action="store_true", help="write no plot, which needs matplotlib")
    parser.add_argument("--list", action="store_true", help="only list the data sets")
    return parser


def _data(arguments: argparse.Namespace) -> dict[str, DataSet]:
    available = _all_data()
    names = arguments.data or list(available)
    roles = {
        role: [name for name in available if available[name].role == role] for role in ("tuning", "confirming", "later")
    }
    return {name: _choose(name, available) for item in names for name in roles.get(item, [item])}


def _all_data() -> dict[str, DataSet]:
    from _folders import FOLDERS
    from _later import LATER
    from _real import REAL
    from _synthetic import SYNTHETIC

    return REAL | FOLDERS | SYNTHETIC | LATER


def _models(arguments: argparse.Namespace) -> dict[str, Model]:
    from _models import MODELS, finalmlp, is_installed

    available = {name: model for name, model in MODELS.items() if is_installed(name)}
    chosen = {name: _choose(name, available) for name in arguments.models or available}
    parameters = dict(_parameter(text) for text in arguments.params)
    if parameters and "finalmlp" in chosen:
        del chosen["finalmlp"]
        chosen[f"finalmlp({', '.join(arguments.params)})"] = partial(finalmlp, **parameters)
    return chosen


def _choose(name: str, available: dict[str, Any]) -> Any:
    if name not in available:
        sys.exit(f"{name!r} isn't one of {', '.join(available)}.")
    return available[name]


def _parameter(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _fit(arguments: argparse.Namespace, data: dict[str, DataSet], models: dict[str, Model], results: Any) -> None:
    from _runs import wanted

    for name, data_set in data.items():
        runs = wanted(
            [name], list(models), arguments.seeds, rows=arguments.rows, part=arguments.part, threads=arguments.threads
        )
        missing = [run for run in runs if arguments.again or results.lacks(run)]
        if missing:
            _fit_on(_load(name, data_set, arguments), missing, models, results)


def _load(name: str, data_set: DataSet, arguments: argparse.Namespace) -> Table | None:
    try:
        table = data_set.load().thinned(arguments.rows or None)
    except OSError as error:
        print(f"{name} left out: {error}", flush=True)
        return None
    if not len(table.part(arguments.part, 0)[1]):
        print(f"{name} left out: it has no {arguments.part} rows.", flush=True)
        return None
    return table


def _fit_on(table: Table | None, runs: list[Any], models: dict[str, Model], results: Any) -> None:
    from _runs import measure

    if table is None:
        return
    for run in runs:
        record, probability = measure(run, table, models[run.model](run.seed, run.threads))
        results.add(record, table.part(run.part, run.seed)[1], probability)
        scores = f"AUC {record.auc:.4f}  log-loss {record.log_loss:.4f}  fit {record.fit_seconds:.0f} s"
        print(f"{run.data:<16}{run.model:<24}seed {run.seed}  {scores}", flush=True)


def _summarise(results: Any, arguments: argparse.Namespace) -> None:
    from _summary import summarise, to_markdown

    summary = summarise(results, part=arguments.part, rows=arguments.rows, threads=arguments.threads)
    text = to_markdown(summary, {name: data_set.role for name, data_set in _all_data().items()})
    print(f"\n{text}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = f"accuracy-{arguments.part}" + (f"-{arguments.rows}" if arguments.rows else "")
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    # The plot shows differences to CatBoost.
    if not arguments.no_plot and "auc_difference" in summary:
        from _plot import plot

        plot(summary, arguments.out / f"{stem}.png")


def _list(data: dict[str, DataSet]) -> None:
    for name, data_set in data.items():
        print(f"{name} ({data_set.role}): {data_set.stands_for}")
        print(f"    split: {data_set.split}\n    from: {data_set.source}\n    licence: {data_set.licence}")


if __name__ == "__main__":
    main()
