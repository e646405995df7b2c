"""How much each benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Size:
    """Rows of each benchmark's table, and turns over which medians are taken."""

    n_turns: int
    n_rows_training: int
    n_rows_encoding: int
    n_rows_prediction: int
    n_rows_search: int
    n_rows_growth: tuple[int, ...]


SIZES = {
    "full": Size(
        n_turns=7,
        n_rows_training=202_027,
        n_rows_encoding=1_000_000,
        n_rows_prediction=80_000,
        n_rows_search=20_000,
        n_rows_growth=(100_000, 1_000_000, 10_000_000),
    ),
    "quick": Size(
        n_turns=3,
        n_rows_training=50_000,
        n_rows_encoding=1_000_000,
        n_rows_prediction=80_000,
        n_rows_search=10_000,
        n_rows_growth=(100_000, 400_000),
    ),
    # Shows that the benchmarks run; its numbers mean nothing.
    "tiny": Size(
        n_turns=1,
        n_rows_training=13_000,
        n_rows_encoding=2_000,
        n_rows_prediction=500,
        n_rows_search=500,
        n_rows_growth=(1_000, 2_000),
    ),
}
