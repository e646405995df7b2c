"""A web service that scores the candidates of a request, by a file of `to_onnx`.

From the folder above:

.. code-block:: console

   $ pip install "sk-finalmlp[service]"
   $ MODEL=clicks.onnx uvicorn --factory service.app:from_environment \
   >     --timeout-graceful-shutdown 10

One process uses one core; `--workers` starts several.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from .histories import HistoryStore
from .metrics import Measured, Metrics
from .model import ModelFile, columns_type

MAX_CANDIDATES = 1_000
MAX_BODY_BYTES = 1_000_000
_MAX_ERRORS, _MAX_ERROR_LENGTH = 10, 500


class Scores(BaseModel):
    """Click probabilities in the candidates' order, missing columns, and the version."""

    probabilities: list[float]
    missing: list[str]
    model: str


class Click(BaseModel):
    """A user and what they clicked: the value of each column that a history is of."""

    user: str | int
    values: dict[str, str | int]


def create_app(
    path: str | os.PathLike[str],
    *,
    seconds_between_looks: float = 1.0,
    histories: HistoryStore | None = None,
) -> FastAPI:
    """The service of the model in a file.

    Parameters
    ----------
    path : str or path-like
        The file that `to_onnx` wrote. When it is replaced, the service loads the new one.
    seconds_between_looks : float, default=1.0
        How often to look whether it was.
    histories : HistoryStore, default=None
        What users clicked so far. `/score` takes the histories of the context's user
        from there, unless the context has them, and `/click` adds to them.
    """
    metrics = Metrics()
    file = ModelFile(path, on_change=metrics.count_file)
    columns = columns_type(file.model.kinds)

    class Candidates(BaseModel):
        """What all candidates share, such as user and time, and what each has for itself."""

        model_config = ConfigDict(extra="forbid")

        context: columns = {}
        candidates: list[columns] = Field(min_length=1, max_length=MAX_CANDIDATES)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(file.watch(seconds_between_looks))
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    app = FastAPI(
        title="Click probabilities", lifespan=lifespan, max_body_size=MAX_BODY_BYTES
    )
    app.add_middleware(Measured, metrics=metrics)
    app.add_exception_handler(RequestValidationError, _refuse_body)

    # Not in a thread: a session keeps its core busy either way, one answer at a time.
    @app.post("/score", response_model=Scores)
    async def score(request: Candidates) -> Scores | Response:
        model = file.model
        try:
            context = (
                request.context
                if histories is None
                else histories.complete(request.context)
            )
            probabilities, missing = model.score(context, request.candidates)
        except ValueError as error:
            # It names the column and the value that can't be read.
            return _refusal([str(error)])
        metrics.count_scores(len(probabilities), missing)
        return Scores(probabilities=probabilities, missing=missing, model=model.version)

    if histories is not None:

        @app.post("/click", status_code=204)
        async def click(click: Click) -> None:
            histories.add(click.user, click.values)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"model": file.model.version, "columns": file.model.kinds}

    @app.get("/metrics")
    async def metrics_text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def from_environment() -> FastAPI:
    """The service of the file that the environment variable MODEL names."""
    return create_app(os.environ["MODEL"])


async def _refuse_body(request: Request, error: Exception) -> Response:
    """Which column of which candidate is wrong, without values, which may be long."""
    assert isinstance(error, RequestValidationError)
    messages: dict[tuple[Any, ...], list[str]] = {}
    for entry in error.errors():
        # Up to the column: behind it are the types of a union, with a message each.
        where = entry["loc"][1 : 4 if "candidates" in entry["loc"][1:2] else 3]
        messages.setdefault(where, []).append(entry["msg"])
    faults = list(messages.items())[:_MAX_ERRORS]
    return _refusal(
        [
            f"{'.'.join(map(str, where)) or 'body'}: {', or '.join(of)}"
            for where, of in faults
        ]
    )


def _refusal(messages: list[str]) -> Response:
    # As ASCII, which takes halves of characters, too.
    body = json.dumps({"detail": [message[:_MAX_ERROR_LENGTH] for message in messages]})
    return Response(body, status_code=422, media_type="application/json")
