"""Bodies on a real socket: lengths, cuts, hang-ups, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from gateway.dicom.model.multipart import MultipartParser, PartData, boundary_of
from gateway.http.message.responses import MultipartResponse, Part, Response, StreamResponse
from starlette.types import Receive, Scope, Send
from tests.http.wire import exchange, get, listening


class Source:
    """Chunks that remember whether they were closed; `fails_after` breaks off."""

    def __init__(self, chunks: list[bytes], *, fails: bool = False) -> None:
        self.closed = asyncio.Event()
        self.begun = False
        self._chunks = chunks
        self._fails = fails

    async def stream(self) -> AsyncGenerator[bytes, None]:
        self.begun = True
        try:
            for chunk in self._chunks:
                yield chunk
            if self._fails:
                raise RuntimeError("the disk is gone")
        finally:
            self.closed.set()


class Endless:
    """Chunks without end."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            self.closed.set()


def application(response: Response):  # type: ignore[no-untyped-def]
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response.send(scope["method"], receive, send)

    return app


async def answer(response: Response, method: str = "GET") -> tuple[bytes, bytes]:
    async with listening(application(response)) as port:
        return await exchange(port, get(method=method))


def parts_of(sources: list[Source], sizes: list[int | None]) -> MultipartResponse:
    parts = [
        Part("application/dicom", source.stream(), size, f"http://h/{index}")
        for index, (source, size) in enumerate(zip(sources, sizes, strict=True))
    ]
    return MultipartResponse(
        200, {"etag": '"x"'}, parts=parts, boundary=boundary_of("x"), part_type="application/dicom"
    )


def bodies(message: bytes) -> list[bytes]:
    parser = MultipartParser(boundary_of("x"))
    found: list[bytes] = []
    for event in parser.feed(message):
        if isinstance(event, PartData):
            found.append(event.data)
    parser.close()
    return found


async def test_multipart_has_its_exact_length() -> None:
    sources = [Source([b"a" * 10, b"b" * 40000]), Source([b"c"])]
    head, body = await answer(parts_of(sources, [40010, 1]))
    assert f"content-length: {len(body)}".encode() in head
    assert bodies(body) == [b"a" * 10 + b"b" * 40000, b"c"]
    assert b'content-type: multipart/related; type="application/dicom"; boundary=' in head
    assert b"Content-Location: http://h/1\r\n" in body
    assert all(source.closed.is_set() for source in sources)


async def test_multipart_of_unknown_length_is_chunked() -> None:
    head, body = await answer(parts_of([Source([b"a"]), Source([b"b"])], [None, 1]))
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body.endswith(b"0\r\n\r\n")


async def test_a_failure_after_the_first_byte_is_seen_by_the_length() -> None:
    source = Source([b"a" * 100], fails=True)
    head, body = await answer(StreamResponse(200, {}, chunks=source.stream(), size=1000))
    assert b"content-length: 1000" in head
    assert body == b"a" * 100
    assert source.closed.is_set()


async def test_a_failure_after_the_first_byte_is_seen_by_the_missing_last_chunk() -> None:
    sources = [Source([b"a" * 100], fails=True), Source([b"b"])]
    head, body = await answer(parts_of(sources, [None, None]))
    assert b"200 OK" in head
    assert not body.endswith(b"0\r\n\r\n")
    assert not sources[1].begun


async def test_head_sends_the_fields_and_closes_what_was_opened() -> None:
    source = Source([b"a" * 100])
    stream = source.stream()
    await anext(stream)
    head, body = await answer(StreamResponse(200, {}, chunks=stream, size=100), "HEAD")
    assert b"content-length: 100" in head
    assert body == b""
    assert source.closed.is_set()


@pytest.mark.row("C-HDR-4")
@pytest.mark.parametrize(
    "response",
    [
        Response(200, {"content-type": "text/plain"}),
        Response(404, {"content-type": "text/plain"}, [b""]),
        StreamResponse(200, chunks=Source([]).stream(), size=0),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_payload_of_nothing_has_its_length_too(response: Response, method: str) -> None:
    head, body = await answer(replace(response), method)
    assert b"content-length: 0" in head
    assert b"transfer-encoding" not in head
    assert body == b""


async def test_304_and_204_have_no_body_and_no_length() -> None:
    for status in (204, 304):
        head, body = await answer(Response(status, {"etag": '"x"'}))
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        assert body == b""


async def test_a_client_that_hangs_up_closes_the_source() -> None:
    source = Endless()
    response = StreamResponse(200, {}, chunks=source.stream())
    async with listening(application(response)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get())
        read = 0
        while read < 3 << 20:
            read += len(await reader.read(1 << 20))
        writer.transport.abort()
        await asyncio.wait_for(source.closed.wait(), 20)


async def test_several_warnings_are_several_fields() -> None:
    head, _ = await answer(Response(200, {"warning": "299 a: x\n299 a: y"}, [b"1", b"2"]))
    assert b"warning: 299 a: x\r\nwarning: 299 a: y\r\n" in head
    assert b"content-length: 2" in head


async def test_header_values_cannot_break_the_head() -> None:
    head, _ = await answer(Response(200, {"location": "http://h/\r\nset-cookie: x=ü"}, [b""]))
    assert b"location: http://h/??set-cookie: x=?" in head
