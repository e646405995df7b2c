"""CTREncoder against OrdinalEncoder, on three columns of strings and one of integers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from _memory import peak_bytes, table_bytes
from _results import Result, ratio
from _sizes import Size
from _timing import in_new_process, take_turns, timed
from sklearn.preprocessing import OrdinalEncoder

from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.preprocessing import CTREncoder

_N_VALUES = {"user": 100_000, "item": 10_000, "city": 200}


def measure(size: Size) -> list[Result]:
    """Speed of single-valued and of multi-valued columns, and peak memory."""
    return [*_against_ordinal_encoder(size), *_multi_valued(size), *_memory(size)]


def make_table(n_rows: int) -> pd.DataFrame:
    """Strings of few and of many values, and integers, frequent and rare ones."""
    rng = np.random.default_rng(0)
    columns = {}
    for name, n_values in _N_VALUES.items():
        names = pd.Series([f"{name}_{value}" for value in range(n_values)]).array
        columns[name] = names.take((rng.random(n_rows) ** 3 * n_values).astype(np.int64))
    return pd.DataFrame({**columns, "age": rng.integers(18, 90, n_rows)})


def _against_ordinal_encoder(size: Size) -> list[Result]:
    X = make_table(size.n_rows_encoding)
    ours, ordinal = CTREncoder().fit(X), OrdinalEncoder().fit(X)
    contestants = {
        "OrdinalEncoder fit": timed(lambda: OrdinalEncoder().fit(X)),
        "CTREncoder fit": timed(lambda: CTREncoder().fit(X)),
        "OrdinalEncoder transform": timed(lambda: ordinal.transform(X)),
        "CTREncoder transform": timed(lambda: ours.transform(X)),
        "CTREncoder fit_transform": timed(lambda: CTREncoder().fit_transform(X)),
    }
    seconds = take_turns(contestants, size.n_turns)
    return [
        ratio("encoding", seconds, "OrdinalEncoder fit", "CTREncoder fit", at_least=3),
        ratio("encoding", seconds, "OrdinalEncoder transform", "CTREncoder transform", at_least=10),
        Result("encoding", "CTREncoder fit_transform", seconds["CTREncoder fit_transform"], unit="s"),
    ]


def _multi_valued(size: Size) -> list[Result]:
    """A column of lists against what anybody would write first, a loop over its rows."""
    tags, _, _ = make_click_data(size.n_rows_encoding // 4, n_tags=200, random_state=0)
    X = tags[["tags"]]
    encoder = CTREncoder().fit(X)
    code_of_tag = {tag: code for code, tag in enumerate(sorted({tag for row in X["tags"] for tag in row}), start=1)}
    contestants = {
        "Python loop over lists": timed(lambda: [[code_of_tag.get(tag, 0) for tag in row] for row in X["tags"]]),
        "CTREncoder transform of lists": timed(lambda: encoder.transform(X)),
    }
    seconds = take_turns(contestants, size.n_turns)
    return [ratio("encoding", seconds, *contestants)]


def _memory(size: Size) -> list[Result]:
    ratios = [in_new_process(peak_over_tables, size.n_rows_encoding) for _ in range(min(3, size.n_turns))]
    return [Result("encoding", "peak memory of fit and transform / (input + output)", ratios, at_most=1.5)]


def peak_over_tables(n_rows: int) -> float:
    """Peak memory of a process that fits and transforms, its start left out, over that of the two tables."""
    # What is loaded and allocated once, however many rows there are.
    CTREncoder().fit_transform(make_table(1_000))
    start = peak_bytes()
    X = make_table(n_rows)
    encoded = CTREncoder().fit(X).transform(X)
    return (peak_bytes() - start) / table_bytes(X, encoded)
