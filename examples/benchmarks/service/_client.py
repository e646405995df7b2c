"""A client that costs little, so that one core can keep the service on another one busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, and the seconds until it was there."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One connection, which is kept from request to request and opened anew where the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> Answer:
        """Send a body to be scored, and wait for the answer."""
        return await self._send(
            "POST /score", f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n", body
        )

    async def get(self, path: str) -> Answer:
        """Ask for a path."""
        return await self._send(f"GET {path}")

    async def _send(self, what: str, headers: str = "", body: bytes = b"") -> Answer:
        start = perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        writer.write(f"{what} HTTP/1.1\r\nHost: here\r\n{headers}\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        received = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await reader.readexactly(int(received["content-length"]))
        seconds = perf_counter() - start
        if received.get("connection") == "close":
            await self.close()
        return Answer(int(lines[0].split()[1]), answer, seconds)

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection for the time of a block."""
    connection = Connection(port)
    try:
        yield connection
    finally:
        await connection.close()
