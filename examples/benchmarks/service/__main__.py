"""Load for the example service, on this machine: `python examples/benchmarks/service --help`.

The service has one core, the client another. `speed` counts requests of 500 candidates, `malformed` sends bodies that
no client should send, and `swap` replaces the model under load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import Counter
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from _bodies import malformed_bodies
from _client import Answer, connected
from _server import running
from sklearn.pipeline import Pipeline, make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import to_onnx

N_CONNECTIONS = (1, 16, 64)
N_SWAPS = 5
# What other processes do meanwhile doesn't count in it.
_PROCESSOR = "process_cpu_seconds_total"


def main() -> None:
    """Train a model, start the service and do what the command line says."""
    options = _options()
    with TemporaryDirectory() as folder:
        model = Path(folder) / "clicks.onnx"
        first, second, request = _models_and_request(options)
        model.write_bytes(first)
        print(f"{model.stat().st_size / 1e6:.1f} MB, {options.candidates} candidates a request", flush=True)
        with running(model) as (port, server):
            if "speed" in options.only:
                asyncio.run(_speed(port, request, options))
            if "malformed" in options.only:
                asyncio.run(_malformed(port, request, options))
            if "swap" in options.only:
                asyncio.run(_swap(port, request, options, [first, second], model))
        print(f"stopped with code {server.returncode}; load of the machine: {os.getloadavg()[0]:.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="service", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=["speed", "malformed", "swap"], default=["speed", "malformed", "swap"]
    )
    parser.add_argument("--rows", type=int, default=20_000, help="impressions to train on (%(default)s)")
    parser.add_argument("--candidates", type=int, default=500, help="candidates of a request (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10, help="of load, for each number of connections (%(default)s)"
    )
    parser.add_argument("--bodies", type=int, default=10_000, help="malformed bodies (%(default)s)")
    return parser.parse_args()


def _models_and_request(options: argparse.Namespace) -> tuple[bytes, bytes, dict[str, Any]]:
    """Two models, all defaults but few epochs, which say nothing about speed; a user and as many items as wanted."""
    X, y, _ = make_click_data(options.rows, n_contexts=1, n_numeric=1, random_state=0)
    X = X.rename(columns={"context_0": "device", "numeric_0": "price"})
    first, second = (
        _exported(make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=seed)).fit(X, y))
        for seed in range(2)
    )
    of_items = ["item", "category", "tags", "price"]
    context = json.loads(X.drop(columns=of_items)[:1].to_json(orient="records", date_format="iso"))[0]
    candidates = X[of_items].sample(options.candidates, replace=True, random_state=0).to_dict("records")
    return first, second, {"context": context, "candidates": candidates}


def _exported(pipeline: Pipeline) -> bytes:
    with TemporaryDirectory() as folder:
        to_onnx(pipeline, Path(folder) / "model.onnx")
        return (Path(folder) / "model.onnx").read_bytes()


async def _under_load(port: int, body: bytes, n_connections: int, seconds: float) -> list[Answer]:
    """The answers to so many connections, each of which sends the next request when it has its answer."""
    end = perf_counter() + seconds

    async def ask() -> list[Answer]:
        async with connected(port) as connection:
            answers = []
            while perf_counter() < end:
                answers.append(await connection.post(body))
            return answers

    return list(chain.from_iterable(await asyncio.gather(*(ask() for _ in range(n_connections)))))


async def _speed(port: int, request: dict[str, Any], options: argparse.Namespace) -> None:
    body = json.dumps(request).encode()
    await _under_load(port, body, 1, options.seconds / 10)  # to warm up
    print("\nconnections  requests/s  p50 ms  p99 ms  processor ms/request")
    for n_connections in N_CONNECTIONS:
        before = await _metric(port, _PROCESSOR)
        answers = await _under_load(port, body, n_connections, options.seconds)
        assert all(answer.status == 200 for answer in answers)
        p50, p99 = 1_000 * np.percentile([answer.seconds for answer in answers], [50, 99])
        processor = 1_000 * (await _metric(port, _PROCESSOR) - before) / len(answers)
        rate = len(answers) / options.seconds
        print(f"{n_connections:11}  {rate:10.0f}  {p50:6.1f}  {p99:6.1f}  {processor:20.2f}", flush=True)


async def _metric(port: int, name: str) -> float:
    """What the service says of itself; NaN where it doesn't."""
    async with connected(port) as connection:
        metrics = (await connection.get("/metrics")).body.decode()
    return next((float(line.split()[1]) for line in metrics.splitlines() if line.startswith(name)), np.nan)


async def _malformed(port: int, request: dict[str, Any], options: argparse.Namespace) -> None:
    counts: Counter[tuple[str, int]] = Counter()
    slowest, accepted = 0.0, []
    async with connected(port) as connection:
        for kind, body in malformed_bodies(request, options.bodies):
            answer = await connection.post(body)
            counts[kind, answer.status] += 1
            slowest = max(slowest, answer.seconds)
            if not 400 <= answer.status < 500:
                accepted.append((answer.status, kind, body[:300]))
        still_answers = (await connection.post(json.dumps(request).encode())).status == 200
    print(f"\n{options.bodies} malformed bodies, the slowest answered in {1_000 * slowest:.0f} ms")
    for (kind, status), count in sorted(counts.items()):
        print(f"{count:6}  {status}  {kind}")
    assert not accepted, f"not refused: {accepted[:10]}"
    assert still_answers


async def _swap(
    port: int, request: dict[str, Any], options: argparse.Namespace, models: list[bytes], path: Path
) -> None:
    """Two models take turns, while connections ask on."""
    body = json.dumps(request).encode()
    load = asyncio.create_task(_under_load(port, body, 16, options.seconds))
    for number in range(1, N_SWAPS + 1):
        await asyncio.sleep(options.seconds / (N_SWAPS + 1))
        part = path.with_suffix(".part")
        part.write_bytes(models[number % 2])
        part.replace(path)
    answers = await load
    versions = Counter(json.loads(answer.body)["model"] for answer in answers if answer.status == 200)
    lost = sum(answer.status != 200 for answer in answers)
    p99, slowest = 1_000 * np.percentile([answer.seconds for answer in answers], [99, 100])
    loaded = await _metric(port, 'model_files_total{outcome="loaded"}')
    print(f"\n{loaded:.0f} swaps in {options.seconds:g} s under 16 connections: {len(answers)} answers, {lost} lost")
    print(f"answers by model: {dict(versions)}; p99 {p99:.1f} ms, slowest {slowest:.1f} ms", flush=True)
    assert not lost


if __name__ == "__main__":
    main()
