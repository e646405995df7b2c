"""What the output of an encoder says of its origin, so that the classifier notices what doesn't belong together.

Only containers that can carry a note do: those of pandas, in `DataFrame.attrs`, which selections and copies keep.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    return isinstance(table, pd.DataFrame)


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
    note = table.attrs.get(_KEY) if isinstance(table, pd.DataFrame) else None
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
