"""From columns to fields: which columns are codes, which codes there are, and the matrices of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._warnings import warn
from ..schema import UNKNOWN_CODE, Field, FieldKind, VectorTable, by_kind, has_recent, is_vector_of, read_names
from ._input_columns import InputColumn, as_float32, read_codes, read_columns, read_few_rows

if TYPE_CHECKING:
    from ._rows import Rows

# Raw ids of 10^9 must not allocate a table of embeddings by mistake.
_MAX_CODE = 1_000_000
_MAX_CODE_PER_ROW = 10

# Numbers of this size drown the embeddings.
_LARGEST_SCALE = 1000

# Share of the values of lists that may be unknown, or not in their first elements, where these are recognised.
_MAX_UNKNOWN = 0.2

# Share of the last rows with new ids beyond which statistics tell more than embeddings.
_MANY_NEW_IDS = 0.4

# Most columns to name in a warning.
_MAX_NAMED = 5

#: The first row of an embedding table is for codes that fit didn't see; in a multi-valued field that is what code 0
#: stands for already.
_FIRST_CODE: dict[FieldKind, int] = {"categorical": 1, "multi-valued": 0}

#: Fields, each with the positions of its columns.
Layout = list[tuple[Field, list[int]]]


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
        Whether vectors stand in place of embeddings; then no code is known.

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
    def of_vectors(cls, field: Field, positions: list[int], table: VectorTable) -> FieldReader:
        """Return the reader of codes that stand for vectors."""
        if table.vectors is None:
            raise ValueError(
                f"The vectors that the codes of column {field.name!r} stand for aren't with the table: files of it "
                "don't hold them. Encode the rows again, by CTREncoder.transform."
            )
        n_codes = len(table.vectors)
        # The last entry is for codes of no vector.
        rows = np.append(np.arange(n_codes, dtype=np.int32), np.int32(UNKNOWN_CODE))
        return cls(replace(field, n_codes=n_codes), positions, rows, table.vectors)

    @classmethod
    def replaced(cls, name: str, positions: list[int]) -> FieldReader:
        """Return the reader of a field that has vectors in place of embeddings of its codes."""
        return cls(Field(name, "categorical", n_codes=1), positions, np.zeros(1, np.int32), is_replaced=True)

    def read(self, columns: Sequence[InputColumn]) -> NDArray[Any]:
        """Return codes (int32) or values (float32) of the field, shape (n, n_columns)."""
        own = [columns[position] for position in self.positions]
        read = [self.rows_of(read_codes(column)) if self.field.has_codes else as_float32(column) for column in own]
        return np.stack(read, axis=1)

    def rows_of(self, codes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return rows of the embedding table for codes."""
        return self.row_of_code[np.minimum(codes, len(self.row_of_code) - 1)]


class TableReader:
    """From a table to the two matrices that the network of a fitted classifier takes.

    A classifier has one as `table_reader_`. Iterating over it gives a `FieldReader` for each field.

    Parameters
    ----------
    classifier : FinalMLPClassifier
        The fitted classifier, which knows the names of the columns.
    fields : sequence of FieldReader
        How each field is read, in the order of the table.

    Examples
    --------
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> X, y = [[0, 3], [1, 3], [1, 4], [0, 4]], [0, 1, 1, 0]
    >>> clf = FinalMLPClassifier(early_stopping=False, max_epochs=1, random_state=0).fit(X, y)
    >>> [reader.field.n_codes for reader in clf.table_reader_]
    [3, 6]
    >>> codes, values = clf.table_reader_.read([[1, 4], [7, 3]])
    >>> codes
    array([[2, 5],
           [0, 4]], dtype=int32)
    """

    def __init__(self, classifier: Any, fields: Sequence[FieldReader]) -> None:
        self._classifier = classifier
        self._fields = list(fields)

    def __iter__(self) -> Iterator[FieldReader]:
        return iter(self._fields)

    def read(self, X: Any) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Check a table and read it.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.

        Returns
        -------
        codes : ndarray of int32, shape (n_samples, n_code_columns)
            Codes of the categorical fields, then of the multi-valued fields; 0 for a code that `fit` didn't see.
        values : ndarray of float32, shape (n_samples, n_values)
            Values of the numeric fields, then the statistics.

        Raises
        ------
        ValueError
            If the columns are others than in `fit`, or one of them can't be used; the message names it.
        """
        matrix = read_few_rows(self._classifier, X)
        matrices = None if matrix is None else split_matrix(self._fields, matrix)
        return matrices or read_matrices(self._fields, read_columns(self._classifier, X, reset=False))


def learn_fields(rows: Rows, categorical_features: Any) -> list[FieldReader]:
    """Find out which fields the columns of training rows are, and which codes they hold."""
    layout, own = rows.layout, rows.beside_schema
    if own or not isinstance(categorical_features, str):
        columns = next(iter(rows.chunks())).columns
        guessed = _guess_layout([columns[position] for position in own], by_name=rows.schema is None)
        layout = layout + [(field, [own[position] for position in positions]) for field, positions in guessed]
        if isinstance(categorical_features, str):
            _warn_about_whole_floats([columns[position] for position in own if not columns[position].is_integer])
            _warn_about_lists_without_names(columns)
        else:
            layout = _choose(layout, columns, categorical_features)
        _warn_about_scales(
            [columns[position] for field, (position, *_) in layout if field.kind == "numeric" and position in own]
        )
    layout = sorted(layout, key=lambda item: min(item[1]))
    return learn_codes(_start_readers(layout, rows.vectors), rows)


def _guess_layout(columns: Sequence[InputColumn], by_name: bool) -> Layout:
    """Return the fields of columns without a schema; next to columns with one, names mean nothing."""
    names = [column.name for column in columns]
    if not by_name:
        return [(_field_of_column(column, column.is_integer), [position]) for position, column in enumerate(columns)]
    lost = next((c.name for c in columns if c.is_integer and is_vector_of(c.name, names)), None)
    if lost is not None:
        raise ValueError(
            f"Column {lost!r} is named like the codes of vectors that CTREncoder(vectors=...) writes, but the table "
            "doesn't say which vectors they are: only the pandas DataFrame that CTREncoder returns does, and "
            "ColumnTransformer, for example, makes another one of it. Give the classifier what CTREncoder returns, or "
            "rename the column."
        )
    return read_names(names, [column.values.dtype for column in columns])


def _field_of_column(column: InputColumn, has_codes: bool) -> Field:
    return Field(column.name, "categorical", 1) if has_codes else Field(column.name, "numeric")


def _choose(layout: Layout, columns: Sequence[InputColumn], chosen: Any) -> Layout:
    """Return the fields where the user says which columns hold codes."""
    positions, whole = _chosen_columns(layout, columns, np.asarray([] if chosen is None else chosen))
    found: Layout = []
    for field, own in layout:
        is_chosen = [position in positions for position in own]
        as_it_is = all(is_chosen) and not field.has_several_columns if field.has_codes else not any(is_chosen)
        if field.kind == "pretrained" or field.name in whole or as_it_is:
            found.append((field, own))
        else:
            found += [(_field_of_column(columns[position], position in positions), [position]) for position in own]
    return found


def _chosen_columns(layout: Layout, columns: Sequence[InputColumn], chosen: NDArray[Any]) -> tuple[set[int], set[str]]:
    """Return positions of columns that `categorical_features` chooses, and names of lists that it chooses."""
    if chosen.dtype.kind in "biu":
        return _positions(chosen, len(columns), "categorical_features"), set()
    position_of = {column.name: position for position, column in enumerate(columns)}
    lists = {field.name for field, _ in layout if field.has_several_columns and field.has_codes}
    names = [str(name) for name in chosen]
    for name in names:
        if name not in position_of and name not in lists:
            raise ValueError(f"categorical_features names {name!r}, but the table has the columns {list(position_of)}.")
    return {position_of[name] for name in names if name in position_of}, lists.intersection(names) - position_of.keys()


def _start_readers(layout: Layout, vectors: Mapping[str, VectorTable]) -> list[FieldReader]:
    """Return readers that don't know codes yet, but for those of vectors."""
    ids = {field.name for field, _ in layout if field.kind == "categorical"}
    replaced = {field.of for field, _ in layout if field.kind == "pretrained" and vectors[field.name].replaces}
    readers: list[FieldReader] = []
    for field, positions in layout:
        if field.kind == "history" and field.of not in ids:
            raise ValueError(
                f"{field.name!r} is a history of {field.of!r}, which isn't categorical: there is no embedding table in "
                f"which it could be looked up. Name {field.of!r} in categorical_features, or leave the history out."
            )
        if field.kind == "pretrained":
            of = field.of if field.of in ids else ""
            readers.append(FieldReader.of_vectors(replace(field, of=of), positions, vectors[field.name]))
        elif field.name in replaced and field.kind == "categorical":
            readers.append(FieldReader.replaced(field.name, positions))
        else:
            readers.append(FieldReader(field, positions, np.zeros(1 if field.has_codes else 0, np.int32)))
    return readers


def learn_codes(readers: Sequence[FieldReader], rows: Rows, growth: float = 1.0) -> list[FieldReader]:
    """Return the readers with the codes of more rows; a table that is too small grows to `growth` times its size."""
    learned = {reader.field.name: reader for reader in readers}
    for name, reader in learned.items():
        if reader.field.has_table and not reader.is_replaced:
            learned[name] = _with_codes(reader, _codes_in(reader, rows), growth)
    for name, reader in learned.items():
        if reader.field.kind == "history":
            learned[name] = _history_reader(reader, learned[reader.field.of])
    return list(learned.values())


def _codes_in(reader: FieldReader, rows: Rows) -> NDArray[np.int64]:
    """Return the codes of a field in rows, each once."""
    occurs = np.zeros(1, bool)
    for chunk in rows.chunks():
        for position in reader.positions:
            codes = read_codes(chunk.column(position))
            largest = int(codes.max())
            if largest >= len(occurs):
                _check_largest_code(reader, largest, rows.n_given)
                occurs = np.concatenate([occurs, np.zeros(largest + 1 - len(occurs), bool)])
            occurs[codes] = True
    return np.flatnonzero(occurs)


def _with_codes(reader: FieldReader, codes: NDArray[np.int64], growth: float) -> FieldReader:
    new = codes[reader.rows_of(codes) == UNKNOWN_CODE]
    if not len(new):
        return reader
    size, first = len(reader.row_of_code) - 1, _FIRST_CODE[reader.field.kind]
    if new[-1] >= size:
        size = max(int(new[-1]) + 1, int(growth * size))
    # The last entry is for larger codes.
    row_of_code = np.full(size + 1, UNKNOWN_CODE, np.int32)
    row_of_code[: len(reader.row_of_code)] = reader.row_of_code
    row_of_code[new] = new + first
    return replace(reader, field=replace(reader.field, n_codes=size + first), row_of_code=row_of_code)


def _warn_about_whole_floats(columns: Sequence[InputColumn]) -> None:
    """Warn of codes that became floats on their way, and would be quantities."""
    names = [column.name for column in columns if _may_be_codes(column.values)]
    if names:
        named = ", ".join(map(repr, names[:_MAX_NAMED])) + (", ..." if len(names) > _MAX_NAMED else "")
        warn(
            f"{len(names)} of {len(columns)} columns of floats contain only whole numbers ({named}) and are taken as "
            "quantities. If they are codes (ColumnTransformer, FeatureUnion, BaggingClassifier and others turn codes "
            "into floats), name them in categorical_features or use OrdinalEncoder(dtype=int), or "
            "set_output(transform='pandas') of the transformers in front; where an ensemble makes an array of the "
            "table, give it a pipeline of CTREncoder and classifier. If they are quantities, say so by "
            "categorical_features, a list of all other columns or None."
        )


def _warn_about_lists_without_names(columns: Sequence[InputColumn]) -> None:
    """Warn of lists and histories that lost their names, so that each column would be a field."""
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
        "categorical_features."
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


def _may_be_codes(values: NDArray[Any]) -> bool:
    return bool(values.min() >= 0 and values.max() > 1 and (values == np.floor(values)).all())


def _warn_about_scales(columns: Sequence[InputColumn]) -> None:
    for column in columns:
        values = as_float32(column)
        mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
        if max(abs(mean), deviation) > _LARGEST_SCALE:
            warn(
                f"Numeric column {column.name!r} has mean {mean:.3g} and standard deviation {deviation:.3g}, but a "
                "network learns from columns of mean 0 and deviation 1. Standardise it, for example by CTREncoder or "
                "StandardScaler."
            )


def _history_reader(reader: FieldReader, of: FieldReader) -> FieldReader:
    """Return the reader of a history: as of its field, but code 0 is padding."""
    row_of_code = of.row_of_code.copy()
    row_of_code[UNKNOWN_CODE] = UNKNOWN_CODE
    return replace(reader, field=replace(reader.field, n_codes=of.field.n_codes), row_of_code=row_of_code)


def _check_largest_code(reader: FieldReader, largest: int, n_rows: int) -> None:
    """Refuse a code that needs a table far larger than the number of rows and known codes."""
    n_known = max(reader.field.n_codes, len(reader.row_of_code)) - 1
    limit = max(_MAX_CODE, n_known + _MAX_CODE_PER_ROW * n_rows)
    if largest > limit:
        raise ValueError(
            f"Column {reader.field.name!r} has the code {largest}, and each code up to it would get an embedding. With "
            f"{n_rows} rows the limit is {limit}. If it is a raw id, let CTREncoder number its values; if it is a "
            "quantity, give it as floats or leave it out of categorical_features."
        )


def with_more_vectors(reader: FieldReader, rows: Rows) -> FieldReader:
    """Return the reader after more rows, for which the encoder may have been given more vectors."""
    if reader.vectors is None:
        return reader
    table = rows.vectors.get(reader.field.name)
    if table is not None and table.vectors is not None and len(table.vectors) > reader.field.n_codes:
        return FieldReader.of_vectors(reader.field, reader.positions, table)
    (position,) = reader.positions
    if read_codes(rows.chunk.columns[position]).max(initial=0) >= reader.field.n_codes:
        raise ValueError(
            f"Column {reader.field.name!r} has codes of vectors that came after `fit`, and they aren't with the table. "
            "Give the classifier the pandas DataFrame that CTREncoder.partial_fit_transform returns, or update the "
            "pipeline by sk_finalmlp.update."
        )
    return reader


def read_matrices(readers: Sequence[FieldReader], columns: Sequence[InputColumn]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the codes (int32) and values (float32) of a table as the network takes them, fields in its order."""
    n_rows = len(columns[0].values)
    codes, values = [np.empty((n_rows, 0), np.int32)], [np.empty((n_rows, 0), np.float32)]
    for reader in _in_order(readers):
        (codes if reader.field.has_codes else values).append(reader.read(columns))
    return np.concatenate(codes, axis=1), np.concatenate(values, axis=1)


def _in_order(readers: Sequence[FieldReader]) -> list[FieldReader]:
    """Return the readers in the network's order, those of codes first."""
    reader_of = {reader.field.name: reader for reader in readers}
    return [reader_of[field.name] for field in by_kind(reader.field for reader in readers)]


def split_matrix(
    readers: Sequence[FieldReader], matrix: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return the same from one matrix of all columns; None leaves errors to the columns."""
    in_order = _in_order(readers)
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


def fields_of_streams(
    fields: Sequence[Field], member: int, new_ids: float
) -> tuple[list[str] | None, list[str] | None]:
    """Return the default fields of streams: members use statistics in the second stream, not at all, or there alone.

    Where statistics of recent rows were chosen and many later rows have new ids, by the share `new_ids`, codes know
    little of later rows: the second member reads statistics and numbers alone in both streams.
    """
    kinds = {field.kind for field in fields}
    if "statistic" not in kinds or kinds <= {"statistic", "numeric"}:
        return None, None
    plain = [field.name for field in fields if not field.is_added and field.kind != "statistic"]
    without_codes = [field.name for field in fields if not field.has_codes]
    if trusts_statistics(fields, new_ids):
        return ((plain, None), (without_codes, without_codes), (plain, plain))[member % 3]
    return plain, (None, plain, without_codes)[member % 3]


def trusts_statistics(fields: Sequence[Field], new_ids: float) -> bool:
    """Return whether statistics of recent rows tell more of later rows than embeddings of ids, many of them new."""
    return has_recent(fields) and new_ids > _MANY_NEW_IDS


def chosen_fields(chosen: Any, readers: Sequence[FieldReader], parameter: str) -> tuple[str, ...] | None:
    """Return the names of fields that a parameter chooses by names, or by positions or a mask of columns."""
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
    """Raise a ValueError for a name of no field that the parameter can choose."""
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
