"""Tables that don't fit in memory: where their rows come from, and where they are kept on disk once encoded."""

from ._encoded import EncodedBatches, EncodedRows
from ._inputs import (
    Batch,
    Parts,
    Passes,
    Source,
    column_in_memory,
    is_in_files,
    is_source,
    open_source,
    read_rows,
    refuse_source,
)
from ._storage import Piles, StoredArray, TemporaryFolder, check_space, naming_full_disk, sizes

__all__ = [
    "Batch",
    "EncodedBatches",
    "EncodedRows",
    "Parts",
    "Passes",
    "Piles",
    "Source",
    "StoredArray",
    "TemporaryFolder",
    "check_space",
    "column_in_memory",
    "is_in_files",
    "is_source",
    "naming_full_disk",
    "open_source",
    "read_rows",
    "refuse_source",
    "sizes",
]
