"""Tables that don't fit in memory: where their rows come from, and where they are kept on disk once encoded."""

from . import sizes
from ._encoded import EncodedBatches, EncodedRows, EncodedStream
from ._inputs import (
    Batch,
    Source,
    column_of,
    is_in_files,
    is_source,
    open_source,
    parts_of,
    read_rows,
    refuse_source,
)
from ._progress import Passes
from ._shuffle import Piles, split_by
from ._storage import StoredArray, TemporaryFolder, check_space, naming_full_disk

__all__ = [
    "Batch",
    "EncodedBatches",
    "EncodedRows",
    "EncodedStream",
    "Passes",
    "Piles",
    "Source",
    "StoredArray",
    "TemporaryFolder",
    "check_space",
    "column_of",
    "is_in_files",
    "is_source",
    "naming_full_disk",
    "open_source",
    "parts_of",
    "read_rows",
    "refuse_source",
    "sizes",
    "split_by",
]
