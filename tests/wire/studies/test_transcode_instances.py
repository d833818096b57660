"""Instances in every transfer syntax, over a real socket: PS3.18 8.7.3.4, 10.4.3.3.1, 10.4.4."""

from __future__ import annotations

import io
from dataclasses import replace

import pydicom
import pytest
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.pixelcells import read_signed_cells
from tests import build
from tests.render.compressed import layout_of
from tests.wire.transfer import (
    BASELINE,
    BE,
    DEFLATED,
    DICOM,
    ELE,
    FRAME_DEFLATE,
    HT,
    HT_ANY,
    IMPLICIT,
    J2K,
    J2K_ANY,
    JLS,
    JPEG_57,
    JPEG_70,
    JXL,
    JXL_ANY,
    MP4,
    NEAR,
    OCTETS,
    RLE,
    RPCL,
    STUDY,
    Archive,
    as_native,
    codestreams,
    compressed,
    image,
    parts,
    related,
)

# -- whole instances ---------------------------------------------------------------------------------------

EVERY = (ELE, DEFLATED, RLE, FRAME_DEFLATE, JPEG_57, JPEG_70, JLS, J2K, HT, RPCL, JXL)


@pytest.mark.parametrize("name", ["ct", "rgb", "implicit", "big endian", "deflated", "rle"])
@pytest.mark.parametrize("syntax", EVERY)
def test_instances_come_in_any_lossless_transfer_syntax(archive: Archive, name: str, syntax: str) -> None:
    for accept in (f"{DICOM}; transfer-syntax={syntax}", f'{related(DICOM)}; transfer-syntax="{syntax}"'):
        found = archive.sent(name, accept)
        assert found.file_meta.TransferSyntaxUID == syntax
        assert found.SOPInstanceUID == archive.datasets[name].SOPInstanceUID
        plain = archive.sent(name, DICOM)
        if syntax not in (ELE, DEFLATED):
            shape = layout_of(found)
            made = [decode_frame(frame, shape, syntax) for frame in codestreams(found)]
            size = len(plain.PixelData) // len(made)
            natives = [plain.PixelData[size * n : size * (n + 1)] for n in range(len(made))]
            of = as_native(layout_of(plain))
            wanted = [read_signed_cells(frame, of).tobytes() for frame in natives]
            laid = [read_signed_cells(m.data, replace(of, planar=m.image.planar)).tobytes() for m in made]
            assert laid == wanted
        else:
            assert found.PixelData == plain.PixelData


@pytest.mark.row("C-TS-1")
@pytest.mark.parametrize("name", ["implicit", "big endian"])
def test_implicit_and_big_endian_are_never_sent(archive: Archive, name: str) -> None:
    for accept in (
        "*/*",
        related(DICOM),
        f"{DICOM}; transfer-syntax=*",
        f"{related(DICOM)}; transfer-syntax=*",
    ):
        assert archive.sent(name, accept).file_meta.TransferSyntaxUID == ELE
    for syntax in (IMPLICIT, BE):
        assert archive.get(name, f"{DICOM}; transfer-syntax={syntax}").status_code == 406
        assert archive.get(name, f"{OCTETS}; transfer-syntax={syntax}", "/frames/1").status_code == 406


@pytest.mark.row("C-TS-2", "R-MT-10")
def test_without_transfer_syntax_it_is_explicit_little_endian(archive: Archive) -> None:
    for name in ("ct", "rle", "jpeg", "deflated", "57"):
        assert archive.sent(name, related(DICOM)).file_meta.TransferSyntaxUID == ELE
    assert archive.sent("rle", DICOM).PixelData == archive.datasets["ct"].PixelData


@pytest.mark.row("C-TS-3")
def test_lossy_ones_that_cannot_be_decoded_are_sent_as_held(archive: Archive) -> None:
    found = archive.get("video", related(DICOM))
    assert found.status_code == 200
    (part,) = parts(found)
    assert (part.syntax, part.body) == (MP4, archive.files["video"])
    assert archive.get("video", f"{DICOM}; transfer-syntax={ELE}").status_code == 406


@pytest.mark.row("C-TS-4")
def test_what_is_too_long_for_a_length_comes_as_it_is_held(archive: Archive) -> None:
    """Nine frames of 512 MiB, decoded; nothing of them needs to be there to know."""
    frames = [b"\xff\xd8\xff\xf7 %d" % n for n in range(9)]
    sent = compressed("16", JLS, frames, Rows=16384, Columns=16384, StudyInstanceUID="1.2.9.7")
    archive.store("long", sent)
    (part,) = parts(archive.get("long", related(DICOM)))
    assert (part.syntax, part.body) == (JLS, sent)
    refused = archive.get("long", f"{related(DICOM)}; transfer-syntax={ELE}")
    assert refused.status_code == 406
    assert f'multipart/related; type="{DICOM}"; transfer-syntax={JLS}' in refused.json()["available"]


@pytest.mark.row("C-TS-5")
@pytest.mark.parametrize("syntax", [ELE, HT])
def test_values_beyond_a_short_length_become_un(archive: Archive, syntax: str) -> None:
    """PS3.5 6.2.2 note, PS3.18 8.7.3.4: the VR would have two bytes for it."""
    ds = image("12 of 16", StudyInstanceUID="1.2.9.8")
    long = "\\".join(["1.5"] * 20_000)
    ds.WindowCenter, ds.WindowWidth = long, long
    archive.store(f"wide {syntax}", build.part10(ds, IMPLICIT))
    (part,) = parts(archive.get(f"wide {syntax}", f"{DICOM}; transfer-syntax={syntax}"))
    assert b"\x28\0\x50\x10UN\0\0" + (len(long) + len(long) % 2).to_bytes(4, "little") in part.body
    assert pydicom.dcmread(io.BytesIO(part.body))[0x00281051].value.rstrip() == long.encode()


@pytest.mark.row("C-TS-7")
def test_a_range_with_two_transfer_syntaxes_is_left_out(archive: Archive) -> None:
    two = f"{DICOM}; transfer-syntax={RLE}; transfer-syntax={JLS}"
    assert archive.get("ct", two).status_code == 406
    assert (
        archive.sent("ct", f"{two}, {DICOM}; transfer-syntax={HT}; q=0.1").file_meta.TransferSyntaxUID == HT
    )


@pytest.mark.row("C-TS-8")
def test_quoted_or_not_is_the_same(archive: Archive) -> None:
    plain = archive.get("ct", f"{DICOM}; transfer-syntax={RLE}")
    quoted = archive.get("ct", f'{DICOM}; transfer-syntax="{RLE}"')
    assert plain.content == quoted.content
    assert plain.headers["etag"] == quoted.headers["etag"]


@pytest.mark.row("R-MT-12", "R-I-5")
def test_instances_that_cannot_be_had_so_are_left_out(archive: Archive) -> None:
    """A report has no frames: 206 with the images, and a warning that says how many are missing."""
    answer = archive.http.get(f"/studies/{STUDY}", headers={"Accept": related(DICOM, HT)})
    assert answer.status_code == 206
    found = parts(answer)
    assert {part.syntax for part in found} == {HT}
    whole = archive.http.get(f"/studies/{STUDY}", headers={"Accept": related(DICOM, "*")})
    missing = len(parts(whole)) - len(found)
    assert missing > 0
    assert f"{missing} instances" in answer.headers["warning"]


@pytest.mark.row("R-I-5", "R-I-6")
def test_an_instance_whose_codestream_is_broken_is_left_out_where_that_is_seen_in_time(
    archive: Archive,
) -> None:
    """Its attributes promise what its bytes do not hold; alone it is 406, with others 206."""
    study = "1.2.9.10"
    broken = compressed(
        "8", JLS, [b"\xff\xd8 nothing"], StudyInstanceUID=study, SeriesInstanceUID="1.2.9.10.1"
    )
    archive.store("broken", broken)
    alone = archive.get("broken", related(DICOM))
    assert alone.status_code == 406
    good = image("8", StudyInstanceUID=study, SeriesInstanceUID="1.2.9.10.1", InstanceNumber=2)
    archive.store("good", build.part10(good))
    answer = archive.http.get(f"/studies/{study}", headers={"Accept": related(DICOM)})
    assert answer.status_code == 206
    assert [part.location for part in parts(answer)] == [archive.paths["good"]]
    assert "1 instances" in answer.headers["warning"]
    whole = archive.http.get(f"/studies/{study}", headers={"Accept": related(DICOM, "*")})
    assert (whole.status_code, len(parts(whole))) == (200, 2)


@pytest.mark.row("R-I-6", "R-MT-12")
@pytest.mark.parametrize(
    ("name", "accept"),
    [
        ("report", f"{DICOM}; transfer-syntax={JLS}"),
        ("deep", f"{DICOM}; transfer-syntax={BASELINE}"),
        ("deep", related(DICOM, JLS)),
        ("ct", f"{DICOM}; transfer-syntax={MP4}"),
        ("video", f"{DICOM}; transfer-syntax={HT}"),
    ],
)
def test_none_that_can_be_had_is_406_naming_what_could(archive: Archive, name: str, accept: str) -> None:
    refused = archive.get(name, accept)
    assert refused.status_code == 406
    stored = str(archive.datasets[name].file_meta.TransferSyntaxUID)
    available = refused.json()["available"]
    assert f'multipart/related; type="{DICOM}"; transfer-syntax={stored}' in available
    assert (f"{DICOM}; transfer-syntax={HT}" in available) == (name in {"deep", "ct"})


@pytest.mark.parametrize("syntax", [BASELINE, J2K_ANY, HT_ANY, JXL_ANY, NEAR])
def test_a_lossy_instance_has_a_uid_of_its_own_and_the_place_of_its_source(
    archive: Archive, syntax: str
) -> None:
    answer = archive.get("rgb", f"{DICOM}; transfer-syntax={syntax}")
    found = pydicom.dcmread(io.BytesIO(answer.content))
    source = archive.datasets["rgb"]
    assert found.SOPInstanceUID != source.SOPInstanceUID
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert found.LossyImageCompression == "01"
    assert answer.headers["content-location"] == archive.paths["rgb"]
    assert archive.get("rgb", f"{DICOM}; transfer-syntax={syntax}").content == answer.content


def test_metadata_does_not_change_with_the_representation(archive: Archive) -> None:
    before = archive.get("rgb", "application/dicom+json", "/metadata").content
    archive.sent("rgb", f"{DICOM}; transfer-syntax={BASELINE}")
    assert archive.get("rgb", "application/dicom+json", "/metadata").content == before


def test_an_etag_for_each_transfer_syntax_and_304_without_encoding(archive: Archive) -> None:
    tags = {}
    for syntax in (ELE, HT, JLS):
        answer = archive.get("ct", f"{related(DICOM)}; transfer-syntax={syntax}")
        tags[answer.headers["etag"]] = syntax
        headers = {
            "Accept": f"{related(DICOM)}; transfer-syntax={syntax}",
            "If-None-Match": answer.headers["etag"],
        }
        assert archive.http.get(archive.paths["ct"], headers=headers).status_code == 304
    assert len(tags) == 3
