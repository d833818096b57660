"""Entity tags, conditions and ranges (RFC 9110 8.8, 13, 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.errors import GatewayError
from gateway.http.negotiation.media import split_quoted
from gateway.model import Span

# Part of every tag: raise it when the same version would be written in other bytes than before.
WRITER = "1"

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\Z", re.IGNORECASE)


class RangeNotSatisfiable(GatewayError):
    """The range lies outside the body of `length` bytes."""

    def __init__(self, length: int) -> None:
        super().__init__(f"the range lies outside the {length} bytes there are", parameter="Range")
        self.length = length


def entity_tag(*parts: object) -> str:
    """Return a strong tag, in quotes, over everything that the bytes depend on."""
    seed = "\0".join(map(str, (WRITER, *parts)))
    return f'"{hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()}"'


def is_match(if_none_match: str | None, tag: str) -> bool:
    """Return whether the client has the representation of `tag` (RFC 9110 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(piece.removeprefix("W/") == tag for piece in split_quoted(if_none_match, ","))


def byte_range(header: str | None, if_range: str | None, tag: str, length: int) -> Span | None:
    """Return the requested span of a body of `length` bytes, None for all of it.

    Several ranges, other units and a stale If-Range are ignored. Raises RangeNotSatisfiable.
    """
    if header is None or (if_range is not None and if_range.strip() != tag):
        return None
    found = _RANGE.match(header.strip())
    first, last = found.groups() if found is not None else ("", "")
    if not first and not last:
        return None
    if not first:
        count = min(int(last), length)
        if count == 0:
            raise RangeNotSatisfiable(length)
        return Span(length - count, length)
    start = int(first)
    stop = min(int(last) + 1, length) if last else length
    if last and int(last) < start:
        return None
    if start >= length:
        raise RangeNotSatisfiable(length)
    return Span(start, stop)


async def cut(chunks: AsyncGenerator[bytes, None], span: Span) -> AsyncGenerator[bytes, None]:
    """Stream the bytes of `span` out of a stream that begins at 0; the rest is not read."""
    at = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            start, stop = max(span.start - at, 0), span.stop - at
            at += len(chunk)
            if start < len(chunk):
                yield chunk if start == 0 and stop >= len(chunk) else chunk[start:stop]
            if at >= span.stop:
                return
