"""QIDO-RS at the door: targets, warnings, totals, forms (PS3.18 10.6)."""

from __future__ import annotations

import gzip

import httpx
import pytest
from gateway.index.base import Page, RowPlace
from gateway.model import Level, ResourcePath, SeriesUID, StudyUID
from tests.http.fakes import Rooms

ROW = b'{"0020000D":{"vr":"UI","Value":["1.2"]},"00081190":{"vr":"UR","Value":["\0/studies/1.2"]}}'
BASE = "http://localhost:8080/dicom-web"


@pytest.mark.parametrize(
    ("path", "level", "within"),
    [
        ("/studies", Level.STUDY, None),
        ("/series", Level.SERIES, None),
        ("/instances", Level.INSTANCE, None),
        ("/studies/1.2/series", Level.SERIES, ResourcePath(StudyUID("1.2"))),
        ("/studies/1.2/instances", Level.INSTANCE, ResourcePath(StudyUID("1.2"))),
        (
            "/studies/1.2/series/1.3/instances",
            Level.INSTANCE,
            ResourcePath(StudyUID("1.2"), SeriesUID("1.3")),
        ),
    ],
)
async def test_the_six_resources(
    web: httpx.AsyncClient, rooms: Rooms, path: str, level: Level, within: ResourcePath | None
) -> None:
    assert (await web.get(path)).status_code == 204
    (query,) = rooms.search.asked
    assert (query.level, query.within) == (level, within)


async def test_rows_get_the_base_url(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.search.page = Page([ROW, ROW])
    answer = await web.get("/studies")
    assert answer.headers["content-type"] == "application/dicom+json"
    assert [row["00081190"]["Value"] for row in answer.json()] == [[f"{BASE}/studies/1.2"]] * 2
    assert "warning" not in answer.headers
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_what_remains_and_what_was_ignored(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.search.page = Page([ROW], remaining=7, total=8, ignored=("Rows",))
    answer = await web.get("/studies?Rows=5&PatientNam=x&count=true")
    assert answer.headers.get_list("warning") == [
        f"299 {BASE}: There are 7 additional results that can be requested",
        f"299 {BASE}: The following parameters are not supported and were ignored: PatientNam, Rows",
    ]
    assert answer.headers["x-total-count"] == "8"


async def test_no_rows_are_204_also_with_more_to_come(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.search.page = Page([], remaining=3)
    answer = await web.get("/studies?limit=0")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "There are 3 additional results" in answer.headers["warning"]


async def test_xml_is_a_part_for_each_match(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.search.page = Page([ROW, ROW])
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    answer = await web.get("/studies", headers=accept)
    assert answer.content.count(b"<NativeDicomModel") == 2
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_large_answers_are_compressed(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.search.page = Page([ROW] * 100)
    async with web.stream("GET", "/studies", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(raw))
    assert gzip.decompress(raw).count(b"0020000D") == 100


@pytest.mark.parametrize(
    "accept", ["application/dicom+json", 'multipart/related; type="application/dicom+xml"']
)
async def test_long_answers_come_in_pieces(web: httpx.AsyncClient, rooms: Rooms, accept: str) -> None:
    rest = tuple(RowPlace(n) for n in range(3, 6))
    rooms.search.page = Page([ROW], remaining=2, rest=rest)
    answer = await web.get("/studies", headers={"accept": accept})
    assert answer.status_code == 200
    assert "additional results" in answer.headers["warning"]
    assert "content-length" not in answer.headers
    if "json" in accept:
        assert [row["0020000D"]["Value"] for row in answer.json()] == [["1.2"], ["1.3"], ["1.4"], ["1.5"]]
        assert answer.json()[3]["00081190"]["Value"] == [f"{BASE}/studies/1.2"]
        return
    boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"').split(";")[0].strip('"')
    assert answer.text.count(f"--{boundary}\r\n") == 4
    assert answer.text.endswith(f"--{boundary}--\r\n")
    assert "1.5</Value>" in answer.text
