"""What is broken on purpose: values, dtypes, tables, labels, weights, parameters and names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse

from .columns import draw_column, pick
from .containers import build
from .tables import Table


class Break(NamedTuple):
    """What is broken, and what is to come of it."""

    name: str
    expects: str
    apply: Callable[[np.random.Generator, Table], dict[str, Any]]


def break_table(rng: np.random.Generator, table: Table) -> Table:
    """The table with something wrong."""
    group = pick(rng, list(_GROUPS))
    fault = pick(rng, _GROUPS[group])
    changes = {"named": ""} | fault.apply(rng, table)
    return replace(table, fault=f"{group}: {fault.name}", expects=fault.expects, **changes)


def _as_pandas(table: Table) -> Table:
    """The table in pandas, where a column can hold anything."""
    if table.container == "pandas":
        return table
    return table.rebuilt("pandas", ["objects"] * len(table.columns))


def _replace_column(rng: np.random.Generator, table: Table, make: Callable[[int], Any]) -> dict[str, Any]:
    """Another column in one of the tables, or in both."""
    table = _as_pandas(table)
    name = pick(rng, list(table.columns))
    where = pick(rng, ["fit", "serving", "both"])
    X, X_new = table.X, table.X_new
    if where != "serving":
        X = X.assign(**{name: make(len(X))})
    if where != "fit":
        X_new = X_new.assign(**{name: make(len(X_new))})
    return {"container": "pandas", "X": X, "X_new": X_new, "named": name}


def _cyclic(n_items: int) -> list[Any]:
    items: list[Any] = []
    for _ in range(n_items):
        items = [items]
    return items


def _tensor(n_rows: int) -> Any:
    import torch

    return torch.ones((), requires_grad=True)


class _Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


_STRAYS: dict[str, Callable[[int], Any]] = {
    "a lone surrogate": lambda n: "\ud800",
    "a list nested 500 deep": lambda n: _cyclic(500),
    "a signalling NaN": lambda n: Decimal("sNaN"),
    "an infinite decimal": lambda n: Decimal("Infinity"),
    "an integer of 5,000 digits": lambda n: 10**5000,
    "an integer of 100 digits": lambda n: 10**100,
    "a dict": lambda n: {"a": 1},
    "a set": lambda n: {1, 2},
    "an object": lambda n: object(),
    "a complex number": lambda n: 1 + 2j,
    "bytes": lambda n: b"\xff\x00",
    "a bytearray": lambda n: bytearray(b"a"),
    "a class": lambda n: int,
    "a function": lambda n: len,
    "a tensor that requires grad": _tensor,
    "an array": lambda n: np.arange(3),
    "an array of two dimensions": lambda n: np.eye(2),
    "an array without dimensions": lambda n: np.array(3),
    "an interval": lambda n: pd.Interval(0, 1),
    "a period": lambda n: pd.Period("2024-01"),
    "a fraction": lambda n: Fraction(1, 3),
    "a range": lambda n: range(3),
    "a generator": lambda n: (i for i in range(3)),
    "a date of year 1": lambda n: dt.date(1, 1, 1),
    "a datetime of year 9999": lambda n: dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    "a datetime with an offset": lambda n: dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3))),
    "a datetime without a zone": lambda n: dt.datetime(2024, 1, 1, 5),
    "a pandas timestamp": lambda n: pd.Timestamp("2024-01-01 03:04:05.123456789", tz="Asia/Kolkata"),
    "the longest duration": lambda n: dt.timedelta.max,
    "a time with an offset": lambda n: dt.time(1, 2, tzinfo=dt.UTC),
    "NaT": lambda n: pd.NaT,
    "numpy's NaT": lambda n: np.datetime64("NaT"),
    "a numpy datetime": lambda n: np.datetime64("2024-01-01T10:00"),
    "a numpy string": lambda n: np.str_("a"),
    "a half-precision float": lambda n: np.float16(0.1),
    "a single-precision float": lambda n: np.float32(0.1),
    "a long double": lambda n: np.longdouble("0.1"),
    "a 64-bit unsigned integer": lambda n: np.uint64(2**64 - 1),
    "a numpy bool": lambda n: np.True_,
    "a tuple": lambda n: ("a", "b"),
    "a list": lambda n: ["a", 1],
    "a written list": lambda n: "['a', 'b']",
    "an unhashable object": lambda n: _Unhashable(),
    "a string of 100,000 characters": lambda n: "x" * 100_000,
    "a nested dict": lambda n: {"a": {"b": [1, {"c": None}]}},
    "infinity": lambda n: float("inf"),
}


def _stray(make: Callable[[int], Any]) -> Callable[[np.random.Generator, Table], dict[str, Any]]:
    def apply(rng: np.random.Generator, table: Table) -> dict[str, Any]:
        table = _as_pandas(table)
        everywhere = rng.random() < 0.3
        columns = list(table.columns)
        name = pick(rng, columns)
        where = pick(rng, ["fit", "serving", "both"])
        frames = {"X": table.X, "X_new": table.X_new}
        for key in ("X", "X_new"):
            if where in ("both", "fit" if key == "X" else "serving"):
                frames[key] = _with_strays(rng, frames[key], name, make, everywhere)
        return {"container": "pandas", **frames, "named": name}

    return apply


def _with_strays(
    rng: np.random.Generator, X: pd.DataFrame, name: str, make: Callable[[int], Any], everywhere: bool
) -> pd.DataFrame:
    values = np.empty(len(X), dtype=object)
    values[:] = X[name].astype(object).to_list()
    for row in range(len(X)) if everywhere else [int(rng.integers(len(X)))]:
        # An array would be spread over the rows of a slice.
        values[row : row + 1] = [None]
        values[row] = make(len(X))
    return X.assign(**{name: pd.Series(values, index=X.index, dtype=object)})


def _ints(n: int) -> np.ndarray:
    return np.arange(n) % 5


_DTYPES: dict[str, Callable[[int], Any]] = {
    "complex": lambda n: _ints(n) * 1j,
    "periods": lambda n: pd.period_range("2024-01", periods=n, freq="D"),
    "intervals": lambda n: pd.IntervalIndex.from_breaks(range(n + 1)),
    "sparse floats": lambda n: pd.arrays.SparseArray(_ints(n).astype(float)),
    "sparse integers": lambda n: pd.arrays.SparseArray(_ints(n)),
    "a category of mixed types": lambda n: pd.Categorical([pick_cyclic(i, [1, "a", 2.5]) for i in range(n)]),
    "a category of intervals": lambda n: pd.Categorical(pd.IntervalIndex.from_breaks(range(n + 1))),
    "a category of dates": lambda n: pd.Categorical(pd.date_range("2024-01-01", periods=n)),
    "a category of bools": lambda n: pd.Categorical(_ints(n) > 2),
    "an ordered category": lambda n: pd.Categorical(_ints(n).astype(str), ordered=True),
    "big-endian integers": lambda n: _ints(n).astype(">i4"),
    "big-endian floats": lambda n: (_ints(n) / 3).astype(">f8"),
    "half-precision floats": lambda n: (_ints(n) / 3).astype(np.float16),
    "long doubles": lambda n: (_ints(n) / 3).astype(np.longdouble),
    "seconds since an epoch": lambda n: np.datetime64("2024-01-01", "s") + _ints(n),
    "distant datetimes": lambda n: np.array(["0001-01-01", "9999-01-01"], "datetime64[s]")[_ints(n) % 2],
    "nanoseconds": lambda n: pd.to_datetime(1704067200123456789 + _ints(n)),
    "durations in seconds": lambda n: _ints(n).astype("timedelta64[s]"),
    "nanosecond durations": lambda n: pd.to_timedelta(_ints(n) * 3, unit="ns"),
    "structs": lambda n: _arrow_series(pa.array([{"a": i} for i in range(n)])),
    "maps": lambda n: _arrow_series(pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64()))),
    "lists of structs": lambda n: _arrow_series(pa.array([[{"a": i}] for i in range(n)])),
    "lists of lists": lambda n: _arrow_series(pa.array([[["a"]]] * n)),
    "lists of floats": lambda n: _arrow_series(pa.array([[0.5, 1.5]] * n)),
    "lists of dates": lambda n: _arrow_series(pa.array([[dt.date(2024, 1, 1 + i % 9)] for i in range(n)])),
    "lists of bools": lambda n: _arrow_series(pa.array([[True, False, None]] * n)),
    "lists of nothing": lambda n: _arrow_series(pa.array([[]] * n, pa.list_(pa.null()))),
    "lists of fixed size": lambda n: _arrow_series(pa.array([["a", "b"]] * n, pa.list_(pa.string(), 2))),
    "list views": lambda n: _arrow_series(pa.array([["a", "b"]] * n, pa.list_view(pa.string()))),
    "256-bit decimals": lambda n: _arrow_series(
        pa.array([Decimal(10) ** 60 + i for i in range(n)], pa.decimal256(70, 0))
    ),
    "32-bit times": lambda n: _arrow_series(pa.array(_ints(n).astype(np.int32), pa.time32("s"))),
    "64-bit dates": lambda n: _arrow_series(pa.array([dt.date(2024, 1, 1 + i % 9) for i in range(n)], pa.date64())),
    "half floats of Arrow": lambda n: _arrow_series(pa.array((_ints(n) / 4).astype(np.float16))),
    "intervals of months": lambda n: _arrow_series(pa.array([(1, 2, 3)] * n, pa.month_day_nano_interval())),
    "binaries of fixed size": lambda n: _arrow_series(pa.array([b"ab"] * n, pa.binary(2))),
    "invalid UTF-8": lambda n: _arrow_series(pa.array([b"\xff\xfe"] * n).view(pa.string())),
    "run-end encoded strings": lambda n: _arrow_series(pa.RunEndEncodedArray.from_arrays([n], ["a"])),
    "dictionaries of floats": lambda n: _arrow_series(pa.array([i % 3 / 2 for i in range(n)]).dictionary_encode()),
    "all missing objects": lambda n: pd.Series([None] * n, dtype=object),
    "all NaN": lambda n: np.full(n, np.nan),
    "all infinite": lambda n: np.full(n, np.inf),
}


_POLARS: dict[str, Callable[[int], pl.Series]] = {
    "categories": lambda n: pl.Series(_ints(n).astype(str)).cast(pl.Categorical),
    "an enumeration": lambda n: pl.Series(_ints(n).astype(str)).cast(pl.Enum(list("01234"))),
    "lists": lambda n: pl.Series([["a", None], []] * n, dtype=pl.List(pl.String))[:n],
    "arrays": lambda n: pl.Series([[1, 2]] * n, dtype=pl.Array(pl.Int64, 2)),
    "structs": lambda n: pl.Series([{"a": 1}] * n),
    "objects": lambda n: pl.Series([object()] * n, dtype=pl.Object),
    "bytes": lambda n: pl.Series([b"a", b"\xff"] * n)[:n],
    "128-bit integers": lambda n: pl.Series([2**100, 1] * n, dtype=pl.Int128)[:n],
    "times": lambda n: pl.Series([dt.time(i % 24) for i in range(n)]),
    "milliseconds": lambda n: pl.Series([dt.datetime(2024, 1, 1, i % 24) for i in range(n)]).cast(pl.Datetime("ms")),
    "durations": lambda n: pl.Series([dt.timedelta(hours=i) for i in range(n)]).cast(pl.Duration("ms")),
    "decimals": lambda n: pl.Series([Decimal(i % 5) / 4 for i in range(n)]),
    "nothing": lambda n: pl.Series([None] * n, dtype=pl.Null),
    "small integers": lambda n: pl.Series(_ints(n), dtype=pl.Int8),
}


def pick_cyclic(position: int, options: list[Any]) -> Any:
    """The options one after another."""
    return options[position % len(options)]


def _arrow_series(array: pa.Array) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))


def _odd_dtype(make: Callable[[int], Any]) -> Callable[[np.random.Generator, Table], dict[str, Any]]:
    return lambda rng, table: _replace_column(rng, table, make)


def _another_kind_when_served(rng: np.random.Generator, table: Table) -> dict[str, Any]:
    table = _as_pandas(table)
    name = pick(rng, list(table.columns))
    served = table.X_new.assign(**{name: _drawn_values(rng, len(table.X_new))})
    return {"container": "pandas", "X": table.X, "X_new": served, "named": name}


def _drawn_values(rng: np.random.Generator, n_rows: int) -> Any:
    other = draw_column(rng, n_rows)
    form = "objects" if other.type is None or rng.random() < 0.3 else "arrow"
    return build({"x": other}, slice(None), "pandas", [form])["x"].array


def _of_polars(make: Callable[[int], pl.Series]) -> Callable[[np.random.Generator, Table], dict[str, Any]]:
    """A table of polars that holds this column alone, in fit and serving."""

    def apply(rng: np.random.Generator, table: Table) -> dict[str, Any]:
        frames = {key: pl.DataFrame({"x0": make(len(getattr(table, key)))}) for key in ("X", "X_new")}
        return {"container": "polars", **frames, "parameters": _unnamed(table.parameters), "named": "x0"}

    return apply


def _unnamed(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters but for those that name columns."""
    return {name: value for name, value in parameters.items() if not isinstance(value, list)}


def _table(change: Callable[[pd.DataFrame], Any], served: bool = False) -> Callable[..., dict[str, Any]]:
    def apply(rng: np.random.Generator, table: Table) -> dict[str, Any]:
        table = _as_pandas(table)
        return {
            "container": "pandas",
            "X": table.X if served else change(table.X),
            "X_new": change(table.X_new) if served else table.X_new,
        }

    return apply


def _multi_index(X: pd.DataFrame) -> pd.DataFrame:
    return X.set_axis(pd.MultiIndex.from_tuples([("a", name) for name in X.columns]), axis=1)


def _twice_a_column(X: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([X, X.iloc[:, :1]], axis=1)


def _renamed(*names: Any) -> Callable[..., dict[str, Any]]:
    """Names in fit and serving, the generated ones behind them."""

    def apply(rng: np.random.Generator, table: Table) -> dict[str, Any]:
        table = _as_pandas(table)
        columns = [*names, *table.columns][: len(table.columns)]
        return {
            "container": "pandas",
            "X": table.X.set_axis(columns, axis=1),
            "X_new": table.X_new.set_axis(columns, axis=1),
            "parameters": _unnamed(table.parameters),
        }

    return apply


def values_of_any_kind(rng: np.random.Generator, n_rows: int) -> Any:
    """Values of any kind or dtype, for a column of a pandas frame."""
    if rng.random() < 0.5:
        return pick(rng, list(_DTYPES.values()))(n_rows)
    return _drawn_values(rng, n_rows)


def _weights(make: Callable[[int], Any]) -> Callable[..., dict[str, Any]]:
    return lambda rng, table: {"weights": make(table.n_fit), "named": "weight"}


def _labels(make: Callable[[int], Any]) -> Callable[..., dict[str, Any]]:
    """Other labels, for an encoder that reads them."""

    def apply(rng: np.random.Generator, table: Table) -> dict[str, Any]:
        parameters = table.parameters
        if parameters.get("statistics") is None and parameters.get("crosses") != "auto":
            parameters = {**parameters, "statistics": "auto"}
        return {"y": make(table.n_fit), "named": "y", "parameters": parameters}

    return apply


def _parameter(name: str, value: Any) -> Callable[..., dict[str, Any]]:
    return lambda rng, table: {"parameters": table.parameters | {name: value}, "named": name}


def _selection(name: str, value: Any, named: str) -> Callable[..., dict[str, Any]]:
    return lambda rng, table: {"parameters": table.parameters | {name: value}, "named": named}


_GROUPS: dict[str, list[Break]] = {
    "stray value": [Break(name, "either", _stray(make)) for name, make in _STRAYS.items()],
    "dtype": [Break(name, "either", _odd_dtype(make)) for name, make in _DTYPES.items()],
    "dtype in polars": [Break(name, "either", _of_polars(make)) for name, make in _POLARS.items()],
    "another kind when served": [Break("drawn", "either", _another_kind_when_served)],
    "table": [
        Break("no rows", "error", _table(lambda X: X[:0])),
        Break("no rows when served", "error", _table(lambda X: X[:0], served=True)),
        Break("no columns", "error", _table(lambda X: X[[]])),
        Break("one dimension", "error", _table(lambda X: X.iloc[:, 0])),
        Break("a column missing when served", "error", _table(lambda X: X.iloc[:, 1:], served=True)),
        Break("a column more when served", "error", _table(lambda X: X.assign(more=1), served=True)),
        Break("another name when served", "error", _table(lambda X: X.rename(columns={"x0": "y0"}), served=True)),
        Break("a name twice", "error", _table(_twice_a_column)),
        Break("a name twice when served", "error", _table(_twice_a_column, served=True)),
        Break("records", "error", _table(lambda X: X.to_records())),
        Break("records when served", "error", _table(lambda X: X.to_records(), served=True)),
        Break("names on two levels", "either", _table(_multi_index)),
        Break("a dict", "error", _table(lambda X: X.to_dict("list"))),
        Break("a list of dicts", "error", _table(lambda X: X.to_dict("records"))),
        Break("text", "error", _table(lambda X: "user,item")),
        Break("nothing", "error", _table(lambda X: None)),
        Break("a sparse matrix", "error", _table(lambda X: sparse.csr_matrix(np.ones((len(X), 2))))),
        Break("three dimensions", "error", _table(lambda X: np.ones((len(X), 2, 2)))),
    ],
    "names": [
        Break("integers", "either", _renamed(0, 1, 2, 3, 4)),
        Break("integers and strings", "either", _renamed(0)),
        Break("empty", "either", _renamed("")),
        Break("elements of a list", "either", _renamed("x0@0", "x0")),
        Break("a statistic", "either", _renamed("x1@rate")),
        Break("a cross", "either", _renamed("x0 & x1")),
        Break("parts of a datetime", "either", _renamed("x0_hour", "x0")),
        Break("line breaks", "either", _renamed("a\nb")),
        Break("missing", "either", _renamed(None)),
        Break("braces", "either", _renamed("{x}", "%s")),
    ],
    "weights": [
        Break("too few", "error", _weights(lambda n: np.ones(n + 1))),
        Break("negative", "error", _weights(lambda n: np.full(n, -1.0))),
        Break("NaN", "error", _weights(lambda n: np.full(n, np.nan))),
        Break("infinite", "error", _weights(lambda n: np.full(n, np.inf))),
        Break("all zero", "error", _weights(np.zeros)),
        Break("text", "error", _weights(lambda n: np.full(n, "a"))),
        Break("two dimensions", "error", _weights(lambda n: np.ones((n, 2)))),
        Break("1e308", "either", _weights(lambda n: np.full(n, 1e308))),
        Break("1e-300 to 1e300", "either", _weights(lambda n: np.logspace(-300, 300, n))),
        Break("denormal", "either", _weights(lambda n: np.full(n, 5e-324))),
        Break("half precision", "either", _weights(lambda n: np.full(n, 6e4, np.float16))),
        Break("bools", "either", _weights(lambda n: np.arange(n) % 2 == 0)),
    ],
    "labels": [
        Break("too few", "error", _labels(lambda n: np.ones(n + 1))),
        Break("NaN", "error", _labels(lambda n: np.where(np.arange(n) % 2, 1.0, np.nan))),
        Break("missing objects", "error", _labels(lambda n: np.full(n, None))),
        Break("strings and integers", "either", _labels(lambda n: np.array([i % 2 or "a" for i in range(n)], object))),
        Break("dates", "either", _labels(lambda n: np.array([dt.date(2024, 1, 1 + i % 2) for i in range(n)], object))),
        Break("two dimensions", "either", _labels(lambda n: np.ones((n, 2)))),
        Break("lists", "either", _labels(lambda n: [[1, 2]] * n)),
        Break("dicts", "either", _labels(lambda n: [{}] * n)),
        Break("infinite", "either", _labels(lambda n: np.full(n, np.inf))),
    ],
    "parameters": [
        Break("max_categories of 0", "error", _parameter("max_categories", 0)),
        Break("min_frequency of 0", "error", _parameter("min_frequency", 0)),
        Break("min_frequency of NaN", "error", _parameter("min_frequency", float("nan"))),
        Break("2**64 buckets", "error", _parameter("n_hash_buckets", 2**64)),
        Break("2**31 buckets", "error", _parameter("n_hash_buckets", 2**31)),
        Break("no separator", "error", _parameter("separator", "")),
        Break("an unknown encoding", "error", _parameter("numeric_encoding", "rank")),
        Break("a column that isn't there", "error", _selection("categorical", ["absent"], "absent")),
        Break("a position that isn't there", "error", _selection("drop", [99], "99")),
        Break("a mask of another length", "error", _selection("numeric", [True] * 20, "20")),
        Break("a cross of one field", "error", _selection("crosses", [("x0", "x0")], "x0")),
        Break("a statistic of nothing", "error", _selection("statistics", [()], "statistics")),
        Break("a statistic of an absent field", "error", _selection("statistics", ["absent"], "tatistics")),
        Break("a random state of text", "error", _parameter("random_state", "a")),
    ],
}
