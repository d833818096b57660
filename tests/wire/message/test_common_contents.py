"""PS3.18 chapter 8 row by row: what answers hold, beyond the status and the media type of `test_common_rows`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from tests.live import LiveServer, serving
from tests.wire.message import common_archive as archive
from tests.wire.message.common_archive import INSTANCE, JLS, PDF, STUDIES, STUDY, client, pieces, store

JSON, DICOM, OCTETS = "application/dicom+json", "application/dicom", "application/octet-stream"
XML = 'multipart/related; type="application/dicom+xml"'
MULTI, BULK = f'multipart/related; type="{DICOM}"', f'multipart/related; type="{OCTETS}"'
METADATA = f"{INSTANCE}/metadata"
BULKDATA = f"{INSTANCE}/bulkdata/7FE00010"
PIXELS = b"".join(archive.FRAMES)
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
ELE, LOSSLESS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="module")
def web(data: Path) -> Iterator[httpx.Client]:
    """Lenient, the default; it stores nothing but the archive."""
    with serving(data) as live, client(live.root) as http:
        answer = store(http, *archive.files())
        assert answer.status_code == 200, answer.text
        yield http


@pytest.fixture(scope="module")
def strict_server(data: Path, web: httpx.Client) -> Iterator[LiveServer]:
    with serving(data, "--strict", environment={"GATEWAY_MAX_LIMIT": "3"}) as live:
        yield live


@pytest.fixture(scope="module")
def strict(strict_server: LiveServer) -> Iterator[httpx.Client]:
    """On the same archive; a search finds three at most."""
    with client(strict_server.root) as http:
        yield http


def row(*ids: str) -> pytest.MarkDecorator:
    return pytest.mark.row(*ids)


def ask(http: httpx.Client, path: str, accept: str = "", **fields: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return http.get(path, headers={"Accept": accept, **named} if accept else named)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The members of the RFC 9457 document of a refusal, which say the status too."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def studies(answer: httpx.Response) -> list[str]:
    """The studies that a search found, in order of their UIDs."""
    assert answer.status_code == 200, answer.text[:500]
    return sorted(found["0020000D"]["Value"][0] for found in answer.json())


def instance_of(answer: httpx.Response) -> str:
    """The SOP Instance UID that one answer of metadata or of an instance has in it, read as its media type says."""
    assert answer.status_code == 200, answer.text[:500]
    kind = answer.headers["content-type"]
    if kind == JSON:
        return str(answer.json()[0]["00080018"]["Value"][0])
    body = pieces(answer)[0].body if kind.startswith("multipart/related") else answer.content
    if "application/dicom+xml" in kind:
        (found,) = ElementTree.fromstring(body).findall(f"{NATIVE}DicomAttribute[@tag='00080018']/")
        return str(found.text)
    return str(pydicom.dcmread(io.BytesIO(body)).SOPInstanceUID)


def form_of(answer: httpx.Response) -> str:
    """`json` or `xml`: what a metadata answer is by its bytes, whatever its Content-Type says."""
    body = pieces(answer)[0].body if answer.content.startswith(b"--") else answer.content
    if body.startswith(b"<?xml"):
        assert ElementTree.fromstring(body).tag == f"{NATIVE}NativeDicomModel"
        return "xml"
    assert isinstance(json.loads(body), list)
    return "json"


# -- paths and methods ------------------------------------------------------------------------------------


@row("C-URI-3", "C-QP-14", "C-CODE-400")
@pytest.mark.parametrize(
    "uid", ["abc", "1.2a", "1." * 32 + "1", "1" * 65, "1.2.77.1%20", "1.2.77.1%00", "-1"]
)
def test_what_is_no_uid_is_named(web: httpx.Client, strict: httpx.Client, uid: str) -> None:
    for http in (web, strict):
        found = problem(ask(http, f"/studies/{uid}", JSON), 400)
        assert found["parameter"] == "study"
        assert "64" in found["expected"]


@row("C-URI-3")
@pytest.mark.parametrize("uid", ["1.02.3", "3.1", "1..2", ".1", "1.", "00.1"])
def test_the_grammar_of_uids_is_kept_to_the_letter_if_strict(
    web: httpx.Client, strict: httpx.Client, uid: str
) -> None:
    """By default such a UID is looked up: archives hold them, and what is not there is not found."""
    found = problem(ask(strict, f"/studies/{uid}", JSON), 400)
    assert found["parameter"] == "study"
    assert "without leading zeros" in found["expected"]
    assert problem(ask(web, f"/studies/{uid}", JSON), 404)["uid"] == uid


@row("C-URI-4", "C-CODE-404")
@pytest.mark.parametrize("path", ["/nothing", f"/studies/{STUDY}/nothing", f"{INSTANCE}/frames/1/nothing"])
def test_a_path_that_is_none_is_named(web: httpx.Client, path: str) -> None:
    found = problem(ask(web, path), 404)
    assert f"'/dicom-web{path}'" in found["detail"]
    assert "/openapi.json" in found["detail"]


READ, READ_AND_DELETE = "GET, HEAD, OPTIONS", "GET, HEAD, DELETE, OPTIONS"
STORE, STORE_OR_DELETE = "GET, HEAD, POST, OPTIONS", "GET, HEAD, POST, DELETE, OPTIONS"
SERIES = f"/studies/{STUDY}/series/{STUDY}.1"
ALLOW = {
    "/studies": STORE,
    "/series": READ,
    "/instances": READ,
    f"/studies/{STUDY}": STORE_OR_DELETE,
    f"/studies/{STUDY}/series": READ,
    f"/studies/{STUDY}/instances": READ,
    SERIES: READ_AND_DELETE,
    f"{SERIES}/instances": READ,
    INSTANCE: READ_AND_DELETE,
    f"{INSTANCE}/frames/1": READ,
    BULKDATA: READ,
    f"{INSTANCE}/frames/1/rendered": READ,
    f"{INSTANCE}/frames/1/thumbnail": READ,
    "/wado": READ,
    **{
        f"{path}/{below}": READ
        for path in (f"/studies/{STUDY}", SERIES, INSTANCE)
        for below in ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata")
    },
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@row("C-CODE-405", "C-URI-5", "C-HDR-4")
@pytest.mark.parametrize(("path", "allow"), ALLOW.items())
def test_allow_lists_every_method_and_no_other(web: httpx.Client, path: str, allow: str) -> None:
    for method in METHODS:
        if method in allow.split(", "):
            continue
        answer = web.request(method, path)
        assert problem(answer, 405)["expected"] == allow
        assert answer.headers["allow"] == allow
        assert f"method {method} " in answer.json()["detail"]
        assert int(answer.headers["content-length"]) == len(answer.content)
    assert web.options(path).headers["allow"] == allow
    for method in {"GET", "HEAD"} & set(allow.split(", ")):
        assert web.request(method, path, headers={"Accept": "*/*"}).status_code != 405


# -- queries ----------------------------------------------------------------------------------------------


@row("C-QP-6")
def test_a_plus_is_a_plus_in_a_media_type_and_in_a_time_zone(web: httpx.Client) -> None:
    literal, coded = (ask(web, f"{METADATA}?accept=application/dicom{sign}xml") for sign in ("+", "%2B"))
    assert form_of(literal) == form_of(coded) == "xml"
    assert literal.content == coded.content
    for sign in ("+", "%2B", "-"):
        query = f"/studies?StudyDate=20240131&TimezoneOffsetFromUTC={sign}0100"
        assert studies(ask(web, query, JSON)) == [*STUDIES[:3], STUDIES[4]]
    spaced = problem(ask(web, "/studies?StudyDate=20240131&TimezoneOffsetFromUTC=%200100", JSON), 400)
    assert spaced["parameter"] == "TimezoneOffsetFromUTC"


@row("C-QP-6")
def test_a_plus_is_a_space_in_the_words_of_a_search_unless_strict(
    web: httpx.Client, strict: httpx.Client
) -> None:
    for http, sign, found in ((web, "%20", 1), (web, "+", 1), (web, "%2B", 0), (strict, "+", 0)):
        answer = ask(http, f"/studies?PatientID=common-1{sign}", JSON)
        assert (answer.status_code == 200) == bool(found), (sign, answer.text)


@row("C-QP-8")
def test_a_semicolon_belongs_to_the_value(web: httpx.Client) -> None:
    """Were it a separator, `type` and `q` would be parameters of their own and be named as not supported."""
    answer = ask(web, f'{METADATA}?accept=multipart/related;type="application/dicom%2Bxml";q=1')
    assert instance_of(answer) == f"{STUDY}.1.1"
    assert form_of(answer) == "xml"
    assert "warning" not in answer.headers
    assert ask(web, "/studies?PatientID=common-1;StudyID=S1", JSON).status_code == 204


@row("C-QP-9")
def test_a_name_without_a_value_means_what_its_parameter_says(web: httpx.Client) -> None:
    for query in ("limit", "limit="):
        assert problem(ask(web, f"/studies?{query}", JSON), 400)["parameter"] == "limit"
    assert problem(ask(web, f"{METADATA}?accept"), 400)["parameter"] == "accept"
    assert studies(ask(web, "/studies?PatientID", JSON)) == STUDIES  # universal matching
    unknown = ask(web, "/studies?foo", JSON)
    assert studies(unknown) == STUDIES
    assert unknown.headers["warning"].endswith("ignored: foo")


@row("C-QP-10")
def test_a_question_mark_with_nothing_after_it_changes_nothing(web: httpx.Client) -> None:
    for path, accept in (("/studies", JSON), (INSTANCE, DICOM), (METADATA, XML)):
        assert ask(web, f"{path}?", accept).content == ask(web, path, accept).content
    assert studies(ask(web, "/studies?", JSON)) == STUDIES


@row("C-QP-13")
def test_quotes_are_taken_off_what_is_not_matched(web: httpx.Client) -> None:
    assert len(studies(ask(web, "/studies?limit=%222%22", JSON))) == 2
    for found in ask(web, "/studies?includefield=%22StudyDescription%22", JSON).json():
        assert found["00081030"]["vr"] == "LO"
    assert form_of(ask(web, f"{METADATA}?accept=%22application/dicom%2Bxml%22")) == "xml"
    # A value that is matched keeps them.
    assert ask(web, "/studies?PatientID=%22common-1%22", JSON).status_code == 204


@row("C-QP-14")
def test_a_uid_is_matched_as_it_is_written(web: httpx.Client) -> None:
    assert studies(ask(web, f"/studies?StudyInstanceUID={STUDY}", JSON)) == [STUDY]
    answer = ask(web, f"/studies?StudyInstanceUID={STUDY}%00", JSON)
    assert problem(answer, 400)["tag"] == "0020000D"


# -- what is acceptable -----------------------------------------------------------------------------------

JSON_AND_XML = [
    pytest.param(query, accept, form, marks=row(*rows), id=f"{rows[0]} {query} {accept}"[:80])
    for rows, query, accept, form in (
        (("C-ACC-1",), f"accept={JSON};q=0.2,{XML};q=0.4", "*/*", "xml"),
        (("C-ACC-1",), f"accept={JSON};q=0.5,{XML};q=0.4", "*/*", "json"),
        (("C-ACC-1",), f"Accept={XML}", JSON, "json"),  # of another name: ignored
        (("C-ACC-1",), f"contentType={XML}", JSON, "json"),
        (("C-ACC-3",), f"accept={XML}", f"{JSON}, {XML};q=0.1", "xml"),
        (("C-ACC-3",), "accept=text/csv", JSON, "json"),
        (("C-ACC-3",), "accept=text/csv", XML, "xml"),
        (("C-ACC-4",), f"accept={XML}", JSON, "xml"),
        (("C-ACC-4",), f"accept={JSON}", XML, "json"),
        (("C-ACC-9",), "", f"rubbish, a/b/c, ;, {XML}; q=0.5", "xml"),
        (("C-ACC-9",), "", f"rubbish, a/b/c, ;, {JSON}; q=0.5", "json"),
        (("C-ACC-9",), "", f"{JSON}; q=2, {XML};q=0.1", "xml"),  # a weight that is none: left out
        (("C-ACC-10",), "", "*/*", "json"),
        (("C-ACC-11",), "", f"{JSON};q=0.5, {XML};q=0.9", "xml"),
        (("C-ACC-11",), "", f"{JSON};q=0.9, {XML};q=0.5", "json"),
        (("C-ACC-11",), "", f"*/*;q=0.9, {JSON};q=0.1", "xml"),
        (("C-ACC-11",), "", f"*/*;q=0.1, {JSON};q=0.9", "json"),
        (("C-ACC-11",), "", f"{XML};q=0.99, {JSON}", "json"),
        (("C-ACC-12",), "", f"{JSON};q=0, */*", "xml"),
        (("C-ACC-12",), "", f'{XML};q=0, application/dicom+xml;q=0, */*;q=0.1', "json"),
        (("C-ACC-17",), "", "multipart/related", "xml"),
        (("C-META-1",), "", JSON, "json"),
        (("C-META-1",), "", XML, "xml"),
        (("C-META-2",), "", f"{JSON}; transfer-syntax={ELE}", "json"),
        (("C-META-2",), "", f"{XML}; transfer-syntax={ELE}", "xml"),
        (("C-CHS-1",), "charset=nonsense", XML, "xml"),
        (("C-CHS-1",), "charset=nonsense,UTF-8;q=0.3", JSON, "json"),
        (("C-HDR-6",), "", f"{JSON};level=9", "json"),
    )
]  # fmt: skip


@pytest.mark.parametrize(("query", "accept", "form"), JSON_AND_XML)
def test_metadata_is_in_the_form_that_is_chosen(
    web: httpx.Client, query: str, accept: str, form: str
) -> None:
    answer = ask(web, f"{METADATA}?{query}", accept)
    assert form_of(answer) == form, answer.headers
    assert instance_of(answer) == f"{STUDY}.1.1"


@row("C-META-1", "C-META-2", "C-CODE-200")
def test_both_forms_say_the_same(web: httpx.Client) -> None:
    (model,) = ask(web, METADATA, JSON).json()
    root = ElementTree.fromstring(pieces(ask(web, METADATA, XML))[0].body)
    assert [element.get("tag") for element in root] == list(model)
    assert [element.get("vr") for element in root] == [attribute["vr"] for attribute in model.values()]
    (bulk,) = root.findall(f"{NATIVE}DicomAttribute[@tag='7FE00010']/{NATIVE}BulkData")
    assert bulk.get("uri") == model["7FE00010"]["BulkDataURI"]
    # Explicit VR Little Endian is what both speak of: so are the octets.
    assert ask(web, str(bulk.get("uri")), OCTETS).content == PIXELS


@row("C-ACC-2", "C-CODE-400")
@pytest.mark.parametrize(
    "value", ["*/*", "application/*", 'multipart/related;type="*/*"', f"{JSON},*/*;q=0.1"]
)
def test_no_wildcard_in_the_parameter(web: httpx.Client, strict: httpx.Client, value: str) -> None:
    for http in (web, strict):
        found = problem(ask(http, f"{METADATA}?accept={value}", JSON), 400)
        assert found["parameter"] == "accept"
        assert "*" in found["detail"]


@row("C-ACC-4")
def test_the_parameter_has_to_be_covered_if_strict(strict: httpx.Client) -> None:
    refused = ask(strict, f"{METADATA}?accept={JSON}", XML)
    assert refused.status_code == 406
    assert JSON in refused.text
    assert form_of(ask(strict, f"{METADATA}?accept={JSON}", f"{XML}, */*;q=0.1")) == "json"


@row("C-ACC-5")
def test_types_of_both_kinds_are_sorted_out_or_refused(web: httpx.Client, strict: httpx.Client) -> None:
    mixed = f"{DICOM}, image/png;q=0.1"
    whole = ask(web, INSTANCE, mixed)
    assert pydicom.dcmread(io.BytesIO(whole.content)).PixelData == PIXELS
    shown = ask(web, f"{INSTANCE}/rendered", f"image/gif, {DICOM};q=0.1")
    assert shown.content.startswith(b"GIF8")
    for accept, path in ((mixed, INSTANCE), (f"{JSON}, application/pdf", METADATA)):
        refused = ask(strict, path, f"{accept}, application/json;q=0.1")
        assert refused.status_code == 400
        assert "rendered" in refused.text
        assert "DICOM" in refused.text


@row("C-ACC-6")
def test_a_type_of_both_kinds_is_that_of_the_resource(web: httpx.Client) -> None:
    """image/jpeg is a compressed frame below /frames (here: 8 bits, so that it has one) and a picture below /rendered."""
    frame = ask(web, f"{JLS}/frames/1", "image/jls, image/jpeg;q=0.1")
    stored = pydicom.dcmread(io.BytesIO(archive.files()[3]))
    (fragment,) = pydicom.encaps.generate_frames(stored.PixelData, number_of_frames=1)
    assert frame.content == fragment
    lossless = ask(web, f"{INSTANCE}/frames/2", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70")
    decoded = imagecodecs.ljpeg_decode(lossless.content)
    assert np.array_equal(decoded, np.frombuffer(archive.FRAMES[1], "<u2").reshape(32, 32))
    picture = ask(web, f"{INSTANCE}/rendered", "image/jpeg")
    assert imagecodecs.jpeg8_decode(picture.content).shape[:2] == (32, 32)


@row("C-ACC-7")
@pytest.mark.parametrize(
    ("path", "offered"),
    [
        (METADATA, JSON),
        (f"{METADATA}?accept={JSON}", JSON),
        (INSTANCE, f"{MULTI}; transfer-syntax={ELE}"),
        (f"{INSTANCE}/frames/1", f"{BULK}; transfer-syntax={ELE}"),
        (BULKDATA, f"{BULK}; transfer-syntax={ELE}"),
        ("/studies", JSON),
    ],
)
def test_without_an_accept_header_it_is_said_what_to_accept(
    strict: httpx.Client, path: str, offered: str
) -> None:
    found = problem(ask(strict, path), 406)
    assert any(entry.startswith(offered) for entry in found["available"])
    assert ask(strict, path, offered.partition("; transfer-syntax")[0]).status_code == 200


@row("C-ACC-10")
def test_anything_is_the_default_of_the_resource(web: httpx.Client) -> None:
    assert pydicom.dcmread(io.BytesIO(pieces(ask(web, INSTANCE, "*/*"))[0].body)).PixelData == PIXELS
    assert pieces(ask(web, f"{INSTANCE}/frames/2", "*/*"))[0].body == archive.FRAMES[1]
    assert pieces(ask(web, BULKDATA, "*/*"))[0].body == PIXELS
    assert studies(ask(web, "/studies", "*/*")) == STUDIES


@row("C-ACC-12")
def test_what_is_excluded_is_not_sent(web: httpx.Client) -> None:
    nothing = f"{JSON};q=0, {XML};q=0, application/dicom+xml;q=0, */*"
    for accept in (f"{JSON};q=0", nothing):
        assert JSON in problem(ask(web, METADATA, accept), 406)["available"]
    native, compressed = f"{MULTI}; transfer-syntax={ELE}", f"{MULTI}; transfer-syntax={LOSSLESS}"
    for excluded, sent in ((native, LOSSLESS), (compressed, ELE)):
        answer = ask(web, JLS, f"{excluded};q=0, {MULTI}; transfer-syntax={sent};q=0.1")
        found = pydicom.dcmread(io.BytesIO(pieces(answer)[0].body))
        assert found.file_meta.TransferSyntaxUID == sent


@row("C-ACC-13")
@pytest.mark.parametrize(
    ("path", "accept", "offered"),
    [
        (METADATA, "image/png", {JSON, XML, "application/dicom+xml"}),
        (INSTANCE, JSON, {f"{MULTI}; transfer-syntax={ELE}", f"{DICOM}; transfer-syntax={ELE}"}),
        ("/studies", DICOM, {JSON, XML}),
        (f"{PDF}/rendered", "image/png", {"application/pdf"}),
    ],
)
def test_406_offers_what_can_be_had(web: httpx.Client, path: str, accept: str, offered: set[str]) -> None:
    """And each that is offered is sent when it is asked for."""
    available = set(problem(ask(web, path, accept), 406)["available"])
    assert offered <= available
    for media in sorted(available):
        answer = ask(web, path, media)
        assert answer.status_code == 200, media
        assert answer.headers["content-type"].startswith(media.partition("; transfer-syntax")[0])


@row("C-ACC-16")
@pytest.mark.parametrize(
    "accept",
    [
        "multipart/related; type=application/dicom",
        f'multipart/related; transfer-syntax={ELE}; type="{DICOM}"; boundary=abc',
        'MULTIPART/Related; TYPE="Application/DICOM"',
        'multipart/related;type="application/dicom";boundary="x y"',
    ],
)
def test_ways_to_write_a_multipart_range_are_one(web: httpx.Client, accept: str) -> None:
    assert ask(web, INSTANCE, accept).content == ask(web, INSTANCE, MULTI).content
    assert instance_of(ask(web, INSTANCE, accept)) == f"{STUDY}.1.1"


@row("C-ACC-16")
def test_the_type_of_parts_may_hold_a_wildcard(web: httpx.Client) -> None:
    (part,) = pieces(ask(web, f"{JLS}/frames/1", 'multipart/related; type="image/*"'))
    (named,) = pieces(ask(web, f"{JLS}/frames/1", 'multipart/related; type="image/jls"'))
    assert part.body == named.body
    assert part.get("content-type") == f"image/jls; transfer-syntax={LOSSLESS}"


@row("C-ACC-17")
@pytest.mark.parametrize(
    ("path", "typed"), [(INSTANCE, MULTI), (f"{INSTANCE}/frames/1", BULK), (METADATA, XML), (BULKDATA, BULK)]
)
def test_a_multipart_range_without_a_type_is_the_default_one(
    web: httpx.Client, path: str, typed: str
) -> None:
    assert ask(web, path, "multipart/related").content == ask(web, path, typed).content


@row("C-ACC-18")
@pytest.mark.parametrize("syntax", [ELE, LOSSLESS])
def test_a_transfer_syntax_inside_of_the_quotes_counts(web: httpx.Client, syntax: str) -> None:
    (part,) = pieces(ask(web, JLS, f'multipart/related; type="{DICOM}; transfer-syntax={syntax}"'))
    assert pydicom.dcmread(io.BytesIO(part.body)).file_meta.TransferSyntaxUID == syntax


@row("C-CHS-1", "C-HDR-6")
def test_what_is_not_supported_changes_nothing(web: httpx.Client) -> None:
    for path, accept in ((METADATA, XML), (METADATA, JSON), ("/studies", JSON)):
        plain = ask(web, path, accept)
        assert ask(web, f"{path}?charset=nonsense", accept).content == plain.content
        for fields in (
            {"Accept_Encoding": "compress, br;q=0.1", "Accept_Language": "tlh"},
            {"Accept_Encoding": "nonsense;q=x", "Accept_Charset": "nonsense"},
        ):
            answer = ask(web, path, accept, **fields)
            assert answer.content == plain.content
            assert "content-encoding" not in answer.headers


# -- what is rendered where nothing is said ---------------------------------------------------------------


@row("C-RND-3", "R-RN-7")
def test_anything_of_a_document_is_the_document(web: httpx.Client) -> None:
    for accept in ("*/*", "application/pdf"):
        answer = ask(web, f"{PDF}/rendered", accept)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.rstrip(b"\0") == archive.DOCUMENT
        assert int(answer.headers["content-length"]) == len(answer.content)


@row("C-RND-3")
def test_anything_of_several_frames_is_a_picture_of_each(web: httpx.Client) -> None:
    parts = pieces(ask(web, f"{INSTANCE}/rendered", "*/*"))
    assert [part.get("content-location").rpartition("/")[2] for part in parts] == ["1", "2", "3"]
    for part in parts:
        assert part.get("content-type") == "image/jpeg"
        assert imagecodecs.jpeg8_decode(part.body).shape[:2] == (32, 32)


# -- status codes -----------------------------------------------------------------------------------------


@row("C-CODE-204", "C-CA-4")
def test_204_is_nothing_at_all(web: httpx.Client) -> None:
    answer = ask(web, "/studies?PatientID=nobody", JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


@row("C-CODE-415")
@pytest.mark.parametrize("kind", ["text/plain", "application/zip", "image/png", "nonsense", ""])
def test_415_lists_what_is_taken_and_takes_it(web: httpx.Client, kind: str) -> None:
    answer = web.post("/studies", content=b"x", headers={"Content-Type": kind} if kind else {})
    available = problem(answer, 415)["available"]
    assert {MULTI, DICOM, JSON} <= set(available)
    for media in available:
        again = web.post("/studies", content=b"", headers={"Content-Type": f"{media}; boundary=b"})
        assert again.status_code == 400, media  # taken, and then found to hold nothing


@row("C-CODE-416")
@pytest.mark.parametrize("asked", ["bytes=6144-", "bytes=999999-", "bytes=-0"])
def test_416_says_how_many_bytes_there_are(web: httpx.Client, asked: str) -> None:
    answer = ask(web, BULKDATA, OCTETS, Range=asked)
    found = problem(answer, 416)
    assert answer.headers["content-range"] == "bytes */6144"
    assert found["parameter"] == "Range"
    assert "6144" in found["detail"]


@row("C-CODE-421")
@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.evil.example:80"])
def test_421_names_the_host(web: httpx.Client, host: str) -> None:
    found = problem(ask(web, "/studies", JSON, Host=host), 421)
    assert found["parameter"] == "Host"
    assert f"'{host.partition(':')[0]}" in found["detail"]
    assert "public-url" in found["detail"]


@row("Q-10")
@pytest.mark.parametrize("below", ["/studies", "/series", "/instances"])
def test_all_entities_are_found_but_no_more_than_the_limit(
    web: httpx.Client, strict: httpx.Client, below: str
) -> None:
    """The strict server gives three of the five at a time; those that follow are counted and linked."""
    everything = ask(web, below, JSON)
    assert studies(everything) == STUDIES
    assert "warning" not in everything.headers
    first = ask(strict, below, JSON)
    assert len(first.json()) == 3
    assert "There are 2 additional results that can be requested" in first.headers["warning"]
    following = re.match(r'<([^>]+)>; rel="next"', first.headers["link"])
    assert following is not None
    second = ask(strict, following[1], JSON)
    assert sorted(studies(first) + studies(second)) == STUDIES
    assert "warning" not in second.headers
