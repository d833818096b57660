"""Retrieval row by row: resources, media types, instances, metadata (PS3.18 10.4), over the wire."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer, multipart, serving
from tests.wire.studies.test_bulk import parts, uris

JSON = "application/dicom+json"
FILES = 'multipart/related; type="application/dicom"'
OCTETS = "application/octet-stream"
STORED = "application/dicom; transfer-syntax=*"
NATIVE = "1.2.840.10008.1.2.1"
THREE = bytes(range(64)) * 3


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("strict"), "--strict") as live:
        yield live


@pytest.fixture(scope="module")
def held(server: LiveServer, strict: LiveServer) -> dict[str, Dataset]:
    """A multi-frame with private elements, a second series, an SR; in both servers."""
    study = generate_uid()
    movie = build.dataset(
        StudyInstanceUID=study, NumberOfFrames=3, Rows=8, Columns=8, BitsAllocated=8, PixelData=THREE
    )
    movie.BitsStored, movie.HighBit = 8, 7
    block = movie.private_block(0x0029, "ACME 1.0", create=True)
    block.add_new(0x10, "LO", "private text")
    block.add_new(0x11, "OB", bytes(3000))
    movie.TextValue = "x" * 70_000
    movie.ExposureTime = "12"
    other = build.dataset(StudyInstanceUID=study, Rows=8, Columns=8, PixelData=bytes(128))
    report = build.dataset(
        StudyInstanceUID=study, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None
    )
    found = {"movie": movie, "other": other, "report": report}
    body, content_type = multipart([build.part10(ds) for ds in found.values()])
    for live in (server, strict):
        headers = {"Content-Type": content_type, "Accept": JSON}
        assert httpx.post(f"{live.root}/studies", content=body, headers=headers).status_code == 200
    return found


def url(ds: Dataset) -> str:
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def get(live: LiveServer, path: str, accept: str = "*/*") -> httpx.Response:
    return httpx.get(live.root + path, headers={"Accept": accept}, timeout=60)


@pytest.mark.row("R-RES-2")
def test_an_instance_is_found_in_its_own_series_only(server: LiveServer, held: dict[str, Dataset]) -> None:
    movie, other = held["movie"], held["other"]
    for study, series in (
        (movie.StudyInstanceUID, other.SeriesInstanceUID),
        (generate_uid(), movie.SeriesInstanceUID),
    ):
        for below in ("", "/metadata", "/frames/1"):
            path = f"/studies/{study}/series/{series}/instances/{movie.SOPInstanceUID}{below}"
            assert get(server, path).status_code == 404


FRAMES = [
    ("R-RES-5", "1,2,3", 200, [1, 2, 3]),
    ("R-RES-6", "0", 400, []),
    ("R-RES-6", "-1", 400, []),
    ("R-RES-6", "1.0", 400, []),
    ("R-RES-6", "1,,2", 400, []),
    ("R-RES-6", "x", 400, []),
    ("R-RES-7", "3,1,3", 200, [3, 1, 3]),
    ("R-RES-8", "4,5", 404, []),
    ("R-RES-9", "3,4", 404, []),
    ("R-RES-10", "1%2C2", 200, [1, 2]),
    ("R-RES-10", "2%2c1", 200, [2, 1]),
]


@pytest.mark.parametrize(
    ("listed", "status", "numbers"), [pytest.param(*c[1:], marks=pytest.mark.row(c[0])) for c in FRAMES]
)
def test_frame_lists(
    server: LiveServer, held: dict[str, Dataset], listed: str, status: int, numbers: list[int]
) -> None:
    answer = get(server, f"{url(held['movie'])}/frames/{listed}")
    assert answer.status_code == status, answer.text
    if numbers:
        found = parts(answer)
        assert [body for _, _, body in found] == [THREE[64 * (n - 1) : 64 * n] for n in numbers]
        assert [location.rpartition("/")[2] for _, location, _ in found] == list(map(str, numbers))
    else:
        assert "frame" in answer.json()["detail"]


@pytest.mark.row("R-RES-5", "R-RES-7")
@pytest.mark.parametrize(("listed", "status"), [("1,3", 200), ("3,1", 400), ("1,1", 400)])
def test_strictly_frames_ascend(
    strict: LiveServer, held: dict[str, Dataset], listed: str, status: int
) -> None:
    assert get(strict, f"{url(held['movie'])}/frames/{listed}").status_code == status


@pytest.mark.row("R-I-1", "R-M-11", "C-MP-5", "C-HDR-2")
@pytest.mark.parametrize("level", ["study", "series"])
def test_parts_are_whole_files(server: LiveServer, held: dict[str, Dataset], level: str) -> None:
    movie = held["movie"]
    path = f"/studies/{movie.StudyInstanceUID}" + (
        f"/series/{movie.SeriesInstanceUID}" if level == "series" else ""
    )
    answer = get(server, path, FILES)
    found = parts(answer)
    assert len(found) == {"study": 3, "series": 1}[level]
    wanted = {f"{server.root}{url(ds)}": ds for ds in held.values()}
    for media, location, body in found:
        ds = dcmread(io.BytesIO(body))
        assert (
            media.replace('"', "") == f"application/dicom; transfer-syntax={ds.file_meta.TransferSyntaxUID}"
        )
        assert body[:132] == bytes(128) + b"DICM"
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == wanted[location].SOPInstanceUID


@pytest.mark.row("R-I-2", "C-CODE-404", "C-CODE-410")
def test_unknown_and_deleted(server: LiveServer) -> None:
    assert get(server, f"/studies/{generate_uid()}").status_code == 404
    ds = build.dataset()
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=build.part10(ds), headers=headers).status_code == 200
    assert httpx.delete(f"{server.root}/studies/{ds.StudyInstanceUID}").status_code == 204
    for path in (f"/studies/{ds.StudyInstanceUID}", url(ds), f"{url(ds)}/metadata", f"{url(ds)}/frames/1"):
        assert get(server, path).status_code == 410


def _without_meta(data: bytes) -> bytes:
    return data[
        data.index(b"\x08\0\x05\0CS") if b"\x08\0\x05\0CS" in data else data.index(b"\x08\0\x16\0UI") :
    ]


@pytest.mark.row("R-I-3")
@pytest.mark.parametrize("syntax", [NATIVE, "1.2.840.10008.1.2.4.80"])
@pytest.mark.parametrize("odd", ["other UIDs", "no UIDs"])
def test_file_meta_that_is_wrong_goes_out_right(server: LiveServer, syntax: str, odd: str) -> None:
    study, series = generate_uid(), generate_uid()
    files, made = [], []
    for number in range(2):
        ds = build.dataset(
            StudyInstanceUID=study, SeriesInstanceUID=series, Rows=8, Columns=8, InstanceNumber=number
        )
        ds.PixelData = bytes(128) if syntax == NATIVE else encapsulate([b"\xff\xd8\xff\xd9" * 8])
        data = build.part10(ds, syntax)
        uid = str(ds.SOPInstanceUID).encode()
        first = data.index(uid)
        if number == 0 and odd == "other UIDs":
            data = data[:first] + uid[:-2] + b"99" + data[first + len(uid) :]
        elif number == 0:
            # (0002,0003) becomes an element that says nothing of the instance.
            data = data.replace(b"\x02\0\x03\0UI", b"\x02\0\x12\0UI", 1)
        files.append(data)
        made.append(ds)
    body, content_type = multipart(files)
    headers = {"Content-Type": content_type, "Accept": JSON}
    assert httpx.post(f"{server.root}/studies", content=body, headers=headers).status_code in (200, 202)
    whole = get(server, url(made[0]), STORED)
    series_parts = parts(get(server, f"/studies/{study}/series/{series}", f"{FILES}; transfer-syntax=*"))
    assert [body for _, _, body in series_parts] == [whole.content, files[1]]
    ds = dcmread(io.BytesIO(whole.content))
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == made[0].SOPInstanceUID
    assert ds.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.PixelData == made[0].PixelData


@pytest.mark.row("R-I-3")
def test_what_has_no_file_meta_gets_one(server: LiveServer) -> None:
    ds = build.dataset()
    data = build.part10(ds)
    bare = _without_meta(data)
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=bare, headers=headers).status_code == 202
    got = dcmread(io.BytesIO(get(server, url(ds), STORED).content))
    assert got.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


@pytest.mark.row("R-I-7")
def test_application_entities_in_the_file_meta_are_kept(server: LiveServer) -> None:
    ds = build.dataset()
    data = build.part10(ds)
    meta = dcmread(io.BytesIO(data))
    meta.file_meta.SourceApplicationEntityTitle = "SCANNER"
    out = io.BytesIO()
    meta.save_as(out, enforce_file_format=True)
    headers = {"Content-Type": "application/dicom"}
    assert httpx.post(f"{server.root}/studies", content=out.getvalue(), headers=headers).status_code == 200
    got = dcmread(io.BytesIO(get(server, url(ds), STORED).content))
    assert got.file_meta.SourceApplicationEntityTitle == "SCANNER"


def metadata(live: LiveServer, path: str) -> list[dict[str, dict[str, object]]]:
    answer = get(live, f"{path}/metadata", JSON)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, dict[str, object]]] = json.loads(answer.content)
    return found


@pytest.mark.row("R-M-1", "R-M-2", "R-M-7", "J-13", "J-66")
def test_metadata_has_everything_and_no_file_meta(server: LiveServer, held: dict[str, Dataset]) -> None:
    (found,) = metadata(server, url(held["movie"]))
    wanted = {f"{element.tag:08X}" for element in held["movie"]}
    assert found.keys() == wanted
    assert found["00291010"]["Value"] == ["private text"]
    assert found["00290010"]["Value"] == ["ACME 1.0"]
    assert set(found["7FE00010"]) == {"vr", "BulkDataURI"}


@pytest.mark.row("R-M-3", "R-M-4", "J-64")
def test_only_large_values_of_some_vrs_are_elsewhere(server: LiveServer, held: dict[str, Dataset]) -> None:
    (found,) = metadata(server, url(held["movie"]))
    elsewhere = {tag: member["vr"] for tag, member in found.items() if "BulkDataURI" in member}
    assert elsewhere == {"0040A160": "UT", "00291011": "OB", "7FE00010": "OW"}


@pytest.mark.row("R-M-6", "R-M-8", "J-2")
def test_metadata_of_several_instances(server: LiveServer, held: dict[str, Dataset]) -> None:
    study = f"/studies/{held['movie'].StudyInstanceUID}"
    assert len(metadata(server, study)) == 3
    answer = get(server, f"{study}/metadata", 'multipart/related; type="application/dicom+xml"')
    found = parts(answer)
    assert [media for media, _, _ in found] == ["application/dicom+xml"] * 3
    assert all(body.count(b"<NativeDicomModel") == 1 for _, _, body in found)


@pytest.mark.row("R-M-9")
def test_metadata_describes_pixels_as_they_are_stored(server: LiveServer) -> None:
    ds = build.dataset(Rows=8, Columns=8, SamplesPerPixel=3, PlanarConfiguration=0, BitsAllocated=8)
    ds.BitsStored, ds.HighBit, ds.PhotometricInterpretation = 8, 7, "YBR_FULL_422"
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9" * 8])
    headers = {"Content-Type": "application/dicom"}
    data = build.part10(ds, "1.2.840.10008.1.2.4.50")
    assert httpx.post(f"{server.root}/studies", content=data, headers=headers).status_code in (200, 202)
    (found,) = metadata(server, url(ds))
    assert found["00280004"]["Value"] == ["YBR_FULL_422"]


@pytest.mark.row("R-M-10", "C-CHS-9")
@pytest.mark.parametrize(
    ("charset", "status"),
    [
        ("UTF-8", 200),
        ("utf-8;q=0.5", 200),
        ("ISO-8859-1", 406),
        ("ISO-8859-1, *;q=0.1", 200),
        ("nonsense", 200),
    ],
)
def test_json_is_utf_8(server: LiveServer, held: dict[str, Dataset], charset: str, status: int) -> None:
    path = f"{server.root}{url(held['movie'])}/metadata"
    answer = httpx.get(path, headers={"Accept": JSON, "Accept-Charset": charset})
    assert answer.status_code == status
    if "*" in charset:
        return  # the parameter has no wildcard (8.3.3.2)
    by_parameter = httpx.get(path, params={"charset": charset}, headers={"Accept": JSON})
    assert by_parameter.status_code == status


@pytest.mark.row("R-MT-13", "R-MT-14")
@pytest.mark.parametrize(
    ("accept", "single", "several"),
    [("application/dicom+xml", "application/dicom+xml", None), ("application/json", JSON, JSON)],
)
def test_types_that_are_not_listed(
    server: LiveServer, held: dict[str, Dataset], accept: str, single: str, several: str | None
) -> None:
    answer = get(server, f"{url(held['movie'])}/metadata", accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, single)
    more = get(server, f"/studies/{held['movie'].StudyInstanceUID}/metadata", accept)
    assert (more.headers["content-type"] if more.status_code == 200 else None) == several


@pytest.mark.row("R-B-10", "R-B-4")
def test_a_value_keeps_its_padding_and_inline_ones_are_not_repeated(
    server: LiveServer, held: dict[str, Dataset]
) -> None:
    found = uris(metadata(server, url(held["movie"])))
    bodies = {
        uri.partition("/bulkdata/")[2].partition("?")[0]: httpx.get(uri, headers={"Accept": OCTETS}).content
        for uri in found
    }
    assert bodies["0040A160"] == b"x" * 70_000
    assert len(bodies["00291011"]) == 3000
    assert set(bodies) == {"0040A160", "00291011", "7FE00010"}


@pytest.mark.row("C-CODE-413")
def test_a_body_beyond_the_limit(tmp_path: Path) -> None:
    with serving(tmp_path / "data", environment={"GATEWAY_MAX_BODY": "5000"}) as live:
        headers = {"Content-Type": "application/dicom"}
        answer = httpx.post(
            f"{live.root}/studies",
            content=build.part10(build.dataset(PixelData=bytes(9000))),
            headers=headers,
        )
        assert answer.status_code == 413
        assert "5000" in answer.json()["detail"]
