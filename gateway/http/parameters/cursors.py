"""Write and read the cursor of `Link: <…>; rel="next"`: the end of a page, for the same search only.

It holds the position of the last row and a checksum over it and its search. It is not a secret: the scope
shows the same rows anyway.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import orjson

from gateway.dicom.query.query import Position, Query
from gateway.errors import BadParameter

_CHECK = 9


def write_cursor(query: Query, last: Position) -> str:
    """Return the cursor to the page after `last`."""
    return _text(query, orjson.dumps(last))


def read(query: Query, text: str) -> Position:
    """Return the position in a cursor of this search. Raises BadParameter."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = data[_CHECK:]
        if text != _text(query, body):
            raise ValueError(text)
        held = orjson.loads(body)
        if not isinstance(held, list):
            raise ValueError(text)
        position: Position = tuple(held)
    except ValueError as error:
        raise BadParameter(
            "cursor: it is not one that this search gave; begin without one, or follow the Link of an answer",
            parameter="cursor",
            expected='the cursor of a Link field with rel="next"',
        ) from error
    return position


def _text(query: Query, body: bytes) -> str:
    return base64.urlsafe_b64encode(_check(query, body) + body).decode().rstrip("=")


def _check(query: Query, body: bytes) -> bytes:
    """Return a checksum of the search and the position; page size and included attributes may change."""
    search = replace(query, include=(), include_all=False, limit=0, offset=0, count=False, after=None)
    return hashlib.sha256(repr(search).encode() + b"\0" + body).digest()[:_CHECK]
