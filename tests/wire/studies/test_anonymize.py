"""The URI service with anonymize=yes, over a real socket (PS3.18 9.4.1.2.1, 9.4.2.3; PS3.15 E)."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid
from tests import build
from tests.corpus import rows as corpus_rows
from tests.dicom.deidentify.test_deidentify import IMAGES, identifying, model_of, survives
from tests.dicom.oracle import element
from tests.live import LiveServer, multipart, serving
from tests.wire.rendered.test_underlays import segments, slice_at
from tests.wire.renderedarchive import SC, Gallery, filled, grey, opened, picture
from tests.wire.studies.test_wadouri import OBJECT, PNG, wado
from tests.wire.transfer import (
    BASELINE,
    BE,
    DEFLATED,
    ELE,
    HT,
    HT_ANY,
    IMPLICIT,
    J2K_ANY,
    JXL_JPEG,
    NEAR,
    RLE,
)

STUDY = "1.3.6.1.4.1.99999.20"
MARK = "Qwertzui"


def identified(number: int, **more: Any) -> Dataset:
    """A CT image full of what must not get out, which refers to the one before it."""
    ds = picture(
        grey(),
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        SOPInstanceUID=f"{STUDY}.1.{number}",
        FrameOfReferenceUID=f"{STUDY}.9",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        PatientName=f"{MARK}^Änne",
        PatientID=f"{MARK}-1",
        InstitutionName=MARK,
        StudyDescription=f"of {MARK}",
        ReferringPhysicianName=f"{MARK}^Doc",
        ConvolutionKernel=f"for {MARK}",
        SpecificCharacterSet="ISO_IR 100",
    )
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = ds.SOPClassUID, f"{STUDY}.1.1"
    inner.PatientComments = MARK
    ds.ReferencedInstanceSequence = [inner]
    block = ds.private_block(0x0029, f"{MARK} 1.0", create=True)
    block.add_new(0x01, "LO", MARK)
    for which, vr, value in (
        *((0x10, "US", 16), (0x11, "US", 24), (0x22, "LO", MARK), (0x40, "CS", "G"), (0x50, "SS", [1, 1])),
        *((0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", b"\xff" * 48)),
    ):
        ds.add_new(0x60000000 | which, vr, value)
    return ds


def commented() -> Dataset:
    """JPEG frames with a comment in them."""
    out = io.BytesIO()
    Pillow.fromarray(grey().astype("u1")).save(out, "JPEG", comment=MARK.encode())
    ds = identified(6)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = encapsulate([out.getvalue()])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def stored(ds: Dataset, syntax: str = ELE) -> bytes:
    data = build.part10(ds, BASELINE if ds["PixelData"].is_undefined_length else syntax)
    return MARK.encode().ljust(128, b"\0") + data[128:]  # in the preamble, too


@pytest.fixture(scope="module")
def archive(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        made = filled(http, tmp_path_factory.mktemp("gallery"))
        made.store("first", stored(identified(1)))
        made.store("second", stored(identified(2, InstanceNumber=2)))
        bare = identified(4)
        for tag in [found.tag for found in bare if found.tag.group == 0x6000]:
            del bare[tag]
        made.store("bare", stored(bare))
        hidden = element(0x00100010, "PN", MARK.encode()) + element(0xFFFCFFFC, "OB", MARK.encode())
        made.store("twice", stored(identified(5)) + hidden)
        made.store("commented", stored(commented()))
        made.store("marked", stored(identified(3, PatientIdentityRemoved="YES")))
        colours = np.zeros((16, 24, 3), "u1")
        made.store("captured", build.part10(picture(colours, StudyInstanceUID="1.2.70", SOPClassUID=SC)))
        yield made


def anonymous(archive: Gallery, name: str, query: str = OBJECT, **fields: str) -> httpx.Response:
    answer = wado(archive, name, f"{query}&anonymize=yes", **fields)
    assert MARK.encode() not in answer.content
    return answer


def opened_anonymous(archive: Gallery, name: str, query: str = OBJECT) -> Dataset:
    answer = anonymous(archive, name, query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["content-location"].endswith("&anonymize=yes")
    assert STUDY.encode() not in answer.content
    return pydicom.dcmread(io.BytesIO(answer.content))


@pytest.mark.row("U-36", "U-38", "U-44")
@pytest.mark.parametrize("syntax", ["", ELE, "*", RLE, HT, DEFLATED])
def test_an_object_without_who_it_is_of(archive: Gallery, syntax: str) -> None:
    query = f"{OBJECT}&transferSyntax={syntax}" if syntax else OBJECT
    ds = opened_anonymous(archive, "first", query)
    assert ds.file_meta.TransferSyntaxUID == (syntax if syntax not in ("", "*") else ELE)
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
    assert ds.SOPInstanceUID.startswith("2.25.")
    assert (ds.PatientName, ds.PatientID, ds.PatientIdentityRemoved) == ("", "", "YES")
    assert ds.BurnedInAnnotation == "NO"
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert not any(found.tag.is_private or found.tag.group == 0x6000 for found in ds)
    if syntax != HT:
        assert np.array_equal(ds.pixel_array, grey())


@pytest.mark.row("U-38")
@pytest.mark.parametrize("syntax", [J2K_ANY, NEAR, HT_ANY])
def test_a_lossy_object_is_one_more(archive: Gallery, syntax: str) -> None:
    """It says what it was derived from, by its pseudonym."""
    ds = opened_anonymous(archive, "first", f"{OBJECT}&transferSyntax={syntax}")
    whole = opened_anonymous(archive, "first")
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID != whole.SOPInstanceUID
    assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == whole.SOPInstanceUID


@pytest.mark.parametrize(("number", "syntax"), [(7, IMPLICIT), (8, BE), (9, DEFLATED)])
def test_however_it_is_stored(archive: Gallery, number: int, syntax: str) -> None:
    archive.store(syntax, stored(identified(number), syntax))
    for asked, sent in (("", ELE), ("&transferSyntax=*", DEFLATED if syntax == DEFLATED else ELE)):
        ds = opened_anonymous(archive, syntax, OBJECT + asked)
        assert ds.file_meta.TransferSyntaxUID == sent
        assert ds.Rows == 16


def test_what_the_metadata_does_not_say_is_not_sent(archive: Gallery) -> None:
    """A second name, padding, the preamble."""
    assert MARK.encode() in wado(archive, "twice", OBJECT).content[-60:]
    assert opened_anonymous(archive, "twice").PatientName == ""


def test_comments_in_frames(archive: Gallery) -> None:
    query = f"{OBJECT}&transferSyntax="
    assert wado(archive, "commented", f"{query}*").content.count(MARK.encode()) > 5
    for syntax in ("*", BASELINE, ELE, RLE):
        ds = opened_anonymous(archive, "commented", query + syntax)
        assert np.abs(ds.pixel_array.astype(int) - grey().astype("u1")).max() < 60
    assert wado(archive, "commented", query + JXL_JPEG).status_code == 200
    assert anonymous(archive, "commented", query + JXL_JPEG).status_code == 403


@pytest.mark.row("U-36", "U-38")
def test_references_hold_across_a_study(archive: Gallery) -> None:
    first, second = (opened_anonymous(archive, name) for name in ("first", "second"))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert getattr(first, keyword) == getattr(second, keyword)
    (reference,) = second.ReferencedInstanceSequence
    assert reference.ReferencedSOPInstanceUID == first.SOPInstanceUID


@pytest.mark.row("U-39")
def test_what_is_said_to_be_anonymous_is_made_so_again(archive: Gallery) -> None:
    ds = opened_anonymous(archive, "marked")
    assert ds.SOPInstanceUID != f"{STUDY}.1.3"
    assert opened_anonymous(archive, "marked").SOPInstanceUID == ds.SOPInstanceUID


@pytest.mark.row("U-40")
@pytest.mark.parametrize("kind", [OBJECT, PNG, "", f"{OBJECT}&transferSyntax=*", "contentType=text/html"])
@pytest.mark.parametrize(
    "name", ["burned", "captured", "rgb", "multi", "report", "pdf", "ecg", "raw", "video", "grey"]
)
def test_what_may_show_who_it_is_of(archive: Gallery, name: str, kind: str) -> None:
    answer = anonymous(archive, name, kind)
    assert (answer.status_code, answer.json()["parameter"]) == (403, "anonymize")
    assert b"Doe" not in answer.content


@pytest.mark.row("U-36")
def test_a_picture_without_overlays_and_annotation(archive: Gallery) -> None:
    shown = anonymous(archive, "first", PNG)
    assert shown.status_code == 200
    assert shown.headers["etag"] != wado(archive, "first", PNG).headers["etag"]
    assert opened(wado(archive, "first", PNG).content).min() == 255  # all of it is overlay
    assert np.array_equal(opened(shown.content), opened(wado(archive, "bare", PNG).content))
    for query in ("annotation=patient", "imageAnnotation=technique", "annotation=foo"):
        answer = anonymous(archive, "first", f"{PNG}&{query}")
        assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])
    answer = anonymous(archive, "first", f"{PNG}&presentationUID=1.2&presentationSeriesUID=1.2")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "presentationSeriesUID")


@pytest.mark.row("U-40")
@pytest.mark.parametrize(("burned", "status"), [("YES", 403), ("NO", 200)])
def test_what_lies_beneath_is_judged_too(archive: Gallery, burned: str, status: int) -> None:
    study = generate_uid()
    beneath = slice_at(study, 0, 100)
    beneath.BurnedInAnnotation = burned
    archive.store("beneath", build.part10(beneath))
    archive.store("segments", build.part10(segments(study, beneath)))
    assert anonymous(archive, "segments", PNG).status_code == status
    assert anonymous(archive, "segments", OBJECT).status_code == 200
    assert anonymous(archive, "beneath", OBJECT).status_code == status


@pytest.mark.row("U-36")
def test_entity_tags_head_and_ranges(archive: Gallery) -> None:
    plain, first = wado(archive, "first", OBJECT), anonymous(archive, "first")
    assert first.headers["etag"] != plain.headers["etag"]
    again = anonymous(archive, "first", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert anonymous(archive, "first", **{"If-None-Match": plain.headers["etag"]}).status_code == 200
    part = anonymous(archive, "first", Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, first.content[100:200])
    url = f"/wado?{archive.query('first')}&{OBJECT}&anonymize=yes"
    head = archive.http.head(url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    assert archive.http.head(f"/wado?{archive.query('pdf')}&anonymize=yes").status_code == 403


@pytest.mark.row("U-36")
def test_every_image_of_the_corpus(server: LiveServer) -> None:
    """Whatever is not refused has none of its values left, is read by pydicom, and shows what it showed."""
    names = {row.name for row in IMAGES}
    sent = 0
    with httpx.Client(base_url=server.root, timeout=60) as http:
        for row in corpus_rows():
            if row.name not in names:
                continue
            body, content_type = multipart([row.read()])
            http.post("/studies", content=body, headers={"Content-Type": content_type})
            model = model_of(row)
            assert model is not None
            study, series, uid = (model[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            url = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={uid}&{OBJECT}"
            for syntax in ("", "&transferSyntax=*"):
                answer = http.get(f"{url}{syntax}&anonymize=yes")
                assert answer.status_code in {200, 403, 404, 406}, (row.name, answer.text)
                if answer.status_code == 200:
                    sent += 1
                    ds = pydicom.dcmread(io.BytesIO(answer.content))
                    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID != uid
                    text = b"".join(answer.content.split(bytes(ds.get("PixelData", b"-") or b"-"))).decode(
                        "latin-1"
                    )
                    assert [value for value in identifying(model) if survives(value, text)] == [], row.name
    assert sent > len(names) // 4


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    uids = []
    for _ in range(2):
        with serving(tmp_path) as live, httpx.Client(base_url=live.root, timeout=60) as http:
            made = Gallery(http)
            made.store("first", stored(identified(1)))
            uids.append(opened_anonymous(made, "first").SOPInstanceUID)
    key = tmp_path / "deidentification.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert uids[0] == uids[1]
    other = tmp_path / "other.key"
    other.write_bytes(bytes(32))
    with (
        serving(tmp_path, environment={"GATEWAY_DEIDENTIFICATION_KEY": str(other)}) as live,
        httpx.Client(base_url=live.root, timeout=60) as http,
    ):
        made = Gallery(http)
        made.store("first", stored(identified(1)))
        assert opened_anonymous(made, "first").SOPInstanceUID != uids[0]
