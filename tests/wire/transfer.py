"""An archive with something in every kind of transfer syntax, and what comes out of it."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

import httpx
import numpy as np
import pydicom
from gateway.dicom.encoding.layout import PixelLayout
from gateway.render.codecs import transcodetargets
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.pixelcells import read_signed_cells
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid
from tests import build
from tests.live import multipart
from tests.render import matrix
from tests.render.compressed import layout_of

PREFIX = "1.2.840.10008.1.2"
IMPLICIT, ELE, DEFLATED, BE, RLE = PREFIX, PREFIX + ".1", PREFIX + ".1.99", PREFIX + ".2", PREFIX + ".5"
BASELINE, EXTENDED, JPEG_57, JPEG_70 = (f"{PREFIX}.4.{n}" for n in (50, 51, 57, 70))
JLS, NEAR, J2K, J2K_ANY, JPX, JPX_ANY = (f"{PREFIX}.4.{n}" for n in (80, 81, 90, 91, 92, 93))
JXL, JXL_JPEG, JXL_ANY = (f"{PREFIX}.4.{n}" for n in (110, 111, 112))
HT, RPCL, HT_ANY, MP4 = (f"{PREFIX}.4.{n}" for n in (201, 202, 203, 102))
FRAME_DEFLATE = PREFIX + ".8.1"
OCTETS = "application/octet-stream"
DICOM = "application/dicom"
STUDY = generate_uid()


def related(media: str, syntax: str = "") -> str:
    return f'multipart/related; type="{media}"' + (f"; transfer-syntax={syntax}" if syntax else "")


@dataclass(frozen=True)
class Part:
    media: str
    syntax: str | None
    location: str
    body: bytes


def parts(answer: httpx.Response) -> list[Part]:
    """The parts of a multipart answer, or the body as the only one."""
    kind = message(answer.headers["content-type"])
    if kind.get_content_type() != "multipart/related":
        location = answer.headers.get("content-location", "")
        return [Part(kind.get_content_type(), syntax_of(kind), location, answer.content)]
    boundary = b"--" + str(kind.get_param("boundary")).encode()
    found = []
    for piece in answer.content.split(boundary)[1:-1]:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        of = message(fields["Content-Type"])
        found.append(
            Part(of.get_content_type(), syntax_of(of), fields["Content-Location"], body.removesuffix(b"\r\n"))
        )
    return found


def syntax_of(content_type: EmailMessage) -> str | None:
    value = content_type.get_param("transfer-syntax")
    return value if isinstance(value, str) else None


def message(content_type: str) -> EmailMessage:
    made = EmailMessage()
    made["Content-Type"] = content_type
    return made


def image(kind: str, frames: int = 1, **attributes: Any) -> Dataset:
    data, pixels = matrix.picture(**matrix.KINDS[kind])
    values: dict[str, Any] = {
        **matrix.describe(pixels),
        "NumberOfFrames": frames if frames > 1 else None,
        "PixelData": data + b"".join(bytes([n]) * len(data) for n in range(1, frames)),
        "StudyInstanceUID": STUDY,
    }
    return build.dataset(**(values | attributes))


def compressed(kind: str, syntax: str, codestreams: list[bytes], **attributes: Any) -> bytes:
    """A file of these codestreams, whatever they are."""
    ds = image(kind, NumberOfFrames=len(codestreams), PixelData=encapsulate(codestreams), **attributes)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, syntax)


class Archive:
    """What lies in the server: paths by name; `native` and `frames` are what was encoded."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.paths: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.datasets: dict[str, Dataset] = {}

    def store(self, name: str, data: bytes) -> str:
        body, content_type = multipart([data])
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        answer = self.http.post("/studies", content=body, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        self.paths[name], self.files[name] = url, data
        self.datasets[name] = pydicom.dcmread(io.BytesIO(data))
        return str(url)

    def get(self, name: str, accept: str, below: str = "", **more: Any) -> httpx.Response:
        return self.http.get(self.paths[name] + below, headers={"Accept": accept}, **more)

    def sent(self, name: str, accept: str) -> Dataset:
        answer = self.get(name, accept)
        assert answer.status_code == 200, answer.text
        (part,) = parts(answer)
        ds = pydicom.dcmread(io.BytesIO(part.body))
        assert ds.file_meta.TransferSyntaxUID == part.syntax
        return ds


def filled(http: httpx.Client) -> Archive:
    made = Archive(http)
    made.store("ct", build.part10(image("12 of 16 signed", frames=3)))
    made.store("rgb", build.part10(image("RGB by plane")))
    made.store("deep", build.part10(image("32", StudyInstanceUID="1.2.9.1")))
    made.store("implicit", build.part10(image("12 of 16"), IMPLICIT))
    big = image("12 of 16")
    big.PixelData = np.frombuffer(big.PixelData, "<u2").astype(">u2").tobytes()
    made.store("big endian", build.part10(big, BE))
    made.store("deflated", build.part10(image("12 of 16"), DEFLATED))
    made.store("report", build.part10(build.dataset(PixelData=None, StudyInstanceUID=STUDY)))
    made.store("video", compressed("8", MP4, [b"video stream"], StudyInstanceUID="1.2.9.2"))
    made.store("jpx", compressed("8", JPX, [b"\xff\x4f\xff\x51 one"], StudyInstanceUID="1.2.9.3"))
    made.store("jpx any", compressed("8", JPX_ANY, [b"\xff\x4f\xff\x51 two"], StudyInstanceUID="1.2.9.3"))
    _store_encoded(made)
    return made


def _store_encoded(made: Archive) -> None:
    """As the server itself encodes them, under UIDs of their own."""
    for name, source, syntax in (
        ("rle", "ct", RLE),
        ("jls", "ct", JLS),
        ("j2k any", "ct", J2K_ANY),
        ("near", "ct", NEAR),
        ("57", "ct", JPEG_57),
        ("jpeg", "rgb", BASELINE),
        ("rpcl", "ct", RPCL),
    ):
        ds = made.sent(source, f"{DICOM}; transfer-syntax={syntax}")
        ds.SOPInstanceUID = generate_uid()
        made.store(name, build.part10(ds, syntax))


def codestreams(ds: Dataset) -> list[bytes]:
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames") or 1)))


def native(archive: Archive, name: str) -> bytes:
    """All pixel data, by the oracle of the encoder's own tests."""
    ds = archive.datasets[name]
    shape, syntax = layout_of(ds), str(ds.file_meta.TransferSyntaxUID)
    return b"".join(decode_frame(frame, shape, syntax).data for frame in codestreams(ds))


def decoded(archive: Archive, name: str, part: Part) -> bytes:
    """By pixel, in RGB where JPEG 2000 made it something else."""
    pixels = layout_of(archive.datasets[name])
    after = transcodetargets.describe(as_native(pixels), ELE, str(part.syntax))
    frame = decode_frame(part.body, after, str(part.syntax))
    if frame.image.planar:
        return read_signed_cells(frame.data, as_native(pixels)).tobytes()
    return frame.data


def as_native(pixels: PixelLayout) -> PixelLayout:
    return replace(pixels, encapsulated=False)


def values(archive: Archive, name: str) -> bytes:
    """The first frame as it was stored, little endian and by pixel."""
    ds = archive.datasets[name]
    pixels = as_native(layout_of(ds))
    size = pixels.rows * pixels.columns * pixels.samples * pixels.bits_allocated // 8
    data = ds.PixelData[:size]
    if ds.file_meta.TransferSyntaxUID == BE:
        data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
    return read_signed_cells(data, pixels).tobytes()
