"""uvicorn's protocol with bounds: incoming bytes are counted as they come, and stalled clients are cut off.

Headers are counted in the callbacks of the parser, before anything is made of them: their number, the size of
each and of all, the request target, and the time until they are complete (408, 414, 431, RFC 6585 5). A
client must send its body, and read its answer, faster than a minimum rate, once a grace is used up. Internals
of uvicorn that this rests on are named in tests/server/test_internals.py.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from enum import Enum
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.server.boundedconfig import BoundedConfig
from gateway.server.connections import MOST_LINGERING

LINGER_SECONDS = 2.0
LINGER_BYTES = 32 << 20


class Awaiting(Enum):
    """The part of a request that the server waits for."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


class TooMuch(Exception):
    """Raised to end the parsing of a request that is beyond a bound."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    config: BoundedConfig

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.peer = ""
        self.served = False
        self._bounds = config.bounds
        self._all = config.connections(self.loop)
        self._reading = Awaiting.HEAD
        self._since = time.monotonic()
        self._begun = False
        self._head = 0
        self._most_field, self._most_head = self._bounds.field, self._bounds.head
        self._most_fields = self._bounds.fields
        self._raw = 0
        self._complete = False
        self._refusal: tuple[int, str] | None = None
        self._over = False
        self._lingers = False
        self._discarded = 0
        self._arrived = 0
        self._patience = self._bounds.stall
        self._taken: int | None = None
        self._unread = self._bounds.stall

    # -- connecting and closing -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.peer = str(self.client[0]) if self.client else ""
        if self._all.take(self):
            self._all.waits(self)
        else:
            self._refuse(503, "too many connections; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lingers:
            self._lingers = False
            self._all.lingering -= 1
        self._all.drop(self)
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close the connection: it waits for its client, and others need its place."""
        self.transport.abort()

    # -- incoming bytes ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._over:
            self._discard(len(data))
            return
        self._arrived += len(data)
        self._complete = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # there is nothing to upgrade to: it is answered as the plain request that it is
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "this is no HTTP/1.1 request")))
            return
        # The parser reports an endless field, and trailers, only once they are complete.
        self._raw = 0 if self._complete else self._raw + len(data)
        if self._raw > self._bounds.head + self._bounds.target:
            self._refuse(431, "the header fields are longer than is taken")

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._reading is not Awaiting.HEAD:
            self._since = time.monotonic()
        self._reading = Awaiting.HEAD
        self._begun = True
        self._head = 0

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > self._bounds.target:
            raise self._beyond(414, f"the request target is longer than {self._bounds.target} bytes")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # As uvicorn's, and counted: called some ten times a request.
        size = len(name) + len(value)
        self._head += size
        headers = self.headers
        if size > self._most_field or self._head > self._most_head or len(headers) >= self._most_fields:
            raise self._beyond_headers(size)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        headers.append((name, value))

    def _beyond_headers(self, size: int) -> TooMuch:
        bounds = self._bounds
        if size > bounds.field:
            return self._beyond(431, f"a header field is longer than {bounds.field} bytes")
        if self._head > bounds.head:
            return self._beyond(431, f"the header fields are longer than {bounds.head} bytes together")
        return self._beyond(431, f"the request has more than {bounds.fields} header fields")

    def _beyond(self, status: int, detail: str) -> TooMuch:
        self._refusal = (status, detail)
        return TooMuch(detail)

    def on_headers_complete(self) -> None:
        self._complete = True
        self._reading = Awaiting.BODY
        self._patience = self._bounds.stall
        self._arrived = 0
        self._all.works(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._complete = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = True
        self._reading = Awaiting.NOTHING
        self._begun = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_next()

    def on_response_complete(self) -> None:
        # As uvicorn's, but without its timer for idle connections: `check` ends them.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._reading is not Awaiting.BODY:
            self._await_next()

    def _await_next(self) -> None:
        self.served = True
        self._since = time.monotonic()
        self._all.waits(self)

    # -- time limits ------------------------------------------------------------------------------------

    def check(self, now: float, elapsed: float) -> None:
        """End the connection where it has waited for its client longer than allowed."""
        if self._is_unread(elapsed):
            self.transport.abort()
        elif self._over:
            pass
        elif self._reading is Awaiting.BODY:
            self._check_body(elapsed)
        elif self.cycle is None or self.cycle.response_complete:
            self._check_head(now)
        else:
            self._since = now  # a further request waits for the answer to the one before

    def _is_unread(self, elapsed: float) -> bool:
        """Return whether the client reads its answer more slowly than the minimum rate."""
        ended = self.cycle is None or self.cycle.response_complete
        if not self.transport.get_write_buffer_size() or not (self.flow.write_paused or ended):
            self._taken, self._unread = None, self._bounds.stall
            return False
        taken = count_acknowledged(self.transport)
        if self._taken is not None:
            more = (taken - self._taken) / self._bounds.rate
            self._unread = min(self._bounds.stall, self._unread + max(0.0, more)) - elapsed
        self._taken = taken
        return self._unread < 0

    def _check_body(self, elapsed: float) -> None:
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            return  # the client waits for us
        arrived, self._arrived = self._arrived, 0
        self._patience = min(self._bounds.stall, self._patience + arrived / self._bounds.rate) - elapsed
        if self._patience >= 0:
            return
        if self.cycle.response_complete:
            self.transport.close()
        else:
            self._refuse(408, f"the body came slower than {self._bounds.rate} bytes a second")

    def _check_head(self, now: float) -> None:
        waited = now - self._since
        if self._reading is Awaiting.NOTHING:
            if waited > self._bounds.idle:
                self.transport.close()
        elif waited > self._bounds.head_seconds:
            if self._begun:
                self._refuse(408, f"the header was not complete within {self._bounds.head_seconds:g} s")
            else:
                self.transport.close()

    # -- refusing ---------------------------------------------------------------------------------------

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem, and read no more of the request.

        Where an answer to it has begun, the connection is aborted instead.
        """
        self._over = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._reading is not Awaiting.BODY:
                # The request in progress came before the refused one: it is answered,
                # then the connection ends.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(_problem(status, detail))
        self._linger()

    def _linger(self) -> None:
        """Close our side and read on for a moment: a reset could destroy the answer before it is read."""
        if self._all.lingering >= MOST_LINGERING:
            self.transport.close()
            return
        self._lingers = True
        self._all.lingering += 1
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _problem(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    again = "retry-after: 2\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n"
        f"{again}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def count_acknowledged(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes the client has taken so far, or a number that grows as they do.

    The kernel counts them (tcpi_bytes_acked). Where it does not, the result is minus the length
    of our own buffer.
    """
    if hasattr(socket, "TCP_INFO"):
        found = transport.get_extra_info("socket")
        try:
            info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
        except OSError:
            info = b""
        if len(info) == 128:
            return int(struct.unpack_from("=Q", info, 120)[0])
    return -transport.get_write_buffer_size()
