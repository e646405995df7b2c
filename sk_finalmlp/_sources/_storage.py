"""Arrays in plain files of a temporary folder, removed when they are no longer needed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_GIGABYTE = 10**9
_PREFIX = "sk_finalmlp-"
_HAS_LOCKS = find_spec("fcntl") is not None
_LOCK = "in-use"


class sizes:
    """Numbers of rows in memory at a time, for a table that doesn't fit."""

    #: Rows that are read, encoded or counted at a time.
    CHUNK = 2**19
    #: Rows of files, at least, that a task of joblib reads.
    TASK = 2**21
    #: Rows of the sample for the choice of statistics, and the most distinct numbers with exact quantiles.
    SAMPLE = 2**20
    #: Bytes of rows that are shuffled in memory.
    PILE = 2**26


class TemporaryFolder:
    """A folder that goes with this object or its process; after a killed process, the next one removes its folder."""

    def __init__(self, parent: str | PathLike[str] | None = None) -> None:
        if parent is not None and not Path(parent).is_dir():
            raise ValueError(f"temp_folder={str(parent)!r} is not a folder: create it, or name another one.")
        _remove_abandoned(Path(tempfile.gettempdir() if parent is None else parent))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._finalizer = weakref.finalize(self, _remove, self.path, _hold(self.path), os.getpid())

    def __getstate__(self) -> dict[str, Path]:
        """A copy in another process knows where the files are, and leaves it to the first to remove them."""
        return {"path": self.path}

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


def _hold(folder: Path) -> IO[bytes] | None:
    """Mark a new folder as used by this process."""
    if not _HAS_LOCKS:
        return None
    # The name comes last: no other process sees the file before it is locked.
    new = folder / f"{_LOCK}.new"
    file = new.open("wb")
    try:
        _lock(file)
    except OSError:
        # No other process knows the file, so locks don't work here at all.
        file.close()
        new.unlink()
        return None
    new.rename(folder / _LOCK)
    return file


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that are gone."""
    if not _HAS_LOCKS:
        return
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        # Another process may be faster, and the folders of others aren't ours to read.
        with suppress(OSError), lock.open("rb") as file:
            _lock(file)
            shutil.rmtree(lock.parent)


def _lock(file: IO[bytes]) -> None:
    """Lock a file, or raise `OSError` where another process has it."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class StoredArray:
    """An array in a file of a folder: it grows at its end, and is read in slices."""

    def __init__(self, folder: TemporaryFolder, name: str, dtype: DTypeLike, width: int | None = None) -> None:
        self.folder = folder
        #: Of a row, which may be several numbers.
        self.dtype = np.dtype(dtype if width is None else (dtype, (width,)))
        self.path = folder.path / name
        self._n_rows = 0
        self.path.touch()

    def __len__(self) -> int:
        return self._n_rows

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows behind the others."""
        rows = np.ascontiguousarray(rows, self.dtype.base)
        # Files are opened each time, since a system allows only so many that are open.
        with self.path.open("ab") as file:
            file.write(rows.data)
        self._n_rows += len(rows)

    def reserve(self, n_rows: int) -> None:
        """Make room for this number of rows, to be written in slices, in other processes too."""
        with self.path.open("r+b") as file:
            file.truncate(n_rows * self.dtype.itemsize)
        self._n_rows = n_rows

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return rows of a slice."""
        stop = self._n_rows if stop is None else min(stop, self._n_rows)
        return np.fromfile(self.path, self.dtype, stop - start, offset=start * self.dtype.itemsize)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return self.read(rows.start or 0, rows.stop)

    def __setitem__(self, rows: slice, values: NDArray[Any]) -> None:
        with self.path.open("r+b") as file:
            file.seek(rows.start * self.dtype.itemsize)
            file.write(np.ascontiguousarray(values, self.dtype.base).data)

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Return some rows, given by their numbers in ascending order."""
        return np.asarray(np.memmap(self.path, self.dtype, mode="r")[numbers])

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all rows, a part at a time."""
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
    """Raise an error if the disk is too small."""
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
    """Say which folder is full where writing fails, and remove it after any error."""
    try:
        yield
    except BaseException as error:
        folder.remove()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            raise OSError(errno.ENOSPC, f"The disk of {folder.path.parent} is full. {_REMEDY}") from error
        raise


class Piles:
    """Rows that come in one order and leave in a random one, each order as probable as any other."""

    def __init__(self, folder: TemporaryFolder, name: str, width: int, n_rows: int, seed: int) -> None:
        self._folder = folder
        self._name = name
        self._width = width
        self._random = np.random.default_rng(seed)
        n_piles = min(max(1, -(-n_rows * width * 4 // sizes.PILE)), 500)
        self._piles = [StoredArray(folder, f"{name}-pile-{number}", np.int32, width) for number in range(n_piles)]

    def add(self, rows: NDArray[np.int32]) -> None:
        """Throw each row on a random pile."""
        if len(self._piles) == 1:
            self._piles[0].append(rows)
            return
        of_row = self._random.integers(len(self._piles), size=len(rows), dtype=np.uint16)
        ends = np.cumsum(np.bincount(of_row, minlength=len(self._piles)))
        in_order = rows[np.argsort(of_row, kind="stable")]
        for pile, own in zip(self._piles, np.split(in_order, ends[:-1]), strict=True):
            pile.append(own)

    def shuffled(self) -> StoredArray:
        """Return all rows; the piles are gone then."""
        shuffled = StoredArray(self._folder, self._name, np.int32, self._width)
        for pile in self._piles:
            rows = pile.read()
            pile.remove()
            shuffled.append(rows[self._random.permutation(len(rows))])
        return shuffled
