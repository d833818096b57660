"""Send answers as streams: several body messages, nothing joined, exact lengths where they are known.

When something fails after the first byte, the answer is cut off, so that the length or the missing last chunk
shows it. Every iterator is closed, also when the client disconnects.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import orjson
from starlette.types import Receive, Send

from gateway.dicom.model.multipart import PartHead, closing, content_length, encode_head, message_type
from gateway.http.message.disconnect import UNWATCHED_SECONDS, hang_up

log = logging.getLogger("gateway.http")

# A body that is longer than this, or slower than UNWATCHED_SECONDS, is watched for a client that disconnects.
# Others are sent before it would be noticed.
WATCH_AFTER = 1 << 20

# Bytes. Chunks up to this size are joined with the data before: to copy them is cheaper than another write.
JOIN_BELOW = 16 << 10

# Bytes. Longer chunks are written in pieces, each after the one before is out: bytes that a slow client has
# not read lie in memory twice, here and in the buffer of the socket.
PIECE = 1 << 20


@dataclass
class Response:
    """A status line, header fields and a body in pieces that are in memory."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()

    @property
    def length(self) -> int | None:
        """Return the length of the body in bytes; None where it is not known before its end."""
        return sum(map(len, self.pieces))

    @property
    def has_body(self) -> bool:
        return self.status not in (204, 304)

    async def send(self, method: str, receive: Receive, send: Send) -> None:
        """Write the answer; for HEAD only the header fields."""
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": self._fields()})
            if method == "HEAD" or not self.has_body:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await self._send_body(receive, send)
        finally:
            await self.aclose()

    async def _send_body(self, receive: Receive, send: Send) -> None:
        pieces = self.pieces or (b"",)
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1], "more_body": False})

    async def aclose(self) -> None:
        """Close the streams of the body."""

    def _fields(self) -> list[tuple[bytes, bytes]]:
        fields = [(name.encode("latin-1"), _safe(value)) for name, value in self._flat()]
        length = self.length
        if length is not None and self.has_body:
            fields.append((b"content-length", str(length).encode()))
        return fields

    def _flat(self) -> Iterator[tuple[str, str]]:
        for name, value in self.headers.items():
            for line in value.split("\n") if name in ("warning", "link") else (value,):
                yield name, line


def _safe(value: str) -> bytes:
    """Return a header value as visible ASCII; other characters are replaced by `?`."""
    if value.isascii() and value.isprintable():
        return value.encode("ascii")
    return "".join(c if " " <= c <= "~" else "?" for c in value).encode("ascii")


def json_answer(body: object, status: int = 200) -> Response:
    """Return a JSON answer of our own API, which must not be cached."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(status, headers, [orjson.dumps(body)])


@dataclass
class StreamResponse(Response):
    """A body that comes in chunks; `size` is its length in bytes where it is known."""

    chunks: AsyncGenerator[bytes, None] | None = None
    size: int | None = None

    @property
    def length(self) -> int | None:
        return self.size

    async def _send_body(self, receive: Receive, send: Send) -> None:
        writer = _Writer(receive, send)
        try:
            if self.chunks is not None:
                async for chunk in self.chunks:
                    if not await writer.write(chunk):
                        return
        except Exception as error:
            writer.torn(error)
            return
        finally:
            writer.close()
        await writer.end(b"")

    async def aclose(self) -> None:
        if self.chunks is not None:
            await self.chunks.aclose()


@dataclass
class Part:
    """One part of a multipart answer; `size` is the length of its body in bytes where it is known."""

    content_type: str
    chunks: AsyncGenerator[bytes, None]
    size: int | None = None
    location: str | None = None

    @property
    def head(self) -> PartHead:
        return PartHead(self.content_type, self.size, self.location)


@dataclass
class MultipartResponse(Response):
    """multipart/related (PS3.18 8.6.1.2). `part_type` is the media type of the first part."""

    parts: Sequence[Part] = ()
    boundary: str = ""
    part_type: str = ""

    def __post_init__(self) -> None:
        self.headers["content-type"] = message_type(self.boundary, self.part_type)

    @property
    def length(self) -> int | None:
        known = [(part.head, part.size) for part in self.parts if part.size is not None]
        return content_length(self.boundary, known) if len(known) == len(self.parts) else None

    async def _send_body(self, receive: Receive, send: Send) -> None:
        writer = _Writer(receive, send)
        try:
            for index, part in enumerate(self.parts):
                begun = await part_begun(part) if part.size is None else ()
                head = replace(part.head, length=len(begun[0])) if len(begun) == 1 else part.head
                writer.hold(encode_head(self.boundary, head, first=index == 0))
                for chunk in begun:
                    if not await writer.write(chunk):
                        return
                async for chunk in part.chunks:
                    if not await writer.write(chunk):
                        return
                await part.chunks.aclose()
        except Exception as error:
            writer.torn(error)
            return
        finally:
            writer.close()
        await writer.end(closing(self.boundary))

    async def aclose(self) -> None:
        for part in self.parts:
            await part.chunks.aclose()


async def part_begun(part: Part) -> list[bytes]:
    """Return the first two chunks of a part, or a single one if that is all.

    The length of a part of a single chunk, such as a frame, is then known.
    """
    begun: list[bytes] = []
    async for chunk in part.chunks:
        begun.append(chunk)
        if len(begun) == 2:
            break
    return begun


class _Writer:
    """Sends chunks, small ones joined with data held back before, and notices a client that disconnects."""

    __slots__ = ("_begun", "_held", "_receive", "_send", "_sent", "_watch")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._held = b""
        self._sent = 0
        self._begun = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    def hold(self, data: bytes) -> None:
        self._held += data

    async def write(self, chunk: bytes) -> bool:
        """Send a chunk; return False where the client has disconnected."""
        if self._watch is None and (
            self._sent > WATCH_AFTER or time.monotonic() - self._begun > UNWATCHED_SECONDS
        ):
            self._watch = asyncio.create_task(hang_up(self._receive))
        if self._watch is not None and self._watch.done():
            return False
        held, self._held = self._held, b""
        if held and len(chunk) > JOIN_BELOW:
            await self._send({"type": "http.response.body", "body": held, "more_body": True})
            held = b""
        if len(chunk) > PIECE:
            return await self._in_pieces(chunk)
        await self._send(
            {"type": "http.response.body", "body": held + chunk if held else chunk, "more_body": True}
        )
        self._sent += len(chunk)
        return True

    async def _in_pieces(self, chunk: bytes) -> bool:
        for start in range(0, len(chunk), PIECE):
            if self._watch is not None and self._watch.done():
                return False
            piece = chunk[start : start + PIECE]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sent += len(piece)
        return True

    async def end(self, last: bytes) -> None:
        await self._send({"type": "http.response.body", "body": self._held + last, "more_body": False})

    def torn(self, error: Exception) -> None:
        log.error("answer cut short", extra={"sent": self._sent}, exc_info=error)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
