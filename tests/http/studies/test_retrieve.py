"""WADO-RS at the door: representations, parts, tags, ranges (PS3.18 10.4)."""

from __future__ import annotations

import email
from typing import Any

import httpx
import pytest
from gateway.dicom import uids
from tests.http.fakes import JLS, MPEG, PRIVATE, Rooms

BASE = "http://localhost:8080/dicom-web"
STUDY = "/studies/1.2"
INSTANCE = f"{STUDY}/series/1.3/instances/1.4.1"
STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
PLAIN = {"Accept": 'multipart/related; type="application/dicom"'}


def parts(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """(Content-Type, Content-Location, body) of each part, by the standard library."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    found: Any = message.get_payload()
    return [(p["Content-Type"], p["Content-Location"], p.get_payload(decode=True)) for p in found]


# -- instances ----------------------------------------------------------------------------------------------


async def test_each_instance_in_the_syntax_it_can_be_had_in(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.retrieve.syntaxes = [uids.EXPLICIT_VR_LITTLE_ENDIAN, JLS]
    answer = await web.get(STUDY, headers=STORED)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(answer.content))
    first, second = parts(answer)
    assert first[0] == f"application/dicom; transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}"
    assert second[0] == f"application/dicom; transfer-syntax={JLS}"
    assert second[1] == f"{BASE}{STUDY}/series/1.3/instances/1.4.2"
    assert second[2] == b"stored1.4.2".ljust(20, b".")
    plain = await web.get(STUDY, headers=PLAIN)
    assert [body for _, _, body in parts(plain)][1] == b"1.4.2 as 1.2.840.10008.1.2.1"
    assert "content-length" not in plain.headers


async def test_one_that_cannot_be_converted_is_left_out_with_206(
    web: httpx.AsyncClient, rooms: Rooms
) -> None:
    rooms.retrieve.syntaxes = [uids.EXPLICIT_VR_LITTLE_ENDIAN, PRIVATE]
    answer = await web.get(STUDY, headers=PLAIN)
    assert answer.status_code == 206
    assert len(parts(answer)) == 1
    assert "1 instances cannot be sent" in answer.headers["warning"]
    rooms.retrieve.syntaxes = [PRIVATE]
    refused = await web.get(STUDY, headers=PLAIN)
    assert refused.status_code == 406
    assert refused.json()["available"] == [
        f'multipart/related; type="application/dicom"; transfer-syntax={PRIVATE}'
    ]


async def test_a_lossy_one_that_cannot_be_decoded_stands_for_itself(
    web: httpx.AsyncClient, rooms: Rooms
) -> None:
    """Where no transfer syntax is named; strictly native it is 406 (PS3.18 8.7.3.4)."""
    rooms.retrieve.syntaxes = [uids.EXPLICIT_VR_LITTLE_ENDIAN, MPEG]
    answer = await web.get(STUDY, headers=PLAIN)
    assert answer.status_code == 200
    assert parts(answer)[1][0] == f"application/dicom; transfer-syntax={MPEG}"
    rooms.retrieve.syntaxes = [MPEG]
    strict = {
        "Accept": f'multipart/related; type="application/dicom"; transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}'
    }
    assert (await web.get(STUDY, headers=strict)).status_code == 406


async def test_a_bare_instance_and_ranges_of_it(web: httpx.AsyncClient) -> None:
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    whole = await web.get(INSTANCE, headers=accept)
    assert whole.content == b"stored1.4.1".ljust(20, b".")
    assert (
        whole.headers["content-type"]
        == f"application/dicom; transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}"
    )
    assert whole.headers["content-location"] == BASE + INSTANCE
    assert whole.headers["accept-ranges"] == "bytes"
    part = await web.get(INSTANCE, headers={**accept, "Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    assert part.headers["content-range"] == "bytes 5-9/20"
    assert part.headers["content-length"] == "5"
    outside = await web.get(INSTANCE, headers={**accept, "Range": "bytes=20-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */20")
    stale = await web.get(INSTANCE, headers={**accept, "Range": "bytes=0-1", "If-Range": '"old"'})
    assert stale.status_code == 200


async def test_ranges_of_multipart_are_ignored(web: httpx.AsyncClient) -> None:
    answer = await web.get(INSTANCE, headers={**STORED, "Range": "bytes=0-1"})
    assert answer.status_code == 200


async def test_nothing_is_opened_for_a_304(web: httpx.AsyncClient, rooms: Rooms) -> None:
    first = await web.get(INSTANCE, headers=STORED)
    rooms.retrieve.opened.clear()
    again = await web.get(INSTANCE, headers={**STORED, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, rooms.retrieve.opened) == (304, b"", [])
    assert again.headers["etag"] == first.headers["etag"]
    other = await web.get(INSTANCE, headers={"Accept": "application/dicom"})
    assert other.headers["etag"] != first.headers["etag"]


async def test_the_same_answer_has_the_same_bytes(web: httpx.AsyncClient) -> None:
    assert (await web.get(STUDY)).content == (await web.get(STUDY)).content


# -- metadata -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [STUDY, f"{STUDY}/series/1.3", INSTANCE])
async def test_metadata_is_an_array_with_tag_and_location(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(f"{path}/metadata")
    assert answer.json() == [{"00081190": {"vr": "UR", "Value": [f"{BASE}/x"]}}]
    assert answer.headers["content-location"] == f"{BASE}{path}/metadata"
    unchanged = {"If-None-Match": answer.headers["etag"]}
    assert (await web.get(f"{path}/metadata", headers=unchanged)).status_code == 304


async def test_metadata_in_xml(web: httpx.AsyncClient) -> None:
    several = await web.get(
        f"{STUDY}/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'}
    )
    assert [kind for kind, _, _ in parts(several)] == ["application/dicom+xml"]
    bare = {"Accept": "application/dicom+xml"}
    assert (await web.get(f"{INSTANCE}/metadata", headers=bare)).headers["content-type"] == bare["Accept"]
    assert (await web.get(f"{STUDY}/metadata", headers=bare)).status_code == 406


async def test_metadata_is_sent_in_utf8_only(web: httpx.AsyncClient) -> None:
    assert (await web.get(f"{STUDY}/metadata?charset=iso-8859-1")).status_code == 406
    assert (await web.get(f"{STUDY}/metadata?charset=utf-8")).status_code == 200


# -- frames -------------------------------------------------------------------------------------------------

OCTETS = {"Accept": 'multipart/related; type="application/octet-stream"'}
OHIF = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}


async def test_frames_in_the_order_asked(web: httpx.AsyncClient) -> None:
    for path in ("frames/3,1,3", "frames/3%2C1%2C3"):
        answer = await web.get(f"{INSTANCE}/{path}", headers=OCTETS)
        assert [body for _, _, body in parts(answer)] == [b"native3", b"native1", b"native3"]
        assert parts(answer)[0][1] == f"{BASE}{INSTANCE}/frames/3"
        assert answer.headers["content-length"] == str(len(answer.content))


async def test_compressed_frames_by_accept(web: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.retrieve.encapsulated = True
    decoded = parts(await web.get(f"{INSTANCE}/frames/1", headers=OCTETS))
    assert decoded[0][0] == f"application/octet-stream; transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}"
    assert decoded[0][2] == b"native1"
    answer = await web.get(f"{INSTANCE}/frames/1", headers=OHIF)
    assert answer.headers["content-type"].startswith('multipart/related; type="image/jls"; boundary=')
    assert parts(answer)[0][0] == f"image/jls; transfer-syntax={JLS}"
    assert parts(answer)[0][2] == b"stored1"


async def test_a_single_frame_without_multipart(web: httpx.AsyncClient) -> None:
    bare = {"Accept": "application/octet-stream"}
    answer = await web.get(f"{INSTANCE}/frames/2", headers=bare)
    assert answer.content == b"native2"
    assert (await web.get(f"{INSTANCE}/frames/2", headers={**bare, "Range": "bytes=-1"})).content == b"2"
    assert (await web.get(f"{INSTANCE}/frames/1,2", headers=bare)).status_code == 406


async def test_what_cannot_be_decoded_is_sent_as_stored_where_that_will_do(
    web: httpx.AsyncClient, rooms: Rooms
) -> None:
    rooms.retrieve.encapsulated, rooms.retrieve.decodable = True, False
    answer = await web.get(f"{INSTANCE}/frames/1")
    assert parts(answer)[0][2] == b"stored1"
    assert (await web.get(f"{INSTANCE}/frames/1", headers=OCTETS)).status_code == 406


async def test_frames_that_are_not_there(web: httpx.AsyncClient) -> None:
    answer = await web.get(f"{INSTANCE}/frames/10", headers=OCTETS)
    assert (answer.status_code, answer.json()["detail"]) == (404, "frame 10: the instance has 9")


async def test_frames_are_never_compressed_again(web: httpx.AsyncClient) -> None:
    headers = {**OHIF, "Accept-Encoding": "gzip, deflate, br, zstd"}
    answer = await web.get(f"{INSTANCE}/frames/1", headers=headers)
    assert "content-encoding" not in answer.headers


# -- bulk data ----------------------------------------------------------------------------------------------


async def test_bulk_data_in_every_form(web: httpx.AsyncClient, rooms: Rooms) -> None:
    path = f"{INSTANCE}/bulkdata/00400275/1/00400007"
    version = f"{1:032x}"
    bare = await web.get(f"{path}?v={version}", headers={"Accept": "application/octet-stream"})
    assert bare.content == b"bulk 00400275/1/00400007"
    assert bare.headers["content-location"] == f"{BASE}{path}?v={version}"
    assert bare.headers["cache-control"] == "private, max-age=31536000, immutable"
    ((kind, location, body),) = parts(
        await web.get(path, headers={"Accept": 'multipart/related; type="*/*"'})
    )
    assert (kind, location, body) == ("application/octet-stream", BASE + path, bare.content)
    rooms.retrieve.bulk_type = "application/pdf"
    assert (await web.get(path, headers={"Accept": "application/pdf"})).headers[
        "content-type"
    ] == "application/pdf"
    assert (await web.get(path, headers={"Accept": "image/png"})).status_code == 406
    assert (await web.get(f"{INSTANCE}/bulkdata/nothing")).status_code == 404


async def test_only_the_version_that_is_named_is_immutable(web: httpx.AsyncClient) -> None:
    for query in ("", "?v=old"):
        answer = await web.get(f"{INSTANCE}/bulkdata/7FE00010{query}")
        assert answer.headers["cache-control"] == "private, no-cache"


async def test_bulk_data_304(web: httpx.AsyncClient) -> None:
    first = await web.get(f"{INSTANCE}/bulkdata/7FE00010")
    unchanged = {"If-None-Match": first.headers["etag"]}
    assert (await web.get(f"{INSTANCE}/bulkdata/7FE00010", headers=unchanged)).status_code == 304


# -- what all have ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [STUDY, INSTANCE, f"{STUDY}/metadata", f"{INSTANCE}/frames/1", f"{INSTANCE}/bulkdata/7FE00010"]
)
async def test_head_has_the_fields_of_get(web: httpx.AsyncClient, path: str) -> None:
    got, head = await web.get(path), await web.head(path)
    assert head.content == b""
    assert dict(head.headers) == dict(got.headers)


async def test_unknown_is_404(web: httpx.AsyncClient) -> None:
    assert (await web.get("/studies/9.9")).status_code == 404


async def test_delete(web: httpx.AsyncClient, rooms: Rooms) -> None:
    for path in (STUDY, f"{STUDY}/series/1.3", INSTANCE):
        assert (await web.delete(path)).status_code == 204
        assert rooms.remove.removed[-1].url() == path
    assert (await web.delete("/studies/9.9")).status_code == 404
