"""An endpoint that somebody registered: it counts who comes, keeps what they brought, and answers as a test wants.

async with Canary() as canary:           # answers 202
    canary.answer = dripping             # or anything that writes what it likes
"""

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Visit, asyncio.StreamWriter], Awaitable[None]]


def answering(status: str = "202 Accepted", body: bytes = b"", *headers: str) -> Answer:
    """Answers once, properly."""

    async def answer(_visit: Visit, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


async def dripping(_visit: Visit, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever: each read succeeds in time, the answer never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(_visit: Visit, _writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(3600)


async def pouring(_visit: Visit, writer: asyncio.StreamWriter) -> None:
    """As much as one reads."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n" % 65536 + bytes(65536) + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


def bomb(megabytes: int = 50) -> Answer:
    """A small answer that unpacks to a large one."""
    return answering("200 OK", gzip.compress(bytes(megabytes << 20)), "Content-Encoding: gzip")


@dataclass
class Canary:
    """A server on this machine. `visits` are the requests, `connections` counts also those that sent none."""

    tls: ssl.SSLContext | None = None
    answer: Answer = field(default_factory=answering)
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    visits: list[Visit] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/events"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        """Listens, at the port that it had before if it had one."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Listens no more, and hangs up."""
        if self._server is None:
            return
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            visit = await _read(reader)
            self.visits.append(visit)
            await self.answer(visit, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the visitor has had enough
        finally:
            self._open.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Visit:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Visit(method, path, headers, body)
