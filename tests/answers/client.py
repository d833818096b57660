"""Requests as they are written, and answers as they come: no redirects, no cookies, no fields of its own."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

from tests.answers.ask import Answer, Ask

# What every request names, whatever port the server has: answers hold it.
HOST = "127.0.0.1:8080"
PATIENCE = 120.0
_TIMED = re.compile(r"([a-z]+);dur=[0-9]")


class Client:
    """One connection for each address that requests are sent from; `timed` is what Server-Timing fields named."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self.timed: set[str] = set()

    def answer(self, ask: Ask) -> Answer:
        """Send the request and return what comes. Raises OSError where the server does not answer."""
        connection = self._connection(ask.peer)
        connection.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", next((v for k, v in ask.headers if k == "Host"), HOST))
        for name, value in ask.headers:
            if name != "Host":
                connection.putheader(name, value)
        if ask.chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif ask.body is not None:
            connection.putheader("Content-Length", str(len(ask.body)))
        # One write for head and body, or an early refusal could come between them.
        connection.endheaders(self._chunks(ask) if ask.chunked else ask.body)
        response = connection.getresponse()
        try:
            body, torn = response.read(), False
        except http.client.IncompleteRead as error:
            body, torn = error.partial, True
        if torn or response.will_close:
            connection.close()
        self.timed.update(_TIMED.findall(response.getheader("Server-Timing", "")))
        return Answer(response.status, tuple(response.getheaders()), body, torn)

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections.values():
            connection.close()

    def _connection(self, peer: str) -> http.client.HTTPConnection:
        if peer not in self._connections:
            self._connections[peer] = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=PATIENCE, source_address=(peer, 0)
            )
        return self._connections[peer]

    @staticmethod
    def _chunks(ask: Ask) -> bytes:
        return b"".join(_chunked(ask.body or b""))


def _chunked(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1000):
        piece = body[start : start + 1000]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"
