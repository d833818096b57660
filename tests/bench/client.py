"""A cheap HTTP/1.1 client on httptools: bodies are counted, and kept only where asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle

import httptools


class Refused(Exception):
    """The server answered with another status than 200 or 202."""


@dataclass(slots=True)
class Request:
    method: str
    path: str
    accept: str = "*/*"
    content_type: str = ""
    body: Sequence[bytes] = ()

    def head(self, host: str) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", f"Accept: {self.accept}"]
        if self.body:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {sum(map(len, self.body))}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(slots=True)
class Answer:
    status: int = 0
    length: int = 0
    body: bytes = b""
    content_type: str = ""


@dataclass(slots=True)
class Rate:
    """What a run came to: `each` seconds a request as the clock has it, over all connections."""

    requests: int
    seconds: float
    length: int
    """Body bytes of one answer, on average."""

    @property
    def each(self) -> float:
        return self.seconds / self.requests


class Connection(asyncio.Protocol):
    """One request at a time on one kept connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._chunks: list[bytes] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._framed = False
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._writable.set()
        if exc is None and self._answer.length and not self._framed:
            self.on_message_complete()  # an answer without a length ends with the connection
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True
        if name.lower() == b"content-type":
            self._answer.content_type = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._answer.length += len(body)
        if self._chunks is None and self._parser.get_status_code() >= 300:
            self._chunks = []  # what a refusal says is wanted in any case
        if self._chunks is not None:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        answer, keep = self._answer, self._parser.should_keep_alive()
        answer.status = status
        answer.body = b"".join(self._chunks or ())
        if not keep:
            self.closed = True
        # The parser is one message's: a fresh one is cheaper than to find out what it carries over.
        self._parser = httptools.HttpResponseParser(self)
        if self._done is not None and not self._done.done():
            self._done.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    async def send(self, request: Request, host: str, *, keep: bool) -> Answer:
        assert self._transport is not None
        self._answer, self._chunks, self._framed = Answer(), [] if keep else None, False
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request.head(host))
        for piece in request.body:
            await self._writable.wait()
            self._transport.write(piece)
        return await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@dataclass(slots=True)
class Client:
    port: int
    prefix: str = ""
    _idle: list[Connection] = field(default_factory=list)

    async def send(self, request: Request, *, keep: bool = False) -> Answer:
        """Raises Refused with the status and the beginning of the answer."""
        connection = await self._connection()
        try:
            answer = await connection.send(request, f"127.0.0.1:{self.port}", keep=keep)
        except BaseException:
            connection.close()
            raise
        if connection.closed:
            connection.close()
        else:
            self._idle.append(connection)
        if answer.status not in (200, 202):
            raise Refused(f"{request.method} {request.path}: {answer.status} {answer.body[:200]!r}")
        return answer

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
        return connection

    async def get(self, path: str, accept: str) -> Answer:
        return await self.send(Request("GET", self.prefix + path, accept), keep=True)

    async def all(self, requests: Iterator[Request], connections: int) -> Rate:
        """Every one of the requests, `connections` at a time."""
        begun = time.perf_counter()
        lengths: list[int] = []

        async def worker() -> None:
            for request in requests:
                lengths.append((await self.send(request)).length)

        await asyncio.gather(*(worker() for _ in range(connections)))
        return Rate(len(lengths), time.perf_counter() - begun, sum(lengths) // max(len(lengths), 1))

    async def rate(
        self, paths: Sequence[str], accept: str, connections: int, seconds: float, least: int = 3
    ) -> Rate:
        """The paths over and over until `seconds` have passed and `least` answers came; the first is not counted."""
        await self.send(Request("GET", self.prefix + paths[0], accept))
        begun = time.perf_counter()
        sent = 0

        def until() -> Iterator[Request]:
            nonlocal sent
            for path in cycle(paths):
                if sent >= least and time.perf_counter() - begun > seconds:
                    return
                sent += 1
                yield Request("GET", self.prefix + path, accept)

        return await self.all(until(), connections)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


@asynccontextmanager
async def client(port: int, prefix: str = "") -> AsyncIterator[Client]:
    found = Client(port, prefix)
    try:
        yield found
    finally:
        found.close()
