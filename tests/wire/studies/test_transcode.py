"""Frames in every transfer syntax, over a real socket: PS3.18 8.7.3, Table 8.7.3-5, 10.4.3.3.6."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from gateway.render.codecs import transcodetargets
from gateway.render.codecs.decode import decode_frame
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid
from tests import build
from tests.render.compressed import layout_of
from tests.wire.transfer import (
    BASELINE,
    DICOM,
    ELE,
    FRAME_DEFLATE,
    HT,
    HT_ANY,
    J2K,
    J2K_ANY,
    JLS,
    JPEG_57,
    JPEG_70,
    JPX,
    JPX_ANY,
    JXL,
    JXL_ANY,
    JXL_JPEG,
    NEAR,
    OCTETS,
    PREFIX,
    RLE,
    RPCL,
    STUDY,
    Archive,
    as_native,
    codestreams,
    compressed,
    decoded,
    image,
    native,
    parts,
    related,
    values,
)

# -- frames as compressed bulk data ------------------------------------------------------------------------

DEFAULTS = [
    ("image/jpeg", JPEG_70, "C-CB-jpeg"),
    ("image/dicom-rle", RLE, "C-CB-dicom-rle"),
    ("image/jls", JLS, "C-CB-jls"),
    ("image/jp2", J2K, "C-CB-jp2"),
    ("image/jphc", HT, "C-CB-jphc"),
    ("image/jxl", JXL, "C-CB-jxl"),
]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("media", "syntax"),
    [
        pytest.param(m, s, marks=pytest.mark.row(row, "C-BD-1", "C-BD-5", "C-SEL-2", "R-P-10"))
        for m, s, row in DEFAULTS
    ],
)
def test_a_compressed_type_means_its_default(archive: Archive, media: str, syntax: str, single: bool) -> None:
    """Table 8.7.3-5: lossless, a codestream and nothing else (8.7.3.3.2), the frame's values exactly."""
    for name in ("ct", "rgb", "implicit", "big endian", "deflated"):
        answer = archive.get(name, media if single else related(media), "/frames/1")
        assert answer.status_code == 200
        (part,) = parts(answer)
        assert (part.media, part.syntax) == (media, syntax)
        assert not part.body.startswith((b"\xfe\xff", b"\0\0\0\x0c"))
        assert decoded(archive, name, part) == values(archive, name)


@pytest.mark.parametrize(
    ("name", "media", "syntax"),
    [
        pytest.param("rgb", "image/jpeg", BASELINE, marks=pytest.mark.row("C-CB-jpeg")),
        pytest.param("ct", "image/jpeg", JPEG_57, marks=pytest.mark.row("C-CB-jpeg")),
        pytest.param("ct", "image/jls", NEAR, marks=pytest.mark.row("C-CB-jls")),
        pytest.param("ct", "image/jp2", J2K_ANY, marks=pytest.mark.row("C-CB-jp2")),
        pytest.param("ct", "image/jphc", RPCL, marks=pytest.mark.row("C-CB-jphc")),
        pytest.param("ct", "image/jphc", HT_ANY, marks=pytest.mark.row("C-CB-jphc")),
        pytest.param("rgb", "image/jxl", JXL_ANY, marks=pytest.mark.row("C-CB-jxl")),
        pytest.param("jpeg", "image/jxl", JXL_JPEG, marks=pytest.mark.row("C-CB-jxl")),
        pytest.param("ct", OCTETS, FRAME_DEFLATE),
        pytest.param("ct", OCTETS, HT),
    ],
)
def test_others_are_asked_by_name(archive: Archive, name: str, media: str, syntax: str) -> None:
    (part,) = parts(archive.get(name, related(media, syntax), "/frames/1"))
    assert part.syntax == syntax
    pixels = layout_of(archive.datasets[name])
    source = str(archive.datasets[name].file_meta.TransferSyntaxUID)
    pixels = pixels if name == "jpeg" else as_native(pixels)
    decode_frame(part.body, transcodetargets.describe(pixels, source, syntax), syntax)


@pytest.mark.parametrize(
    ("name", "accept", "syntax"),
    [
        # a lossy step only where it is named; lossy as held where nothing is named (C-TS-3)
        pytest.param("j2k any", related("image/jp2"), J2K_ANY, marks=pytest.mark.row("R-P-5", "C-TS-3")),
        pytest.param("j2k any", related("image/jp2", J2K_ANY), J2K_ANY, marks=pytest.mark.row("R-P-5")),
        pytest.param("near", related("image/jls"), NEAR, marks=pytest.mark.row("C-TS-3")),
        pytest.param("jpeg", related("image/jpeg"), BASELINE, marks=pytest.mark.row("C-CB-jpeg", "C-TS-3")),
        pytest.param("jpx", related("image/jpx"), JPX, marks=pytest.mark.row("C-CB-jpx")),
        pytest.param("jpx any", related("image/jpx"), JPX_ANY, marks=pytest.mark.row("C-CB-jpx")),
        ("jls", related("image/jls"), JLS),
        ("jls", related("image/*"), JLS),
        ("jls", related("*/*"), JLS),
        pytest.param("jls", related(OCTETS, "*"), JLS, marks=pytest.mark.row("C-TS-6")),
        ("57", related("image/jpeg", JPEG_57), JPEG_57),
    ],
)
def test_what_is_stored_is_passed_on_bit_by_bit(
    archive: Archive, name: str, accept: str, syntax: str
) -> None:
    answer = archive.get(name, accept, "/frames/1")
    assert answer.status_code == 200, answer.text
    (part,) = parts(answer)
    assert part.syntax == syntax
    assert part.body == codestreams(archive.datasets[name])[0]


@pytest.mark.row("R-P-6")
@pytest.mark.parametrize(("name", "expected"), [("rle", JPEG_70), ("57", JPEG_70), ("jls", JPEG_70)])
def test_image_jpeg_of_lossless_ones_is_lossless(archive: Archive, name: str, expected: str) -> None:
    (part,) = parts(archive.get(name, related("image/jpeg"), "/frames/2"))
    assert part.syntax == expected
    shape = layout_of(archive.datasets[name])
    size = shape.rows * shape.columns * 2
    assert decode_frame(part.body, shape, expected).data == native(archive, name)[size : 2 * size]


@pytest.mark.row("R-P-6")
def test_a_stored_codestream_that_fits_the_default_is_that(archive: Archive) -> None:
    (part,) = parts(archive.get("rpcl", related("image/jphc"), "/frames/1"))
    assert (part.syntax, part.body) == (HT, codestreams(archive.datasets["rpcl"])[0])


@pytest.mark.row("R-P-2", "R-P-3", "C-BD-2")
@pytest.mark.parametrize("accept", [related(OCTETS), related("image/jphc"), related("image/jls")])
def test_a_part_for_each_frame_in_the_order_asked(archive: Archive, accept: str) -> None:
    answer = archive.get("ct", accept, "/frames/1,3")
    found = parts(answer)
    root = archive.paths["ct"]
    assert [part.location for part in found] == [f"{root}/frames/1", f"{root}/frames/3"]
    ds = archive.datasets["ct"]
    size = ds.Rows * ds.Columns * 2
    for part, number in zip(found, (0, 2), strict=True):
        wanted = ds.PixelData[size * number : size * (number + 1)]
        body = (
            part.body if part.syntax == ELE else decode_frame(part.body, layout_of(ds), str(part.syntax)).data
        )
        assert body == wanted


def test_encoded_frames_say_their_length_and_can_be_had_in_part(archive: Archive) -> None:
    answer = archive.get("ct", related("image/jphc"), "/frames/1,2,3")
    assert answer.content.count(b"Content-Length: ") == 3
    single = archive.get("ct", "image/jphc", "/frames/1")
    assert int(single.headers["content-length"]) == len(single.content)
    headers = {"Accept": "image/jphc", "Range": "bytes=2-9"}
    ranged = archive.http.get(archive.paths["ct"] + "/frames/1", headers=headers)
    assert (ranged.status_code, ranged.content) == (206, single.content[2:10])


@pytest.mark.row("R-P-11")
@pytest.mark.parametrize("accept", [OCTETS, "image/jphc", "image/jls, application/octet-stream"])
def test_several_frames_are_no_single_part(archive: Archive, accept: str) -> None:
    refused = archive.get("ct", accept, "/frames/1,2")
    assert refused.status_code == 406
    assert f'multipart/related; type="image/jphc"; transfer-syntax={HT}' in refused.json()["available"]


@pytest.mark.parametrize(
    ("name", "accept"),
    [
        pytest.param("ct", related("image/jp2", JPX), marks=pytest.mark.row("C-SEL-5")),
        pytest.param("ct", related("image/jp2", "1.2.3"), marks=pytest.mark.row("C-SEL-5")),
        pytest.param("ct", related("image/jpeg", f"{BASELINE}"), marks=pytest.mark.row("C-SEL-5")),
        ("deep", related("image/jls")),
        ("deep", "image/jpeg"),
        ("ct", related("image/png")),
        ("ct", f"image/jls; transfer-syntax={JLS}; transfer-syntax={NEAR}"),
    ],
)
def test_what_cannot_be_encoded_is_406_and_what_can_is_named(
    archive: Archive, name: str, accept: str
) -> None:
    refused = archive.get(name, accept, "/frames/1")
    assert refused.status_code == 406
    available = refused.json()["available"]
    assert f'multipart/related; type="image/jphc"; transfer-syntax={HT}' in available
    assert (f'multipart/related; type="image/jls"; transfer-syntax={JLS}' in available) == (name == "ct")


@pytest.mark.row("R-P-1")
def test_only_the_pixels_of_the_top_level_are_frames(archive: Archive) -> None:
    icon = build.dataset(Rows=2, Columns=2, PixelData=bytes(8))
    ds = build.dataset(PixelData=None, StudyInstanceUID=STUDY)
    ds.IconImageSequence = [icon]
    archive.store("icon", build.part10(ds))
    assert archive.get("icon", related(OCTETS), "/frames/1").status_code == 404
    for keyword, dtype in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
        data = np.linspace(0, 1, 64).astype(dtype)
        ds = build.dataset(PixelData=None, StudyInstanceUID="1.2.9.4", BitsAllocated=8 * data.itemsize)
        setattr(ds, keyword, data.tobytes())
        archive.store(keyword, build.part10(ds))
        (part,) = parts(archive.get(keyword, OCTETS, "/frames/1"))
        assert part.body == data.tobytes()
        assert archive.get(keyword, related("image/jp2"), "/frames/1").status_code == 406


@pytest.mark.row("R-P-4", "C-BD-4")
@pytest.mark.parametrize("syntax", [ELE, J2K, HT, RLE])
def test_frames_of_single_bits_begin_with_a_byte_and_join_without_padding(
    archive: Archive, syntax: str
) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (3, 25))
    packed = np.packbits(bits, bitorder="little").tobytes()
    ds = image("1 bit", Rows=5, Columns=5, NumberOfFrames=3, PixelData=packed, StudyInstanceUID="1.2.9.5")
    name = f"bits {syntax}"
    archive.store(name, build.part10(ds))
    if syntax != ELE:
        encoded = archive.sent(name, f"{DICOM}; transfer-syntax={syntax}")
        encoded.SOPInstanceUID = generate_uid()
        archive.store(name, build.part10(encoded, syntax))
    for number, frame in enumerate(bits, 1):
        (part,) = parts(archive.get(name, OCTETS, f"/frames/{number}"))
        assert part.body == np.packbits(frame, bitorder="little").tobytes()
    bulk = archive.get(name, OCTETS, "/bulkdata/7FE00010")
    assert bulk.content == packed
    assert archive.sent(name, DICOM).PixelData == packed


@pytest.mark.row("R-P-7", "R-P-8")
def test_fragments_of_a_frame_are_joined_and_frames_never_cut_wrong(archive: Archive) -> None:
    """Two fragments a frame, no offset table: the beginnings of codestreams tell them apart."""
    ct = archive.datasets["jls"]
    frames = codestreams(ct)
    pieces = [encapsulate([frame], fragments_per_frame=2, has_bot=False)[8:] for frame in frames]
    ds = pydicom.dcmread(io.BytesIO(archive.files["jls"]))
    ds.SOPInstanceUID = generate_uid()
    ds.PixelData = encapsulate([b"xx"], has_bot=False)[:8] + b"".join(pieces)
    archive.store("cut", build.part10(ds, JLS))
    for number, frame in enumerate(frames, 1):
        (part,) = parts(archive.get("cut", related("image/jls"), f"/frames/{number}"))
        assert part.body.rstrip(b"\0") == frame.rstrip(b"\0")
    ds.SOPInstanceUID = generate_uid()
    ds.PixelData = ds.PixelData[:8] + b"".join(pieces).replace(b"\xff\xd8\xff", b"\0\0\0")
    archive.store("lost", build.part10(ds, JLS))
    assert archive.get("lost", related("image/jls"), "/frames/1").status_code == 404


@pytest.mark.row("R-P-9")
def test_native_bytes_are_laid_out_as_the_metadata_says(archive: Archive) -> None:
    """By plane where Planar Configuration is 1; halved chrominance as it was stored."""
    halved = image(
        "RGB", PhotometricInterpretation="YBR_FULL_422", Rows=2, Columns=4, PixelData=bytes(range(16))
    )
    archive.store("halved", build.part10(halved))
    for name in ("rgb", "halved"):
        ds = archive.datasets[name]
        metadata = archive.get(name, "application/dicom+json", "/metadata").json()[0]
        assert metadata["00280006"]["Value"] == [ds.PlanarConfiguration]
        assert metadata["00280004"]["Value"] == [ds.PhotometricInterpretation]
        (part,) = parts(archive.get(name, OCTETS, "/frames/1"))
        assert part.body == ds.PixelData


@pytest.mark.row("R-P-12")
@pytest.mark.parametrize("accept", [related(OCTETS), related("image/dicom-rle")])
def test_a_frame_of_odd_length_has_no_pad(archive: Archive, accept: str) -> None:
    ds = image("8", Rows=3, Columns=3, PixelData=bytes(range(9)) + b"\0", StudyInstanceUID="1.2.9.6")
    ds["PixelData"].VR = "OB"
    archive.store("odd", build.part10(ds))
    (part,) = parts(archive.get("odd", accept, "/frames/1"))
    body = part.body if part.syntax == ELE else decode_frame(part.body, layout_of(ds), RLE).data
    assert body == bytes(range(9))


@pytest.mark.row("C-BD-3")
def test_all_frames_uncompressed_are_one_representation(archive: Archive) -> None:
    for name in ("ct", "rle"):
        (part,) = parts(archive.get(name, related(OCTETS), "/bulkdata/7FE00010"))
        assert part.body == archive.datasets["ct"].PixelData


@pytest.mark.row("C-BD-2", "C-BD-1")
@pytest.mark.parametrize(
    ("name", "accept", "syntax"),
    [
        ("ct", related("image/jphc"), HT),
        ("jls", related("image/jls"), JLS),
        ("j2k any", related("image/jp2"), J2K_ANY),
    ],
)
def test_all_frames_compressed_are_a_part_each(archive: Archive, name: str, accept: str, syntax: str) -> None:
    found = parts(archive.get(name, accept, "/bulkdata/7FE00010"))
    assert [part.syntax for part in found] == [syntax] * 3
    assert [part.location.rsplit("/", 2)[1:] for part in found] == [["frames", str(n)] for n in (1, 2, 3)]
    if name != "ct":
        assert [part.body for part in found] == codestreams(archive.datasets[name])
    assert archive.get(name, accept.split('"')[1], "/bulkdata/7FE00010").status_code == 406


@pytest.mark.parametrize(
    ("syntax", "media"),
    [
        pytest.param(f"{PREFIX}.4.100", "video/mpeg", marks=pytest.mark.row("C-CB-mpeg")),
        pytest.param(f"{PREFIX}.4.101", "video/mpeg", marks=pytest.mark.row("C-CB-mpeg")),
        pytest.param(f"{PREFIX}.4.101.1", "video/mpeg", marks=pytest.mark.row("C-CB-mpeg")),
        pytest.param(f"{PREFIX}.4.102", "video/mp4", marks=pytest.mark.row("C-CB-mp4")),
        pytest.param(f"{PREFIX}.4.106.1", "video/mp4", marks=pytest.mark.row("C-CB-mp4")),
        pytest.param(f"{PREFIX}.4.107", "video/H265", marks=pytest.mark.row("C-CB-H265")),
        pytest.param(f"{PREFIX}.4.108", "video/h265", marks=pytest.mark.row("C-CB-H265")),
    ],
)
def test_a_video_is_one_stream_passed_through(archive: Archive, syntax: str, media: str) -> None:
    """Table 8.7.3-5: the whole video is one representation, its fragments joined."""
    stream = bytes(range(256)) * 4
    name = f"video {syntax}"
    archive.store(name, compressed("8", syntax, [stream[:500], stream[500:]], StudyInstanceUID="1.2.9.9"))
    for accept in (related(media), f"{media}; transfer-syntax={syntax}", media, f"{related('*/*')}"):
        (part,) = parts(archive.get(name, accept, "/bulkdata/7FE00010"))
        assert (part.media, part.syntax, part.body) == (media.lower(), syntax, stream)
    assert archive.get(name, OCTETS, "/bulkdata/7FE00010").content == stream
    assert archive.get(name, related("image/jpeg"), "/bulkdata/7FE00010").status_code == 406
    assert archive.get(name, f"{media}; transfer-syntax=1.2", "/bulkdata/7FE00010").status_code == 406
    ranged = archive.http.get(
        archive.paths[name] + "/bulkdata/7FE00010", headers={"Accept": media, "Range": "bytes=10-19"}
    )
    assert (ranged.status_code, ranged.content) == (206, stream[10:20])


# -- selection ---------------------------------------------------------------------------------------------


@pytest.mark.row("C-SEL-3")
@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (f"{related('image/jls', NEAR)};q=0.4, {related('image/jls', JLS)};q=0.5", JLS),
        (f"{related('image/jls', NEAR)};q=0.6, {related('image/jls', JLS)};q=0.5", NEAR),
        (f"{related('image/jpeg', BASELINE)}, {related('image/jpeg', JPEG_57)};q=0.5", JPEG_57),
        (f"{related('image/jp2', J2K)};q=0.3, {related('image/jphc')};q=0.2", J2K),
        (f"{related('image/jpx')}, {related(OCTETS)};q=0.1", ELE),
    ],
)
def test_the_best_that_can_be_made_wins(archive: Archive, accept: str, syntax: str) -> None:
    (part,) = parts(archive.get("ct", accept, "/frames/1"))
    assert part.syntax == syntax


@pytest.mark.row("C-SEL-1", "C-TS-10")
@pytest.mark.parametrize(
    ("query", "syntax"),
    [
        ("accept=image/jp2", J2K),
        (f"accept=image/jp2;transfer-syntax={J2K_ANY}", J2K_ANY),
        # of the URI service alone: Table 8.7.3-5 decides
        (f"accept=image/jp2&transferSyntax={J2K_ANY}", J2K),
    ],
)
def test_the_accept_parameter_selects_likewise(archive: Archive, query: str, syntax: str) -> None:
    (part,) = parts(archive.get("ct", "*/*", f"/frames/1?{query}"))
    assert part.syntax == syntax


@pytest.mark.row("C-TS-10")
def test_the_transfer_syntax_of_the_uri_service_is_ignored(archive: Archive) -> None:
    (part,) = parts(archive.get("ct", DICOM, f"?transferSyntax={RLE}"))
    assert part.syntax == ELE


@pytest.mark.row("C-SEL-4", "R-MT-11", "C-TS-6")
def test_each_part_names_its_own_transfer_syntax(archive: Archive) -> None:
    found = parts(archive.http.get(f"/studies/{STUDY}", headers={"Accept": related(DICOM, "*")}))
    seen = {part.syntax for part in found}
    assert {ELE, RLE, JLS, BASELINE} <= seen
    for part in found:
        assert part.media == DICOM
        assert pydicom.dcmread(io.BytesIO(part.body)).file_meta.TransferSyntaxUID == part.syntax
