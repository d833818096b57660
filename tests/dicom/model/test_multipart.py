"""multipart/related against a second parser (the standard library's), and each oddity that clients send."""

from __future__ import annotations

import email
import email.policy
import itertools
import time

import pytest
from gateway.dicom.model.multipart import (
    End,
    Event,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    PartHead,
    boundary_of,
    closing,
    content_length,
    encode_head,
)
from gateway.errors import BadRequest, LimitExceeded, Truncated
from hypothesis import given
from hypothesis import strategies as st

Parts = list[tuple[dict[str, str], bytes]]

# Bytes that look like what a parser looks for.
TRICKY = st.lists(
    st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\r\n",
            b"-",
            b"--",
            b"b",
            b"--b",
            b"\r\n--b",
            b"\n--bb",
            b"\r\n--b x",
            b"\0",
            b"data",
        ]
    )
    | st.binary(max_size=8),
    max_size=12,
).map(b"".join)


def parse(parser: MultipartParser, chunks: list[bytes]) -> Parts:
    events: list[Event] = list(itertools.chain.from_iterable(parser.feed(chunk) for chunk in chunks))
    parser.close()
    parts = collect(events)
    assert isinstance(events[-1], End)
    return parts


def collect(events: list[Event]) -> Parts:
    parts: Parts = []
    body: list[bytes] = []
    for event in events:
        if isinstance(event, PartBegin):
            parts.append((event.headers, b""))
            body = []
        elif isinstance(event, PartData):
            assert event.data
            body.append(event.data)
        elif isinstance(event, PartEnd):
            parts[-1] = (parts[-1][0], b"".join(body))
    return parts


def pieces(message: bytes, size: int) -> list[bytes]:
    return [message[i : i + size] for i in range(0, len(message), size)]


def message_of(boundary: str, bodies: list[bytes], content_type: str = "application/dicom") -> bytes:
    out = b""
    for index, body in enumerate(bodies):
        out += encode_head(boundary, PartHead(content_type, len(body)), first=index == 0) + body
    return out + closing(boundary)


ODD_MESSAGES = {
    "plain": (b"--b\r\nContent-Type: application/dicom\r\n\r\nDATA\r\n--b--\r\n", [b"DATA"]),
    "no line end after the closing boundary": (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b--", [b"DATA"]),
    "line feeds only": (b"--b\nA: 1\n\nDATA\n--b\nA: 1\n\nMORE\n--b--\n", [b"DATA", b"MORE"]),
    "line feeds only, body ends in CR": (b"--b\nA: 1\n\nDATA\r\n--b--\n", [b"DATA\r"]),
    "preamble": (b"This is MIME.\r\n--b\r\nA: 1\r\n\r\nDATA\r\n--b--", [b"DATA"]),
    "empty line first": (b"\r\n--b\r\nA: 1\r\n\r\nDATA\r\n--b--", [b"DATA"]),
    "epilogue": (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b--\r\nbye\r\n--b\r\n\r\nX", [b"DATA"]),
    "white space after boundaries": (b"--b \t\r\nA: 1\r\n\r\nDATA\r\n--b--  \r\n", [b"DATA"]),
    "no part headers": (b"--b\r\n\r\nDATA\r\n--b--", [b"DATA"]),
    "empty part": (b"--b\r\nA: 1\r\n\r\n\r\n--b--", [b""]),
    "empty part, one line end": (b"--b\r\nA: 1\r\n\r\n--b--", [b""]),
    "neither head nor body": (b"--b\r\n--b\r\nA: 1\r\n\r\nDATA\r\n--b--", [b"", b"DATA"]),
    "line ends within": (b"--b\r\nA: 1\r\n\r\nDA\r\n\r\nTA\r\n\r\n--b--", [b"DA\r\n\r\nTA\r\n"]),
    "boundary-like line": (b"--b\r\n\r\nX\r\n--bc\r\n--b?\r\nY\r\n--b--", [b"X\r\n--bc\r\n--b?\r\nY"]),
    "boundary inside a line": (b"--b\r\nA: 1\r\n\r\nX--b\r\n--b--", [b"X--b"]),
    "boundary-like start": (b"--b\r\n\r\n--bx\r\n--b--", [b"--bx"]),
    "no parts": (b"--b--\r\n", []),
}


@pytest.mark.parametrize("name", ODD_MESSAGES)
def test_what_clients_send_is_read_however_it_is_cut(name: str) -> None:
    message, bodies = ODD_MESSAGES[name]
    for size in range(1, len(message) + 1):
        assert [body for _, body in parse(MultipartParser("b"), pieces(message, size))] == bodies
    for cut in range(len(message)):
        assert [b for _, b in parse(MultipartParser("b"), [message[:cut], message[cut:]])] == bodies


def test_headers_are_folded_and_their_names_lower_case() -> None:
    message = (
        b'--b\r\nCONTENT-type: application/dicom;\r\n transfer-syntax="1.2"\r\nnonsense\r\n'
        b"Content-Length:4\r\nMIME-Version: 1.0\r\n\r\nDATA\r\n--b--"
    )
    ((headers, body),) = parse(MultipartParser("b"), [message])
    assert headers == {
        "content-type": 'application/dicom; transfer-syntax="1.2"',
        "content-length": "4",
        "mime-version": "1.0",
    }
    assert body == b"DATA"


@pytest.mark.parametrize("boundary", ["'()+_,-./:=?", "x" * 70, "a b", "----WebKitFormBoundary7MA4", "=_?"])
def test_any_legal_boundary(boundary: str) -> None:
    message = message_of(boundary, [b"one", b"two"])
    assert [body for _, body in parse(MultipartParser(boundary), pieces(message, 7))] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        (b"", 0),
        (b"no boundary at all", 0),
        (b"--b", 0),
        (b"--b\r\nA: 1\r\n", 0),
        (b"--b\r\nA: 1\r\n\r\nDATA", 0),
        (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b\r\nA: 2\r\n\r\nMO", 1),
        (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b", 0),
        (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b-", 0),
        (b"--b\r\nA: 1\r\n\r\nDATA\r\n--b\r\n", 1),
    ],
)
def test_a_missing_closing_boundary_is_seen_and_parts_before_it_are_whole(message: bytes, whole: int) -> None:
    parser = MultipartParser("b")
    events = parser.feed(message)
    with pytest.raises(Truncated, match="closing boundary"):
        parser.close()
    assert sum(isinstance(event, PartEnd) for event in events) == whole
    if whole:
        assert collect(events)[0][1] == b"DATA"


def test_limits() -> None:
    with pytest.raises(LimitExceeded, match="head of part 1"):
        MultipartParser("b", max_header_bytes=100).feed(b"--b\r\n" + b"A: 1\r\n" * 50 + b"\r\n")
    with pytest.raises(LimitExceeded, match="head of part 1"):
        MultipartParser("b", max_header_bytes=100).feed(b"--b\r\n" + b"A" * 200)
    with pytest.raises(LimitExceeded, match="more than 2 parts"):
        MultipartParser("b", max_parts=2).feed(b"--b\r\n\r\nX\r\n" * 3)
    for boundary in ("", "x" * 1001):
        with pytest.raises(BadRequest, match="boundary"):
            MultipartParser(boundary)


def test_endless_white_space_after_a_boundary_is_data() -> None:
    message = b"--b\r\n\r\nX\r\n--b" + b" " * 5000 + b"\r\n--b--"
    ((_, body),) = parse(MultipartParser("b"), pieces(message, 11))
    assert body == b"X\r\n--b" + b" " * 5000


@given(bodies=st.lists(TRICKY, min_size=1, max_size=5), size=st.integers(1, 40))
def test_round_trip_and_length(bodies: list[bytes], size: int) -> None:
    boundary = boundary_of(repr(bodies))
    message = message_of(boundary, bodies)
    parts = parse(MultipartParser(boundary), pieces(message, size))
    assert [body for _, body in parts] == bodies
    heads = [(PartHead("application/dicom", len(body)), len(body)) for body in bodies]
    assert content_length(boundary, heads) == len(message)


@given(bodies=st.lists(TRICKY, min_size=1, max_size=4), size=st.integers(1, 9))
def test_a_short_boundary_that_bodies_look_like(bodies: list[bytes], size: int) -> None:
    """Split by hand: a line that is the boundary, alone or closing, would be one for anybody."""
    boundary = "b~~b"
    message = message_of(boundary, bodies)
    assert [body for _, body in parse(MultipartParser(boundary), pieces(message, size))] == bodies


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_the_standard_library_reads_what_we_write(bodies: list[bytes]) -> None:
    boundary = boundary_of("etag")
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="{boundary}"\r\n\r\n'.encode()
    # The library mends line ends of text, so bodies travel in base64 there, as they are with us.
    import base64

    encoded = [base64.b64encode(body) for body in bodies]
    message = message_of(boundary, encoded)
    theirs = email.message_from_bytes(head + message, policy=email.policy.HTTP)
    got = [base64.b64decode(str(part.get_payload())) for part in theirs.iter_parts()]
    assert got == bodies
    assert [base64.b64decode(body) for _, body in parse(MultipartParser(boundary), [message])] == got


def test_the_boundary_follows_from_its_seed() -> None:
    assert boundary_of('"a"') == boundary_of('"a"') != boundary_of('"b"')
    assert len(boundary_of("x")) <= 70


def test_heads_say_type_first() -> None:
    head = PartHead("image/jls; transfer-syntax=1.2", 3, "http://h/frames/1")
    assert encode_head("b", head, first=True) == (
        b"--b\r\nContent-Type: image/jls; transfer-syntax=1.2\r\nContent-Length: 3\r\n"
        b"Content-Location: http://h/frames/1\r\n\r\n"
    )
    assert encode_head("b", head, first=False).startswith(b"\r\n--b\r\n")


def test_big_bodies_pass_through_uncopied() -> None:
    parser = MultipartParser("boundary")
    parser.feed(b"--boundary\r\n\r\n")
    chunk = b"\x01\x02\x03\x04" * 16384
    parser.feed(chunk)
    (event,) = parser.feed(chunk)
    assert isinstance(event, PartData)
    assert event.data is chunk


def test_line_feeds_everywhere_do_not_make_it_slow() -> None:
    parser = MultipartParser("boundary")
    parser.feed(b"--boundary\r\n\r\n")
    chunk = b"\r\n--boundar" * 6000
    began = time.perf_counter()
    for _ in range(50):
        parser.feed(chunk)
    assert time.perf_counter() - began < 5
