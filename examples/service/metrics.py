"""What the service tells Prometheus, in its text format."""

from collections.abc import Iterable
from time import perf_counter
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(
            registry=self._registry
        )  # seconds of processor, memory, open files; on Linux
        self.answers = Counter(
            "answers", "Answers by status code.", ["code"], registry=self._registry
        )
        self.seconds = Histogram(
            "answer_seconds",
            "From request to answer.",
            registry=self._registry,
            buckets=_SECONDS,
        )
        self.candidates = Counter(
            "candidates", "Candidates that were scored.", registry=self._registry
        )
        self.missing = Counter(
            "missing_columns",
            "Requests without a column.",
            ["column"],
            registry=self._registry,
        )
        self.files = Counter(
            "model_files",
            "New model files by outcome.",
            ["outcome"],
            registry=self._registry,
        )
        self.loaded = Gauge(
            "model_loaded_seconds",
            "When the model was loaded, Unix time.",
            registry=self._registry,
        )
        self.loaded.set_to_current_time()

    def count_scores(self, n_candidates: int, missing: Iterable[str]) -> None:
        """After an answer with probabilities."""
        self.candidates.inc(n_candidates)
        for column in missing:
            self.missing.labels(column).inc()

    def count_file(self, outcome: str) -> None:
        """After a new model file was "loaded" or "refused"."""
        self.files.labels(outcome).inc()
        if outcome == "loaded":
            self.loaded.set_to_current_time()

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class Measured:
    """Middleware that counts and times answers.

    Parameters
    ----------
    app : ASGI application
        What gives the answers.
    metrics : Metrics
        Where they are counted.
    """

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, code = perf_counter(), 500

        async def send_on(message: Any) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            self._metrics.answers.labels(code).inc()
            self._metrics.seconds.observe(perf_counter() - start)
