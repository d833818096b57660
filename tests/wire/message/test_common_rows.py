"""PS3.18 chapter 8 row by row over the wire: what all services share, lenient (the default) and strict."""

from __future__ import annotations

import gzip
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import httpx
import pydicom
import pytest
import zstandard
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests import build
from tests.live import LiveServer, multipart, serving
from tests.wire.message import common_archive as archive
from tests.wire.message.common_archive import (
    INSTANCE,
    JLS,
    KANJI,
    LATIN,
    PDF,
    SERIES,
    STUDY,
    client,
    pieces,
    store,
)

JSON, DICOM, OCTETS = "application/dicom+json", "application/dicom", "application/octet-stream"
XML = 'multipart/related; type="application/dicom+xml"'
MULTI, BULK = f'multipart/related; type="{DICOM}"', f'multipart/related; type="{OCTETS}"'
PUBLIC = "https://pacs.example.org/imaging"
BULKDATA = "/bulkdata/7FE00010"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("common")


@pytest.fixture(scope="module")
def lenient(data: Path) -> Iterator[LiveServer]:
    with serving(data) as live, client(live.root) as http:
        answer = store(http, *archive.files())
        assert answer.status_code == 200, answer.text
        yield live


@pytest.fixture(scope="module")
def web(lenient: LiveServer) -> Iterator[httpx.Client]:
    with client(lenient.root) as http:
        yield http


@pytest.fixture(scope="module")
def strict_server(data: Path, lenient: LiveServer) -> Iterator[LiveServer]:
    """On the same archive, behind a public URL, with a limit on bodies and relative BulkDataURIs."""
    environment = {
        "GATEWAY_PUBLIC_URL": PUBLIC,
        "GATEWAY_MAX_BODY": "100000",
        "GATEWAY_RELATIVE_BULKDATA": "true",
    }
    with serving(data, "--strict", environment=environment) as live:
        yield live


@pytest.fixture(scope="module")
def strict(strict_server: LiveServer) -> Iterator[httpx.Client]:
    with client(strict_server.root) as http:
        yield http


def row(*ids: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*ids)


def table(**cases: list[tuple[Any, ...]]) -> list[Any]:
    """Cases by row; `C_URI_4` is C-URI-4, and a name after two underscores tells several of a row apart."""
    return [
        pytest.param(*case, marks=row(name.partition("__")[0].replace("_", "-")), id=f"{name}-{number}")
        for name, several in cases.items()
        for number, case in enumerate(several)
    ]


# -- what a request ends in: (method, path, header fields, status) -----------------------------------------

ENDS = table(
    C_URI_3=[
        ("GET", "/studies/abc", {}, 400),
        ("GET", "/studies/" + "1." * 32 + "1", {}, 400),
        ("GET", "/studies/1.02.3", {}, 404),  # looked up: archives hold such UIDs
        ("GET", "/studies/9.1", {}, 404),
    ],
    C_URI_4=[("GET", "/nothing", {}, 404), ("GET", f"/studies/{STUDY}/nothing", {}, 404)],
    C_URI_5=[
        ("PUT", "/studies", {}, 405),
        ("PATCH", INSTANCE, {}, 405),
        ("POST", f"{INSTANCE}/metadata", {}, 405),
    ],
    C_QP_2=[
        ("GET", "/studies?limit=-1", {}, 400),
        ("GET", "/studies?StudyDate=2024-01-31", {}, 400),
        ("GET", "/studies?fuzzymatching=yes", {}, 400),
    ],
    C_QP_6=[
        ("GET", f"{INSTANCE}/metadata?accept=application/dicom+json", {}, 200),
        ("GET", f"{INSTANCE}/metadata?accept=application/dicom%2Bjson", {}, 200),
        ("GET", f"{INSTANCE}/metadata?accept=application/dicom%20json", {"Accept": JSON}, 400),
        ("GET", "/studies?TimezoneOffsetFromUTC=+0100&StudyDate=20240131", {}, 200),
        ("GET", "/studies?TimezoneOffsetFromUTC=%2B0100&StudyDate=20240131", {}, 200),
    ],
    C_QP_8=[
        ("GET", f'{INSTANCE}/metadata?accept=multipart/related;type="application/dicom%2Bxml";q=1', {}, 200)
    ],
    C_QP_9=[
        ("GET", "/studies?limit", {}, 400),
        ("GET", "/studies?limit=", {}, 400),
        ("GET", "/studies?PatientID", {}, 200),
        ("GET", "/studies?foo", {}, 200),
        ("GET", f"{INSTANCE}/metadata?accept", {}, 400),
    ],
    C_QP_10=[("GET", "/studies?", {}, 200), ("GET", f"{INSTANCE}?", {}, 200)],
    C_QP_13=[
        ("GET", "/studies?limit=%225%22", {}, 200),
        ("GET", "/studies?includefield=%22StudyDescription%22", {}, 200),
        ("GET", f"{INSTANCE}/metadata?accept=%22application/dicom%2Bjson%22", {}, 200),
    ],
    C_QP_14=[
        ("GET", "/studies?StudyInstanceUID=1.2.3%00", {}, 400),
        ("GET", f"/studies/{STUDY}%20", {}, 400),
        ("GET", f"/studies/{STUDY}%00", {}, 400),
    ],
    C_ACC_1=[
        ("GET", f"{INSTANCE}/metadata?accept={JSON};q=0.5,application/json;q=0.4", {}, 200),
        ("GET", f"{INSTANCE}/metadata?Accept=image/png", {}, 200),  # another name: ignored
        ("GET", f"{INSTANCE}/metadata?contentType=image/png", {}, 200),
    ],
    C_ACC_2=[
        ("GET", f"{INSTANCE}/metadata?accept=*/*", {}, 400),
        ("GET", f"{INSTANCE}/metadata?accept=application/*", {}, 400),
        ("GET", f"{INSTANCE}/frames/1?accept=image/*", {}, 400),
        ("GET", f'{INSTANCE}/frames/1?accept=multipart/related;type="*/*"', {}, 400),
    ],
    C_ACC_4=[("GET", f"{INSTANCE}/metadata?accept={JSON}", {"Accept": "text/plain"}, 200)],
    C_ACC_5=[
        ("GET", INSTANCE, {"Accept": f"{DICOM};q=0.1, text/html"}, 200),
        ("GET", INSTANCE, {"Accept": f"{DICOM}, image/png;q=0.1"}, 200),
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"{JSON}, application/pdf"}, 200),
        ("GET", f"{INSTANCE}/metadata?accept={JSON},text/plain", {}, 200),
        ("GET", f"{INSTANCE}/frames/1", {"Accept": f"{BULK}, image/gif"}, 200),
        ("GET", INSTANCE, {"Accept": f"{JSON}, image/png"}, 406),
        ("GET", INSTANCE, {"Accept": f"{DICOM}, image/png;q=0"}, 200),  # what is excluded is not mixed in
        ("GET", f"{INSTANCE}/metadata", {"Accept": "application/json, text/plain, */*"}, 200),  # scripts
    ],
    C_ACC_6=[
        ("GET", f"{JLS}/frames/1", {"Accept": f"{BULK}, image/jpeg;q=0.1"}, 200),
        ("GET", f"{JLS}/frames/1", {"Accept": f"{OCTETS}, image/jp2"}, 200),
    ],
    C_ACC_8=[("GET", "/studies", {}, 200), ("GET", f"{INSTANCE}/metadata?accept={JSON}", {}, 200)],
    C_ACC_9=[
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"rubbish, a/b/c, ;, {JSON}; q=0.5"}, 200),
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"{JSON}; q=2, rubbish"}, 406),
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"{JSON}; profile=unknown"}, 200),
    ],
    C_ACC_12=[
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"{JSON};q=0"}, 406),
        (
            "GET",
            f"{INSTANCE}/metadata",
            {"Accept": f"{JSON};q=0, {XML};q=0, application/dicom+xml;q=0, */*"},
            406,
        ),
    ],
    C_ACC_13=[
        ("GET", f"{INSTANCE}/metadata", {"Accept": "image/png"}, 406),
        ("GET", INSTANCE, {"Accept": JSON}, 406),
        ("GET", "/studies", {"Accept": DICOM}, 406),
    ],
    C_CHS_1=[
        ("GET", f"{INSTANCE}/metadata?charset=nonsense", {}, 200),
        ("GET", f"{INSTANCE}/metadata?charset=nonsense,UTF-8;q=0.3", {}, 200),
        ("GET", f"{INSTANCE}/metadata?charset=ISO-8859-1,utf-8;q=0.1", {}, 200),
    ],
    C_CHS_6=[
        ("GET", f"{INSTANCE}/metadata", {"Accept-Charset": "ISO-8859-1"}, 406),
        ("GET", f"{INSTANCE}/metadata", {"Accept-Charset": "ISO-8859-1, *;q=0.1"}, 200),
        ("GET", f"{INSTANCE}/metadata", {"Accept-Charset": "utf-8;q=0"}, 406),
    ],
    C_CHS_8=[("GET", f"{INSTANCE}/metadata", {"Accept-Charset": "klingon-8, x-none"}, 200)],
    C_HDR_6=[
        ("GET", "/studies", {"Accept-Encoding": "compress, br;q=0.1", "Accept-Language": "tlh"}, 200),
        ("GET", "/studies", {"Accept-Encoding": "nonsense;q=x", "Accept-Charset": "nonsense"}, 200),
    ],
    C_MP_9=[
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=5-14"}, 206),
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=-10"}, 206),
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=999999-"}, 416),
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=0-1,5-6"}, 200),
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=5-14", "If-Range": '"old"'}, 200),
        ("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "lines=5-14"}, 200),
    ],
    C_TS_10=[("GET", f"{INSTANCE}?transferSyntax=1.2.840.10008.1.2.4.90", {"Accept": MULTI}, 200)],
    C_CA_6=[("POST", "/studies", {"Content-Type": DICOM, "Content-Encoding": "compress"}, 415)],
    C_CODE_200=[("GET", INSTANCE, {"Accept": MULTI}, 200)],
    C_CODE_204=[("GET", "/studies?PatientID=nobody", {"Accept": JSON}, 204)],
    C_CODE_206=[("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=0-0"}, 206)],
    C_CODE_400=[
        ("GET", "/studies/a.b", {"Accept": JSON}, 400),
        ("POST", "/studies", {"Content-Type": DICOM}, 400),
    ],
    C_CODE_404=[("GET", "/studies/1.2.3.4.5", {"Accept": MULTI}, 404)],
    C_CODE_405=[("PUT", INSTANCE, {}, 405)],
    C_CODE_406=[("GET", INSTANCE, {"Accept": "image/png"}, 406)],
    C_CODE_415=[("POST", "/studies", {"Content-Type": "text/plain"}, 415), ("POST", "/studies", {}, 415)],
    C_CODE_416=[("GET", f"{INSTANCE}{BULKDATA}", {"Accept": OCTETS, "Range": "bytes=6144-"}, 416)],
    C_CODE_421=[("GET", "/studies", {"Host": "elsewhere.example"}, 421)],
)
NEEDS_ALLOW, NEEDS_AVAILABLE = 405, (406, 415)


@pytest.mark.parametrize(("method", "path", "headers", "status"), ENDS)
def test_ends(web: httpx.Client, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = web.request(method, path, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    if status < 400:
        return
    assert len(answer.text) > 50
    if status == NEEDS_ALLOW:
        assert "GET" in answer.headers["allow"]
    if answer.headers["content-type"] == "application/problem+json":
        assert answer.json()["status"] == status
        assert "available" in answer.json() or status not in NEEDS_AVAILABLE


STRICT_ENDS = table(
    C_URI_3=[
        ("GET", "/studies/1.02.3", {"Accept": JSON}, 400),
        ("GET", "/studies/3.1", {"Accept": JSON}, 400),
    ],
    C_ACC_4=[
        ("GET", f"{INSTANCE}/metadata?accept={JSON}", {"Accept": "text/plain"}, 406),
        ("GET", f"{INSTANCE}/metadata?accept={JSON}", {"Accept": "text/plain, */*;q=0.1"}, 200),
    ],
    C_ACC_5=[
        ("GET", INSTANCE, {"Accept": f"{DICOM}, text/html"}, 400),
        ("GET", INSTANCE, {"Accept": f"{DICOM}, image/png;q=0.1"}, 400),
        ("GET", f"{INSTANCE}/metadata", {"Accept": f"{JSON}, application/pdf"}, 400),
        ("GET", f"{INSTANCE}/metadata?accept={JSON},text/plain", {"Accept": "*/*"}, 400),
        ("GET", f"{INSTANCE}/frames/1", {"Accept": f"{BULK}, image/gif"}, 400),
        ("GET", INSTANCE, {"Accept": f"{DICOM}, image/png;q=0"}, 200),
    ],
    C_ACC_7=[
        ("GET", f"{INSTANCE}/metadata", {}, 406),
        ("GET", f"{INSTANCE}/metadata?accept={JSON}", {}, 406),
        ("GET", INSTANCE, {}, 406),
        ("GET", f"{INSTANCE}/frames/1", {}, 406),
        ("GET", f"{INSTANCE}{BULKDATA}", {}, 406),
        ("GET", "/studies", {}, 406),
        ("POST", "/studies", {"Content-Type": DICOM}, 406),
        ("GET", f"{INSTANCE}/metadata", {"Accept": "*/*"}, 200),
    ],
    C_ACC_8=[("GET", "/studies?accept=application/dicom%2Bjson", {}, 406)],
)


@pytest.mark.parametrize(("method", "path", "headers", "status"), STRICT_ENDS)
def test_strict_ends(
    strict: httpx.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = strict.request(method, path, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    if status == 406:
        assert re.search("application/(dicom|octet-stream)", answer.text), "what is available is listed"


# -- what is sent: (path, header fields, Content-Type, …) --------------------------------------------------

ELE = "1.2.840.10008.1.2.1"
LOSSLESS = "1.2.840.10008.1.2.4.80"
TYPES = table(
    C_QP_8=[(f'{INSTANCE}/metadata?accept=multipart/related;type="application/dicom%2Bxml"', {}, XML)],
    C_ACC_1=[
        (f"{INSTANCE}/metadata?accept={JSON};q=0.2,{XML};q=0.4", {"Accept": "*/*"}, XML),
        (f"{INSTANCE}/metadata?accept={JSON}&accept=text/csv", {"Accept": "*/*"}, JSON),
    ],
    C_ACC_3=[
        (f"{INSTANCE}/metadata?accept={XML}", {"Accept": JSON}, XML),
        (f"{INSTANCE}/metadata?accept=text/csv", {"Accept": JSON}, JSON),
    ],
    C_ACC_4=[(f"{INSTANCE}/metadata?accept={XML}", {"Accept": JSON}, XML)],
    C_ACC_6=[
        (
            f"{JLS}/frames/1",
            {"Accept": "image/jls, image/jpeg;q=0.1"},
            f"image/jls; transfer-syntax={LOSSLESS}",
        )
    ],
    C_ACC_10=[
        (INSTANCE, {"Accept": "*/*"}, MULTI),
        (f"{INSTANCE}/metadata", {"Accept": "*/*"}, JSON),
        ("/studies", {"Accept": "*/*"}, JSON),
        (f"{INSTANCE}/frames/1", {"Accept": "*/*"}, BULK),
        (f"{INSTANCE}{BULKDATA}", {"Accept": "*/*"}, BULK),
    ],
    C_ACC_11=[
        (f"{INSTANCE}/metadata", {"Accept": f"{JSON};q=0.5, {XML};q=0.9"}, XML),
        (f"{INSTANCE}/metadata", {"Accept": f"{JSON};q=0.9, {XML};q=0.5"}, JSON),
        (
            f"{INSTANCE}/metadata",
            {"Accept": f"multipart/*;q=0.9, {JSON};q=0.1, {XML};q=0.5, application/dicom+xml;q=0.2"},
            XML,
        ),
        (f"{INSTANCE}/metadata", {"Accept": f"*/*;q=0.9, {JSON};q=0.1"}, XML),
        (f"{INSTANCE}/metadata", {"Accept": f"{XML};q=0.99, {JSON}"}, JSON),  # a missing q is 1
        (JLS, {"Accept": f"{MULTI};q=0.3, {MULTI}; transfer-syntax={LOSSLESS};q=0.4"}, MULTI),
    ],
    C_ACC_12=[(f"{INSTANCE}/metadata", {"Accept": f"{JSON};q=0, */*"}, XML)],
    C_ACC_16=[
        (INSTANCE, {"Accept": "multipart/related; type=application/dicom"}, MULTI),
        (INSTANCE, {"Accept": f'multipart/related; transfer-syntax=*; type="{DICOM}"; boundary=abc'}, MULTI),
        (INSTANCE, {"Accept": 'MULTIPART/Related; TYPE="Application/DICOM"'}, MULTI),
        (
            f"{JLS}/frames/1",
            {"Accept": 'multipart/related; type="image/*"'},
            'multipart/related; type="image/jls"',
        ),
    ],
    C_ACC_17=[
        (INSTANCE, {"Accept": "multipart/related"}, MULTI),
        (f"{INSTANCE}/frames/1", {"Accept": "multipart/related"}, BULK),
        (f"{INSTANCE}/metadata", {"Accept": "multipart/related"}, XML),
    ],
    C_ACC_18=[(JLS, {"Accept": f'multipart/related; type="{DICOM}; transfer-syntax={LOSSLESS}"'}, MULTI)],
    C_META_1=[
        (f"{INSTANCE}/metadata", {"Accept": JSON}, JSON),
        (f"{INSTANCE}/metadata", {"Accept": XML}, XML),
    ],
    C_META_2=[
        (f"{INSTANCE}/metadata", {"Accept": f"{JSON}; transfer-syntax={ELE}"}, JSON),
        (f"{INSTANCE}/metadata", {"Accept": f"{XML}; transfer-syntax={ELE}"}, XML),
    ],
    C_CHS_3=[(f"{INSTANCE}/metadata", {"Accept": JSON}, JSON)],
    C_CHS_9=[
        (f"{INSTANCE}/metadata", {"Accept": f"{JSON}; charset=utf-8"}, JSON),
        (f"{INSTANCE}/metadata", {"Accept": f"{JSON}; charset=utf-8; charset=utf-8, {XML};q=0.1"}, XML),
    ],
    C_CODE_200=[("/studies", {"Accept": JSON}, JSON)],
)


@pytest.mark.parametrize(("path", "headers", "content_type"), TYPES)
def test_types(web: httpx.Client, path: str, headers: dict[str, str], content_type: str) -> None:
    answer = web.get(path, headers=headers)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"].partition("; boundary")[0] == content_type


@row("C-ACC-14")
@pytest.mark.parametrize(
    "accept", ["image/png, application/json", "image/png, text/html", "image/png, text/plain"]
)
def test_406_lists_what_there_is_in_any_form(web: httpx.Client, accept: str) -> None:
    answer = web.get(INSTANCE, headers={"Accept": accept})
    assert answer.status_code == 406
    assert "transfer-syntax=1.2.840.10008.1.2.1" in answer.text


@row("C-ACC-14")
def test_415_lists_what_is_taken(web: httpx.Client) -> None:
    answer = web.post("/studies", content=b"x", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 415
    assert {MULTI, DICOM} <= set(answer.json()["available"])


@row("C-ACC-15")
def test_parts_may_differ(web: httpx.Client) -> None:
    """Two instances of one study, stored otherwise: each part states its own transfer syntax."""
    jls = pydicom.dcmread(io.BytesIO(archive.files()[3]))
    native = build.dataset(StudyInstanceUID="1.2.77.6", SOPInstanceUID="1.2.77.6.1.1")
    jls.StudyInstanceUID, jls.SOPInstanceUID = "1.2.77.6", "1.2.77.6.1.2"
    assert store(web, build.part10(native), build.part10(jls, LOSSLESS)).status_code == 200
    answer = web.get("/studies/1.2.77.6", headers={"Accept": f"{MULTI}; transfer-syntax=*"})
    found = {piece.get("content-type") for piece in pieces(answer)}
    assert found == {f"{DICOM}; transfer-syntax={syntax}" for syntax in (ELE, LOSSLESS)}


# -- parameters -------------------------------------------------------------------------------------------

QUERIES = table(
    C_QP_1=[("studies?fooBar=1", 5), ("studies?PatientID=common-1&nonsense=x", 1)],
    C_QP_3=[("studies?patientid=common-1", 5), ("studies?Limit=1", 5), ("studies?patientID=nobody", 5)],
    C_QP_4=[
        ("studies?00100020=common-1", 1),
        ("series?0020000d=1.2.77.1", 1),
        ("series?0020000D=1.2.77.1", 1),
    ],
    C_QP_5=[("series?StudyInstanceUID=1.2.77.1,1.2.77.2", 2), ("studies?PatientID=common%2C1", 0)],
    C_QP_7=[
        ("studies?PatientName=M%C3%BCller*", 1),
        ("studies?PatientID=common%2D1", 1),
        ("studies?PatientID=%5B%5D%23%26%3D", 0),
    ],
    C_QP_11=[("studies?StudyDate=20240131&PatientID=common-2", 1), ("studies?00100020=common-2", 1)],
    C_QP_12=[
        ("studies?OtherPatientIDsSequence.00100020=nobody", 0),
        ("studies?00101002.PatientID=nobody", 0),
    ],
)


@pytest.mark.parametrize(("query", "count"), QUERIES)
def test_queries(web: httpx.Client, query: str, count: int) -> None:
    """Among the five of the archive, whatever other tests have stored."""
    answer = web.get(f"/{query}", headers={"Accept": JSON})
    found = answer.json() if answer.status_code == 200 else []
    uids = [row["0020000D"]["Value"][0] for row in found]
    assert len([uid for uid in uids if uid in archive.STUDIES]) == count, answer.text[:300]


@row("C-QP-1", "C-QP-3")
def test_parameters_that_are_not_known_are_named_in_a_warning(web: httpx.Client) -> None:
    answer = web.get("/studies?fooBar=1&patientid=x", headers={"Accept": JSON})
    assert answer.status_code == 200
    assert "not supported and were ignored: fooBar, patientid" in answer.headers["warning"]


@row("C-QP-11")
@pytest.mark.parametrize("name", ["PatientID.StudyDate", "RequestAttributesSequence"])
def test_paths_of_attributes(web: httpx.Client, name: str) -> None:
    """Before a dot stands a sequence, after it something else."""
    answer = web.get(f"/studies?{name}=x", headers={"Accept": JSON})
    assert answer.status_code == 400
    assert answer.json()["parameter"] == name


# -- header fields and parts ------------------------------------------------------------------------------

GETS = [
    ("/studies", JSON),
    (f"{INSTANCE}/metadata", JSON),
    (f"{INSTANCE}/metadata", XML),
    (f"/studies/{STUDY}", MULTI),
    (INSTANCE, DICOM),
    (INSTANCE, MULTI),
    (f"{INSTANCE}/frames/1,3", BULK),
    (f"{INSTANCE}/frames/2", OCTETS),
    (f"{JLS}/frames/1", f"{BULK}; transfer-syntax=*"),
    (f"{INSTANCE}{BULKDATA}", BULK),
    (f"{INSTANCE}{BULKDATA}", OCTETS),
]


@row("C-HDR-1", "C-HDR-2", "C-HDR-4", "C-HDR-10", "C-CA-7", "C-CA-8", "C-MP-1", "C-MP-2", "C-MP-3", "C-MP-5")
@pytest.mark.parametrize(("path", "accept"), GETS)
def test_fields_of_an_answer(web: httpx.Client, path: str, accept: str) -> None:
    answer = web.get(path, headers={"Accept": accept})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "transfer-encoding" not in answer.headers
    assert {"Accept", "Accept-Charset"} <= set(answer.headers["vary"].split(", "))
    assert answer.headers["cache-control"].startswith("private")
    kind = answer.headers["content-type"]
    if kind.startswith("multipart"):
        parts = pieces(answer)
        assert parts
        assert "start=" not in kind
        for part in parts:
            assert part.fields[0][0] == "content-type"
            assert int(part.get("content-length")) == len(part.body)
            assert accept == XML or "/studies/" in part.get("content-location")
        assert f'type="{parts[0].get("content-type").partition(";")[0]}"' in kind
    elif path != "/studies":
        assert answer.headers["content-location"].startswith(str(web.base_url).rstrip("/") + "/studies/")
    head = web.head(path, headers={"Accept": accept})
    assert head.status_code == 200
    assert head.content == b""
    for name, value in answer.headers.items():
        if name not in ("date", "server-timing"):
            assert head.headers[name] == value


@row("C-HDR-2")
def test_locations_name_what_a_part_is_of(web: httpx.Client) -> None:
    root = str(web.base_url).rstrip("/")
    cases = {
        f"/studies/{STUDY}": (MULTI, [INSTANCE]),
        f"{INSTANCE}/frames/3,1": (BULK, [f"{INSTANCE}/frames/3", f"{INSTANCE}/frames/1"]),
        f"{INSTANCE}{BULKDATA}": (BULK, [f"{INSTANCE}{BULKDATA}"]),
    }
    for path, (accept, places) in cases.items():
        found = [part.get("content-location") for part in pieces(web.get(path, headers={"Accept": accept}))]
        assert found == [root + place for place in places]
    assert "content-location" not in web.get("/studies").headers  # results represent no resource


@row("C-HDR-3")
@pytest.mark.parametrize(
    ("path", "of"),
    [
        (f"{INSTANCE}/rendered", [f"{INSTANCE}/frames/{n}" for n in (1, 2, 3)]),
        (f"{INSTANCE}/frames/3,1/rendered", [f"{INSTANCE}/frames/3", f"{INSTANCE}/frames/1"]),
        (f"{LATIN}/rendered", [LATIN]),
    ],
)
def test_rendered_parts_name_what_they_were_made_from(web: httpx.Client, path: str, of: list[str]) -> None:
    answer = web.get(path, headers={"Accept": 'multipart/related; type="image/png"'})
    assert answer.status_code == 200, answer.text
    parts = pieces(answer)
    root = str(web.base_url).rstrip("/")
    assert all(part.body.startswith(b"\x89PNG") for part in parts)
    assert [part.get("content-location") for part in parts] == [root + place for place in of]


@row("C-HDR-4", "C-HDR-5")
def test_lengths_where_there_is_nothing(web: httpx.Client, lenient: LiveServer) -> None:
    tag = web.get(f"{INSTANCE}/metadata").headers["etag"]
    unchanged = web.get(f"{INSTANCE}/metadata", headers={"If-None-Match": tag})
    nothing = web.get("/studies?PatientID=nobody")
    assert (unchanged.status_code, nothing.status_code) == (304, 204)
    for answer in (unchanged, nothing):
        assert answer.content == b""
        assert "content-length" not in answer.headers
        assert "transfer-encoding" not in answer.headers


@row("C-HDR-7", "C-CA-5")
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_codings(web: httpx.Client, coding: str) -> None:
    fields = {"Accept": JSON, "Accept-Encoding": coding}
    with web.stream("GET", f"/studies/{STUDY}/metadata?includefield=all", headers=fields) as answer:
        sent = b"".join(answer.iter_raw())
    plain = web.get(f"/studies/{STUDY}/metadata", headers={"Accept": JSON})
    if len(plain.content) > 1400:
        assert answer.headers["content-encoding"] == coding
        unpacked = (
            gzip.decompress(sent) if coding == "gzip" else zstandard.ZstdDecompressor().decompress(sent)
        )
        assert unpacked == plain.content
    assert "Accept-Encoding" in answer.headers["vary"]


@row("C-CA-5")
@pytest.mark.parametrize(
    ("header", "coding"), [("*", "gzip"), ("gzip, *;q=0.5", "gzip"), ("zstd, *", "zstd"), ("*;q=0", None)]
)
def test_a_coding_that_few_know_has_to_be_named(web: httpx.Client, header: str, coding: str | None) -> None:
    fields = {"Accept": JSON, "Accept-Encoding": header}
    with web.stream("GET", "/studies?includefield=all", headers=fields) as answer:
        assert answer.headers.get("content-encoding") == coding


@row("C-CA-6")
def test_a_body_may_be_coded(web: httpx.Client) -> None:
    body, content_type = multipart([build.part10(build.dataset())])
    fields = {"Content-Type": content_type, "Content-Encoding": "gzip"}
    assert web.post("/studies", content=gzip.compress(body), headers=fields).status_code == 200


@row("C-CA-5")
@pytest.mark.parametrize(
    ("path", "accept"), [(f"{JLS}/frames/1", "image/jls"), (JLS, f"{DICOM}; transfer-syntax=*")]
)
def test_what_is_compressed_is_not_compressed_again(web: httpx.Client, path: str, accept: str) -> None:
    answer = web.get(path, headers={"Accept": accept, "Accept-Encoding": "gzip, zstd"})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@row("C-HDR-8")
def test_the_file_meta_wins_over_the_type_of_its_part(web: httpx.Client) -> None:
    ds = build.dataset()
    body, _ = multipart([build.part10(ds)], part_type=f"{DICOM}; transfer-syntax={LOSSLESS}")
    kind = f'multipart/related; type="{DICOM}"; boundary=gateway-test-boundary'
    assert web.post("/studies", content=body, headers={"Content-Type": kind}).status_code == 200
    path = f"/studies/{ds.StudyInstanceUID}"
    (part,) = pieces(web.get(path, headers={"Accept": f"{MULTI}; transfer-syntax=*"}))
    assert part.get("content-type") == f"{DICOM}; transfer-syntax={ELE}"
    assert part.get("content-type").count("transfer-syntax") == 1
    assert "charset" not in part.get("content-type")


@row("C-MP-4", "C-MP-8")
def test_boundaries_stay_and_do_not_occur_in_bodies(web: httpx.Client) -> None:
    fields = {"Accept": BULK}
    first, again = (web.get(f"{INSTANCE}/frames/1,2", headers=fields) for _ in range(2))
    other = web.get(f"{INSTANCE}/frames/1,3", headers=fields)
    boundary = archive.boundary_of(first)
    assert re.fullmatch(rb"[0-9A-Za-z'()+_,./:=?-]{1,70}", boundary)
    assert archive.boundary_of(again) == boundary != archive.boundary_of(other)
    assert all(boundary not in piece.body for piece in pieces(first))
    assert again.content == first.content


@row("C-MP-8")
def test_a_range_over_a_multipart_message_is_not_taken(web: httpx.Client) -> None:
    answer = web.get(f"{INSTANCE}/frames/1,2", headers={"Accept": BULK, "Range": "bytes=0-9"})
    assert answer.status_code == 200
    assert "accept-ranges" not in answer.headers
    assert [piece.body for piece in pieces(answer)] == archive.FRAMES[:2]


@row("C-MP-9", "C-CODE-206")
def test_a_range_of_a_single_part(web: httpx.Client) -> None:
    fields = {"Accept": OCTETS, "Range": "bytes=2040-2055"}
    answer = web.get(f"{INSTANCE}{BULKDATA}", headers=fields)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == "bytes 2040-2055/6144"
    assert answer.content == b"\x01" * 8 + b"\x02" * 8
    whole = web.get(f"{INSTANCE}{BULKDATA}", headers={"Accept": OCTETS})
    assert whole.headers["accept-ranges"] == "bytes"
    same = web.get(f"{INSTANCE}{BULKDATA}", headers={**fields, "If-Range": whole.headers["etag"]})
    assert same.status_code == 206


SLOPPY = {
    "preamble and epilogue": b"hello\r\n--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--\r\nbye",
    "white space after the boundary": b"--b \t\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b-- \r\n",
    "names in capitals, folded": b"--b\r\nCONTENT-TYPE: application/dicom;\r\n  a=b\r\n\r\n%s\r\n--b--",
    "line feeds alone": b"--b\nContent-Type: application/dicom\n\n%s\n--b--\n",
    "a wrong length": b"--b\r\nContent-Length: 7\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--\r\n",
    "no fields": b"--b\r\n\r\n%s\r\n--b--\r\n",
}


@row("C-MP-7")
@pytest.mark.parametrize("form", SLOPPY.values(), ids=SLOPPY.keys())
def test_sloppy_messages_are_taken(web: httpx.Client, form: bytes) -> None:
    """Bodies are octets: what looks like a boundary in one belongs to it."""
    ds = build.dataset(Rows=1, Columns=16, PixelData=b"\r\n--c\r\n\r\n--bad\r\n--B".ljust(32, b"\n"))
    body = form.replace(b"%s", build.part10(ds))
    kind = f'multipart/related; type="{DICOM}"; boundary=b'
    answer = web.post("/studies", content=body, headers={"Content-Type": kind, "Accept": JSON})
    assert answer.status_code == 200, answer.text
    got = web.get(f"/studies/{ds.StudyInstanceUID}", headers={"Accept": MULTI})
    assert ds.PixelData in got.content


@row("C-MP-10")
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_data_sets_are_sent_in_explicit_vr(web: httpx.Client, syntax: str) -> None:
    ds = build.dataset(PixelData=None)
    assert store(web, build.part10(ds, syntax)).status_code == 200
    for accept in (DICOM, f"{DICOM}; transfer-syntax=*", "*/*"):
        answer = web.get(f"/studies/{ds.StudyInstanceUID}", headers={"Accept": accept.replace(DICOM, MULTI)})
        (part,) = pieces(answer)
        assert pydicom.dcmread(io.BytesIO(part.body)).file_meta.TransferSyntaxUID == ELE
    asked = f"{MULTI}; transfer-syntax={syntax}"
    assert web.get(f"/studies/{ds.StudyInstanceUID}", headers={"Accept": asked}).status_code == 406


# -- character sets ---------------------------------------------------------------------------------------


def _name(document: bytes) -> str:
    """Of the patient, read in the encoding that the declaration names."""
    declared = re.match(rb'<\?xml version="1.0" encoding="([A-Za-z0-9-]+)"\?>\s*', document)
    assert declared is not None
    root = ElementTree.fromstring(document[declared.end() :].decode(declared[1].decode()))
    for attribute in root:
        if attribute.get("keyword") == "PatientName":
            return "^".join(text.strip() for text in attribute.itertext() if text.strip())
    return ""


CHARSETS = table(
    C_CHS_2=[
        (f"{XML}; charset=ISO-8859-1", "", "ISO-8859-15", "ISO-8859-1"),
        (XML, "ISO-8859-15", "ISO-8859-1", "ISO-8859-15"),
        (XML, "", "ISO-8859-1;q=0.5, ISO-8859-15;q=0.9", "ISO-8859-15"),
        (XML, "ISO-8859-1;q=0.2,gb18030;q=0.4", "", "GB18030"),
        (f"{XML}; charset=nonsense", "ISO-8859-1", "", "ISO-8859-1"),
        (XML, "", "", ""),
    ],
    C_CHS_3=[(XML, "", "*", ""), (XML, "", "", "")],
    C_CHS_5=[
        (XML, "latin1", "", "ISO-8859-1"),
        (XML, "iso-8859-1", "", "ISO-8859-1"),
        (XML, "ISO_IR%20100", "", "ISO-8859-1"),
        (XML, "", '"ISO_IR 100"', "ISO-8859-1"),
        (XML, "ISO_IR%20192", "", ""),
    ],
    C_CHS_8=[
        (XML, "x-nonsense,ISO-8859-1", "", "ISO-8859-1"),
        (XML, "x-nonsense", "ISO-8859-1", "ISO-8859-1"),
    ],
)


@pytest.mark.parametrize(("accept", "parameter", "header", "expected"), CHARSETS)
def test_charsets(web: httpx.Client, accept: str, parameter: str, header: str, expected: str) -> None:
    query = f"?charset={parameter}" if parameter else ""
    fields = {"Accept": accept} | ({"Accept-Charset": header} if header else {})
    answer = web.get(f"{LATIN}/metadata{query}", headers=fields)
    assert answer.status_code == 200, answer.text
    (part,) = pieces(answer)
    assert part.get("content-type") == "application/dicom+xml" + (f"; charset={expected}" if expected else "")
    assert _name(part.body) == "Müller^Jürgen"
    assert "Müller".encode(expected or "utf-8") in part.body


@row("C-CHS-7")
@pytest.mark.parametrize("charset", ["ISO-8859-1", "US-ASCII", "TIS-620"])
def test_a_set_that_cannot_hold_the_text_is_406(web: httpx.Client, charset: str) -> None:
    answer = web.get(f"{KANJI}/metadata", headers={"Accept": XML, "Accept-Charset": charset})
    assert answer.status_code == 406
    assert "charset=UTF-8" in answer.json()["available"]
    for good in ("ISO-2022-JP", "GB18030", "UTF-8"):
        fine = web.get(f"{KANJI}/metadata", headers={"Accept": XML, "Accept-Charset": good})
        assert "山田" in _name(pieces(fine)[0].body)


# -- status codes, status reports -------------------------------------------------------------------------


@row("C-ST-1", "C-URI-7")
def test_an_http_1_0_request_is_answered(lenient: LiveServer) -> None:
    answer = archive.exchange(lenient.base, b"GET /dicom-web/studies HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@row("C-ST-1")
@pytest.mark.parametrize(
    "request_line", [b"nonsense", b"GET", b"GET /%zz HTTP/1.1\r\nHost: localhost", b"\x00\x01"]
)
def test_rubbish_is_answered(lenient: LiveServer, request_line: bytes) -> None:
    assert archive.exchange(lenient.base, request_line + b"\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 4"
    )


@row("C-URI-6")
def test_a_target_may_be_too_long(lenient: LiveServer) -> None:
    for length, status in ((60_000, b"204"), (62_000, b"414")):
        target = b"/dicom-web/studies?PatientID=" + b"x" * length
        request = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert archive.exchange(lenient.base, request).startswith(b"HTTP/1.1 " + status)


@row("C-CODE-411")
def test_a_body_needs_its_length(lenient: LiveServer) -> None:
    head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = archive.exchange(lenient.base, head + b"Content-Type: application/dicom\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 411")
    assert b"Content-Length" in answer


@row("C-CODE-413")
def test_a_body_may_be_too_large(strict: httpx.Client) -> None:
    answer = store(strict, build.part10(build.dataset(Rows=256, Columns=256, PixelData=bytes(131072))))
    assert answer.status_code == 413
    assert "100000" in answer.text


@row("C-CODE-202", "C-CODE-409")
def test_partly_and_not_stored(web: httpx.Client) -> None:
    good, bad = build.part10(build.dataset()), b"no DICOM"
    partly, none = store(web, good, bad), store(web, bad)
    assert (partly.status_code, none.status_code) == (202, 409)
    assert "0008119A" in partly.json()  # it has no UID, so it is among the other failures
    assert "0008119A" in none.json()


@row("C-CODE-410")
def test_what_was_deleted_is_gone(web: httpx.Client) -> None:
    ds = build.dataset()
    store(web, build.part10(ds))
    assert web.delete(f"/studies/{ds.StudyInstanceUID}").status_code == 204
    assert web.get(f"/studies/{ds.StudyInstanceUID}").status_code == 410


@row("C-CODE-304", "C-CA-1", "C-CA-2")
def test_conditions(web: httpx.Client) -> None:
    tags = set()
    for path, accept in GETS[1:]:
        fields = {"Accept": accept}
        first = web.get(path, headers=fields)
        tag = first.headers["etag"]
        assert not tag.startswith("W/")
        tags.add(tag)
        for condition in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = web.get(path, headers={**fields, "If-None-Match": condition})
            assert (again.status_code, again.content) == (304, b"")
        assert web.get(path, headers={**fields, "If-None-Match": '"other"'}).status_code == 200
    assert len(tags) == len(GETS) - 1, "each representation has a tag of its own"


@row("C-CA-3", "C-CA-4")
def test_searches_repeat_and_are_never_stale(web: httpx.Client) -> None:
    first = web.get("/studies?limit=3", headers={"Accept": JSON})
    assert web.get("/studies?limit=3", headers={"Accept": JSON}).content == first.content
    ds = build.dataset(PatientID="just-now")
    assert web.get("/studies?PatientID=just-now").status_code == 204
    store(web, build.part10(ds))
    found = web.get("/studies?PatientID=just-now", headers={"Cache-Control": "no-cache", "Accept": JSON})
    assert found.json()[0]["0020000D"]["Value"] == [ds.StudyInstanceUID]


@row("C-ST-2", "C-ST-3")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("application/json", "application/problem+json"),
        (JSON, "application/problem+json"),
        ("*/*", "application/problem+json"),
    ],
)
def test_status_reports_are_written_as_is_liked(
    web: httpx.Client, strict: httpx.Client, accept: str, kind: str
) -> None:
    for http in (web, strict):
        answer = http.get("/studies/9.8.7", headers={"Accept": accept})
        assert answer.headers["content-type"] == kind
        assert answer.status_code in (404, 406, 400)
        assert len(answer.text) > 20
        assert "retry-after" not in answer.headers


@row("C-ST-3")
def test_a_status_report_is_html_where_nothing_is_known_to_be_acceptable(strict: httpx.Client) -> None:
    answer = strict.get("/studies/1.2.9", headers={"Accept": MULTI})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@row("C-ST-4")
def test_reports_tell_nothing_of_patients(web: httpx.Client) -> None:
    ds = build.dataset(PatientName="Secret^Sally", PatientID="secret-id")
    store(web, build.part10(ds))
    ds.PatientName = "Hidden^Harry"
    refused = store(web, build.part10(ds))
    wrong = web.get("/studies?PatientID=a,secret-id")
    assert (refused.status_code, wrong.status_code) == (409, 400)
    for answer in (refused, wrong):
        assert not re.search("secret|hidden|sally|harry", answer.text + str(answer.headers), re.IGNORECASE)


# -- base URLs --------------------------------------------------------------------------------------------


@row("C-URI-1", "C-URI-2")
def test_every_url_is_that_of_the_public_base(strict: httpx.Client) -> None:
    ds = build.dataset()
    base = f"{PUBLIC}/dicom-web"
    path = f"/studies/{ds.StudyInstanceUID}"
    stored = store(strict, build.part10(ds))
    assert stored.headers["location"] == base + path
    assert stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0].startswith(base + path)
    (found,) = strict.get(f"/studies?StudyInstanceUID={ds.StudyInstanceUID}", headers={"Accept": JSON}).json()
    assert found["00081190"]["Value"] == [base + path]
    (part,) = pieces(strict.get(path, headers={"Accept": MULTI}))
    assert part.get("content-location").startswith(base + path)
    described = strict.options("/", headers={"Accept": "application/json"}).json()
    assert described["application"]["resources"]["@base"] == base


@row("C-URI-1")
def test_every_url_is_that_of_the_socket_where_nothing_else_is_said(web: httpx.Client) -> None:
    (found,) = web.get(f"/studies?StudyInstanceUID={STUDY}", headers={"Accept": JSON}).json()
    assert found["00081190"]["Value"] == [str(web.base_url).rstrip("/") + f"/studies/{STUDY}"]


# -- what viewers do --------------------------------------------------------------------------------------


@row("C-TS-6")
def test_frames_as_ohif_asks_for_them(web: httpx.Client) -> None:
    fields = {
        "Accept": f"multipart/related; type={OCTETS}; transfer-syntax=*",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Origin": "http://localhost:3000",
    }
    (native,) = pieces(web.get(f"{INSTANCE}/frames/2", headers=fields))
    assert native.get("content-type") == f"{OCTETS}; transfer-syntax={ELE}"
    assert native.body == archive.FRAMES[1]
    (compressed,) = pieces(web.get(f"{JLS}/frames/1", headers=fields))
    assert compressed.get("content-type") == f"image/jls; transfer-syntax={LOSSLESS}"
    assert compressed.body.startswith(b"\xff\xd8\xff")


def test_bulk_data_in_pieces_and_as_a_document(web: httpx.Client) -> None:
    uri = web.get(f"{PDF}/metadata", headers={"Accept": JSON}).json()[0]["00420011"]["BulkDataURI"]
    fields = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    assert archive.DOCUMENT in web.get(uri, headers=fields).content
    as_pdf = web.get(uri, headers={"Accept": f"application/pdf, {OCTETS};q=0.1"})
    assert as_pdf.headers["content-type"] == "application/pdf"
    assert as_pdf.content.startswith(archive.DOCUMENT)
    read = b""
    while len(read) < len(as_pdf.content):
        fields = {"Accept": OCTETS, "Range": f"bytes={len(read)}-{len(read) + 699}"}
        piece = web.get(uri, headers=fields)
        assert piece.status_code == 206
        read += piece.content
    assert read == as_pdf.content


@pytest.mark.parametrize("path", [f"/studies/{STUDY}", f"/studies/{STUDY}/series/{SERIES}", INSTANCE])
@pytest.mark.parametrize("accept", [JSON, XML])
def test_bulk_data_by_relative_urls(strict: httpx.Client, path: str, accept: str) -> None:
    """`../…` is resolved against the URL of the metadata, whatever name the gateway goes by."""
    answer = strict.get(f"{path}/metadata", headers={"Accept": accept})
    found = re.search(r'(?:"BulkDataURI":"|<BulkData uri=")([^"]+)', answer.text)
    assert found is not None
    assert found[1].startswith("../")
    got = httpx.get(urljoin(str(answer.url), found[1]), headers={"Accept": OCTETS})
    assert got.status_code == 200, got.text
    assert got.content == b"".join(archive.FRAMES)


@row("C-CODE-503")
def test_503_says_when_to_try_again(web: httpx.Client, data: Path) -> None:
    with closing(sqlite3.connect(data / "index.sqlite")) as index:
        index.execute("ALTER TABLE study RENAME TO elsewhere")
        try:
            answer = web.get("/studies", headers={"Accept": JSON})
        finally:
            index.execute("ALTER TABLE elsewhere RENAME TO study")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "try again" in answer.json()["detail"]
    assert "elsewhere" not in answer.text
    assert web.get("/studies", headers={"Accept": JSON}).status_code == 200


@row("C-SEL-4")
def test_single_series_is_read_whole(web: httpx.Client) -> None:
    answer = web.get(f"/studies/{STUDY}/series/{SERIES}", headers={"Accept": f"{MULTI}; transfer-syntax=*"})
    assert len(pieces(answer)) == 1


@row("R-MT-7")
@pytest.mark.parametrize("accept", ["*/*", "application/*;q=0.1, */*"])
def test_anything_is_the_stored_or_under_strict_the_default(
    web: httpx.Client, strict: httpx.Client, accept: str
) -> None:
    for http, syntax in ((web, LOSSLESS), (strict, ELE)):
        (part,) = pieces(http.get(JLS, headers={"Accept": accept}))
        assert f"transfer-syntax={syntax}" in str(part)
