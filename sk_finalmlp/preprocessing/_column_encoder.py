"""What all parts of the encoder have in common: each turns one raw column into output columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, Self

import numpy as np
import pyarrow as pa

from ..schema import Field, column_names, read_names
from ._categorical import HashBuckets
from ._column import Column
from ._vocabulary import Vocabulary


class ColumnEncoder(Protocol):
    """One column of the raw table in, one or more columns of codes or floats out."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn from a column and the positive weights of its rows, if any, which only numeric columns use."""
        ...

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """Return the encoder after more rows, and for each field with codes those that stand for other values now. The
        encoder itself stays as it is; where the number of codes is limited, earlier counts are multiplied by `decay`.
        """
        ...

    def transform(self, column: Column) -> list[np.ndarray]:
        """Output columns, int64 for codes and float32 for numbers."""
        ...

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Values of output columns; null where nothing is known."""
        ...

    def output_fields(self, name: str) -> list[Field]:
        """Fields that the output columns make up, for a column of this name."""
        ...

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """What looks up the codes of each field, where anything does."""
        ...


def are_numeric(fields: Sequence[Field]) -> list[bool]:
    """Whether each column of the fields holds floats rather than codes."""
    return [not field.has_codes for field in fields for _ in range(field.n_columns)]


def n_codes_of(fields: Sequence[Field]) -> int:
    """Number of codes that stand for values of a column, code 0 of each of its fields included."""
    return sum(field.n_codes for field in fields if field.kind != "pretrained")


def check_names(fields: Sequence[Field]) -> None:
    """Refuse output columns of one name."""
    name, n_columns = Counter(column_names(fields)).most_common(1)[0]
    if n_columns > 1:
        raise ValueError(f"Several output columns would be called {name!r}: rename the input columns.")


def check_names_are_read(fields: Sequence[Field]) -> None:
    """Refuse names of the user that a container without a schema would give a meaning."""
    dtypes = [np.dtype(np.float32 if numeric else np.int64) for numeric in are_numeric(fields)]
    read = {(field.name, field.kind) for field, _ in read_names(column_names(fields), dtypes)}
    misread = next((field for field in fields if (field.name, field.kind) not in read), None)
    if misread is not None:
        raise ValueError(
            f"{misread.name!r} is {misread.kind}, but the names of the output columns say otherwise, and only a pandas "
            "DataFrame tells the classifier more than names. Rename input columns with '@', or call "
            "set_output(transform='pandas')."
        )


def decode_column(name: str, encoder: ColumnEncoder, outputs: Iterator[np.ndarray]) -> pa.Array:
    """Values of the next output columns."""
    numeric = are_numeric(encoder.output_fields(name))
    with errors_naming(name):
        return encoder.inverse_transform([_as_floats_or_codes(next(outputs), is_float) for is_float in numeric])


def _as_floats_or_codes(output: np.ndarray, is_float: bool) -> np.ndarray:
    if is_float:
        return output.astype(np.float64)
    with np.errstate(invalid="ignore"):
        codes = output.astype(np.int64)
    if not np.array_equal(codes, output):
        raise ValueError(f"{output[codes != output][0]!r} is not a code")
    return codes


@contextmanager
def errors_naming(name: str) -> Iterator[None]:
    """Name the column in errors about it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Column {name!r}: {error}") from error
