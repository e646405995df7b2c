"""Combinations of categorical fields: one integer per row, and where it stands among those that fit saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from ..schema import UNKNOWN_CODE, Field, column_names, cross_name
from ._vocabulary import HashTable, WithoutCaches, bisect

#: Bits of a non-negative int64.
BITS = 63
MOST_KEYS: int = 2**BITS - 1
#: Kinds of fields with values that can be counted and combined.
_KINDS_OF_PARTS = ("categorical", "multi-valued")
#: Fewer rows than this are found by bisection, which needs no table.
_FEW_ROWS = 256
#: Keys that fill as much of their range are found in an array with an element for each number.
_NUMBERS_PER_KEY = 5
#: A cardinality that is too small grows to this many times its size, so that growing costs little per code.
_GROWTH = 1.5


@dataclass(frozen=True)
class Changes:
    """What an update has changed: numbers of codes by column, codes that stand for other values now, and the decay."""

    n_codes: Mapping[str, int]
    fresh: Mapping[str, np.ndarray]
    decay: float


@dataclass(frozen=True)
class Key:
    """One field or a combination of several; a multi-valued field is a combination of its columns."""

    parts: tuple[str, ...]
    #: Number of codes of each column, code 0 included.
    cardinalities: tuple[int, ...]
    #: Names of the fields.
    fields: tuple[str, ...]
    #: Whether an update brought codes beyond 63 bits: they count as unknown.
    is_full: bool = False

    def __post_init__(self) -> None:
        if self.n_possible > MOST_KEYS:
            raise ValueError(
                f"{self.name!r} has {self.n_possible:.1e} possible combinations of codes, more than 63 bits can count: "
                "combine fewer fields, or lower their number of codes with `max_categories` or `n_hash_buckets`, and "
                "the elements of a list with `max_length`."
            )

    @property
    def name(self) -> str:
        """Name of the field or of the cross."""
        return cross_name(self.fields)

    @property
    def n_possible(self) -> int:
        """Number of combinations of codes."""
        return prod(self.cardinalities)

    @property
    def holds_lists(self) -> bool:
        """Whether a field is multi-valued."""
        return self.parts != self.fields

    def renamed(self, names: Mapping[str, str]) -> Key:
        """The same key of fields of other names."""
        parts, fields = (tuple(names[name] for name in old) for old in (self.parts, self.fields))
        return replace(self, parts=parts, fields=fields)

    def and_(self, other: Key) -> Key | None:
        """The combination with another key; None if 63 bits can't count them."""
        if self.n_possible * other.n_possible > MOST_KEYS:
            return None
        return Key(self.parts + other.parts, self.cardinalities + other.cardinalities, self.fields + other.fields)

    def widened(self, n_codes: Mapping[str, int]) -> Key:
        """A key that can hold so many codes of each field, if 63 bits can; one that is too small gets more room."""
        needed = tuple(max(n_codes[part], old) for part, old in zip(self.parts, self.cardinalities, strict=True))
        roomy = tuple(
            n if n == old else max(n, int(_GROWTH * old)) for n, old in zip(needed, self.cardinalities, strict=True)
        )
        if prod(needed) > MOST_KEYS:
            return replace(self, is_full=True)
        return replace(self, cardinalities=roomy if prod(roomy) <= MOST_KEYS else needed)

    def split(self, keys: np.ndarray) -> dict[str, np.ndarray]:
        """The codes of each field that `combine` made these keys of."""
        codes = {}
        for part, cardinality in zip(self.parts[:0:-1], self.cardinalities[:0:-1], strict=True):
            keys, codes[part] = np.divmod(keys, cardinality)
        return {self.parts[0]: keys, **codes}

    def translate(self, keys: np.ndarray, wider: Key) -> np.ndarray:
        """The same combinations as keys of a wider key, in the same order."""
        return keys if wider == self else wider.combine(self.split(keys))

    def holds_any(self, keys: np.ndarray, codes_of: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which combinations hold any of these codes of a field."""
        if not any(len(codes_of.get(part, ())) for part in self.parts):
            return np.zeros(len(keys), bool)
        split = self.split(keys)
        return np.logical_or.reduce([np.isin(split[part], codes_of.get(part, ())) for part in self.parts])

    def combine(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """One int64 per row, from the codes of each field."""
        if self.is_full:
            limits = zip(self.parts, self.cardinalities, strict=True)
            codes = {part: np.where(codes[part] < limit, codes[part], UNKNOWN_CODE) for part, limit in limits}
        keys = codes[self.parts[0]]
        for part, cardinality in zip(self.parts[1:], self.cardinalities[1:], strict=True):
            keys = keys * cardinality + codes[part]
        return keys


class KeyIndex(WithoutCaches):
    """Where each key stands among the known ones, distinct and in ascending order."""

    def __init__(self, known: np.ndarray) -> None:
        self.known = known

    @cached_property
    def _positions(self) -> np.ndarray | None:
        """The position of each number from one below the least key to one above the greatest; None if few are keys."""
        if not len(self.known) or self.known[-1] - self.known[0] >= _NUMBERS_PER_KEY * len(self.known):
            return None
        positions = np.full(self.known[-1] - self.known[0] + 3, -1, np.int32 if len(self.known) < 2**31 else np.int64)
        positions[self.known - self.known[0] + 1] = np.arange(len(self.known))
        return positions

    @cached_property
    def _table(self) -> HashTable:
        return HashTable(self.known)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Positions of keys; -1 for a key that isn't known."""
        if len(keys) < _FEW_ROWS:
            return bisect(self.known, keys)
        if self._positions is None:
            return self._table.find(keys)
        return self._positions.take(keys - self.known[0] + 1, mode="clip")


def key_of(fields: Iterable[Field]) -> Key:
    """The combination of fields with codes."""
    fields = list(fields)
    cardinalities = tuple(field.n_codes for field in fields for _ in range(field.n_columns))
    return Key(tuple(column_names(fields)), cardinalities, tuple(field.name for field in fields))


def has_key(field: Field) -> bool:
    """Whether a field has values to be counted that 63 bits can tell apart; long lists have too many."""
    return field.kind in _KINDS_OF_PARTS and field.n_codes**field.n_columns <= MOST_KEYS


def find_keys(entries: Iterable[Any], fields_of: Mapping[str, Sequence[Field]], parameter: str) -> list[Key]:
    """Keys of names and tuples of names, each once."""
    keys: dict[frozenset[str], Key] = {}
    for entry in entries:
        names = tuple(entry) if isinstance(entry, list | tuple) else (entry,)
        fields = [_find_field(name, fields_of, parameter) for name in names]
        key = key_of(fields)
        if len(set(key.parts)) < max(len(key.parts), 1):
            raise ValueError(f"{parameter}: {entry!r} must name different columns, and at least one.")
        keys.setdefault(frozenset(key.parts), key)
    return list(keys.values())


def _find_field(name: Any, fields_of: Mapping[str, Sequence[Field]], parameter: str) -> Field:
    every = {field.name: field for fields in fields_of.values() for field in fields}
    if isinstance(name, Integral) and int(name) in range(len(fields_of)):
        name = list(fields_of)[int(name)]
    if not isinstance(name, str):
        raise ValueError(
            f"{parameter}: {name!r} is neither a name nor a position of a column, from 0 to {len(fields_of) - 1}. "
            "Combinations are tuples of these, such as ('user', 'item')."
        )
    found = [every[name]] if name in every else fields_of.get(name, [])
    if not found and name in fields_of:
        raise ValueError(
            f"{parameter}: column {name!r} is left out; name it in `categorical`, or parts of it in `datetime_parts`."
        )
    if not found:
        raise ValueError(f"{parameter}: there is no field {name!r}. The fields are {list(every)}.")
    if len(found) > 1:
        names = [field.name for field in found]
        raise ValueError(f"{parameter}: column {name!r} makes several fields, name one of them: {names}.")
    if found[0].kind == "multi-valued" and parameter == "crosses":
        raise ValueError(f"crosses: {name!r} is multi-valued, and lists aren't crossed. Leave it out.")
    if found[0].kind in _REMEDIES:
        raise ValueError(f"{parameter}: {name!r} is {found[0].kind}, and {_REMEDIES[found[0].kind]}")
    return found[0]


_REMEDIES = {
    "history": "histories are neither combined nor counted. Name the field that it is a history of.",
    "numeric": "a number has no code. Take it as categorical, or in bins with `numeric_encoding='bins'`.",
    "vector": "a vector has no code. Leave it out.",
    "pretrained": "its codes stand for vectors. Name the column of the ids.",
}
