"""The example service in a process of its own, on one core where the system can say so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parents[2]


@contextmanager
def running(model: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The port and the process of the service of a model; it is stopped as a supervisor would stop it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1_024)
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:from_environment", "--app-dir", EXAMPLES]
        server = subprocess.Popen(
            [*command, "--fd", str(listening.fileno()), "--no-access-log", "--log-level", "warning"],
            env={**os.environ, "MODEL": str(model), "OMP_NUM_THREADS": "1"},
            pass_fds=[listening.fileno()],
        )
    _share_cores(server.pid)
    try:
        _wait_until_it_listens(port)
        yield port, server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _share_cores(server: int) -> None:
    """One core for the service, the others for the clients."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(server, cores[:1])
        os.sched_setaffinity(0, cores[1:])


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
                if connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except ConnectionError:
            assert time.monotonic() < deadline, "the service doesn't start"
            time.sleep(0.05)
