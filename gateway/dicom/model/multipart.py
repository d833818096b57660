"""Read and write multipart/related: a push parser for real clients, and a writer that knows its exact length.

PS3.18 8.6.1.2, RFC 2046 5.1, RFC 2387. Bodies are opaque octets; nothing here does I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.errors import BadRequest, LimitExceeded, Truncated

MAX_HEADER_BYTES: Final = 16 << 10
MAX_PARTS: Final = 100_000
MAX_BOUNDARY: Final = 1000  # RFC 2046 says 70; longer ones are seen and harmless.
MAX_PADDING: Final = 1000  # white space after a boundary; beyond it the line is data.

_WHITE = b" \t"
_CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The header of a part has been read; field names in lower case, folded lines joined."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some octets of the part's body; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


@dataclass(frozen=True, slots=True)
class End:
    """The closing boundary has been read; all further bytes are epilogue."""


Event: TypeAlias = PartBegin | PartData | PartEnd | End

_PART_END = PartEnd()
_END = End()


@dataclass(slots=True)
class _Delimiter:
    """A delimiter line: data ends at `start`, parsing continues at `stop`."""

    start: int
    stop: int
    closing: bool
    bare_lf: bool


class MultipartParser:
    """A push parser that takes a message in pieces of any size; large bodies are not copied.

    It also accepts bare LF line ends, preamble, epilogue, white space after a boundary, parts without
    headers, folded headers, and body lines that only begin like a boundary.
    """

    def __init__(
        self, boundary: str, *, max_header_bytes: int = MAX_HEADER_BYTES, max_parts: int = MAX_PARTS
    ) -> None:
        if not boundary or len(boundary) > MAX_BOUNDARY:
            raise BadRequest(f"multipart boundary of {len(boundary)} characters: want 1 to 70")
        self._needle = b"--" + boundary.encode("utf-8")
        self._max_header_bytes = max_header_bytes
        self._max_parts = max_parts
        self._state = self._preamble
        self._held = b""
        self._events: list[Event] = []
        self._parts = 0
        self._at_start = True  # no byte of the preamble or body has been passed on: a line starts here
        self._bare_lf = False

    @property
    def parts(self) -> int:
        """How many parts have begun."""
        return self._parts

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises LimitExceeded, BadRequest."""
        data = self._held + data if self._held else data
        self._held = b""
        self._events = []
        position = 0
        while position < len(data):
            state = self._state
            following = state(data, position)
            if following == position and state == self._state:
                self._held = data[position:]
                break
            position = following
        return self._events

    def close(self) -> None:
        """End the message. Raises Truncated where the closing boundary is missing."""
        if self._state != self._epilogue:
            seen = f"after {self._parts} parts" if self._parts else "without any part"
            raise Truncated(f"the multipart body ends {seen} and without its closing boundary")

    # Each state takes (data, position) and returns where to continue; the same position means that it needs more data.

    def _preamble(self, data: bytes, position: int) -> int:
        found = self._find(data, position)
        if found is None:
            keep = self._find_undecided(data, position)
            self._at_start = self._at_start and keep == position
            return keep
        self._after(found)
        return found.stop

    def _headers(self, data: bytes, position: int) -> int:
        lines: list[bytes] = []
        at = position
        while (end := data.find(b"\n", at)) >= 0:
            line = data[at:end].removesuffix(b"\r")
            if line.startswith(self._needle):  # a part with neither header nor body
                break
            at = end + 1
            if not line:
                self._begin(lines)
                self._state = self._body
                return at
            lines.append(line)
            self._check_bound(at - position)
        else:
            self._check_bound(len(data) - position)
            return position
        self._begin(lines)
        self._state = self._body
        return at

    def _body(self, data: bytes, position: int) -> int:
        found = self._find(data, position)
        stop = self._find_undecided(data, position) if found is None else found.start
        if stop > position:
            self._events.append(PartData(data[position:stop] if stop - position < len(data) else data))
            self._at_start = False
        if found is None:
            return stop
        self._events.append(_PART_END)
        self._after(found)
        return found.stop

    def _epilogue(self, data: bytes, position: int) -> int:
        return len(data)

    def _after(self, found: _Delimiter) -> None:
        self._bare_lf = found.bare_lf
        self._at_start = True
        if found.closing:
            self._events.append(_END)
            self._state = self._epilogue
            return
        if self._parts >= self._max_parts:
            raise LimitExceeded(f"multipart body of more than {self._max_parts} parts")
        self._state = self._headers

    def _begin(self, lines: list[bytes]) -> None:
        self._parts += 1
        self._events.append(PartBegin(_fields(lines)))

    def _check_bound(self, size: int) -> None:
        if size > self._max_header_bytes:
            raise LimitExceeded(
                f"head of part {self._parts + 1} is longer than {self._max_header_bytes} bytes"
            )

    def _find(self, data: bytes, position: int) -> _Delimiter | None:
        """Return the next complete delimiter line at or after `position`; None where there is none yet."""
        at = data.find(self._needle, position)
        while at >= 0:
            if self._starts_line(data, position, at):
                line = self._line_end(data, at + len(self._needle))
                if line is not None and line[0] > 0:
                    return _Delimiter(self._data_end(data, position, at), *line)
                if line is None:  # it may still become one
                    return None
            at = data.find(self._needle, at + 1)
        return None

    def _starts_line(self, data: bytes, position: int, at: int) -> bool:
        return (at == position and self._at_start) or (at > position and data[at - 1] == 0x0A)

    def _line_end(self, data: bytes, at: int) -> tuple[int, bool, bool] | None:
        """Return (stop, closing, bare LF) of the bytes after a boundary.

        A stop of 0 means that this is no delimiter; None that more bytes are needed.
        """
        if data.startswith(b"--", at):
            return at + 2, True, self._bare_lf
        end = at
        while end < len(data) and data[end] in _WHITE and end - at <= MAX_PADDING:
            end += 1
        rest = data[end : end + 2]
        if rest.startswith(b"\n"):
            return end + 1, False, True
        if rest == _CRLF:
            return end + 2, False, False
        partial = not rest or rest == b"\r" or (end == at and rest == b"-")
        return None if partial and end - at <= MAX_PADDING else (0, False, False)

    def _data_end(self, data: bytes, position: int, at: int) -> int:
        """Return where the body before the delimiter at `at` ends.

        The line end before the delimiter belongs to the delimiter.
        """
        if at == position:
            return at
        # After a boundary line that ended in a bare LF, a CR before the next LF belongs to the body.
        with_cr = not self._bare_lf and at - 2 >= position and data[at - 2] == 0x0D
        return at - 2 if with_cr else at - 1

    def _find_undecided(self, data: bytes, position: int) -> int:
        """Return where a delimiter line may start in `data`; the length of `data` where it cannot."""
        length = len(data)
        longest = len(self._needle) + MAX_PADDING + 4
        if self._at_start and length - position <= longest and self._may_begin(data, position):
            return position
        at = data.rfind(b"\n", max(position, length - longest))
        if at >= 0 and self._may_begin(data, at + 1):
            with_cr = not self._bare_lf and at > position and data[at - 1] == 0x0D
            return at - 1 if with_cr else at
        if not self._bare_lf and length > position and data[length - 1] == 0x0D:
            return length - 1
        return length

    def _may_begin(self, data: bytes, at: int) -> bool:
        line = data[at : at + len(self._needle)]
        if len(line) < len(self._needle):
            return self._needle.startswith(line)
        return line == self._needle and self._line_end(data, at + len(self._needle)) is None


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Return the header fields.

    Continuation lines belong to the field before; lines without a colon are ignored.
    """
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if name:
                fields[name] = f"{fields[name]} {line.strip().decode('latin-1')}".strip()
            continue
        head, colon, value = line.partition(b":")
        name = head.strip().lower().decode("latin-1") if colon else ""
        if name:
            fields[name] = value.strip().decode("latin-1")
    return fields


# -- writing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartHead:
    """The header of a part: its Content-Type first (C-MP-5), then length and location where known."""

    content_type: str
    length: int | None = None
    location: str | None = None


def boundary_of(seed: str) -> str:
    """Return a boundary derived from `seed` (an ETag), so that the same answer has the same bytes each time.

    It is a keyed hash, so no data stored before its ETag existed can hold it.
    """
    return hashlib.blake2b(seed.encode(), key=b"gateway multipart boundary", digest_size=20).hexdigest()


def encode_head(boundary: str, head: PartHead, *, first: bool) -> bytes:
    """Return all bytes before the part's body: line end of the part before, delimiter, header fields."""
    text = f"{'' if first else chr(13) + chr(10)}--{boundary}\r\nContent-Type: {head.content_type}\r\n"
    if head.length is not None:
        text += f"Content-Length: {head.length}\r\n"
    if head.location is not None:
        text += f"Content-Location: {head.location}\r\n"
    return (text + "\r\n").encode("latin-1")


def closing(boundary: str) -> bytes:
    """Return all bytes after the last part's body."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")


def content_length(boundary: str, parts: Iterable[tuple[PartHead, int]]) -> int:
    """Return the exact length of the message body, so that clients can detect a truncated answer."""
    total = len(closing(boundary))
    for index, (head, size) in enumerate(parts):
        total += len(encode_head(boundary, head, first=index == 0)) + size
    return total


def message_type(boundary: str, part_type: str) -> str:
    """Return the Content-Type of the message; `part_type` is the media type of the root part (RFC 2387)."""
    return f'multipart/related; type="{part_type}"; boundary={boundary}'
