"""Generated tables, and what they find: `make fuzz N=10000`, or `python -m fuzz --help` from `tests/`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import suppress
from time import perf_counter

from .growth import LARGEST_POWER, measure
from .properties import Finding, draw_table, examine
from .tables import MIN_ROWS, Table


def main() -> int:
    """Examine the tables that the command line names, and print what was found."""
    options = _options()
    numbers = [options.only] if options.only is not None else range(options.first, options.first + options.n_tables)
    counts: dict[str, Counter[str]] = {}
    findings: list[Finding] = []
    start = perf_counter()
    # What ran until Ctrl-C is reported.
    with suppress(KeyboardInterrupt):
        for number in numbers:
            table = draw_table(options.seed, number)
            if options.only is not None:
                _describe(table)
            _count(counts, table)
            findings += examine(table)
    _report(counts, findings, options.seed, perf_counter() - start)
    is_linear = not options.growth or _report_growth()
    return 0 if is_linear and not findings else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("n_tables", nargs="?", type=int, default=1_000, help="how many tables (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what the tables are drawn from (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first table (default: %(default)s)")
    parser.add_argument("--growth", action="store_true", help="measure too how time grows with rows and lists")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="show this table, and what it finds")
    return parser.parse_args()


def _count(counts: dict[str, Counter[str]], table: Table) -> None:
    def add(what: str, names: list[str]) -> None:
        counts.setdefault(what, Counter()).update(names)

    add("broken on purpose", [table.fault.split(":")[0] or "nothing"])
    add("container", [table.container])
    add("kind of column", [column.kind for column in table.columns.values()])
    add("dtype in pandas", table.forms if table.container == "pandas" else [])
    add("labels", [table.labels])
    add("weights", [table.weighting])
    add("rows of fit", [f"{MIN_ROWS:,} and more" if table.n_fit >= MIN_ROWS else f"below {MIN_ROWS:,}"])


def _describe(table: Table) -> None:
    broken = f", broken: {table.fault}" if table.fault else ""
    print(f"Table {table.number} of seed {table.seed}: {table.n_fit} rows in {table.container}{broken}")
    print(f"CTREncoder({', '.join(f'{name}={value!r}' for name, value in table.parameters.items())})")
    print(f"y: {table.labels}; weights: {table.weighting}")
    for (name, column), form in zip(table.columns.items(), table.forms, strict=True):
        print(f"  {name}: {column.kind} of {column.type}, {form}: {column.values[:8]} ...")
        print(f"    served: {column.values[table.n_fit :][:8]} ...")
    print()


def _report(counts: dict[str, Counter[str]], findings: list[Finding], seed: int, seconds: float) -> None:
    n_tables = counts["container"].total()
    print(f"{n_tables} tables of seed {seed} in {seconds:.0f} s: {n_tables / seconds:.1f} a second")
    for what, counter in counts.items():
        print(f"  {what}: {', '.join(f'{name} {count}' for name, count in counter.most_common())}")
    n_with = len({finding.number for finding in findings})
    print(f"\n{len(findings)} findings, in {n_with} of {n_tables} tables")
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.name, finding.about), []).append(finding)
    for (name, about), group in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        numbers = list(dict.fromkeys(finding.number for finding in group))
        print(f"\n- {name}; {about}: {len(numbers)} tables, numbers {', '.join(map(str, numbers[:5]))}")
        print(f"  {group[0].message}")


def _report_growth() -> bool:
    """Print what takes longer than in proportion; whether nothing does."""
    growths = list(measure())
    steep = [growth for growth in growths if growth.power > LARGEST_POWER]
    largest = max(growths, key=lambda growth: growth.power)
    print(f"\n{len(steep)} of {len(growths)} sizes grow worse than linearly; the largest power is {largest.power:.1f}")
    for growth in steep:
        (small, large), (short, long) = growth.sizes, growth.seconds
        print(f"- {growth.name}: {short:.2f} s for {small:,}, {long:.2f} s for {large:,}")
    return not steep


if __name__ == "__main__":
    sys.exit(main())
