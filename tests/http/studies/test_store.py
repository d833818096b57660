"""STOW-RS at the door: what is taken in which form, and what is answered (PS3.18 10.5)."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from gateway.http.settings import HttpSettings
from tests.http.fakes import Rooms
from tests.http.wire import exchange, listening
from tests.live import multipart

TYPE = 'multipart/related; type="application/dicom"; boundary=b'


async def post(
    web: httpx.AsyncClient, body: bytes, content_type: str = TYPE, **headers: str
) -> httpx.Response:
    return await web.post("/studies", content=body, headers={"Content-Type": content_type, **headers})


def message(*parts: bytes, head: bytes = b"Content-Type: application/dicom") -> bytes:
    return b"".join(b"--b\r\n" + head + b"\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


async def test_every_part_is_taken_in_order(web: httpx.AsyncClient, rooms: Rooms) -> None:
    answer = await post(web, message(b"PART1", b"PART2"))
    assert answer.status_code == 200
    assert rooms.ingest.seen == [(b"PART1", None), (b"PART2", None)]
    assert rooms.ingest.studies == [None]
    assert rooms.ingest.sources[0].kind == "stow"
    assert answer.headers["location"] == "http://localhost:8080/dicom-web/studies/1.2"
    assert answer.headers["content-type"] == "application/dicom+json"
    assert len(answer.json()["00081199"]["Value"]) == 2


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary=b',
        "multipart/related; type=application/dicom; boundary=b",
        'multipart/related; boundary="b"',
        'Multipart/Related; Boundary=b; Type="application/dicom"',
        'multipart/related; type="application/dicom; transfer-syntax=*"; boundary=b',
    ],
)
async def test_spellings_of_the_content_type(web: httpx.AsyncClient, content_type: str) -> None:
    assert (await post(web, message(b"PART"), content_type)).status_code == 200


async def test_a_bare_instance(web: httpx.AsyncClient, rooms: Rooms) -> None:
    answer = await post(web, b"PART", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    assert answer.status_code == 200
    assert rooms.ingest.seen == [(b"PART", "1.2.840.10008.1.2.1")]
    assert (await post(web, b"", "application/dicom")).status_code == 400


async def test_the_part_names_its_transfer_syntax(web: httpx.AsyncClient, rooms: Rooms) -> None:
    head = b'Content-Type: application/dicom;\r\n transfer-syntax="1.2.840.10008.1.2"'
    await post(web, message(b"PART", head=head))
    await post(web, message(b"PART", head=b"X-Nothing: 1"))
    assert [syntax for _, syntax in rooms.ingest.seen] == ["1.2.840.10008.1.2", None]


async def test_the_study_of_the_url_is_passed_on(web: httpx.AsyncClient, rooms: Rooms) -> None:
    await web.post("/studies/1.2", content=message(b"PART"), headers={"Content-Type": TYPE})
    assert rooms.ingest.studies == ["1.2"]


async def test_some_fail_some_warn(web: httpx.AsyncClient) -> None:
    answer = await post(web, message(b"PART1", b"WARN2", b"rubbish"))
    assert answer.status_code == 202
    assert answer.json()["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    assert len(answer.headers.get_list("warning")) == 2
    assert (await post(web, message(b"rubbish"))).status_code == 409


@pytest.mark.row("S-28")
async def test_a_part_of_another_type_fails_alone(web: httpx.AsyncClient, rooms: Rooms) -> None:
    body = b"--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n" + message(b"PART")
    answer = await post(web, body)
    assert answer.status_code == 202
    assert [data for data, _ in rooms.ingest.seen] == [b"PART"]
    assert "part 1: content type 'image/png' is not taken" in answer.headers["warning"]


@pytest.mark.row("S-82")
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "without any part and without its closing boundary"),
        (b"--b--\r\n", "has no parts"),
        (b"--other\r\n\r\nPART\r\n--other--", "without any part"),
        (b"--b\r\nContent-Type: application/dicom\r\n\r\nPART", "after 1 parts"),
        (b"--b\r\n" + b"A: 1\r\n" * 5000, "head of part 1 is longer"),
    ],
)
async def test_malformed_bodies_are_400(web: httpx.AsyncClient, body: bytes, detail: str) -> None:
    answer = await post(web, body)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


async def test_what_came_whole_before_the_body_broke_off_is_kept(
    web: httpx.AsyncClient, rooms: Rooms
) -> None:
    answer = await post(web, message(b"PART1")[:-4] + b"\r\n\r\nPART2")
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == 1
    assert len(answer.json()["0008119A"]["Value"]) == 1
    assert rooms.ingest.over.is_set()


async def test_the_answer_in_xml(web: httpx.AsyncClient) -> None:
    answer = await post(web, message(b"PART"), Accept="application/dicom+xml")
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert b"NativeDicomModel" in answer.content
    several = await post(web, message(b"PART"), Accept='multipart/related; type="application/dicom+xml"')
    assert several.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
    assert (await post(web, message(b"PART"), Accept="image/png")).status_code == 406


@pytest.mark.row("S-10", "S-85")
async def test_too_large_is_413_announced_or_not(rooms: Rooms) -> None:
    async with listening(rooms.application(HttpSettings(max_body=100))) as port:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
        head += "Connection: close\r\n"
        announced = f"{head}Content-Length: 1000\r\n\r\n".encode() + message(b"x" * 900)
        assert (await exchange(port, announced))[0].startswith(b"HTTP/1.1 413")
        body = message(b"PART" + b"x" * 900)
        chunked = (
            f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        )
        assert (await exchange(port, chunked))[0].startswith(b"HTTP/1.1 413")
    assert rooms.ingest.seen == []


async def test_a_client_that_hangs_up_leaves_no_half_part(rooms: Rooms) -> None:
    async with listening(rooms.application()) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        body, content_type = multipart([b"PART1", b"PART2" * 1000])
        writer.write(
            f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:-3000]
        )
        await writer.drain()
        await asyncio.wait_for(rooms.ingest.taken.wait(), 20)
        writer.transport.abort()
        await asyncio.wait_for(rooms.ingest.over.wait(), 20)
    assert [data for data, _ in rooms.ingest.seen] == [b"PART1"]
