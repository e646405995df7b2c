"""What one input field of the network is, and how the names of its columns say so.

The encoder writes columns by the rules of this module and the classifier reads them by the same rules, so
neither needs to know the other.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import joblib
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "UNKNOWN_CODE",
    "Field",
    "by_kind",
    "column_names",
    "cross_name",
    "field_of_vectors",
    "find_history",
    "group_columns",
    "is_statistic",
    "names_of_fields",
    "pretrained_name",
    "statistic_name",
]

FieldKind = Literal["categorical", "multi-valued", "history", "pretrained", "numeric", "vector", "statistic"]
Measure = Literal["rate", "count"]

#: The code that `CTREncoder` gives to a value that is missing, unseen or too rare to learn, and the padding of
#: multi-valued columns and histories.
UNKNOWN_CODE = 0

#: `CTREncoder` cuts statistics at so many standard deviations.
MAX_STATISTIC = 5.0

_KINDS: tuple[FieldKind, ...] = (
    "categorical",
    "multi-valued",
    "history",
    "pretrained",
    "numeric",
    "vector",
    "statistic",
)
_WITH_COLUMNS: tuple[FieldKind, ...] = ("multi-valued", "history", "vector")
_WITHOUT_CODES: tuple[FieldKind, ...] = ("numeric", "vector", "statistic")
_SIGN = "@"
_SIGN_OF_CROSS = " & "
_POSITION = re.compile(r"0|[1-9][0-9]{0,8}")
_END_OF_KEY = re.compile(f"{_SIGN}(?:rate|count)(?==|\\Z)")


@dataclass(frozen=True)
class Field:
    """One input field of the network.

    Parameters
    ----------
    name : str
        Name of the field; the name of its column, or `genres` for the columns `genres@0`, `genres@1`, ..., and
        `text` for the columns `text@0`, `text@1`, ... of a vector.
    kind : {"categorical", "multi-valued", "history", "pretrained", "numeric", "vector", "statistic"}
        A categorical field is one column of codes, a multi-valued field several columns of codes that share an
        embedding table, a numeric field one column of floats. A history is several columns of codes of another field,
        whose embedding table it shares: what came before, the most recent first. A vector field is several columns of
        floats that are projected together, and a pretrained field one column of codes that stand for vectors in a table
        that the network is given; a vector of zeros is a missing one. A statistic is a column of floats: a click rate
        or count of a value or a combination of values. It needs no embedding.
    n_codes : int, default=0
        Rows of the embedding table or table of vectors, row 0 included; 0 for a field of floats.
    n_columns : int, default=1
        Columns of the input table that the field takes; more than one only for a multi-valued field, a history or a
        vector.
    of : str, default=""
        Name of the categorical field whose values a history holds, or to whose embedding the projected vector of a
        pretrained field is added: that takes no place of its own among the network's fields then.
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
                f"Field {self.name!r} is {self.kind}: `length` must be that of the vectors of a pretrained field, and "
                f"0 for any other; got {self.length}."
            )
        if (self.kind == "history") != bool(self.of) and self.kind != "pretrained":
            raise ValueError(
                f"Field {self.name!r} is {self.kind}: `of` must name the field whose values a history holds, and only "
                f"that of a history or of vectors; got {self.of!r}."
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
        """Whether it takes columns whose names end in a position, even if there is only one."""
        return self.kind in _WITH_COLUMNS

    @property
    def table(self) -> str:
        """Name of the field in whose table the codes are looked up: its own, or that of the field of a history."""
        return self.of if self.kind == "history" else self.name

    @property
    def is_added(self) -> bool:
        """Whether its embedding is added to that of another field, beside which streams and gates don't see it."""
        return self.kind == "pretrained" and bool(self.of)


def by_kind(fields: Iterable[Field]) -> list[Field]:
    """The fields in the order of the network: those with codes before those of floats, and statistics last.

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
    >>> [field.name for field in by_kind([Field("age", "numeric"), Field("user", "categorical", n_codes=3)])]
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
        The name of the field, or `genres@0`, `genres@1`, ... for a multi-valued one, or `history@item@0`,
        `history@item@1`, ... for a history of `item`, the most recent first, or `text@0`, `text@1`, ... for a
        vector.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field, column_names
    >>> column_names([Field("age", "numeric"), Field("genres", "multi-valued", n_codes=20, n_columns=2)])
    ['age', 'genres@0', 'genres@1']
    """
    return [name for field in fields for name in _names_of(field)]


def _names_of(field: Field) -> list[str]:
    if not field.has_several_columns:
        return [field.name]
    name = field.name + (_SIGN + field.of if field.of else "")
    return [f"{name}{_SIGN}{position}" for position in range(field.n_columns)]


def group_columns(names: Sequence[str], integer: Iterable[bool]) -> list[tuple[str, list[int]]]:
    """Which columns make up which field.

    Integer columns named `field@0`, `field@1`, ..., numbered from 0 without a gap, are the elements of one
    multi-valued field, or of a history if `find_history` finds one in the name, and other columns named `field@0`,
    `field@1`, ... those of one vector. Any other column is a field of its own.

    Parameters
    ----------
    names : sequence of str
        Names of all columns of the table.
    integer : iterable of bool
        Whether the column holds integers.

    Returns
    -------
    list of (str, list of int)
        Name of each field and the positions of its columns, in the order of the elements; fields in the order
        of their first column.  A field has several columns if its name isn't that of its column.

    Examples
    --------
    >>> from sk_finalmlp.schema import group_columns
    >>> group_columns(["user", "genres@0", "genres@1"], [True, True, True])
    [('user', [0]), ('genres', [1, 2])]
    """
    columns_of: dict[tuple[str, bool], dict[int, int]] = {}
    for column, (name, is_integer) in enumerate(zip(names, integer, strict=True)):
        field, sign, position = name.rpartition(_SIGN)
        if sign and _POSITION.fullmatch(position):
            columns_of.setdefault((field, is_integer), {})[int(position)] = column
    taken = set(names)
    groups = [
        (field, [columns[position] for position in range(len(columns))])
        for (field, _), columns in columns_of.items()
        if field not in taken and columns.keys() == set(range(len(columns)))
    ]
    grouped = {column for _, elements in groups for column in elements}
    groups += [(name, [column]) for column, name in enumerate(names) if column not in grouped]
    return sorted(groups, key=lambda group: min(group[1]))


def find_history(name: str, fields: Container[str]) -> tuple[str, str] | None:
    """Which history the elements `name@0`, `name@1`, ... are, if they are one.

    Parameters
    ----------
    name : str
        Name of a group of columns, as `group_columns` gives it, which may begin with the prefix that
        `ColumnTransformer` gives it.
    fields : container of str
        Names of the fields that a history can be of.

    Returns
    -------
    (str, str) or None
        Name of the history, and of the field whose values it holds; None if there is no sign of one in the name.

    Raises
    ------
    ValueError
        If the name is that of a history, and the field isn't among these.

    Examples
    --------
    >>> from sk_finalmlp.schema import find_history
    >>> find_history("history@item", ["user", "item"]), find_history("genres", ["user", "item"])
    (('history', 'item'), None)
    """
    parts = name.split(_SIGN)
    if len(parts) == 1 or not all(parts):
        return None
    # Either name may have the sign in it.
    splits = [(_SIGN.join(parts[:n]), _SIGN.join(parts[n:])) for n in range(1, len(parts))]
    for history, of in splits:
        prefixes = ["", *_prefixes_of(history)]
        found = next((prefix + of for prefix in prefixes if prefix + of in fields), None)
        if found is not None:
            return history, found
    history, of = splits[0]
    raise ValueError(
        f"The columns {name + _SIGN + '0'!r}, ... are named like a history of {of!r}, but there is no categorical "
        f"field {of!r} in whose embedding table they could be looked up. Keep its column beside them, or leave the "
        f"history out; if they are no history, name them without {_SIGN!r}."
    )


def cross_name(columns: Sequence[str]) -> str:
    """Name of the field that holds combinations of values of several fields.

    Parameters
    ----------
    columns : sequence of str
        Names of the fields, or of their columns: those of a multi-valued field, one after the other, go by its name.

    Returns
    -------
    str

    Examples
    --------
    >>> from sk_finalmlp.schema import cross_name
    >>> cross_name(["user", "item"])
    'user & item'
    >>> cross_name(["user", "genres@0", "genres@1"])
    'user & genres'
    """
    return _SIGN_OF_CROSS.join(names_of_fields(columns))


def names_of_fields(columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the fields of some columns of codes, all of each field.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.

    Returns
    -------
    tuple of str
        Names of the fields, in the order of their columns.

    Examples
    --------
    >>> from sk_finalmlp.schema import names_of_fields
    >>> names_of_fields(["user", "genres@0", "genres@1"])
    ('user', 'genres')
    """
    return _names_of_fields(tuple(columns))


@lru_cache(maxsize=10_000)
def _names_of_fields(columns: tuple[str, ...]) -> tuple[str, ...]:
    # The names of all statistics are asked for with each single row that is encoded.
    return tuple(name for name, _ in group_columns(columns, [True] * len(columns)))


def pretrained_name(field: str) -> str:
    """Name of the column, and field, that holds the codes of the vectors of a field's values.

    Parameters
    ----------
    field : str
        Name of the field.

    Returns
    -------
    str

    Examples
    --------
    >>> from sk_finalmlp.schema import pretrained_name
    >>> pretrained_name("item")
    'item@vector'
    """
    return f"{field}{_SIGN}vector"


def field_of_vectors(name: str) -> str | None:
    """The field of whose values a column says which vectors they have, if it is named so.

    Parameters
    ----------
    name : str
        Name of the column, which may begin with the prefix that `ColumnTransformer` gives it.

    Returns
    -------
    str or None
        Name of the field, with the same prefix.

    Examples
    --------
    >>> from sk_finalmlp.schema import field_of_vectors
    >>> field_of_vectors("item@vector"), field_of_vectors("enc__item@vector"), field_of_vectors("item")
    ('item', 'enc__item', None)
    """
    return name.removesuffix(f"{_SIGN}vector") if name.endswith(f"{_SIGN}vector") else None


def statistic_name(measure: Measure, field: str, label: str | None = None) -> str:
    """Name of a column that holds a statistic.

    Parameters
    ----------
    measure : {"rate", "count"}
        What it tells of each value: the share of clicks, or the number of rows.
    field : str
        Name of the field or cross whose values it is about.
    label : str, default=None
        The class whose share it is, where there are more than two.

    Returns
    -------
    str

    Examples
    --------
    >>> from sk_finalmlp.schema import statistic_name
    >>> statistic_name("rate", "user & item")
    'user & item@rate'
    >>> statistic_name("rate", "item", label="purchase")
    'item@rate=purchase'
    """
    return f"{field}{_SIGN}{measure}" + ("" if label is None else f"={label}")


def is_statistic(name: str, columns: Container[str] | None = None) -> bool:
    """Whether a column is named like a statistic.

    A classifier takes it for one if it also holds what `CTREncoder` writes, float32 between -5 and 5, and if the table
    says that `CTREncoder` wrote it. Tables that can't say so, others than those of pandas, must hold the columns of
    codes that it is about.

    Parameters
    ----------
    name : str
        Name of the column, which may begin with the prefix that `ColumnTransformer` gives it.
    columns : container of str, default=None
        If given, the fields that it is about must be among these.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sk_finalmlp.schema import is_statistic
    >>> is_statistic("item@count"), is_statistic("enc__item@count"), is_statistic("price")
    (True, True, False)
    >>> is_statistic("user & tags@rate", ["user", "tags@0"]), is_statistic("clicks@count", ["user", "item"])
    (True, False)
    """
    keys = [name[: end.start()] for end in _END_OF_KEY.finditer(name)]
    if columns is None:
        return bool(keys)
    return any(
        _is_made_of(key.removeprefix(prefix), prefix, columns) for key in keys for prefix in ["", *_prefixes_of(key)]
    )


def _prefixes_of(name: str) -> list[str]:
    """What `ColumnTransformer` and `FeatureUnion` may have put before a name."""
    return [name[: end.end()] for end in re.finditer("__", name)]


def _is_made_of(key: str, prefix: str, columns: Container[str]) -> bool:
    """Whether a field, or a combination of fields, which may have the sign of one in their names, is among columns."""
    if _is_among(prefix + key, columns):
        return True
    ends = [end.start() for end in re.finditer(_SIGN_OF_CROSS, key)]
    return any(
        _is_among(prefix + key[:end], columns) and _is_made_of(key[end + len(_SIGN_OF_CROSS) :], prefix, columns)
        for end in ends
    )


def _is_among(field: str, columns: Container[str]) -> bool:
    return field in columns or f"{field}{_SIGN}0" in columns


_KEY = "sk_finalmlp"


class VectorTable(str):
    """Vectors that codes stand for, in a note that a table carries: as text, which pandas writes to files, a hash of
    them; a copy of the note doesn't copy them.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n_codes, length)
        The vector of each code; that of code 0 is zeros.
    replaces : bool
        Whether they stand in place of embeddings of the ids, not beside them.
    is_tuned : bool
        Whether the network trains a copy of them.
    """

    vectors: NDArray[np.float32]
    replaces: bool
    is_tuned: bool

    @classmethod
    def of(cls, vectors: NDArray[np.float32], replaces: bool, is_tuned: bool) -> VectorTable:
        """The note of these vectors."""
        table = cls(joblib.hash(vectors))
        table.vectors, table.replaces, table.is_tuned = vectors, replaces, is_tuned
        return table

    def __deepcopy__(self, memo: dict[int, Any]) -> VectorTable:
        return self


@dataclass(frozen=True)
class Origin:
    """Where an encoded table comes from.

    Parameters
    ----------
    encoder : str
        What the encoder learned, as a hash: two fits that learned the same have the same.
    statistics : list of str, default=None
        Names of the columns that hold statistics; None where an earlier version didn't say so.
    n_rows : int, default=None
        Number of training rows, where the table is the output of `fit_transform`; None for that of `transform`.
    validation_fraction : float, default=None
        Share of the training rows whose labels are in no statistic of another row; None for `transform`.
    hold_out : str, default=None
        Which rows these are: "random", "last", or the name of a column of times; None for `transform`.
    held_out : str, default=None
        The rows, packed, where a column of times decided that the classifier doesn't see.
    previous : str, default=None
        What the encoder had learned before these rows, where the table is the output of `partial_fit_transform`.
    fresh : dict of {str: str}, default=None
        For each field, the codes, packed, that stand for other values than before these rows.
    vectors : dict of {str: VectorTable}, default=None
        For each column of codes that stand for vectors, these; in what is read from a file, only their hash.
    """

    encoder: str
    statistics: list[str] | None = None
    n_rows: int | None = None
    validation_fraction: float | None = None
    hold_out: str | None = None
    held_out: str | None = None
    previous: str | None = None
    fresh: dict[str, str] | None = None
    vectors: Mapping[str, str] | None = None

    def without_vectors(self) -> Origin:
        """What is to be kept of it: the vectors are elsewhere then."""
        return replace(self, vectors=None)


def carries_origin(table: Any) -> bool:
    """Whether a table can carry a note of its origin.

    Parameters
    ----------
    table : dataframe or ndarray
        Output of an encoder.

    Returns
    -------
    bool
    """
    return hasattr(table, "attrs")


def write_origin(table: Any, origin: Origin) -> Any:
    """The same table with a note of its origin, if it can carry one.

    Parameters
    ----------
    table : dataframe or ndarray
        Output of an encoder.
    origin : Origin
        Where it comes from.

    Returns
    -------
    dataframe or ndarray
        The table that was given.
    """
    if carries_origin(table):
        # Plain values, since pandas copies them in each selection and writes them to Parquet as JSON.
        table.attrs[_KEY] = asdict(origin)
    return table


def read_origin(table: Any) -> Origin | None:
    """Where a table comes from, if it says so.

    Parameters
    ----------
    table : object
        What a classifier was given.

    Returns
    -------
    Origin or None
    """
    note = getattr(table, "attrs", {}).get(_KEY)
    return None if note is None else Origin(**note)


def packed_codes(codes: NDArray[np.int64]) -> str:
    """Codes as a short text, for a note that a table carries.

    Parameters
    ----------
    codes : ndarray of int64
        The codes.

    Returns
    -------
    str
    """
    return base64.b64encode(zlib.compress(codes.astype("<i8").tobytes())).decode()


def unpacked_codes(text: str) -> NDArray[np.int64]:
    """The codes that a text tells.

    Parameters
    ----------
    text : str
        From `packed_codes`.

    Returns
    -------
    ndarray of int64
    """
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8").astype(np.int64)
