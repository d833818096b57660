"""Bulk data and pixel data of whole studies, series and instances, over the wire (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

import email
import email.policy
import json
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer, multipart

OCTETS = "application/octet-stream"
LEVELS = ("study", "series", "instance")
DEEP = (np.arange(64 * 40, dtype="u2") * 7).reshape(40, 64)
TABLE = np.arange(2000, dtype="<u2").tobytes()


def parts(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """(Content-Type, Content-Location, octets) of each part."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    boundary = answer.headers["content-type"].split("boundary=")[1].strip('"').encode()
    found = []
    for piece in answer.content.split(b"--" + boundary)[1:-1]:
        fields, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        part: Any = email.message_from_bytes(fields + b"\r\n\r\n", policy=email.policy.HTTP)
        found.append((part["Content-Type"], part["Content-Location"], body.removesuffix(b"\r\n")))
    assert head
    return found


@pytest.fixture(scope="module")
def archive(server: LiveServer) -> dict[str, Dataset]:
    """A study of a native image with a LUT, a JPEG-LS multi-frame, and a document, in two series."""
    study, series = generate_uid(), generate_uid()
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    native = build.dataset(**same, Rows=40, Columns=64, PixelData=DEEP.tobytes(), InstanceNumber=1)
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [2000, 0, 16], TABLE
    lut["LUTData"].VR = "OW"
    native.ModalityLUTSequence = [lut]
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.SamplesPerPixel = 40, 40, 8, 1
    icon.PixelData = bytes(1600)
    native.IconImageSequence = [icon]
    frames = [bytes(imagecodecs.jpegls_encode(np.roll(DEEP, n, axis=0))) for n in range(3)]
    packed = build.dataset(
        **same, Rows=40, Columns=64, NumberOfFrames=3, InstanceNumber=2, PixelData=encapsulate(frames)
    )
    document = build.dataset(
        StudyInstanceUID=study, PixelData=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1"
    )
    document.EncapsulatedDocument, document.MIMETypeOfEncapsulatedDocument = (
        b"%PDF-1.4 " + bytes(2001),
        "application/pdf",
    )
    files = [build.part10(native), build.part10(packed, "1.2.840.10008.1.2.4.80"), build.part10(document)]
    body, content_type = multipart(files)
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    answer = httpx.post(f"{server.root}/studies", content=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    return {"native": native, "packed": packed, "document": document}


def url(ds: Dataset, level: str = "instance") -> str:
    found = f"/studies/{ds.StudyInstanceUID}"
    if level != "study":
        found += f"/series/{ds.SeriesInstanceUID}"
    return found + (f"/instances/{ds.SOPInstanceUID}" if level == "instance" else "")


def get(server: LiveServer, path: str, accept: str | None = None) -> httpx.Response:
    return httpx.get(server.root + path, headers={"Accept": accept} if accept else {}, timeout=60)


def uris(model: Any) -> list[str]:
    """Every BulkDataURI of a metadata answer."""
    if isinstance(model, list):
        return [uri for one in model for uri in uris(one)]
    if isinstance(model, dict):
        own = [model["BulkDataURI"]] if "BulkDataURI" in model else []
        return own + [uri for one in model.values() for uri in uris(one)]
    return []


@pytest.mark.row("R-B-3", "R-B-1", "R-B-4", "R-B-8", "R-M-5", "C-MP-5", "C-MP-6")
@pytest.mark.parametrize("level", LEVELS)
def test_every_value_of_the_metadata_is_a_part(
    server: LiveServer, archive: dict[str, Dataset], level: str
) -> None:
    path = url(archive["native"], level)
    wanted = uris(json.loads(get(server, f"{path}/metadata").content))
    answer = get(server, f"{path}/bulkdata")
    assert answer.status_code == 200, answer.text
    found = {location: body for _, location, body in parts(answer)}
    assert sorted(found) == sorted(wanted)
    assert len(wanted) == {"study": 5, "series": 4, "instance": 3}[level]
    for uri, body in found.items():
        assert httpx.get(uri, headers={"Accept": OCTETS}).content == body


@pytest.mark.row("R-P-1", "C-BD-3", "R-B-5")
@pytest.mark.parametrize("level", LEVELS)
def test_pixel_data_is_that_of_the_top_level(
    server: LiveServer, archive: dict[str, Dataset], level: str
) -> None:
    found = parts(get(server, f"{url(archive['native'], level)}/pixeldata"))
    assert len(found) == {"study": 2, "series": 2, "instance": 1}[level]
    assert found[0][2] == DEEP.tobytes()
    assert all("/bulkdata/7FE00010?v=" in location for _, location, _ in found)
    if level == "series":
        assert found[1][2] == b"".join(np.roll(DEEP, n, axis=0).tobytes() for n in range(3))


@pytest.mark.row("R-B-6", "C-BD-2", "R-P-3")
@pytest.mark.parametrize("resource", ["pixeldata", "bulkdata/7FE00010"])
def test_compressed_pixel_data_is_a_part_for_each_frame(
    server: LiveServer, archive: dict[str, Dataset], resource: str
) -> None:
    answer = get(server, f"{url(archive['packed'])}/{resource}", 'multipart/related; type="image/jls"')
    found = parts(answer)
    assert [media.partition(";")[0] for media, _, _ in found] == ["image/jls"] * 3
    for n, (_, _, body) in enumerate(found):
        assert np.array_equal(imagecodecs.jpegls_decode(body), np.roll(DEEP, n, axis=0))


@pytest.mark.row("R-B-2", "C-MP-9")
def test_a_range_of_one_value(server: LiveServer, archive: dict[str, Dataset]) -> None:
    path = f"{server.root}{url(archive['native'])}/bulkdata/00283000/1/00283006"
    answer = httpx.get(path, headers={"Accept": OCTETS, "Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, TABLE[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(TABLE)}"


@pytest.mark.row("R-B-12")
@pytest.mark.parametrize("accept", [OCTETS, "application/pdf"])
def test_a_document_as_octets_and_as_what_it_is(
    server: LiveServer, archive: dict[str, Dataset], accept: str
) -> None:
    answer = get(server, f"{url(archive['document'])}/bulkdata/00420011", accept)
    assert answer.headers["content-type"] == accept
    assert answer.content.startswith(b"%PDF-1.4 ")


@pytest.mark.row("R-B-13", "C-CODE-404", "R-RES-11")
@pytest.mark.parametrize(
    "path", ["bulkdata/00283000/9/00283006", "bulkdata/00100010", "frames/1", "pixeldata"]
)
def test_what_is_not_there(server: LiveServer, archive: dict[str, Dataset], path: str) -> None:
    ds = archive["document"]
    assert get(server, f"{url(ds)}/{path}").status_code == 404


@pytest.mark.row("R-RES-1")
@pytest.mark.parametrize("below", ["pixeldata", "bulkdata", "metadata"])
def test_frames_have_no_such_resources(server: LiveServer, archive: dict[str, Dataset], below: str) -> None:
    assert get(server, f"{url(archive['native'])}/frames/1/{below}").status_code == 404


@pytest.mark.row("R-B-3", "R-MT-1", "C-CODE-406")
@pytest.mark.parametrize("resource", ["bulkdata", "pixeldata"])
@pytest.mark.parametrize("accept", [OCTETS, "application/dicom", "image/jls"])
def test_several_values_do_not_fit_one_body(
    server: LiveServer, archive: dict[str, Dataset], resource: str, accept: str
) -> None:
    answer = get(server, f"{url(archive['native'], 'series')}/{resource}", accept)
    assert answer.status_code == 406
    assert "multipart/related" in answer.text


@pytest.mark.row("C-CA-1", "C-CA-2")
def test_all_bulk_data_can_be_revalidated(server: LiveServer, archive: dict[str, Dataset]) -> None:
    path = f"{server.root}{url(archive['native'], 'study')}/bulkdata"
    first = httpx.get(path)
    again = httpx.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.head(path).headers["etag"] == first.headers["etag"]


@pytest.mark.row("R-B-9")
def test_big_endian_values_are_swapped(server: LiveServer) -> None:
    ds = build.dataset(Rows=40, Columns=64, PixelData=DEEP.astype(">u2").tobytes())
    data = build.part10(ds, "1.2.840.10008.1.2.2")
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=data, headers=headers).status_code == 200
    assert get(server, f"{url(ds)}/bulkdata/7FE00010", OCTETS).content == DEEP.tobytes()


@pytest.mark.row("R-B-7")
def test_video_is_one_part(server: LiveServer) -> None:
    stream = b"\0\0\0\x18ftypmp42" + bytes(5000)
    ds = build.dataset(Rows=64, Columns=64, NumberOfFrames=25, PixelData=encapsulate([stream]))
    data = build.part10(ds, "1.2.840.10008.1.2.4.102")
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=data, headers=headers).status_code in (200, 202)
    ((media, _, body),) = parts(
        get(server, f"{url(ds)}/bulkdata/7FE00010", 'multipart/related; type="video/mp4"')
    )
    assert media.startswith("video/mp4")
    assert body.startswith(stream)
