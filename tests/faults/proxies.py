"""Proxies to a real PostgreSQL and a real S3 server that cut a connection before or after a chosen exchange."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.servers import S3Server


@dataclass(slots=True)
class Cut:
    """Which exchange is cut: the n-th from `arm` on, before the server hears of it or before its answer is heard.

    `stays`: all that come after it as well.
    """

    after: bool
    stays: bool = False
    count: int = 0
    at: int = 0
    done: list[str] = field(default_factory=list)

    def arm(self, at: int) -> None:
        self.count, self.at = 0, at

    def calm(self) -> None:
        self.at = 0

    def is_due(self, what: str) -> bool:
        """Counts one exchange."""
        self.count += 1
        due = bool(self.at) and (self.count == self.at or (self.stays and self.count > self.at))
        if due:
            self.done.append(what)
        return due


class _Gone(Exception):
    """The connection was cut."""


# -- PostgreSQL -----------------------------------------------------------------------------------------


class PostgresProxy:
    """Understands so much of the protocol (version 3) that it knows a COMMIT and the end of its answer."""

    def __init__(self, uri: str, cut: Cut) -> None:
        self._socket = f"{parse_qs(urlsplit(uri).query)['host'][0]}/.s.PGSQL.5432"
        self._name = urlsplit(uri).path
        self._cut = cut
        self._open: set[asyncio.StreamWriter] = set()

    def cut_all(self) -> None:
        """Every connection, wherever it is in its exchange."""
        for writer in self._open:
            writer.transport.abort()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The URI of the database through the proxy."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}{self._name}?sslmode=disable"
        finally:
            listener.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._socket)
        self._open.add(to_client)
        mute = asyncio.Event()
        """Set while the answer of the server is not to be heard."""
        answers = asyncio.create_task(self._answers(server, to_client, mute))
        answers.add_done_callback(lambda _: to_client.close())  # whoever says goodbye waits for this
        try:
            await self._requests(client, to_server, answers, mute)
        except (asyncio.IncompleteReadError, ConnectionError, _Gone):
            pass
        finally:
            answers.cancel()
            self._open.discard(to_client)
            to_client.transport.abort()
            to_server.close()

    async def _requests(
        self,
        client: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        answers: asyncio.Task[None],
        mute: asyncio.Event,
    ) -> None:
        length = await client.readexactly(4)
        to_server.write(length + await client.readexactly(int.from_bytes(length, "big") - 4))
        while True:
            head = await client.readexactly(5)
            body = await client.readexactly(int.from_bytes(head[1:], "big") - 4)
            is_commit = head[:1] == b"Q" and body[:6].upper() == b"COMMIT"
            due = is_commit and self._cut.is_due("COMMIT")
            if due and not self._cut.after:
                raise _Gone
            if due:
                mute.set()
            to_server.write(head + body)
            await to_server.drain()
            if due:
                await asyncio.wait({answers})
                raise _Gone

    async def _answers(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        """Ends once the server is ready again after what is not to be heard: by then it has committed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await server.readexactly(5)
                body = await server.readexactly(int.from_bytes(head[1:], "big") - 4)
                if not mute.is_set():
                    to_client.write(head + body)
                elif head[:1] == b"Z":
                    return


# -- S3 -------------------------------------------------------------------------------------------------


class S3Proxy:
    """One request a connection; `chosen` says which requests, by method and target, are counted."""

    def __init__(self, server: S3Server, cut: Cut, chosen: Callable[[str, str], bool]) -> None:
        self._port = urlsplit(server.endpoint).port
        self._cut = cut
        self._chosen = chosen

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The endpoint through the proxy."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        try:
            yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            head = await client.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await client.readexactly(int(length[1]) if length else 0)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            due = self._chosen(method, target) and self._cut.is_due(f"{method} {target}")
            if due and not self._cut.after:
                raise _Gone
            answer = await self._asked(head, body)
            if due:
                raise _Gone
            to_client.write(answer)
            await to_client.drain()
        except (asyncio.IncompleteReadError, ConnectionError, _Gone):
            to_client.transport.abort()
        finally:
            to_client.close()

    async def _asked(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        lines, separator, rest = answer.partition(b"\r\n\r\n")
        kept = [line for line in lines.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        return b"\r\n".join([*kept, b"Connection: close"]) + separator + rest
