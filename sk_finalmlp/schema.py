"""What the columns of an encoded table are, and how the table says so.

- `Field`: one input field of the network; `column_names` names its columns
- `Schema`: the fields of a table, who encoded it, and which of its rows are held out. It travels with the table, in
  `DataFrame.attrs` and in rows on disk, and the classifier reads it.
- `read_names`: fields by the names and types of columns, for a table that has lost its schema

Names have one form: `tags@0` is an element of a list or a coordinate of a vector, `history@item@0` an element of a
history of `item`, `item@vector` a code of a vector, `item@rate` and `user & item@count` are statistics, and
`item@rate=label` is the rate of one label of several.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import joblib
import numpy as np
from narwhals import to_native
from numpy.typing import NDArray

__all__ = ["UNKNOWN_CODE", "Field", "Schema", "by_kind", "column_names", "read_schema"]

FieldKind = Literal["categorical", "multi-valued", "history", "pretrained", "numeric", "vector", "statistic"]
Measure = Literal["rate", "count", "recent_rate", "recent_count"]

#: The code that `CTREncoder` gives to a value that is missing, unseen or too rare to learn, and the padding of
#: multi-valued columns and histories.
UNKNOWN_CODE = 0

_KINDS: tuple[FieldKind, ...] = get_args(FieldKind)
_WITH_COLUMNS: tuple[FieldKind, ...] = ("multi-valued", "history", "vector")
_WITHOUT_CODES: tuple[FieldKind, ...] = ("numeric", "vector", "statistic")

#: Key of the schema in `DataFrame.attrs`.
_KEY = "sk_finalmlp"
_SIGN = "@"
_SIGN_OF_CROSS = " & "
#: What `ColumnTransformer` and `FeatureUnion` put between the names of a step and a column.
_SIGN_OF_STEP = "__"
_POSITION = re.compile(r"0|[1-9][0-9]{0,8}")
_END_OF_KEY = re.compile(f"{_SIGN}((?:recent_)?(?:rate|count))(?==|\\Z)")


@dataclass(frozen=True)
class Field:
    """One input field of the network.

    Parameters
    ----------
    name : str
        Name of the field; the name of its column, or `genres` for the columns `genres@0`, `genres@1`, ...
    kind : {"categorical", "multi-valued", "history", "pretrained", "numeric", "vector", "statistic"}
        A categorical field is one column of codes, a multi-valued field several columns of codes that share an
        embedding table, a numeric field one column of floats. A history is several columns of codes of another field,
        the most recent first, and shares its embedding table. A vector field is several columns of floats that are
        projected together, a pretrained field one column of codes for vectors in a given table; a vector of zeros is
        a missing one. A statistic is a column of floats: a click rate or count of a value or a combination of values.
        It needs no embedding.
    n_codes : int, default=0
        Rows of the embedding table or table of vectors, row 0 included; 0 for a field of floats.
    n_columns : int, default=1
        Columns of the input table that the field takes; more than one only for a multi-valued field, a history or a
        vector.
    of : str, default=""
        Name of the categorical field that a history is of. For a pretrained field, the projected vector is added to
        that field's embedding and takes no place of its own among the network's fields.
    length : int, default=0
        Length of the vectors of a pretrained field.
    is_tuned : bool, default=False
        Whether the network trains a copy of a pretrained field's vectors.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field
    >>> Field("user", "categorical", n_codes=944)
    Field(name='user', kind='categorical', n_codes=944, n_columns=1)
    >>> Field("history", "history", n_codes=1683, n_columns=50, of="item")
    Field(name='history', kind='history', n_codes=1683, n_columns=50, of='item')
    """

    name: str
    kind: FieldKind
    n_codes: int = 0
    n_columns: int = 1
    of: str = ""
    length: int = 0
    is_tuned: bool = False

    def __repr__(self) -> str:
        rest = [f"{name}={getattr(self, name)!r}" for name in ("of", "length", "is_tuned") if getattr(self, name)]
        first = f"name={self.name!r}, kind={self.kind!r}, n_codes={self.n_codes}, n_columns={self.n_columns}"
        return f"Field({', '.join([first, *rest])})"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"Field {self.name!r}: kind must be one of {list(_KINDS)}, got {self.kind!r}.")
        if self.has_codes and self.n_codes < 1:
            raise ValueError(f"Field {self.name!r} is {self.kind}: n_codes must be at least 1, got {self.n_codes}.")
        if not self.has_codes and self.n_codes != 0:
            raise ValueError(
                f"Field {self.name!r} is {self.kind} and has no codes: n_codes must be 0, got {self.n_codes}."
            )
        if self.n_columns < 1 or (not self.has_several_columns and self.n_columns != 1):
            raise ValueError(f"Field {self.name!r} is {self.kind}: it can't take {self.n_columns} columns.")
        if (self.kind == "pretrained") != (self.length > 0):
            raise ValueError(
                f"Field {self.name!r} is {self.kind}: `length` must be the vector length of a pretrained field, and 0 "
                f"for any other; got {self.length}."
            )
        if (self.kind == "history") != bool(self.of) and self.kind != "pretrained":
            raise ValueError(
                f"Field {self.name!r} is {self.kind}: `of` must name the field that a history is of; only a history "
                f"and a pretrained field have it; got {self.of!r}."
            )

    @property
    def has_codes(self) -> bool:
        """Whether its columns hold codes, not floats."""
        return self.kind not in _WITHOUT_CODES

    @property
    def has_table(self) -> bool:
        """Whether it has an embedding table that the network learns."""
        return self.kind in ("categorical", "multi-valued")

    @property
    def has_several_columns(self) -> bool:
        """Whether its column names end in a position, even if there is only one."""
        return self.kind in _WITH_COLUMNS

    @property
    def table(self) -> str:
        """Name of the field that owns the embedding table: its own, or `of` for a history."""
        return self.of if self.kind == "history" else self.name

    @property
    def is_added(self) -> bool:
        """Whether its embedding is added to another field's, and so is hidden from streams and gates."""
        return self.kind == "pretrained" and bool(self.of)


def by_kind(fields: Iterable[Field]) -> list[Field]:
    """The fields in the order of the network: codes before floats, and statistics last.

    Parameters
    ----------
    fields : iterable of Field
        Fields in any order.

    Returns
    -------
    list of Field
        The same fields; within a kind their order is kept.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field, by_kind
    >>> [
    ...     field.name
    ...     for field in by_kind(
    ...         [Field("age", "numeric"), Field("user", "categorical", n_codes=3)]
    ...     )
    ... ]
    ['user', 'age']
    """
    return sorted(fields, key=lambda field: _KINDS.index(field.kind))


def column_names(fields: Iterable[Field]) -> list[str]:
    """Names of the columns of fields.

    Parameters
    ----------
    fields : iterable of Field
        The fields.

    Returns
    -------
    list of str
        The name of the field, or `genres@0`, `genres@1`, ... for a multi-valued one or a vector, or `history@item@0`,
        `history@item@1`, ... for a history of `item`, the most recent first.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field, column_names
    >>> column_names(
    ...     [Field("age", "numeric"), Field("genres", "multi-valued", n_codes=20, n_columns=2)]
    ... )
    ['age', 'genres@0', 'genres@1']
    """
    names = []
    for one in fields:
        base = f"{one.name}{_SIGN}{one.of}" if one.kind == "history" else one.name
        elements = [f"{base}{_SIGN}{position}" for position in range(one.n_columns)]
        names += elements if one.has_several_columns else [base]
    return names


def cross_name(fields: Sequence[str]) -> str:
    """Return the name of combinations of values of these fields."""
    return _SIGN_OF_CROSS.join(fields)


def pretrained_name(field: str) -> str:
    """Return the name of the field that holds the codes of the vectors of a field's values."""
    return f"{field}{_SIGN}vector"


def statistic_name(measure: Measure, key: str, label: str | None = None) -> str:
    """Return the name of a statistic of a field or cross, with several labels of one of them."""
    return f"{key}{_SIGN}{measure}" + ("" if label is None else f"={label}")


def kind_of_statistic(measure: str) -> FieldKind:
    """Return the kind of a statistic: one of recent rows is a number, since it predicts later rows better embedded."""
    return "numeric" if measure.startswith("recent_") else "statistic"


@dataclass(frozen=True)
class VectorTable:
    """Vectors that codes stand for, or their hash; `replaces` says whether in place of embeddings of the ids."""

    digest: str
    replaces: bool
    vectors: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, vectors: NDArray[np.float32], replaces: bool) -> VectorTable:
        """Return the table of these vectors."""
        return cls(joblib.hash(vectors), replaces, vectors)


@dataclass(frozen=True)
class Schema:
    """What an encoded table holds, who encoded it, and which of its rows are held out.

    `CTREncoder` writes it, and a classifier reads it, by :func:`read_schema`.

    Parameters
    ----------
    fields : tuple of Field
        The fields, in the order of their columns.
    encoder : str
        What the encoder had learned, as a hash: two fits that learned the same have the same.
    vectors : mapping of {str: VectorTable}
        The vectors of each pretrained field; a table that comes from a file has only hashes of them.
    n_fitted : int, default=None
        Number of rows that the encoder was fitted to.
    n_rows : int, default=None
        Number of training rows, where the table is the output of `fit_transform`; None for `transform`.
    validation_fraction : float, default=None
        Share of the training rows with labels that are in no statistic of another row; None for `transform`.
    hold_out : str, default=None
        Which rows these are: "random", "last", or the name of a column of times; None for `transform`.
    held_out : str, default=None
        The rows, packed, where the classifier can't tell them from their order: where a column of times decided, or
        rows without weight.
    hindsight : bool, default=False
        Whether statistics of the held-out rows know later rows, although the order of the rows in time is known.
    new_ids : float, default=0.0
        Share of the last tenth of the training rows with ids that no earlier row has, where their order is known.
    checksum : mapping of {str: int}
        Checksum of one statistic of the training rows, by its name: it reveals rows that were moved.
    previous : str, default=None
        What the encoder had learned before these rows, where the table is the output of `partial_fit_transform`.
    fresh : mapping of {str: str}
        For each field, the codes, packed, that stand for other values than before these rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp import CTREncoder
    >>> from sk_finalmlp.schema import read_schema
    >>> X = pd.DataFrame(
    ...     {
    ...         "user": [7, 7, 12, 7],
    ...         "genres": ["Action|Comedy", "Comedy", "Drama|Action", "Drama"],
    ...     }
    ... )
    >>> schema = read_schema(CTREncoder().fit_transform(X)[["genres@0", "genres@1"]])
    >>> schema.fields[1]
    Field(name='genres', kind='multi-valued', n_codes=4, n_columns=2)
    >>> schema.n_rows, schema.hold_out
    (4, 'random')
    """

    fields: tuple[Field, ...]
    encoder: str
    vectors: Mapping[str, VectorTable] = field(default_factory=dict)
    n_fitted: int | None = None
    n_rows: int | None = None
    validation_fraction: float | None = None
    hold_out: str | None = None
    held_out: str | None = None
    hindsight: bool = False
    new_ids: float = 0.0
    checksum: Mapping[str, int] = field(default_factory=dict)
    previous: str | None = None
    fresh: Mapping[str, str] = field(default_factory=dict)

    def of_rows(self, columns: Mapping[str, NDArray[np.float32]]) -> Schema:
        """Return the schema of these rows alone, in this order, if they hold statistics."""
        name = next((field.name for field in self.fields if field.kind == "statistic"), None)
        return self if name is None else replace(self, checksum={name: checksum_of(columns[name])})

    def of_columns(self, names: Sequence[str]) -> tuple[Schema, list[list[int]]]:
        """Return the schema of a table with these columns, and the positions of the columns of each field.

        Fields without a column are gone. A step of scikit-learn may have put one prefix before all names.
        """
        position_of = {name: position for position, name in enumerate(names)}
        prefix = self._prefix_of(names)
        found = [
            (replace(field, name=prefix + field.name, of=field.of and prefix + field.of, n_columns=len(own)), own)
            for field in self.fields
            if (own := [position_of[prefix + name] for name in column_names([field]) if prefix + name in position_of])
        ]
        vectors = {prefix + name: table for name, table in self.vectors.items()}
        fresh = {prefix + name: codes for name, codes in self.fresh.items()}
        checksum = {prefix + name: value for name, value in self.checksum.items()}
        fields = tuple(_without_lost_ids(field, found) for field, _ in found)
        of_table = replace(self, fields=fields, vectors=vectors, checksum=checksum, fresh=fresh)
        return of_table, [own for _, own in found]

    def _prefix_of(self, names: Sequence[str]) -> str:
        known = set(column_names(self.fields))
        if not known.isdisjoint(names):
            return ""
        prefixes = (prefix for name in names for prefix in _prefixes_of(name) if name.removeprefix(prefix) in known)
        return next(prefixes, "")

    @cached_property
    def _text(self) -> str:
        return json.dumps({item.name: _plain(getattr(self, item.name)) for item in fields(self)}, default=int)


def _without_lost_ids(field: Field, found: Sequence[tuple[Field, Any]]) -> Field:
    """Leave vectors alone where the column of their ids is gone; a history can't do without it."""
    if not field.of or any(other.name == field.of for other, _ in found):
        return field
    if field.kind == "pretrained":
        return replace(field, of="")
    raise ValueError(
        f"The table holds the history {field.name!r} of {field.of!r}, but not the column {field.of!r} itself. The "
        "history is looked up in its embedding table. Keep that column, or leave the history out."
    )


def _plain(value: Any) -> Any:
    """Return JSON of a part of a schema, without vectors."""
    if isinstance(value, VectorTable):
        return [value.digest, value.replaces]
    if isinstance(value, tuple):
        return [list(asdict(item).values()) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value


class _Note(str):
    """A schema as JSON, which pandas copies, compares and writes to files, with the schema itself."""

    schema: Schema

    def __deepcopy__(self, memo: dict[int, Any]) -> _Note:
        return self


@lru_cache(maxsize=16)
def _read_note(text: str) -> Schema:
    parts = json.loads(text)
    tables = {name: VectorTable(*table) for name, table in parts.pop("vectors").items()}
    return Schema(tuple(Field(*item) for item in parts.pop("fields")), vectors=tables, **parts)


def carries_schema(table: Any) -> bool:
    """Return whether a table can carry a schema, as a pandas DataFrame does."""
    return hasattr(table, "attrs")


def write_schema(table: Any, schema: Schema) -> Any:
    """Return the same table with its schema, if it can carry one."""
    if carries_schema(table):
        note = _Note(schema._text)
        note.schema = schema
        table.attrs[_KEY] = note
    return table


def read_schema(table: Any) -> Schema | None:
    """Return the schema that a table carries.

    Parameters
    ----------
    table : object
        Any table; only DataFrames of pandas carry a schema.

    Returns
    -------
    Schema or None
        The schema from `CTREncoder`, also where only some columns or rows were selected since.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp import CTREncoder
    >>> from sk_finalmlp.schema import read_schema
    >>> X = pd.DataFrame({"user": ["ann", "bob", "ann"]})
    >>> read_schema(CTREncoder().fit_transform(X)).fields[0].name, read_schema(X)
    ('user', None)
    """
    note = getattr(to_native(table, pass_through=True), "attrs", {}).get(_KEY)
    if note is None:
        return None
    return note.schema if isinstance(note, _Note) else _read_note(note)


def read_names(names: Sequence[str], dtypes: Sequence[np.dtype[Any]]) -> list[tuple[Field, list[int]]]:
    """Return fields by the names and types of columns, with positions; a history or statistic needs its field."""
    groups = _group_elements(names, dtypes)
    grouped = {position for _, own in groups for position in own}
    single = {name for position, name in enumerate(names) if _is_code(dtypes[position]) and position not in grouped}
    coded = single | {name for name, own in groups if _is_code(dtypes[own[0]])}
    found = [(_field_of_elements(name, len(own), dtypes[own[0]], single), own) for name, own in groups]
    others = [position for position in range(len(names)) if position not in grouped]
    found += [(_field_of_column(names[position], dtypes[position], coded), [position]) for position in others]
    return sorted(found, key=lambda item: min(item[1]))


def _is_code(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biu"


def _group_elements(names: Sequence[str], dtypes: Sequence[np.dtype[Any]]) -> list[tuple[str, list[int]]]:
    """Return columns of one type that are named `name@0`, `name@1`, ... without a gap."""
    columns_of: dict[tuple[str, bool], dict[int, int]] = {}
    for column, (name, dtype) in enumerate(zip(names, dtypes, strict=True)):
        base, sign, position = name.rpartition(_SIGN)
        if sign and _POSITION.fullmatch(position) and (_is_code(dtype) or dtype == np.float32):
            columns_of.setdefault((base, _is_code(dtype)), {})[int(position)] = column
    taken = set(names)
    return [
        (base, [columns[position] for position in range(len(columns))])
        for (base, _), columns in columns_of.items()
        if base not in taken and columns.keys() == set(range(len(columns)))
    ]


def _field_of_elements(base: str, n_columns: int, dtype: np.dtype[Any], single: Container[str]) -> Field:
    if not _is_code(dtype):
        return Field(base, "vector", n_columns=n_columns)
    if _SIGN not in base:
        return Field(base, "multi-valued", 1, n_columns)
    # Either name of a history may have the sign in it.
    for name, of in _splits(base, _SIGN):
        for prefix in _prefixes_of(name):
            if prefix + of in single:
                return Field(name, "history", 1, n_columns, prefix + of)
    of = base.partition(_SIGN)[2]
    raise ValueError(
        f"The columns {base + _SIGN + '0'!r}, ... are named like a history of {of!r}, but there is no categorical "
        f"field {of!r} with an embedding table to look them up in. Keep its column, or leave the history out; if they "
        f"are no history, name them without {_SIGN!r}."
    )


def _field_of_column(name: str, dtype: np.dtype[Any], coded: Container[str]) -> Field:
    if _is_code(dtype):
        return Field(name, "categorical", 1)
    measures = _measures_in(name, coded) if dtype == np.float32 else []
    return Field(name, kind_of_statistic(measures[0]) if measures else "numeric")


def is_statistic(name: str) -> bool:
    """Return whether a column is named like a statistic."""
    return _END_OF_KEY.search(name) is not None


def has_recent(fields: Iterable[Field]) -> bool:
    """Return whether there are statistics of recent rows: all training rows know those of earlier rows alone then."""
    ends = (_END_OF_KEY.search(field.name) for field in fields if field.kind == "numeric")
    return any(end is not None and end[1].startswith("recent_") for end in ends)


def _measures_in(name: str, fields: Container[str]) -> list[str]:
    """Return the measures that a column is named like, of a key that is made of fields."""
    ends = {name[: end.start()]: end[1] for end in _END_OF_KEY.finditer(name)}
    return [
        measure
        for key, measure in ends.items()
        if any(_is_made_of(key[len(prefix) :], prefix, fields) for prefix in _prefixes_of(key))
    ]


def is_cross_of(name: str, fields: Iterable[str]) -> bool:
    """Return whether a field is named like a combination of other fields."""
    return _is_made_of(name, "", set(fields) - {name})


def is_vector_of(name: str, names: Container[str]) -> bool:
    """Return whether a column is named like the codes of vectors of another column."""
    base, sign, mark = name.rpartition(_SIGN)
    return bool(sign) and mark == "vector" and base in names


def _is_made_of(key: str, prefix: str, fields: Container[str]) -> bool:
    """Return whether a field or combination is among fields; their names may hold the sign of a combination."""
    if prefix + key in fields:
        return True
    splits = _splits(key, _SIGN_OF_CROSS)
    return any(prefix + first in fields and _is_made_of(rest, prefix, fields) for first, rest in splits)


def _prefixes_of(name: str) -> list[str]:
    """Return what a step of scikit-learn may have put before a name, nothing first."""
    return ["", *(step + _SIGN_OF_STEP for step, _ in _splits(name, _SIGN_OF_STEP))]


def _splits(name: str, sign: str) -> Iterator[tuple[str, str]]:
    """Return what is before and behind each sign in a name."""
    return ((name[: at.start()], name[at.end() :]) for at in re.finditer(sign, name))


def checksum_of(values: NDArray[np.floating]) -> int:
    """Return a checksum of a column, which tells its rows and their order."""
    return zlib.crc32(np.ascontiguousarray(values, np.float32).data)


def pack_codes(codes: NDArray[np.int64]) -> str:
    """Return codes as a short text."""
    return base64.b64encode(zlib.compress(codes.astype("<i8").tobytes())).decode()


def unpack_codes(text: str) -> NDArray[np.int64]:
    """Return the codes of a text."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8").astype(np.int64)
