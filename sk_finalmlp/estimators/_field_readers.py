"""From columns to fields: which columns are codes, which codes there are, and the matrices of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._warnings import warn
from ..schema import (
    MAX_STATISTIC,
    UNKNOWN_CODE,
    Field,
    FieldKind,
    Origin,
    VectorTable,
    by_kind,
    field_of_vectors,
    find_history,
    group_columns,
    is_statistic,
)
from ._input_columns import InputColumn

# Raw ids of 10^9 must not allocate a table of embeddings by mistake.
_MAX_CODE = 1_000_000
_MAX_CODE_PER_ROW = 10

_BEYOND_ANY_TABLE = 2**62

# Numbers of this size drown the embeddings beside them.
_LARGEST_SCALE = 1000

# What a field without codes has in place of rows of a table.
_NO_ROWS = np.empty(0, np.int32)

# Share of the values of lists that may be unknown, or not in their first elements, where these are recognised.
_MAX_UNKNOWN = 0.2

# So many columns are named in a warning.
_MAX_NAMED = 5

#: The first row of an embedding table is for codes that fit didn't see; in a multi-valued field that is what code 0
#: stands for already.
FIRST_CODE: dict[FieldKind, int] = {"categorical": 1, "multi-valued": 0}


@dataclass(frozen=True)
class FieldReader:
    """How one field is read from the columns of a table.

    Parameters
    ----------
    field : Field
        The field.
    positions : list of int
        Positions of its columns.
    row_of_code : ndarray of int32, shape (largest code in fit + 2,)
        Row of the embedding table for each code: 0 for codes that fit didn't see, and, as the last entry, for
        larger ones. Empty for fields of floats.
    vectors : ndarray of float32, shape (n_codes, length), default=None
        Vectors that the codes of a pretrained field stand for.
    is_replaced : bool, default=False
        Whether vectors stand in place of embeddings of the codes, none of which is known then.

    Examples
    --------
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> X, y = [[0, 3], [1, 3], [1, 4], [0, 4]], [0, 1, 1, 0]
    >>> clf = FinalMLPClassifier(early_stopping=False, max_epochs=1, random_state=0).fit(X, y)
    >>> next(iter(clf.table_reader_)).row_of_code
    array([1, 2, 0], dtype=int32)
    """

    field: Field
    positions: list[int]
    row_of_code: NDArray[np.int32]
    vectors: NDArray[np.float32] | None = None
    is_replaced: bool = False

    @classmethod
    def of_vectors(cls, name: str, positions: list[int], table: VectorTable, of: str) -> FieldReader:
        """That of codes that stand for vectors, which belong to another field's values if there is that field."""
        n_codes, length = table.vectors.shape
        field = Field(name, "pretrained", n_codes, of=of, length=length, is_tuned=table.is_tuned)
        # The last entry is for codes of no vector.
        rows = np.append(np.arange(n_codes, dtype=np.int32), np.int32(UNKNOWN_CODE))
        return cls(field, positions, rows, table.vectors)

    @classmethod
    def replaced(cls, name: str, positions: list[int]) -> FieldReader:
        """That of a field whose codes have no embeddings, but vectors in their place."""
        return cls(Field(name, "categorical", n_codes=1), positions, np.zeros(1, np.int32), is_replaced=True)

    def read(self, columns: Sequence[InputColumn]) -> NDArray[Any]:
        """Codes (int32) or values (float32) of the field, shape (n, n_columns)."""
        own = [columns[position] for position in self.positions]
        if not self.field.has_codes:
            return np.stack([_as_float32(column) for column in own], axis=1)
        return np.stack([self.rows_of(read_codes(column)) for column in own], axis=1)

    def rows_of(self, codes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Rows of the embedding table for codes."""
        rows: NDArray[np.int32] = self.row_of_code[np.minimum(codes, len(self.row_of_code) - 1)]
        return rows


def learn_fields(columns: Sequence[InputColumn], categorical_features: Any, origin: Origin | None) -> list[FieldReader]:
    """Find out what the columns of a training table are.

    Parameters
    ----------
    columns : sequence of InputColumn
        Columns of the training table.
    categorical_features : "auto", None or array-like
        As for `FinalMLPClassifier`.
    origin : Origin or None
        What the table says of where it comes from.

    Returns
    -------
    list of FieldReader
        One per field, in the order of the table.
    """
    categorical, pooled = _choose_categorical(columns, categorical_features)
    groups = group_columns([column.name for column in columns], [p in pooled for p in range(len(columns))])
    doubt_of = partial(_why_no_statistic, codes={columns[position].name for position in categorical}, origin=origin)
    single = [name for name, positions in groups if positions[0] in categorical and name == columns[positions[0]].name]
    histories = {
        name: found
        for name, positions in groups
        if positions[0] in categorical
        and name != columns[positions[0]].name
        and (found := find_history(name, single)) is not None
    }
    tables = _find_tables(columns, origin)
    replaced = {field_of_vectors(name) for name, table in tables.items() if table.replaces}
    readers: dict[str, list[FieldReader]] = {}
    for name, positions in groups:
        if name in histories:
            continue
        if name in tables:
            of = field_of_vectors(name) or ""
            readers[name] = [FieldReader.of_vectors(name, positions, tables[name], of=of if of in single else "")]
        elif name in replaced and name in single:
            readers[name] = [FieldReader.replaced(name, positions)]
        elif positions[0] in categorical:
            readers[name] = [_learn_coded(name, positions, columns)]
        elif _is_vector(name, positions, columns):
            readers[name] = [FieldReader(Field(name, "vector", n_columns=len(positions)), positions, _NO_ROWS)]
        else:
            readers[name] = [_learn_numeric(columns[position], [position], doubt_of) for position in positions]
    for name, positions in groups:
        if name in histories:
            history, of = histories[name]
            readers[name] = [_history_reader(history, positions, readers[of][0])]
    return [reader for name, _ in groups for reader in readers[name]]


def _find_tables(columns: Sequence[InputColumn], origin: Origin | None) -> dict[str, VectorTable]:
    """Vectors that columns of codes stand for, by the name of the column."""
    if origin is not None:
        tables = tables_of_columns(columns, origin)
        return {name: vector_table(name, table) for name, table in tables.items()}
    names = {column.name for column in columns if column.is_integer}
    lost = next((name for name in sorted(names) if field_of_vectors(name) in names), None)
    if lost is not None:
        raise ValueError(
            f"Column {lost!r} is named like the codes of vectors that CTREncoder(vectors=...) writes, but the table "
            "doesn't say which vectors they are: only the pandas DataFrame that CTREncoder returns does, and "
            "ColumnTransformer, for example, makes another one of it. Give the classifier what CTREncoder returns, or "
            "rename the column."
        )
    return {}


def tables_of_columns(columns: Sequence[InputColumn], origin: Origin) -> dict[str, str]:
    """What a table says of the vectors that its columns of codes stand for, by the name of the column."""
    return {
        column.name: table
        for name, table in (origin.vectors or {}).items()
        for column in columns
        # ColumnTransformer puts the name of the encoder before.
        if column.name == name or column.name.endswith(f"__{name}")
    }


def with_more_vectors(reader: FieldReader, columns: Sequence[InputColumn], table: str | None) -> FieldReader:
    """The reader of codes that stand for vectors, after the encoder was given more of them.

    Parameters
    ----------
    reader : FieldReader
        How the codes were read so far.
    columns : sequence of InputColumn
        Columns of new rows.
    table : str or None
        What these say of the vectors.

    Returns
    -------
    FieldReader

    Raises
    ------
    ValueError
        If a code stands for a vector that the rows don't bring.
    """
    if isinstance(table, VectorTable) and len(table.vectors) > reader.field.n_codes:
        return FieldReader.of_vectors(reader.field.name, reader.positions, table, reader.field.of)
    (position,) = reader.positions
    if read_codes(columns[position]).max(initial=0) >= reader.field.n_codes:
        raise ValueError(
            f"Column {reader.field.name!r} has codes of vectors that came after `fit`, and they aren't with the table. "
            "Give the classifier the pandas DataFrame that CTREncoder.partial_fit_transform returns, or update the "
            "pipeline by sk_finalmlp.update."
        )
    return reader


def vector_table(name: str, table: str) -> VectorTable:
    """The table of a column in what a table says of its origin; a ValueError where only its hash is left."""
    if not isinstance(table, VectorTable):
        raise ValueError(
            f"The vectors that the codes of column {name!r} stand for aren't with the table: files of it don't hold "
            "them. Encode the rows again, by CTREncoder.transform."
        )
    return table


def read_matrices(readers: Sequence[FieldReader], columns: Sequence[InputColumn]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The table as the network takes it.

    Parameters
    ----------
    readers : sequence of FieldReader
        What `learn_fields` found.
    columns : sequence of InputColumn
        Columns of any table with the same columns.

    Returns
    -------
    codes : ndarray of int32, shape (n, n_code_columns)
        Codes of the categorical fields, then those of the multi-valued fields and the histories.
    values : ndarray of float32, shape (n, n_values)
        Values of the numeric fields, then the statistics.
    """
    reader_of = {reader.field.name: reader for reader in readers}
    parts = [(field.has_codes, reader_of[field.name].read(columns)) for field in by_kind(r.field for r in readers)]
    n_rows = len(columns[0].values)
    codes = [np.empty((n_rows, 0), np.int32), *(part for has_codes, part in parts if has_codes)]
    values = [np.empty((n_rows, 0), np.float32), *(part for has_codes, part in parts if not has_codes)]
    return np.concatenate(codes, axis=1), np.concatenate(values, axis=1)


def split_matrix(
    readers: Sequence[FieldReader], matrix: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Codes and values of all columns at once, from one matrix of the table.

    Parameters
    ----------
    readers : sequence of FieldReader
        How each field is read.
    matrix : ndarray of float64, shape (n_samples, n_features)
        The table.

    Returns
    -------
    codes, values : ndarray, or None
        As from `read_matrices`; None where a code is none or a number is too large, for the columns to say which.
    """
    reader_of = {reader.field.name: reader for reader in readers}
    in_order = [reader_of[field.name] for field in by_kind(reader.field for reader in readers)]
    tables = [reader.row_of_code for reader in in_order for _ in reader.positions if reader.field.has_codes]
    positions = [position for reader in in_order for position in reader.positions]
    codes, numbers = matrix[:, positions[: len(tables)]], matrix[:, positions[len(tables) :]]
    # Whole numbers beyond 2**53 are rounded, and beyond any table.
    whole = np.minimum(codes, [len(table) - 1 for table in tables]).astype(np.int64)
    with np.errstate(over="ignore"):
        values = numbers.astype(np.float32)
    if (whole < 0).any() or (codes != np.floor(codes)).any() or not np.isfinite(values).all():
        return None
    rows = np.empty(codes.shape, np.int32)
    for column, table in enumerate(tables):
        rows[:, column] = table[whole[:, column]]
    return rows, values


def fields_of_streams(fields: Sequence[Field], member: int) -> tuple[list[str] | None, list[str] | None]:
    """Which fields the streams of a network read where the user doesn't say: all, unless there are statistics.

    Where click rates tell much, a stream of their own serves best; where they are noisy, the network is better off
    without them. The members of an ensemble try it in turn: statistics beside all else in the second stream, no
    statistics, and statistics and numbers alone in the second stream.

    Parameters
    ----------
    fields : sequence of Field
        The input fields.
    member : int
        Position of the network in its ensemble.

    Returns
    -------
    list of str or None
        Fields of the first stream: all but statistics; None for all.
    list of str or None
        Fields of the second; None for all.
    """
    kinds = {field.kind for field in fields}
    if "statistic" not in kinds or kinds <= {"statistic", "numeric"}:
        return None, None
    plain = [field.name for field in fields if not field.is_added and field.kind != "statistic"]
    without_codes = [field.name for field in fields if not field.has_codes]
    return plain, (None, plain, without_codes)[member % 3]


def _choose_categorical(columns: Sequence[InputColumn], chosen: Any) -> tuple[set[int], set[int]]:
    """Positions of the categorical columns, and of those that may be elements of multi-valued fields."""
    if isinstance(chosen, str):
        integer = {position for position, column in enumerate(columns) if column.is_integer}
        _warn_about_whole_floats([column for column in columns if not column.is_integer])
        _warn_about_lists_without_names(columns)
        return integer, integer
    chosen = np.asarray([] if chosen is None else chosen)
    if chosen.dtype.kind in "biu":
        return _positions(chosen, len(columns), "categorical_features"), set()
    return _from_names([str(name) for name in chosen], columns)


def chosen_fields(chosen: Any, readers: Sequence[FieldReader], parameter: str) -> tuple[str, ...] | None:
    """Names of fields that a parameter chooses.

    Parameters
    ----------
    chosen : array-like or None
        Names of fields, or positions of columns or a boolean mask of them, each of which stands for its field.
    readers : sequence of FieldReader
        The fields.
    parameter : str
        Name of the parameter, for the error.

    Returns
    -------
    tuple of str or None
        None where nothing was chosen by None.

    Raises
    ------
    ValueError
        If there is no such field or column, or it can't be chosen here; the message names parameter and field.
    """
    if chosen is None:
        return None
    chosen = np.asarray(chosen)
    if chosen.dtype.kind in "biu":
        positions = _positions(chosen, sum(len(reader.positions) for reader in readers), parameter)
        names = tuple(reader.field.name for reader in readers if not positions.isdisjoint(reader.positions))
    else:
        names = tuple(str(name) for name in chosen)
    _check_choice(names, [reader.field for reader in readers if not reader.field.is_added], parameter)
    return names


def _check_choice(names: Sequence[str], fields: Sequence[Field], parameter: str) -> None:
    """Raise a ValueError where a name isn't that of a field that the parameter can choose."""
    is_context = parameter.endswith("_context")
    statistics = [field.name for field in fields if is_context and field.kind == "statistic"]
    known = [field.name for field in fields if field.name not in statistics]
    for name in names:
        if name in statistics:
            raise ValueError(
                f"{parameter} names {name!r}, a statistic, which has no embedding for a gate to read. "
                f"It can name {known}."
            )
        if name not in known:
            raise ValueError(f"{parameter} names {name!r}, but the fields are {known}.")
    if not names and not is_context:
        raise ValueError(f"{parameter} is empty, and a stream needs a field to read. None stands for all fields.")


def _positions(chosen: NDArray[Any], n_columns: int, parameter: str) -> set[int]:
    """Positions of columns that are given as such, or as a boolean mask."""
    if chosen.dtype.kind == "b":
        if chosen.shape != (n_columns,):
            raise ValueError(
                f"{parameter} is a boolean mask of shape {chosen.shape}; the table has {n_columns} columns, so its "
                f"shape must be ({n_columns},)."
            )
        return set(np.flatnonzero(chosen).tolist())
    outside = chosen[(chosen < 0) | (chosen >= n_columns)]
    if outside.size:
        raise ValueError(f"{parameter} has position {outside[0]}; positions go from 0 to {n_columns - 1}.")
    return set(chosen.tolist())


def _from_names(chosen: Sequence[str], columns: Sequence[InputColumn]) -> tuple[set[int], set[int]]:
    names = [column.name for column in columns]
    own = {name: [position] for position, name in enumerate(names)}
    multi_valued = dict(group_columns(names, [column.is_integer for column in columns]))
    for name, positions in list(multi_valued.items()):
        if name not in own and (history := find_history(name, own)) is not None:
            multi_valued[history[0]] = positions
    for name in chosen:
        if name not in own and name not in multi_valued:
            raise ValueError(f"categorical_features names {name!r}, but the table has the columns {names}.")
    pooled = {position for name in chosen if name not in own for position in multi_valued[name]}
    return pooled | {position for name in chosen for position in own.get(name, [])}, pooled


def _warn_about_whole_floats(columns: Sequence[InputColumn]) -> None:
    """Codes that became floats on their way would be quantities without a word."""
    names = [column.name for column in columns if _may_be_codes(column.values)]
    if names:
        named = ", ".join(map(repr, names[:_MAX_NAMED])) + (", ..." if len(names) > _MAX_NAMED else "")
        warn(
            f"{len(names)} of {len(columns)} columns of floats contain only whole numbers ({named}) and are taken as "
            "quantities. If they are codes (ColumnTransformer, FeatureUnion, BaggingClassifier and others turn codes "
            "into floats), name them in categorical_features or use OrdinalEncoder(dtype=int), or "
            "set_output(transform='pandas') of the transformers in front; where an ensemble makes an array of the "
            "table, give it a pipeline of CTREncoder and classifier. If they are quantities, say so by "
            "categorical_features, a list of all other columns or None.",
        )


def _warn_about_lists_without_names(columns: Sequence[InputColumn]) -> None:
    """Lists and histories whose names were lost on their way would be so many categories without a word."""
    if any(column.name != f"x{position}" or not column.is_integer for position, column in enumerate(columns)):
        return
    continues = [_continues(*pair) for pair in pairwise(columns)]
    first = next((position for position, pair in enumerate(pairwise(continues)) if all(pair)), None)
    if first is None:
        return
    last = next((position for position in range(first, len(continues)) if not continues[position]), len(continues))
    warn(
        f"Columns {first} to {last} look like the elements of a list or history, padded with 0, but an array has no "
        "names that say so, and each is taken as a category of its own. ColumnTransformer and FeatureUnion make such "
        "arrays: call set_output(transform='pandas') of it. If they are categories, name all columns of codes in "
        "categorical_features.",
    )


def _continues(column: InputColumn, following: InputColumn) -> bool:
    """Whether a column of codes looks like the next elements of lists: fewer, of the same values, and none after 0."""
    codes, more = column.values, following.values
    n_zeros, n_more_zeros = np.count_nonzero(codes == 0), np.count_nonzero(more == 0)
    # A value of a history that is unknown keeps its place.
    n_after = np.count_nonzero(more[codes == 0])
    if not n_zeros < n_more_zeros < len(more) or n_after > _MAX_UNKNOWN * n_zeros or more.max() < 2:
        return False
    return bool(np.isin(np.unique(more), codes).mean() > 1 - _MAX_UNKNOWN)


def _is_vector(name: str, positions: list[int], columns: Sequence[InputColumn]) -> bool:
    """A name is no proof: what `CTREncoder` writes has single precision, too."""
    own = [columns[position] for position in positions]
    return name != own[0].name and all(column.values.dtype == np.float32 for column in own)


def _may_be_codes(values: NDArray[Any]) -> bool:
    return bool(values.min() >= 0 and values.max() > 1 and (values == np.floor(values)).all())


def _learn_numeric(column: InputColumn, positions: list[int], doubt_of: Callable[[InputColumn], str]) -> FieldReader:
    values = _as_float32(column)
    mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    if max(abs(mean), deviation) > _LARGEST_SCALE:
        warn(
            f"Numeric column {column.name!r} has mean {mean:.3g} and standard deviation {deviation:.3g}, but a network "
            "learns from columns of mean 0 and deviation 1. Standardise it, for example by CTREncoder or "
            "StandardScaler.",
        )
    return FieldReader(Field(column.name, _kind_of_floats(column, doubt_of)), positions, _NO_ROWS)


def _kind_of_floats(column: InputColumn, doubt_of: Callable[[InputColumn], str]) -> FieldKind:
    if not is_statistic(column.name):
        return "numeric"
    doubt = doubt_of(column)
    if not doubt:
        return "statistic"
    warn(
        f"Column {column.name!r} is named like a statistic of CTREncoder, but is taken as a plain number: {doubt} "
        "Rename it, or leave what CTREncoder wrote as it is.",
    )
    return "numeric"


def _why_no_statistic(column: InputColumn, codes: set[str], origin: Origin | None) -> str:
    """A name is no proof: a user's column may have it too."""
    if origin is None or origin.statistics is None:
        if not is_statistic(column.name, codes):
            return "no columns of codes are named like what it would be about."
    elif not any(column.name == name or column.name.endswith(f"__{name}") for name in origin.statistics):
        return "CTREncoder, which wrote the table, says that it wrote no such column."
    if column.values.dtype != np.float32 or np.abs(column.values).max() > MAX_STATISTIC:
        return (
            f"statistics are float32 between -{MAX_STATISTIC:g} and {MAX_STATISTIC:g}, and it holds "
            f"{column.values.dtype} between {column.values.min():.3g} and {column.values.max():.3g}."
        )
    return ""


def _learn_coded(name: str, positions: list[int], columns: Sequence[InputColumn]) -> FieldReader:
    kind: FieldKind = "categorical" if name == columns[positions[0]].name else "multi-valued"
    own = [read_codes(columns[position]) for position in positions]
    largest = max(int(codes.max()) for codes in own)
    check_largest_code(name, largest, n_rows=len(own[0]))
    is_known = np.zeros(largest + 2, dtype=bool)
    for codes in own:
        is_known[codes] = True
    rows = np.arange(largest + 2, dtype=np.int32) + np.int32(FIRST_CODE[kind])
    n_codes = largest + 1 + FIRST_CODE[kind]
    field = Field(name, kind, n_codes=n_codes, n_columns=len(positions))
    return FieldReader(field, positions, np.where(is_known, rows, np.int32(UNKNOWN_CODE)))


def _history_reader(name: str, positions: list[int], of: FieldReader) -> FieldReader:
    """How a history is read: as the field whose values it holds, but for code 0, which is padding."""
    field = Field(name, "history", of.field.n_codes, len(positions), of.field.name)
    row_of_code = of.row_of_code.copy()
    row_of_code[UNKNOWN_CODE] = UNKNOWN_CODE
    return FieldReader(field, positions, row_of_code)


def with_histories_of(readers: Sequence[FieldReader], others: Sequence[FieldReader]) -> list[FieldReader]:
    """Readers of fields, and readers of their histories, which follow from those.

    Parameters
    ----------
    readers : sequence of FieldReader
        Readers of all fields, of which those of histories are out of date.
    others : sequence of FieldReader
        Readers of all fields but histories.

    Returns
    -------
    list of FieldReader
        In the order of `readers`.
    """
    by_name = {reader.field.name: reader for reader in others}
    return [
        _history_reader(reader.field.name, reader.positions, by_name[reader.field.of])
        if reader.field.kind == "history"
        else by_name[reader.field.name]
        for reader in readers
    ]


def check_largest_code(name: str, largest: int, n_rows: int, n_known: int = 0) -> None:
    """Refuse a code for which a table would have to be far larger than the rows are many and codes known."""
    limit = max(_MAX_CODE, n_known + _MAX_CODE_PER_ROW * n_rows)
    if largest > limit:
        raise ValueError(
            f"Column {name!r} has the code {largest}, and each code up to it would get an embedding. With {n_rows} "
            f"rows the limit is {limit}. If it is a raw id, let CTREncoder number its values; if it is a quantity, "
            "give it as floats or leave it out of categorical_features."
        )


def read_codes(column: InputColumn) -> NDArray[np.int64]:
    """The column as codes; a ValueError where it can't be."""
    values = column.values
    if values.dtype.kind == "f":
        fractional = values != np.floor(values)
        if fractional.any():
            raise ValueError(
                f"Column {column.name!r} is categorical but has the fractional value {values[fractional][0]}: codes "
                "are whole numbers. Let CTREncoder make codes of it, or leave it out of categorical_features."
            )
    if values.dtype.kind != "b" and values.min() < 0:
        raise ValueError(
            f"Column {column.name!r} is categorical but has the negative code {values.min()}: codes begin at 0. If "
            "it stands for unknown values (OrdinalEncoder can write -1 for them), let CTREncoder make the codes or "
            "add 1 to all of them; if the column is a quantity, give it as floats."
        )
    return _as_int64(values)


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    """The same codes, those beyond any table cut to one that is, so that none overflows."""
    if values.dtype.kind == "f":
        values = np.minimum(values.astype(np.float64), float(_BEYOND_ANY_TABLE))
    elif values.dtype.kind == "u":
        values = np.minimum(values.astype(np.uint64), np.uint64(_BEYOND_ANY_TABLE))
    return values.astype(np.int64)


def _as_float32(column: InputColumn) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        values = column.values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype('float32') in column {column.name!r}. Scale "
            "it, for example by CTREncoder."
        )
    return values
