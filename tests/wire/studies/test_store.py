"""The rows of STOW-RS over the wire: requests, parts, outcomes, and the answer (PS3.18 10.5, Annex I)."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer

JSON, XML, DICOM = "application/dicom+json", "application/dicom+xml", "application/dicom"
TYPE = f'multipart/related; type="{DICOM}"; boundary=b'
DEFLATED, IMPLICIT, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def message(*parts: bytes, media: str = DICOM, **fields: str) -> bytes:
    """A body with boundary b; `fields` are further header fields of each part."""
    head = f"--b\r\nContent-Type: {media}\r\n".encode()
    head += b"".join(f"{name}: {value}\r\n".encode() for name, value in fields.items())
    return b"".join(head + b"\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def post(
    web: httpx.Client, body: bytes, content_type: str | None = TYPE, *, path: str = "/studies", **headers: str
) -> httpx.Response:
    given = {"Accept": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if content_type is not None:
        given["Content-Type"] = content_type
    return web.post(path, content=body, headers=given)


def reasons(answer: httpx.Response, sequence: str) -> list[int]:
    """Failure Reasons of (0008,1198) or (0008,119A), Warning Reasons of (0008,1199)."""
    tag = "00081196" if sequence == "00081199" else "00081197"
    items = answer.json().get(sequence, {}).get("Value", [])
    return [item[tag]["Value"][0] for item in items if tag in item]


def url(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def had(web: httpx.Client, ds: Dataset) -> bytes | None:
    """The stored file; None where there is none."""
    answer = web.get(url(ds), headers={"Accept": f"{DICOM}; transfer-syntax=*"})
    assert answer.status_code in (200, 404)
    return answer.content if answer.status_code == 200 else None


def without(keyword: str) -> bytes:
    """A file that lacks a UID in its data set."""
    ds = build.dataset()
    data = build.part10(ds)
    tag = ds[keyword].tag
    head = struct.pack("<HH", tag.group, tag.element)
    at = data.index(head, 300)
    length = struct.unpack_from("<H", data, at + 6)[0]
    return data[:at] + data[at + 8 + length :]


# -- what is taken


def bare() -> bytes:
    return build.instance()


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        pytest.param(message(bare(), bare()), TYPE, {}, marks=pytest.mark.row("S-1", "S-20", "S-30")),
        pytest.param(message(bare()), "multipart/related; boundary=b", {}, marks=pytest.mark.row("S-12")),
        pytest.param(bare(), DICOM, {}, marks=pytest.mark.row("S-25")),
        pytest.param(
            gzip.compress(message(bare())),
            TYPE,
            {"Content_Encoding": "gzip"},
            marks=pytest.mark.row("C-CA-6"),
        ),
        pytest.param(
            message(bare(), media="application/octet-stream"), TYPE, {}, marks=pytest.mark.row("S-28")
        ),
        pytest.param(
            message(bare(), media=f"{DICOM}; transfer-syntax={DEFLATED}"),
            TYPE,
            {},
            marks=pytest.mark.row("S-34"),
        ),
    ],
)
def test_bodies_that_are_taken(
    http: httpx.Client, body: bytes, content_type: str, headers: dict[str, str]
) -> None:
    answer = post(http, body, content_type, **headers)
    assert answer.status_code == 200, answer.text
    assert "00081198" not in answer.json()


@pytest.mark.row("S-4")
def test_query_parameters_mean_nothing(http: httpx.Client) -> None:
    assert post(http, message(bare()), path="/studies?limit=x&PatientID=1").status_code == 200


@pytest.mark.row("S-7", "S-78")
def test_a_chunked_body_streams_in_and_what_is_answered_can_be_read(http: httpx.Client) -> None:
    ds = build.dataset()
    body = message(build.part10(ds))

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 100):
            yield body[at : at + 100]

    answer = http.post("/studies", content=pieces(), headers={"Content-Type": TYPE, "Accept": JSON})
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 200
    assert had(http, ds) == build.part10(ds)


@pytest.mark.row("S-6")
def test_a_request_without_length_is_411(server: LiveServer) -> None:
    place = urlsplit(server.root)
    connection = http.client.HTTPConnection(str(place.hostname), int(place.port or 0), timeout=20)
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", TYPE)
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


@pytest.mark.row("S-3")
@pytest.mark.parametrize(
    "path", ["/studies", "/studies/1.2", "/studies/1.2/series/1.3", "/studies/1.2/series/1.3/instances/1.4"]
)
def test_put_is_not_offered(http: httpx.Client, path: str) -> None:
    answer = http.put(path, content=message(bare()), headers={"Content-Type": TYPE})
    assert answer.status_code == 405
    allow = [method.strip() for method in answer.headers["allow"].split(",")]
    assert "GET" in allow
    assert "PUT" not in allow
    assert ("POST" in allow) == (path in ("/studies", "/studies/1.2"))


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        pytest.param("*/*", 200, JSON, marks=pytest.mark.row("S-8", "S-90")),
        pytest.param(JSON, 200, JSON, marks=pytest.mark.row("S-8", "S-90", "S-94", "J-3")),
        pytest.param(XML, 200, XML, marks=pytest.mark.row("S-8", "S-90", "S-95")),
        pytest.param("image/png", 406, "application/problem+json", marks=pytest.mark.row("S-8")),
    ],
)
def test_the_answer_in_what_is_accepted(http: httpx.Client, accept: str, status: int, media: str) -> None:
    ds = build.dataset()
    answer = post(http, message(build.part10(ds)), Accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, media)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (had(http, ds) is None) == (status == 406), "refused before anything is stored"
    if media == JSON:
        assert isinstance(answer.json(), dict)
        assert not [tag for tag in answer.json() if tag.startswith("0002")]
    if media == XML:
        assert ElementTree.fromstring(answer.content).tag.endswith("}NativeDicomModel")


@pytest.mark.row("S-8")
def test_without_accept_the_answer_is_json(server: LiveServer) -> None:
    place = urlsplit(server.root)
    connection = http.client.HTTPConnection(str(place.hostname), int(place.port or 0), timeout=20)
    connection.request("POST", "/dicom-web/studies", message(bare()), {"Content-Type": TYPE})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("content-type")) == (200, JSON)
    assert "00081199" in json.loads(answer.read())
    connection.close()


@pytest.mark.row("S-95")
def test_multipart_xml_where_only_that_is_accepted(http: httpx.Client) -> None:
    answer = post(http, message(bare()), Accept=f'multipart/related; type="{XML}"')
    assert answer.headers["content-type"].startswith(f'multipart/related; type="{XML}"')
    assert b"NativeDicomModel" in answer.content


# -- what is refused, whole


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(message(b"x"), None, 415, marks=pytest.mark.row("S-5")),
        pytest.param(b"", TYPE, 400, marks=pytest.mark.row("S-9", "S-82")),
        pytest.param(b"--b--\r\n", TYPE, 400, marks=pytest.mark.row("S-9", "S-82")),
        pytest.param(b"", DICOM, 400, marks=pytest.mark.row("S-9", "S-82")),
        pytest.param(message(bare()), TYPE.replace("; boundary=b", ""), 400, marks=pytest.mark.row("S-11")),
        pytest.param(message(bare()), TYPE + "oundary", 400, marks=pytest.mark.row("S-11")),
        pytest.param(b"{", JSON, 400, marks=pytest.mark.row("S-82")),
        pytest.param(b"<a>", XML, 400, marks=pytest.mark.row("S-82")),
        pytest.param(message(bare())[:-20], TYPE, 400, marks=pytest.mark.row("S-82")),
        pytest.param(bare(), "image/tiff", 415, marks=pytest.mark.row("S-27", "S-84")),
        pytest.param(b"PK\3\4", "application/zip", 415, marks=pytest.mark.row("S-29", "S-84")),
    ],
)
def test_bodies_that_are_refused(
    http: httpx.Client, body: bytes, content_type: str | None, status: int
) -> None:
    answer = post(http, body, content_type)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["detail"]
    if status == 415:
        assert f'multipart/related; type="{DICOM}"' in problem["available"]


# -- what becomes of instances


def _in(syntax: str) -> tuple[Dataset, bytes]:
    ds = build.dataset()
    if syntax == BIG:
        ds.PixelData = bytes(ds.PixelData)
    return ds, build.part10(ds, syntax)


@pytest.mark.row("S-31", "S-38")
@pytest.mark.parametrize("syntax", [IMPLICIT, BIG, DEFLATED])
def test_any_transfer_syntax_is_taken_and_none_forbidden_is_sent(http: httpx.Client, syntax: str) -> None:
    ds, data = _in(syntax)
    assert post(http, message(data)).status_code == 200
    sent = dcmread(io.BytesIO(had(http, ds) or b""))
    assert sent.file_meta.TransferSyntaxUID not in (IMPLICIT, BIG)
    assert sent.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID == ds.SOPInstanceUID


def _other_meta() -> bytes:
    ds = build.dataset()
    data = build.part10(ds)
    uid = ds.SOPInstanceUID.encode()
    other = uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2")
    return data.replace(uid, other, 1)


def _with_meta(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    return data.replace(old, new, 1)


UNKNOWN_SYNTAX = _with_meta(bare(), b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2.2")
DIRECTORY = build.part10(build.dataset(SOPClassUID="1.2.840.10008.1.3.10"))
OUTCOMES = [
    pytest.param(b"no DICOM", 409, "0008119A", 0xC000, marks=pytest.mark.row("S-32", "S-F-Cxxx", "S-83")),
    pytest.param(bare()[:500], 409, "0008119A", 0xC000, marks=pytest.mark.row("S-32")),
    pytest.param(_other_meta(), 202, "00081199", 0xB007, marks=pytest.mark.row("S-33", "S-W-B007", "S-86")),
    pytest.param(bare()[132:], 202, "00081199", 0xB000, marks=pytest.mark.row("S-86", "S-W-B000")),
    pytest.param(DIRECTORY, 409, "00081198", 0x0122, marks=pytest.mark.row("S-35", "S-F-0122", "S-83")),
    pytest.param(UNKNOWN_SYNTAX, 409, "00081198", 0xC122, marks=pytest.mark.row("S-36", "S-F-C122", "S-83")),
    *(
        pytest.param(without(keyword), 409, "0008119A", 0xA900, marks=pytest.mark.row("S-37", "S-F-A9xx"))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    ),
]


@pytest.mark.parametrize(("data", "status", "sequence", "reason"), OUTCOMES)
def test_the_reason_of_each_outcome(
    http: httpx.Client, data: bytes, status: int, sequence: str, reason: int
) -> None:
    answer = post(http, message(data))
    assert (answer.status_code, reasons(answer, sequence)) == (status, [reason])
    assert answer.headers["warning"].startswith(f"{reason:04X} ")
    others = {"00081198", "00081199", "0008119A"} - {sequence}
    assert not others & answer.json().keys(), "absent where there is nothing to say"


@pytest.mark.row("S-2", "S-75")
def test_instances_of_other_studies_fail_alone(http: httpx.Client) -> None:
    ds, other = build.dataset(), build.dataset()
    body = message(build.part10(ds), build.part10(other))
    answer = post(http, body, path=f"/studies/{ds.StudyInstanceUID}")
    assert (answer.status_code, reasons(answer, "00081198")) == (202, [0xA901])
    assert had(http, ds) is not None
    assert had(http, other) is None


@pytest.mark.row("S-73", "S-80", "S-F-0111")
def test_the_same_again_is_success_and_other_content_is_refused(http: httpx.Client) -> None:
    ds = build.dataset()
    first = build.part10(ds)
    assert post(http, message(first)).status_code == 200
    again = post(http, message(first))
    assert again.status_code == 200
    assert "location" not in again.headers, "nothing new"
    ds.PatientID = "another"
    other = post(http, message(build.part10(ds)))
    assert (other.status_code, reasons(other, "00081198")) == (409, [0x0111])
    assert "PatientID" in other.headers["warning"]
    assert had(http, ds) == first


@pytest.mark.row("S-74", "S-F-0119")
def test_a_known_uid_elsewhere_or_of_another_class_is_refused(http: httpx.Client) -> None:
    ds = build.dataset()
    assert post(http, message(build.part10(ds))).status_code == 200
    placed = build.dataset(SOPInstanceUID=ds.SOPInstanceUID)
    assert reasons(post(http, message(build.part10(placed))), "00081198") == [0x0111]
    ds.SOPClassUID = build.SECONDARY_CAPTURE
    assert reasons(post(http, message(build.part10(ds))), "00081198") == [0x0119]


@pytest.mark.row("S-77", "S-81", "S-92", "S-93")
def test_one_bad_part_harms_no_other(http: httpx.Client) -> None:
    good, cut = build.dataset(), build.dataset()
    whole = build.part10(cut)
    answer = post(http, message(build.part10(good), whole[:-50], b"rubbish"))
    assert answer.status_code == 202
    module = answer.json()
    assert [i["00081155"]["Value"] for i in module["00081199"]["Value"]] == [[good.SOPInstanceUID]]
    assert [i["00081155"]["Value"] for i in module["00081198"]["Value"]] == [[cut.SOPInstanceUID]]
    assert reasons(answer, "0008119A") == [0xC000]
    assert had(http, cut) is None
    search = http.get("/instances", params={"SOPInstanceUID": cut.SOPInstanceUID}, headers={"Accept": JSON})
    assert search.text in ("", "[]")
    assert post(http, message(whole)).status_code == 200, "nothing of it was in the way"


@pytest.mark.row("S-70", "S-91", "S-93")
def test_urls_of_what_was_created(http: httpx.Client, server: LiveServer) -> None:
    ds = build.dataset()
    answer = post(http, message(build.part10(ds)))
    study = f"{server.root}/studies/{ds.StudyInstanceUID}"
    assert answer.headers["location"] == study
    module = answer.json()
    assert module["00081190"] == {"vr": "UR", "Value": [study]}
    (item,) = module["00081199"]["Value"]
    assert item["00081190"] == {"vr": "UR", "Value": [server.root + url(ds)]}
    second = build.dataset(StudyInstanceUID=ds.StudyInstanceUID, SeriesInstanceUID=ds.SeriesInstanceUID)
    third = build.dataset(StudyInstanceUID=ds.StudyInstanceUID)
    assert post(http, message(build.part10(second), build.part10(third))).headers["location"] == study
    series = http.get(f"/studies/{ds.StudyInstanceUID}/series", headers={"Accept": JSON}).json()
    assert sorted(one["00201209"]["Value"][0] for one in series) == [1, 2]


@pytest.mark.row("S-1", "S-91")
def test_several_studies_have_no_url_of_their_own(http: httpx.Client, server: LiveServer) -> None:
    answer = post(http, message(bare(), bare()))
    assert answer.headers["location"] == f"{server.root}/studies"
    assert answer.json()["00081190"] == {"vr": "UR"}


# -- what was stored, as metadata


@pytest.mark.row("J-1", "J-2", "J-64", "J-66", "X-3", "X-18")
def test_metadata_in_both_forms(http: httpx.Client) -> None:
    first = build.dataset()
    second = build.dataset(StudyInstanceUID=first.StudyInstanceUID)
    assert post(http, message(build.part10(first), build.part10(second))).status_code == 200
    path = f"/studies/{first.StudyInstanceUID}/metadata"
    answer = http.get(path, headers={"Accept": JSON})
    assert answer.headers["content-type"] == JSON
    models = json.loads(answer.content.decode("utf-8"))
    assert len(models) == 2
    for model in models:
        assert model["7FE00010"].keys() == {"vr", "BulkDataURI"}
        bulk = http.get(model["7FE00010"]["BulkDataURI"], headers={"Accept": "application/octet-stream"})
        assert bulk.content == first.PixelData
    answer = http.get(path, headers={"Accept": f'multipart/related; type="{XML}"'})
    assert answer.headers["content-type"].startswith(f'multipart/related; type="{XML}"')
    parts = answer.content.split(b"\r\n--")[:-1]
    assert len(parts) == 2
    for part, model in zip(parts, models, strict=True):
        head, _, document = part.partition(b"\r\n\r\n")
        assert f"Content-Type: {XML}".lower().encode() in head.lower()
        (uri,) = [
            e.get("uri") for e in ElementTree.fromstring(document).iter() if e.tag.endswith("}BulkData")
        ]
        assert uri == model["7FE00010"]["BulkDataURI"]


# -- text by reference


@pytest.mark.row("R-B-11", "J-CS-4", "J-CS-2", "X-20")
def test_long_text_is_given_as_utf_8(http: httpx.Client) -> None:
    text = "größer als vorher\r\n" * 5000
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 144"
    item.TextValue = "Лю" * 40_000
    ds = build.dataset(SpecificCharacterSet="ISO_IR 100", ContentSequence=[item])
    ds.add_new(0x00221612, "UT", text)
    ds.add_new(0x00091010, "UN", "ü".encode("latin-1") * 80_000)
    assert post(http, message(build.part10(ds))).status_code == 200
    (model,) = http.get(url(ds) + "/metadata", headers={"Accept": JSON}).json()
    assert model["00080005"]["Value"] == ["ISO_IR 100"]

    def fetched(member: dict[str, Any]) -> httpx.Response:
        return http.get(member["BulkDataURI"], headers={"Accept": "application/octet-stream"})

    answer = fetched(model["00221612"])
    assert answer.content.decode().rstrip(" ") == text
    assert int(answer.headers["content-length"]) == len(answer.content)
    nested = model["0040A730"]["Value"][0]["0040A160"]
    assert fetched(nested).content.decode().rstrip(" ") == "Лю" * 40_000
    assert fetched(model["00091010"]).content == b"\xfc" * 80_000
    xml = http.get(url(ds) + "/metadata", headers={"Accept": XML})
    uris = [
        bulk.get("uri")
        for bulk in ElementTree.fromstring(xml.content).iter()
        if bulk.tag.endswith("}BulkData")
    ]
    assert model["00221612"]["BulkDataURI"] in uris


@pytest.mark.row("R-B-11", "S-58")
def test_long_text_comes_back_through_metadata(http: httpx.Client) -> None:
    """What we give as JSON and bulk data can be sent to us again as that."""
    text = "größer " * 10_000 + "."
    found: dict[str, dict[str, Any]] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00080016": {"vr": "UI", "Value": [build.SECONDARY_CAPTURE]},
        "00080018": {"vr": "UI", "Value": [generate_uid()]},
        "0020000D": {"vr": "UI", "Value": [generate_uid()]},
        "0020000E": {"vr": "UI", "Value": [generate_uid()]},
        "00221612": {"vr": "UT", "BulkDataURI": "text"},
        "00104000": {"vr": "LT", "Value": ["Größe"]},
    }
    body = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps([found]).encode()
    body += (
        b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Location: text\r\n\r\n" + text.encode()
    )
    assert post(http, body + b"\r\n--b--", TYPE.replace(DICOM, JSON)).status_code == 200
    study, series, instance = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    ds = Dataset()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study, series, instance
    sent = dcmread(io.BytesIO(had(http, ds) or b""))
    assert (sent.SpecificCharacterSet, sent.PatientComments) == ("ISO_IR 192", "Größe")
    assert sent[0x00221612].value == text
