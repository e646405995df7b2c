"""Encoded rows that don't fit in memory: rows on disk to learn from, or a stream to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import pandas as pd
from numpy.typing import NDArray

from ..schema import Schema, column_names, write_schema
from ._storage import StoredArray, TemporaryFolder, sizes

_NO_SEARCH = (
    "These rows are on disk and can't be split or copied into an array: a search or a cross-validation needs rows in "
    "memory. Search on a sample of whole users or whole days, as a DataFrame, and fit the model that was found to all "
    "rows then."
)


class EncodedBatches:
    """Rows that are encoded while they are read, each batch a pandas DataFrame: nothing is kept of them."""

    def __init__(
        self, make_batches: Callable[[], Iterator[pd.DataFrame]], read_column: Callable[[str], NDArray[Any]]
    ) -> None:
        self._make_batches = make_batches
        self._read_column = read_column

    def batches(self) -> Iterator[pd.DataFrame]:
        """Yield the batches, from the first row to the last."""
        return self._make_batches()

    def in_memory(self, name: Any) -> Any:
        """Return labels or weights of all rows, given by the name of their column; anything else stays as it is."""
        return self._read_column(name) if isinstance(name, str) else name

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return self.batches()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(_NO_SEARCH)


@dataclass(eq=False, repr=False)
class EncodedRows(EncodedBatches):
    """Encoded training rows in files of a temporary folder, which goes when this object does."""

    folder: TemporaryFolder
    schema: Schema
    columns: Mapping[str, StoredArray]
    label: str | None
    classes: NDArray[Any] | None
    y: StoredArray | None
    weight_name: str | None
    weight: StoredArray | None

    def __post_init__(self) -> None:
        self.columns = {name: self.columns[name] for name in column_names(self.schema.fields)}

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self), len(self.columns)

    def __repr__(self) -> str:
        return f"<EncodedRows: {len(self):,} rows of {len(self.columns)} columns in {self.folder.path}>"

    def read(self, start: int, stop: int) -> pd.DataFrame:
        """Return rows of a slice."""
        columns = {name: column.read(start, stop) for name, column in self.columns.items()}
        frame = pd.DataFrame(columns, copy=False)
        write_schema(frame, self.schema)
        return frame

    def in_memory(self, name: Any) -> Any:
        """Return labels or weights of all rows, given by the name of their column; anything else stays as it is."""
        if not isinstance(name, str):
            return name
        if self.y is not None and self.classes is not None and name == self.label:
            return self.classes[self.y.read(0, len(self))]
        if self.weight is not None and name == self.weight_name:
            return self.weight.read(0, len(self))
        return name

    def batches(self) -> Iterator[pd.DataFrame]:
        """Yield all rows, half a million at a time."""
        for start in range(0, len(self), sizes.CHUNK):
            yield self.read(start, start + sizes.CHUNK)
