"""Temporary folders of processes that were killed: which they are, and their removal.

A folder in use holds a file that its process has locked. The system lets go of the lock when the process ends, however
it ends, so that a folder whose lock can be had has nobody to remove it. Only POSIX has such locks, and not in each file
system; elsewhere what a killed process leaves stays for the system to clean.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

_HAS_LOCKS = find_spec("fcntl") is not None
_LOCK = "in-use"


def hold(folder: Path) -> IO[bytes] | None:
    """Mark a new folder as used by this process.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    file or None
        As long as it is open, the folder is in use; None where there are no locks, as in some shared file systems.
    """
    if not _HAS_LOCKS:
        return None
    # The name comes last: no other process sees the file before it is locked.
    new = folder / f"{_LOCK}.new"
    file = new.open("wb")
    try:
        _lock(file)
    except OSError:
        # Nobody else knows the file, so that it can't be locked at all.
        file.close()
        new.unlink()
        return None
    new.rename(folder / _LOCK)
    return file


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders whose processes are gone.

    Parameters
    ----------
    parent : Path
        Where the folders are.
    prefix : str
        What their names begin with.
    """
    if not _HAS_LOCKS:
        return
    for lock in parent.glob(f"{prefix}*/{_LOCK}"):
        # Another process may be faster, and the folders of others aren't ours to read.
        with suppress(OSError), lock.open("rb") as file:
            _lock(file)
            shutil.rmtree(lock.parent)


def _lock(file: IO[bytes]) -> None:
    """Lock a file, or raise `OSError` where another process has it."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
