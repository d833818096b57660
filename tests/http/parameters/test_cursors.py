"""A cursor whose checksum holds may still be made up: it is no secret."""

from __future__ import annotations

import pytest
from gateway.dicom.query.query import Query
from gateway.errors import BadParameter
from gateway.http.parameters import cursors
from gateway.model import Level

QUERY = Query(Level.STUDY)


@pytest.mark.parametrize("body", [b"", b"[", b"5", b"null", b"true", b'"text"', b'{"a":1}', b"\xff", b"NaN"])
def test_what_is_no_position_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        cursors.read(QUERY, cursors._text(QUERY, body))
