"""Columns of every kind that a table of impressions may hold, as Python values and the Arrow type that holds them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from string import ascii_lowercase
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

Values = list[Any]
Draw = Callable[[np.random.Generator, int], tuple[Values, pa.DataType | None]]


@dataclass(frozen=True)
class Column:
    """A column of a generated table.

    Parameters
    ----------
    kind : str
        Name of the kind, a key of `KINDS`.
    values : list
        Python values; None where one is missing.
    type : pyarrow.DataType or None
        The Arrow type that holds them; None where only Python objects can.
    """

    kind: str
    values: Values
    type: pa.DataType | None

    @property
    def is_scalar(self) -> bool:
        """Whether no value is a list."""
        return "list" not in self.kind

    def has_values(self, rows: Iterable[int]) -> bool:
        """Whether any of these rows has a value."""
        return any(self.values[row] is not None for row in rows)


def draw_column(rng: np.random.Generator, n_rows: int, kinds: Sequence[str] | None = None) -> Column:
    """A column of any kind, or of one of those given."""
    kind = pick(rng, list(KINDS) if kinds is None else kinds)
    values, dtype = KINDS[kind](rng, n_rows)
    if kind not in _NEVER_MISSING:
        missing = rng.random(n_rows) < pick(rng, [0, 0, 0.05, 0.5])
        values = [None if is_missing else value for value, is_missing in zip(values, missing, strict=True)]
    return Column(kind, values, dtype)


def pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    """One of the options, as it is: numpy would make an array of them."""
    return options[int(rng.integers(len(options)))]


def _from_pool(rng: np.random.Generator, n_rows: int, pool: Values) -> Values:
    """Values that come the more rarely the later they stand in the pool."""
    ranks = rng.zipf(1.3, n_rows) - 1
    return [pool[rank % len(pool)] for rank in ranks]


def _words(rng: np.random.Generator, n_words: int, alphabet: str = ascii_lowercase) -> list[str]:
    lengths = rng.integers(1, 7, n_words)
    return ["".join(alphabet[i] for i in rng.integers(len(alphabet), size=length)) for length in lengths]


def _string_type(rng: np.random.Generator) -> pa.DataType:
    return pick(rng, [pa.string(), pa.large_string(), pa.string_view()])


def _strings(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return _from_pool(rng, n_rows, _words(rng, int(rng.integers(1, 40)))), _string_type(rng)


def _odd_strings(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    pool = ["", " ", "\t", "a", "A", " a", "a ", "a\0b", "a\0c", "\0", "True", "true", "False", "nan", "None", "NaN"]
    pool += ["null", "<NA>", "ß", "é", "e\u0301", "日本", "🙂", "\u200b", "a\nb", "'", '"', "-", "\ufeffa", "x" * 300]
    return _from_pool(rng, n_rows, list(rng.permutation(np.array(pool, dtype=object)))), _string_type(rng)


def _number_texts(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    pool = ["1", "01", "1.0", "1.5", "+1", "-1", "1e3", "1000", "0", "-0", "0.1", "00", " 7", "7", "7.", ".5", "1e400"]
    pool += ["0x1", "1_000", "1,5", "inf", "٣", "9007199254740993", "9223372036854775808", "123456789012345678901234"]
    return _from_pool(rng, n_rows, list(rng.permutation(np.array(pool, dtype=object)))), _string_type(rng)


def _hash_texts(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    hashes = rng.integers(0, 2**64, int(rng.integers(1, 40)), dtype=np.uint64)
    return _from_pool(rng, n_rows, [str(value) for value in hashes]), _string_type(rng)


def _nearly_unique_strings(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return [f"request-{value:x}" for value in rng.integers(0, 2**62, n_rows)], _string_type(rng)


def _ints(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    dtype = pick(
        rng, [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
    )
    low = 0 if pa.types.is_unsigned_integer(dtype) else -5
    return _from_pool(rng, n_rows, rng.integers(low, 100, int(rng.integers(1, 40))).tolist()), dtype


def _counts(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return rng.geometric(0.02, n_rows).tolist(), pick(rng, [pa.int32(), pa.int64()])


def _huge_ids(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    low, high = pick(rng, [(10**15, 2**53), (2**53, 2**63), (10**18, 2**63), (-(2**63), 2**63)])
    pool = rng.integers(low, high, int(rng.integers(1, 40)), dtype=np.int64).tolist()
    # Neighbours, which doubles may not tell apart.
    return _from_pool(rng, n_rows, [*pool, *(min(value + 1, 2**63 - 1) for value in pool)]), pa.int64()


def _hashes(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return _from_pool(
        rng, n_rows, rng.integers(0, 2**64, int(rng.integers(1, 40)), dtype=np.uint64).tolist()
    ), pa.uint64()


def _nearly_unique_ints(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    high = pick(rng, [10**6, 10**12, 2**62])
    return rng.integers(-high, high, n_rows).tolist(), pa.int64()


def _floats(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    scale = pick(rng, [1.0, 1e-3, 1e6])
    dtype = pick(rng, [pa.float32(), pa.float64(), pa.float64()])
    values = rng.normal(0, scale, n_rows)
    return (values.astype(np.float32) if dtype == pa.float32() else values).astype(float).tolist(), dtype


def _extreme_floats(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    pool = [0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300, float("inf"), -float("inf"), 2.0**53 + 2, 0.1, 0.1 + 2**-56, 1e16]
    return _from_pool(rng, n_rows, list(rng.permutation(pool).tolist())), pa.float64()


def _integral_floats(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    high = pick(rng, [10, 10**6, 2**53])
    pool = rng.integers(0, high, int(rng.integers(1, 40))).astype(float).tolist()
    return _from_pool(rng, n_rows, pool), pa.float64()


def _float_ids(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    """Prices and the like, few of them and with a fractional part, at times none in a part of the rows."""
    return _from_pool(rng, n_rows, [0.0, 1.0, 2.0, 3.0, 0.5, 1.25, 9.99, 1e-7, 123456.789]), pa.float64()


def _bools(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return (rng.random(n_rows) < 0.4).tolist(), pa.bool_()


def _decimals(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    scale = pick(rng, [1, 2, 6])
    pool = [Decimal(int(value)).scaleb(-scale) for value in rng.integers(-(10**7), 10**7, int(rng.integers(1, 40)))]
    return _from_pool(rng, n_rows, pool), pa.decimal128(pick(rng, [18, 38]), scale)


def _whole_decimals(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    high = pick(rng, [100, 10**15, 2**62])
    pool = [Decimal(int(value)) for value in rng.integers(0, high, int(rng.integers(1, 40)))]
    if rng.random() < 0.3:
        pool = [value * 10**15 + 1 for value in pool]
    return _from_pool(rng, n_rows, pool), pa.decimal128(38, 0)


def _dates(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    first = pick(rng, [dt.date(2024, 1, 1), dt.date(1969, 12, 1), dt.date(1600, 2, 1)])
    return [first + dt.timedelta(days=int(day)) for day in rng.integers(0, 60, n_rows)], pa.date32()


def _moments(rng: np.random.Generator, n_rows: int) -> list[dt.datetime]:
    first = pick(rng, [dt.datetime(2024, 3, 25), dt.datetime(1969, 12, 20), dt.datetime(2024, 10, 20)])
    seconds = rng.integers(0, 14 * 24 * 3600, n_rows)
    if rng.random() < 0.2:
        seconds -= seconds % (24 * 3600)
    micros = rng.integers(0, 10**6, n_rows) if rng.random() < 0.5 else np.zeros(n_rows, np.int64)
    return [
        first + dt.timedelta(seconds=int(second), microseconds=int(micro))
        for second, micro in zip(seconds, micros, strict=True)
    ]


def _datetimes(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return _moments(rng, n_rows), pa.timestamp(pick(rng, ["us", "ns"]))


def _zoned_datetimes(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    zone = pick(rng, ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    moments = [moment.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)) for moment in _moments(rng, n_rows)]
    return moments, pa.timestamp(pick(rng, ["us", "ns"]), zone)


def _datetimes_of_several_offsets(rng: np.random.Generator, n_rows: int) -> tuple[Values, None]:
    zones = [dt.timezone(dt.timedelta(hours=hours)) for hours in (-5, 0, 1, 2)]
    return [moment.replace(tzinfo=pick(rng, zones)) for moment in _moments(rng, n_rows)], None


def _datetime_texts(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    offsets = pick(rng, [[""], ["Z"], ["+01:00", "+02:00"]])
    return [moment.isoformat() + pick(rng, offsets) for moment in _moments(rng, n_rows)], _string_type(rng)


def _times(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    minutes, seconds = rng.integers(0, 24 * 60, int(rng.integers(1, 40))), pick(rng, [[0], range(60)])
    micros = pick(rng, [[0], range(10**6)])
    pool = [dt.time(int(m) // 60, int(m) % 60, pick(rng, seconds), pick(rng, micros)) for m in minutes]
    return _from_pool(rng, n_rows, pool), pa.time64(pick(rng, ["us", "ns"]))


def _durations(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    seconds = rng.exponential(100, n_rows) - 5
    return [dt.timedelta(seconds=float(second)) for second in seconds], pa.duration(pick(rng, ["us", "ns"]))


def _categories(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    words = list(dict.fromkeys(_words(rng, 20)))
    return _from_pool(rng, n_rows, words), pa.dictionary(pa.int32(), pa.string())


def _integer_categories(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return _from_pool(rng, n_rows, list(range(3, 20))), pa.dictionary(pa.int8(), pa.int64())


def _binary(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    return _from_pool(rng, n_rows, [word.encode() for word in _words(rng, 20)]), pick(
        rng, [pa.binary(), pa.large_binary()]
    )


def _uuids(rng: np.random.Generator, n_rows: int) -> tuple[Values, None]:
    return _from_pool(rng, n_rows, [uuid.UUID(bytes=rng.bytes(16)) for _ in range(20)]), None


def _lists(rng: np.random.Generator, n_rows: int, pool: Values) -> Values:
    lengths = rng.integers(0, pick(rng, [2, 4, 8]), n_rows)
    return [_from_pool(rng, int(length), pool) for length in lengths]


def _lists_of_strings(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    pool = [*_words(rng, 20), *pick(rng, [[], [None], ["", " "], ["a|b", "1"]])]
    make = pick(rng, [pa.list_, pa.large_list])
    return _lists(rng, n_rows, pool), make(pa.string())


def _lists_of_ints(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    pool = pick(rng, [list(range(20)), [*range(5), None], [10**15 + 1, 10**15 + 2, 2**53 + 1, None]])
    return _lists(rng, n_rows, pool), pa.list_(pa.int64())


def _delimited_texts(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    separator = pick(rng, ["|", "|", " | ", ",", ";"])
    words = [word or "x" for word in _words(rng, 8)]
    lists = _lists(rng, n_rows, pick(rng, [words, [*words, ""]]))
    return [separator.join(elements) for elements in lists], _string_type(rng)


def _mixed_objects(rng: np.random.Generator, n_rows: int) -> tuple[Values, None]:
    numbers = [1, 1.0, 0, 2.5, 1e16, 1.5e-7, 10**16, -1, 2**53 + 1, 2**70, Decimal("1.50"), Decimal(1)]
    others = ["a", "1", "1.0", "true", True, False, "True", dt.date(2024, 1, 1), dt.time(1, 2), uuid.UUID(int=5)]
    pool = list(rng.permutation(np.array(numbers + others, dtype=object)))[: int(rng.integers(2, 12))]
    return _from_pool(rng, n_rows, pool), None


def _numbers_and_bools(rng: np.random.Generator, n_rows: int) -> tuple[Values, None]:
    pool = pick(rng, [[1, True, 0, False], [1, 2.0, 3, 2.5], [1, True, "1", "x"], [0.5, True, False], [2, 10**25]])
    return _from_pool(rng, n_rows, pool), None


def _constant(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    value, dtype = pick(rng, [("a", pa.string()), (7, pa.int64()), (0.25, pa.float64()), (True, pa.bool_())])
    return [value] * n_rows, dtype


def _all_missing(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    dtypes = [pa.null(), pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.timestamp("us"), pa.list_(pa.string())]
    return [None] * n_rows, pick(rng, dtypes)


def _seldom_present(rng: np.random.Generator, n_rows: int) -> tuple[Values, pa.DataType]:
    value, dtype = pick(rng, [("a", pa.string()), (7, pa.int64()), (0.25, pa.float64()), (True, pa.bool_())])
    present = int(rng.integers(n_rows))
    return [value if row == present else None for row in range(n_rows)], dtype


KINDS: dict[str, Draw] = {
    "strings": _strings,
    "odd strings": _odd_strings,
    "numbers as text": _number_texts,
    "hashes as text": _hash_texts,
    "nearly unique strings": _nearly_unique_strings,
    "integers": _ints,
    "counts": _counts,
    "huge ids": _huge_ids,
    "hashes": _hashes,
    "nearly unique integers": _nearly_unique_ints,
    "floats": _floats,
    "extreme floats": _extreme_floats,
    "integral floats": _integral_floats,
    "few floats": _float_ids,
    "bools": _bools,
    "decimals": _decimals,
    "whole decimals": _whole_decimals,
    "dates": _dates,
    "datetimes": _datetimes,
    "zoned datetimes": _zoned_datetimes,
    "datetimes of several offsets": _datetimes_of_several_offsets,
    "datetimes as text": _datetime_texts,
    "times of day": _times,
    "durations": _durations,
    "categories": _categories,
    "integer categories": _integer_categories,
    "binary": _binary,
    "uuids": _uuids,
    "lists of strings": _lists_of_strings,
    "lists of integers": _lists_of_ints,
    "delimited text": _delimited_texts,
    "mixed objects": _mixed_objects,
    "numbers and bools": _numbers_and_bools,
    "constant": _constant,
    "all missing": _all_missing,
    "seldom present": _seldom_present,
}
_NEVER_MISSING = ("constant", "all missing", "seldom present")
#: Kinds of which a column may hold values of several types.
OBJECTS = ("mixed objects", "numbers and bools")
