"""Arrays in plain files of a temporary folder, which is removed when nobody needs it any more."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import sizes
from ._abandoned import hold, remove_abandoned

_GIGABYTE = 10**9
_PREFIX = "sk_finalmlp-"


class TemporaryFolder:
    """A folder that is removed with all its files when this object goes, or the process ends.

    A process that is killed can't remove its own: the next folder that is made beside it does so.

    Parameters
    ----------
    parent : str, path or None
        Where it is made; None for the system's temporary folder.
    """

    def __init__(self, parent: str | PathLike[str] | None = None) -> None:
        if parent is not None and not Path(parent).is_dir():
            raise ValueError(f"temp_folder={str(parent)!r} is not a folder: create it, or name another one.")
        remove_abandoned(Path(tempfile.gettempdir() if parent is None else parent), _PREFIX)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._finalizer = weakref.finalize(self, _remove, self.path, hold(self.path), os.getpid())

    def __getstate__(self) -> dict[str, Path]:
        """A copy in another process knows where the files are, and leaves it to the first to remove them."""
        return {"path": self.path}

    def array(self, name: str, dtype: DTypeLike, width: int | None = None) -> StoredArray:
        """A new array in a file of this folder."""
        return StoredArray(self, name, dtype, width)

    def remove(self) -> None:
        """Remove the folder now."""
        self._finalizer()


def _remove(folder: Path, held: IO[bytes] | None, owner: int) -> None:
    if os.getpid() != owner:
        # A fork of the process has copies of its objects, which go when the fork ends.
        return
    shutil.rmtree(folder, ignore_errors=True)
    if held is not None:
        held.close()


class StoredArray:
    """An array in a file: it grows at its end, and is read in slices.

    Parameters
    ----------
    folder : TemporaryFolder
        Where the file is; it stays as long as the array.
    name : str
        Name of the file.
    dtype : dtype
        Type of the elements.
    width : int, default=None
        Number of columns; None for a one-dimensional array.
    """

    def __init__(self, folder: TemporaryFolder, name: str, dtype: DTypeLike, width: int | None = None) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.path = folder.path / name
        self._width = width
        self._n_rows = 0
        self.path.touch()

    def __len__(self) -> int:
        return self._n_rows

    @property
    def _row_size(self) -> int:
        return self.dtype.itemsize * (1 if self._width is None else self._width)

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows behind the others."""
        rows = np.ascontiguousarray(rows, self.dtype)
        # Files are opened each time, since a system allows only so many that are open.
        with self.path.open("ab") as file:
            file.write(rows.data)
        self._n_rows += len(rows)

    def reserve(self, n_rows: int) -> None:
        """Make room for so many rows in all, which `write` fills, in other processes too."""
        with self.path.open("r+b") as file:
            file.truncate(n_rows * self._row_size)
        self._n_rows = n_rows

    def write(self, start: int, rows: NDArray[Any]) -> None:
        """Write other rows in the place of those from a number on."""
        with self.path.open("r+b") as file:
            file.seek(start * self._row_size)
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows of a slice."""
        stop = self._n_rows if stop is None else min(stop, self._n_rows)
        shape = (stop - start,) if self._width is None else (stop - start, self._width)
        n_bytes = (stop - start) * self._row_size
        values = np.fromfile(self.path, self.dtype, n_bytes // self.dtype.itemsize, offset=start * self._row_size)
        return values.reshape(shape)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """All rows, a part at a time."""
        for start in range(0, self._n_rows, sizes.CHUNK):
            yield self.read(start, start + sizes.CHUNK)

    def take(self, others: StoredArray) -> None:
        """Append the rows of another array, which is gone then."""
        for rows in others.chunks():
            self.append(rows)
        others.remove()

    def remove(self) -> None:
        """Give the space of the file back."""
        self.path.unlink(missing_ok=True)


def check_space(folder: TemporaryFolder, n_bytes: float) -> None:
    """Refuse to begin what the disk can't hold.

    Parameters
    ----------
    folder : TemporaryFolder
        Where it will be written.
    n_bytes : float
        About how much will be written.

    Raises
    ------
    OSError
        If there is less space.
    """
    free = shutil.disk_usage(folder.path).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"The encoded rows take about {n_bytes / _GIGABYTE:.1f} GB of temporary files, but {folder.path.parent} "
            f"has {free / _GIGABYTE:.1f} GB left. {_REMEDY}",
            str(folder.path.parent),
        )


_REMEDY = "Make space, or name a folder of another disk: CTREncoder(temp_folder=...)."


@contextmanager
def naming_full_disk(folder: TemporaryFolder) -> Iterator[None]:
    """Say which folder is full where writing fails, and remove it after any error.

    Parameters
    ----------
    folder : TemporaryFolder
        Where the files are.
    """
    try:
        yield
    except BaseException as error:
        folder.remove()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            raise OSError(errno.ENOSPC, f"The disk of {folder.path.parent} is full. {_REMEDY}") from error
        raise
