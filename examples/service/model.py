"""The model of the service: a file that another one may replace at any time."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from sk_finalmlp.serving import make_predictor

logger = logging.getLogger(__name__)

#: What JSON has for each kind of column; null and an absent key are a missing value.
_JSON_TYPES: dict[str, Any] = {
    "text": str,
    "integer": int,
    "boolean": bool,
    "number": Annotated[float, Field(allow_inf_nan=False)],
    "time": Annotated[str, Field(description="ISO 8601")],
    "elements": list[str | int | None] | str,
    "history": list[str | int | None],
    "vector": list[float | None],
}


class Model:
    """Click probabilities by a file of `to_onnx`.

    Parameters
    ----------
    path : str or path-like
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.version = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
        self._predict = make_predictor(path)
        self.kinds: dict[str, str] = self._predict.kinds_
        if len(self._predict.classes_) != 2:
            raise ValueError(
                f"{path}: the service needs two classes, click or none, not {self._predict.classes_}."
            )
        self.score({}, [{}])  # the first request is as fast as the next ones

    def score(
        self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]
    ) -> tuple[list[float], list[str]]:
        """A click probability for each candidate, and the columns that any of them lacks."""
        own = set().union(*candidates)
        of_all = own.intersection(*candidates)
        missing = sorted(self.kinds.keys() - of_all - context.keys())
        absent = dict.fromkeys(own)
        shared = dict.fromkeys(self.kinds.keys() - own) | context
        probabilities = self._predict.score_candidates(
            shared, [absent | candidate for candidate in candidates]
        )
        return probabilities[:, 1].tolist(), missing


def columns_type(kinds: Mapping[str, str]) -> Any:
    """What pydantic checks the columns of a context or a candidate against: any of them, and no others."""
    columns = TypedDict(
        "Columns",
        {name: _JSON_TYPES[kind] | None for name, kind in kinds.items()},
        total=False,
    )
    columns.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return columns


class ModelFile:
    """The model in a file, read anew when another file has taken its place.

    A request goes on with the model that it began with. A file that can't be read, or whose columns are others than the
    service announces, is logged, and the model stays.

    Parameters
    ----------
    path : str or path-like
        The file. Replace it in one step, as `to_onnx` does.
    on_change : callable
        Called with "loaded" or "refused" after each new file.
    """

    def __init__(
        self, path: str | os.PathLike[str], on_change: Callable[[str], None]
    ) -> None:
        self._path, self._on_change = Path(path), on_change
        self._stamp = self._stamp_now()
        self.model = Model(path)

    async def watch(self, seconds: float) -> None:
        """Look for a new file again and again."""
        while True:
            await asyncio.sleep(seconds)
            if (stamp := self._stamp_now()) not in (self._stamp, None):
                self._stamp = stamp
                # Requests are answered meanwhile.
                self._on_change(await asyncio.to_thread(self._load))

    def _load(self) -> str:
        try:
            model = Model(self._path)
            if model.kinds != self.model.kinds:
                raise ValueError(
                    f"Its columns are {model.kinds}, those of the service {self.model.kinds}."
                )
        except Exception:
            logger.exception("%s isn't used; the model before it stays.", self._path)
            return "refused"
        self.model = model
        return "loaded"

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
