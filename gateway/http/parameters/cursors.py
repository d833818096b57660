"""The cursor of `Link: <…>; rel="next"`: where a page ended, as text that only its own search takes back.

It holds the position of the last row and a checksum over it and the search it belongs to. It is no secret: what
it leads to is what the scope shows anyway.
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
    """The cursor to the page behind `last`."""
    return _text(query, orjson.dumps(last))


def read(query: Query, text: str) -> Position:
    """The position that a cursor of this search holds. Raises BadParameter."""
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
    """Of what is searched; how much of it is shown at once may change from page to page."""
    search = replace(query, include=(), include_all=False, limit=0, offset=0, count=False, after=None)
    return hashlib.sha256(repr(search).encode() + b"\0" + body).digest()[:_CHECK]
