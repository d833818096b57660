"""STOW-RS of metadata and bulk data, in JSON and XML, over the wire (PS3.18 10.5.1.4, 10.5.2)."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from gateway.dicom.model.nativexml import to_xml
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer
from tests.render.codecs.test_fromfiles import film

SC = "1.2.840.10008.5.1.4.1.1.7"
PREFIX = "1.2.840.10008.1.2.4."
JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"

y, x = np.mgrid[0:40, 0:64]
GREY = ((x * 3 + y * 2) % 251).astype("u1")
DEEP = ((x * 300 + y * 77) % 60000).astype("u2")
COLOUR = np.stack([GREY, 250 - GREY, (GREY // 2)], axis=-1)


def model(sop_class: str = SC, **members: Any) -> dict[str, Any]:
    """A minimal data set; `members` maps `t00280010` to attribute objects."""
    found = {
        "00080016": {"vr": "UI", "Value": [sop_class]},
        "00080018": {"vr": "UI", "Value": [generate_uid()]},
        "00080060": {"vr": "CS", "Value": ["OT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
        "0020000D": {"vr": "UI", "Value": [generate_uid()]},
        "0020000E": {"vr": "UI", "Value": [generate_uid()]},
    }
    return {**found, **{tag[1:]: member for tag, member in members.items()}}


def pixels(uri: str = "pixels", vr: str = "OW") -> dict[str, Any]:
    return {"vr": vr, "BulkDataURI": uri}


def described(array: Any, photometric: str = "MONOCHROME2") -> dict[str, Any]:
    bits = array.dtype.itemsize * 8
    numbers = {
        "t00280002": 1 if array.ndim == 2 else 3,
        "t00280010": array.shape[0],
        "t00280011": array.shape[1],
        "t00280100": bits,
        "t00280101": bits,
        "t00280102": bits - 1,
        "t00280103": 0,
    }
    members: dict[str, Any] = {tag: {"vr": "US", "Value": [n]} for tag, n in numbers.items()}
    if array.ndim == 3:
        members["t00280006"] = {"vr": "US", "Value": [0]}
    return {**members, "t00280004": {"vr": "CS", "Value": [photometric]}}


def message(root: str, *parts: tuple[str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body of (Content-Type, Content-Location, octets)."""
    body = b""
    for media, location, data in parts:
        where = f"Content-Location: {location}\r\n" if location else ""
        body += f"--b0undary\r\nContent-Type: {media}\r\n{where}\r\n".encode() + data + b"\r\n"
    content_type = f'multipart/related; type="{root}"; boundary=b0undary'
    return body + b"--b0undary--\r\n", {"Content-Type": content_type, "Accept": JSON}


def as_json(*models: dict[str, Any]) -> tuple[str, str, bytes]:
    return JSON, "", json.dumps(list(models)).encode()


def as_xml(found: dict[str, Any]) -> tuple[str, str, bytes]:
    return XML, "", to_xml(found)


def send(
    server: LiveServer, root: str, *parts: tuple[str, str, bytes], path: str = "/studies"
) -> httpx.Response:
    body, headers = message(root, *parts)
    return httpx.post(server.root + path, content=body, headers=headers, timeout=60)


def url(found: dict[str, Any]) -> str:
    study, series, instance = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"/studies/{study}/series/{series}/instances/{instance}"


def stored(server: LiveServer, found: dict[str, Any]) -> Dataset:
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    answer = httpx.get(server.root + url(found), headers=accept)
    assert answer.status_code == 200, answer.text
    return dcmread(io.BytesIO(answer.content))


def png(array: Any, mode: str | None = None) -> bytes:
    if mode is None:
        return bytes(imagecodecs.png_encode(array))
    out = io.BytesIO()
    Image.fromarray(array).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.mark.row("S-21", "S-41", "S-47", "S-48", "S-53", "C-MP-6", "J-2", "J-65")
@pytest.mark.parametrize("location", ["pixels", "http://example.org/bulk/1", "urn:uuid:0a1b", "../x?y=1"])
def test_json_and_native_pixels(server: LiveServer, location: str) -> None:
    found = model(t7FE00010=pixels(location), **described(DEEP))
    answer = send(server, JSON, as_json(found), (OCTETS, location, DEEP.tobytes()))
    assert answer.status_code == 200, answer.text
    ds = stored(server, found)
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (ds.PixelData, ds.PatientName) == (DEEP.tobytes(), "Doe^Jane")


@pytest.mark.row("S-22", "S-41", "S-42")
def test_xml_one_part_for_each_instance(server: LiveServer) -> None:
    first, second = (model(t7FE00010=pixels(f"bulk-{n}"), **described(DEEP)) for n in "ab")
    second_xml = to_xml(second).replace(b'uri="bulk-b"', b'uuid="bulk-b"')
    answer = send(
        server,
        XML,
        as_xml(first),
        (OCTETS, "bulk-a", DEEP.tobytes()),
        (XML, "", second_xml),
        (OCTETS, "bulk-b", DEEP[::-1].tobytes()),
    )
    assert answer.status_code == 200, answer.text
    assert stored(server, first).PixelData == DEEP.tobytes()
    assert stored(server, second).PixelData == DEEP[::-1].tobytes()


@pytest.mark.row("S-26")
@pytest.mark.parametrize("media", [JSON, XML])
def test_single_part_without_bulk_data(server: LiveServer, media: str) -> None:
    found = model(
        "1.2.840.10008.5.1.4.1.1.88.11",
        t0040A730={"vr": "SQ", "Value": [{"0040A040": {"vr": "CS", "Value": ["TEXT"]}}]},
    )
    body = as_json(found)[2] if media == JSON else to_xml(found)
    answer = httpx.post(
        f"{server.root}/studies", content=body, headers={"Content-Type": media, "Accept": JSON}
    )
    assert answer.status_code == 200, answer.text
    assert stored(server, found).ContentSequence[0].ValueType == "TEXT"


def _jls() -> bytes:
    return bytes(imagecodecs.jpegls_encode(DEEP))


IMAGES = {
    "baseline": ("image/jpeg", lambda: imagecodecs.jpeg8_encode(GREY, 95), "50", "MONOCHROME2", "01"),
    "colour": (
        "image/jpeg",
        lambda: imagecodecs.jpeg8_encode(COLOUR, 90, subsampling="422"),
        "50",
        "YBR_FULL_422",
        "01",
    ),
    "sv1": (
        *("image/jpeg", lambda: imagecodecs.jpeg8_encode(DEEP, lossless=True, predictor=1)),
        *("70", "MONOCHROME2", None),
    ),
    "lossless": ("image/jpeg", lambda: imagecodecs.ljpeg_encode(DEEP), "57", "MONOCHROME2", None),
    "jls": ("image/jls", _jls, "80", "MONOCHROME2", None),
    "j2k": (
        "image/jp2",
        lambda: imagecodecs.jpeg2k_encode(DEEP, reversible=True, codecformat="jp2"),
        "90",
        "MONOCHROME2",
        None,
    ),
    "j2k lossy": (
        "image/jp2",
        lambda: imagecodecs.jpeg2k_encode(COLOUR, 40, codecformat="j2k", reversible=False, mct=True),
        *("91", "YBR_ICT", "01"),
    ),
    "ht": ("image/jphc", lambda: imagecodecs.htj2k_encode(DEEP, reversible=True), "201", "MONOCHROME2", None),
}


@pytest.mark.row("S-24", "S-49", "S-53", "S-55", "S-60", "S-61", "S-62", "S-67", "S-68")
@pytest.mark.parametrize("name", list(IMAGES))
def test_compressed_pictures_describe_themselves(server: LiveServer, name: str) -> None:
    media, made, last, photometric, lossy = IMAGES[name]
    data = bytes(made())  # type: ignore[no-untyped-call]
    found = model(t7FE00010=pixels(vr="OB"))
    answer = send(server, JSON, as_json(found), (media, "pixels", data))
    assert answer.status_code == 200, answer.text
    ds = stored(server, found)
    assert ds.file_meta.TransferSyntaxUID == PREFIX + last
    assert (ds.Rows, ds.Columns, ds.PhotometricInterpretation) == (40, 64, photometric)
    assert ds.get("LossyImageCompression") == lossy
    assert b"jP  " not in ds.PixelData[:64]
    frame = httpx.get(f"{server.root}{url(found)}/frames/1", headers={"Accept": OCTETS})
    assert frame.status_code == 200, frame.text
    if lossy is None:
        assert frame.content == DEEP.tobytes()


@pytest.mark.row("S-53", "S-63", "S-64", "S-65")
@pytest.mark.parametrize(
    ("data", "native", "photometric"),
    [
        (png(GREY), GREY, "MONOCHROME2"),
        (png(DEEP), DEEP, "MONOCHROME2"),
        (png(COLOUR), COLOUR, "RGB"),
        (png(np.dstack([COLOUR, GREY])), COLOUR, "RGB"),
        (png(np.dstack([COLOUR, GREY]).astype("u2") * 257), COLOUR.astype("u2") * 257, "RGB"),
    ],
    ids=["grey", "sixteen bits", "colour", "opacity", "deep colour"],
)
def test_png_becomes_native(server: LiveServer, data: bytes, native: Any, photometric: str) -> None:
    found = model(t7FE00010=pixels(vr="OB"))
    answer = send(server, JSON, as_json(found), ("image/png", "pixels", data))
    assert answer.status_code == 200, answer.text
    ds = stored(server, found)
    assert (ds.PixelData, ds.PhotometricInterpretation) == (native.tobytes(), photometric)


@pytest.mark.row("S-65")
def test_indexed_png_is_expanded(server: LiveServer) -> None:
    found = model(t7FE00010=pixels(vr="OB"))
    assert send(server, JSON, as_json(found), ("image/png", "pixels", png(COLOUR, "P"))).status_code == 200
    assert stored(server, found).SamplesPerPixel == 3


@pytest.mark.row("S-63")
def test_an_animated_gif_is_multi_frame(server: LiveServer) -> None:
    out = io.BytesIO()
    frames = [Image.fromarray(np.roll(GREY, 9 * n, axis=1)) for n in range(4)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=80)
    found = model(t7FE00010=pixels(vr="OB"))
    assert send(server, JSON, as_json(found), ("image/gif", "pixels", out.getvalue())).status_code == 200
    ds = stored(server, found)
    assert (ds.NumberOfFrames, len(ds.PixelData)) == (4, 4 * 40 * 64 * 3)


@pytest.mark.row("S-66")
def test_sixteen_bits_where_the_iod_has_eight(server: LiveServer) -> None:
    found = model("1.2.840.10008.5.1.4.1.1.77.1.4", t7FE00010=pixels(vr="OB"))
    answer = send(server, JSON, as_json(found), ("image/png", "pixels", png(DEEP)))
    assert (answer.status_code, _failure(answer)) == (409, 0xA900)


@pytest.mark.row("S-50")
@pytest.mark.parametrize("locations", [["p", "p", "p"], ["p/frames/1", "p/frames/2", "p/frames/3"]])
def test_compressed_multi_frame_has_a_part_for_each_frame(server: LiveServer, locations: list[str]) -> None:
    frames = [np.roll(DEEP, n, axis=0) for n in range(3)]
    found = model(t7FE00010=pixels("p", "OB"), t00280008={"vr": "IS", "Value": [3]})
    parts = [
        ("image/jls", where, bytes(imagecodecs.jpegls_encode(f)))
        for where, f in zip(locations, frames, strict=True)
    ]
    assert send(server, JSON, as_json(found), *parts).status_code == 200
    frame = httpx.get(f"{server.root}{url(found)}/frames/3", headers={"Accept": OCTETS})
    assert frame.content == frames[2].tobytes()


@pytest.mark.row("S-51")
def test_video_is_one_part(server: LiveServer) -> None:
    found = model(
        t7FE00010=pixels("v", "OB"),
        t00280008={"vr": "IS", "Value": [25]},
        **described(COLOUR, "YBR_PARTIAL_420"),
    )
    media = f"video/mp4; transfer-syntax={PREFIX}102"
    assert (
        send(server, JSON, as_json(found), (media, "v", b"\0\0\0\x18ftypmp42" + bytes(500))).status_code
        == 200
    )
    ds = stored(server, found)
    assert ds.file_meta.TransferSyntaxUID == PREFIX + "102"


@pytest.mark.row("S-51", "S-53", "S-62", "S-67")
def test_a_film_describes_itself(server: LiveServer) -> None:
    data = film("libx264")
    found = model("1.2.840.10008.5.1.4.1.1.77.1.4.1", t7FE00010=pixels("v", "OB"))
    answer = send(server, JSON, as_json(found), ("video/mp4", "v", data))
    assert answer.status_code == 200, answer.text
    ds = stored(server, found)
    assert ds.file_meta.TransferSyntaxUID == PREFIX + "102"
    assert (ds.Rows, ds.Columns, ds.NumberOfFrames, ds.FrameTime) == (96, 128, 5, 40)
    assert (ds.PhotometricInterpretation, ds.LossyImageCompressionMethod) == (
        "YBR_PARTIAL_420",
        "ISO_14496_10",
    )
    again = httpx.get(f"{server.root}{url(found)}/bulkdata/7FE00010", headers={"Accept": "video/mp4"})
    assert again.content.rstrip(b"\0") == data.rstrip(b"\0")


@pytest.mark.row("S-53", "S-54")
def test_a_film_that_nobody_can_read_wants_a_description(server: LiveServer) -> None:
    found = model(t7FE00010=pixels("v", "OB"))
    answer = send(server, JSON, as_json(found), ("video/mp4", "v", b"\0\0\0\x18ftypmp42" + bytes(500)))
    assert (answer.status_code, _failure(answer)) == (409, 0xC122)


@pytest.mark.row("S-52", "R-B-12")
def test_an_encapsulated_document_comes_under_its_own_type(server: LiveServer) -> None:
    pdf = b"%PDF-1.4\n%%EOF\n"
    document = {"vr": "OB", "BulkDataURI": "doc"}
    found = model(
        "1.2.840.10008.5.1.4.1.1.104.1",
        t00420011=document,
        t00420012={"vr": "LO", "Value": ["application/pdf"]},
    )
    assert send(server, JSON, as_json(found), ("application/pdf", "doc", pdf)).status_code == 200
    assert stored(server, found).EncapsulatedDocument.rstrip(b"\0") == pdf
    other = model(
        "1.2.840.10008.5.1.4.1.1.104.1", t00420011=document, t00420012={"vr": "LO", "Value": ["text/XML"]}
    )
    answer = send(server, JSON, as_json(other), ("application/pdf", "doc", pdf))
    assert (answer.status_code, _failure(answer)) == (409, 0xA900)


@pytest.mark.row("S-41", "S-48")
def test_bulk_data_within_an_item(server: LiveServer) -> None:
    table = np.arange(4096, dtype="<u2").tobytes()
    item = {"00283002": {"vr": "US", "Value": [4096, 0, 16]}, "00283006": {"vr": "OW", "BulkDataURI": "lut"}}
    found = model(t00283000={"vr": "SQ", "Value": [item]}, t7FE00010=pixels(), **described(DEEP))
    answer = send(server, JSON, as_json(found), (OCTETS, "lut", table), (OCTETS, "pixels", DEEP.tobytes()))
    assert answer.status_code == 200, answer.text
    assert stored(server, found).ModalityLUTSequence[0].LUTData == table


def _failure(answer: httpx.Response) -> int:
    body = answer.json()
    items = body.get("00081198") or body.get("0008119A")
    return int(items["Value"][0]["00081197"]["Value"][0])


WRONG: list[tuple[str, str, list[tuple[str, str, bytes]], int, int | None, str]] = [
    ("S-40", JSON, [(OCTETS, "p", b"xx"), as_json(model())], 400, None, "metadata first"),
    ("S-43", JSON, [as_json(model(t7FE00010=pixels("nowhere")))], 409, 0xC000, "nowhere"),
    ("S-44", JSON, [as_json(model()), (OCTETS, "stray", b"xx")], 202, 0xC000, "stray"),
    ("S-45", JSON, [as_json(model(t7FE00010=pixels("http://169.254.169.254/x")))], 409, 0xC000, "no part"),
    ("S-54", JSON, [as_json({k: v for k, v in model().items() if k != "0020000E"})], 409, 0xA900, "Series"),
    ("S-57", JSON, [(JSON, "", b'[{"00080018": 1}]')], 409, 0xA900, ""),
    ("S-57", JSON, [(JSON, "", b"[{")], 400, None, "malformed"),
    ("S-57", JSON, [(JSON, "", b'[{"a": "\xff"}]')], 400, None, "UTF-8"),
    ("S-21", JSON, [as_json(model()), as_json(model())], 400, None, "second part"),
    ("S-22", XML, [(XML, "", b"<NativeDicomModel>")], 400, None, "malformed"),
    ("S-23", OCTETS, [(OCTETS, "p", b"xx")], 400, None, "no metadata"),
    ("S-9", JSON, [], 400, None, "no parts"),
    (
        "S-60",
        JSON,
        [as_json(model(t7FE00010=pixels())), ("image/jpeg", "pixels", b"GIF89a")],
        409,
        0xC000,
        "JPEG",
    ),
    (
        "S-F-C122",
        JSON,
        [as_json(model(t7FE00010=pixels())), ("image/tiff", "pixels", b"II*")],
        409,
        0xC122,
        "tiff",
    ),
    (
        "S-53",
        JSON,
        [
            as_json(model(t7FE00010=pixels(), t00280010={"vr": "US", "Value": [41]})),
            ("image/png", "pixels", png(GREY)),
        ],
        409,
        0xA900,
        "0028,0010",
    ),
    (
        "S-50",
        JSON,
        [
            as_json(model(t7FE00010=pixels(), t00280008={"vr": "IS", "Value": [2]})),
            ("image/jls", "pixels", _jls()),
        ],
        409,
        0xA900,
        "Number of Frames",
    ),
    (
        "S-F-C122",
        JSON,
        [
            as_json(model(t7FE00010=pixels(), **described(DEEP))),
            (f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.2", "pixels", DEEP.tobytes()),
        ],
        409,
        0xC122,
        "octets",
    ),
]


@pytest.mark.parametrize(
    ("root", "parts", "status", "reason", "says"),
    [pytest.param(*case[1:], marks=pytest.mark.row(case[0])) for case in WRONG],
)
def test_what_cannot_be_put_together_is_said(
    server: LiveServer,
    root: str,
    parts: list[tuple[str, str, bytes]],
    status: int,
    reason: int | None,
    says: str,
) -> None:
    answer = send(server, root, *parts)
    assert answer.status_code == status, answer.text
    assert says in answer.text + answer.headers.get("warning", "")
    if reason is not None:
        assert _failure(answer) == reason


@pytest.mark.row("J-21", "S-71", "S-W-B000")
def test_what_is_coerced_is_said_and_remembered(server: LiveServer) -> None:
    long = "0.1234567890123456789"
    item = {"00180050": {"vr": "DS", "Value": [1, "LONG"]}}
    found = model(t00180050={"vr": "DS", "Value": ["LONG"]}, t00081140={"vr": "SQ", "Value": [item]})
    body = as_json(found)[2].replace(b'"LONG"', long.encode())
    answer = send(server, JSON, (JSON, "", body))
    assert answer.status_code == 202, answer.text
    (reported,) = answer.json()["00081199"]["Value"]
    assert reported["00081196"]["Value"] == [0xB000]
    ds = stored(server, found)
    assert ds.SliceThickness == pytest.approx(float(long))
    (original,) = ds.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "CORRECT"
    assert original.ModifyingSystem
    assert original.ModifiedAttributesSequence[0].SliceThickness is None
    kept = {
        (one.SelectorAttribute, "SelectorSequencePointer" in one): one.NonconformingDataElementValue
        for one in original.NonconformingModifiedAttributesSequence
    }
    assert kept[0x00180050, False].rstrip(b"\0") == long.encode()
    assert kept[0x00180050, True].rstrip(b"\0") == b"1\\" + long.encode()
    assert Dataset.from_json(reported["04000561"]["Value"][0]).keys() == original.keys()
    assert send(server, JSON, (JSON, "", body)).status_code == 202, "the same again"
    assert stored(server, found) == ds, "nothing new is kept"
    other = body.replace(long.encode(), long.encode() + b"1")
    assert send(server, JSON, (JSON, "", other)).status_code == 409


@pytest.mark.row("S-46", "S-72", "S-W-B006")
def test_what_is_discarded_is_said(server: LiveServer) -> None:
    found = model(t00020010={"vr": "UI", "Value": ["1.2"]}, t00080000={"vr": "UL", "Value": [1]})
    answer = send(server, JSON, as_json(found))
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB006]
    assert "00020010" in answer.headers["warning"]
    assert stored(server, found).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.row("S-73")
def test_the_same_message_again_is_success(server: LiveServer) -> None:
    found = model(t7FE00010=pixels(vr="OB"))
    parts = [as_json(found), ("image/jpeg", "pixels", bytes(imagecodecs.jpeg8_encode(GREY, 80)))]
    assert [send(server, JSON, *parts).status_code for _ in range(2)] == [200, 200]


@pytest.mark.row("J-12")
def test_tags_in_lower_case_are_tags(server: LiveServer) -> None:
    found = model(t7FE00010=pixels(vr="OB"))
    text = as_json(found)[2].replace(b"7FE00010", b"7fe00010").replace(b"0020000D", b"0020000d")
    data = bytes(imagecodecs.jpeg8_encode(GREY, 80))
    assert send(server, JSON, (JSON, "", text), ("image/jpeg", "pixels", data)).status_code == 200
    assert stored(server, found).file_meta.TransferSyntaxUID == PREFIX + "50"


@pytest.mark.row("S-50", "S-53")
def test_several_pngs_are_frames(server: LiveServer) -> None:
    frames = [np.roll(DEEP, n, axis=1) for n in range(3)]
    found = model(t7FE00010=pixels("p", "OB"))
    parts = [("image/png", f"p/frames/{n}", png(frame)) for n, frame in enumerate(frames, 1)]
    assert send(server, JSON, as_json(found), *parts).status_code == 200
    ds = stored(server, found)
    assert (ds.NumberOfFrames, ds.PixelData) == (3, b"".join(frame.tobytes() for frame in frames))


@pytest.mark.row("S-61")
def test_boxes_are_removed_frame_by_frame(server: LiveServer) -> None:
    frames = [np.roll(DEEP, n, axis=1) for n in range(2)]
    bare = [bytes(imagecodecs.jpeg2k_encode(f, reversible=True, codecformat="j2k")) for f in frames]
    boxed = [bytes(imagecodecs.jpeg2k_encode(f, reversible=True, codecformat="jp2")) for f in frames]
    found = model(t7FE00010=pixels("p", "OB"))
    answer = send(server, JSON, as_json(found), *(("image/jp2", "p", data) for data in boxed))
    assert answer.status_code == 200, answer.text
    fragments = generate_frames(stored(server, found).PixelData, number_of_frames=2)
    for fragment, expected in zip(fragments, bare, strict=True):
        assert fragment.rstrip(b"\0") == expected.rstrip(b"\0")


@pytest.mark.row("S-50", "S-83")
def test_frames_of_different_kinds_are_no_image(server: LiveServer) -> None:
    found = model(t7FE00010=pixels("p", "OB"))
    pictures = [bytes(imagecodecs.jpegls_encode(a)) for a in (DEEP, GREY)]
    answer = send(server, JSON, as_json(found), *(("image/jls", "p", data) for data in pictures))
    assert (answer.status_code, _failure(answer)) == (409, 0xA900)


@pytest.mark.row("S-2", "S-75")
def test_the_study_of_the_url_counts_here_too(server: LiveServer) -> None:
    found = model()
    answer = send(server, JSON, as_json(found), path=f"/studies/{generate_uid()}")
    assert (answer.status_code, _failure(answer)) == (409, 0xA901)


@pytest.mark.long
@pytest.mark.row("S-48")
def test_bulk_data_is_not_held_in_memory(server: LiveServer) -> None:
    """300 MB in one part; the server's high water stays below."""
    import psutil

    rows, columns = 12_000, 12_500
    frame = build.dataset(Rows=rows, Columns=columns)
    found = model(t7FE00010=pixels(), **described(np.zeros((1, 1), "u2")))
    found["00280010"]["Value"], found["00280011"]["Value"] = [frame.Rows], [frame.Columns]
    block = bytes(1 << 20)
    head, headers = message(JSON, as_json(found))
    closing = b"--b0undary--\r\n"

    def body() -> Any:
        yield head.removesuffix(closing)
        yield f"--b0undary\r\nContent-Type: {OCTETS}\r\nContent-Location: pixels\r\n\r\n".encode()
        left = rows * columns * 2
        while left:
            yield block[: min(left, len(block))]
            left -= min(left, len(block))
        yield b"\r\n" + closing

    answer = httpx.post(f"{server.root}/studies", content=body(), headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    assert psutil.Process(server.process.pid).memory_info().rss < 250 << 20


@pytest.mark.long
@pytest.mark.row("S-48", "S-50")
def test_thousands_of_small_frames_are_not_held_in_memory(server: LiveServer) -> None:
    """4,000 codestreams of 80 kB: as many parts, in neither memory nor descriptors."""
    import psutil

    noise = np.random.default_rng(1).integers(0, 4096, (230, 230), "u2")
    data = bytes(imagecodecs.jpegls_encode(noise))
    count = (320 << 20) // len(data)
    found = model(t7FE00010=pixels("p", "OB"), t00280008={"vr": "IS", "Value": [count]})
    head, headers = message(JSON, as_json(found))
    closing = b"--b0undary--\r\n"

    def body() -> Any:
        yield head.removesuffix(closing)
        for _ in range(count):
            yield b"--b0undary\r\nContent-Type: image/jls\r\nContent-Location: p\r\n\r\n" + data + b"\r\n"
        yield closing

    process = psutil.Process(server.process.pid)
    answer = httpx.post(f"{server.root}/studies", content=body(), headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    assert process.memory_info().rss < 250 << 20
    assert process.num_fds() < 200
    frame = httpx.get(f"{server.root}{url(found)}/frames/{count}", headers={"Accept": OCTETS})
    assert frame.content == noise.tobytes()
