"""Answers of one part, and ranges of them (PS3.18 8.6.1.1)."""

from __future__ import annotations

from gateway.http.message.conditional import byte_range, cut
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, StreamResponse
from gateway.services.bytestream import Body


def single(request: Request, body: Body, content_type: str, headers: dict[str, str]) -> Response:
    """Return a body without parts, or the requested range of it (C-MP-9)."""
    headers["content-type"] = content_type
    chunks, size, status = body.chunks, body.length, 200
    if size is not None:
        headers["accept-ranges"] = "bytes"
        span = byte_range(
            request.headers.get("range"), request.headers.get("if-range"), headers["etag"], size
        )
        if span is not None:
            headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
            chunks, size, status = cut(chunks, span), len(span), 206
    return StreamResponse(status, headers, chunks=chunks, size=size)
