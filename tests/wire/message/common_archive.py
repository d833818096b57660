"""What the rows of chapter 8 are asked of, and how: requests as they are on the wire, answers taken apart."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless
from tests import build
from tests.live import multipart

STUDIES = [f"1.2.77.{number}" for number in range(1, 6)]
STUDY, SERIES = "1.2.77.1", "1.2.77.1.1"
INSTANCE = f"/studies/{STUDY}/series/{SERIES}/instances/1.2.77.1.1.1"
LATIN = "/studies/1.2.77.2/series/1.2.77.2.1/instances/1.2.77.2.1.1"
KANJI = "/studies/1.2.77.3/series/1.2.77.3.1/instances/1.2.77.3.1.1"
JLS = "/studies/1.2.77.4/series/1.2.77.4.1/instances/1.2.77.4.1.1"
PDF = "/studies/1.2.77.5/series/1.2.77.5.1/instances/1.2.77.5.1.1"
FRAMES = [bytes([n]) * 2048 for n in (1, 2, 3)]
DOCUMENT = b"%PDF-1.4 " + b"x" * 2000 + b"\n"


def _image(number: int, **attributes: Any) -> pydicom.Dataset:
    study = f"1.2.77.{number}"
    uids = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "SOPInstanceUID": f"{study}.1.1",
        "PatientID": f"common-{number}",
    }
    return build.dataset(**(uids | attributes))


def files() -> list[bytes]:
    """Five studies: three native frames, a name in Latin-1, one in Kanji, JPEG-LS, an encapsulated PDF."""
    native = _image(1, NumberOfFrames=3, Rows=32, Columns=32, PixelData=b"".join(FRAMES))
    latin = _image(2, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen")
    kanji = _image(3, SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎")
    jls = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    jls.compress(JPEGLSLossless)
    for name, value in (("Study", "1.2.77.4"), ("Series", "1.2.77.4.1")):
        setattr(jls, f"{name}InstanceUID", value)
    jls.SOPInstanceUID = "1.2.77.4.1.1"
    pdf = _image(
        5,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        Modality="DOC",
        PixelData=None,
        EncapsulatedDocument=DOCUMENT,
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )
    return [*map(build.part10, (native, latin, kanji)), build.part10(jls, JPEGLSLossless), build.part10(pdf)]


def client(root: str) -> httpx.Client:
    """Sends no Accept, nor any other field that it was not told to send."""
    made = httpx.Client(base_url=root, timeout=60)
    for name in ("accept", "accept-encoding", "user-agent"):
        made.headers.pop(name, None)
    return made


def store(http: httpx.Client, *data: bytes, **headers: str) -> httpx.Response:
    body, content_type = multipart(data)
    fields = {"Content-Type": content_type, "Accept": "application/dicom+json", **headers}
    return http.post("/studies", content=body, headers=fields)


@dataclass
class Piece:
    """One part: its fields in order, its body."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str:
        return dict(self.fields)[name]


def boundary_of(answer: httpx.Response) -> bytes:
    found = [p.strip() for p in answer.headers["content-type"].split(";") if "boundary=" in p]
    return found[0].removeprefix("boundary=").strip('"').encode()


def pieces(answer: httpx.Response) -> list[Piece]:
    """The parts, by the framing of PS3.18 8.6.1.2.1 to the letter: anything else fails."""
    dash = b"--" + boundary_of(answer)
    body = answer.content
    assert body.startswith(dash + b"\r\n")
    assert body.rstrip(b"\r\n").endswith(b"\r\n" + dash + b"--")
    inner = body[len(dash) + 2 : body.rindex(b"\r\n" + dash + b"--")]
    return [_piece(text) for text in inner.split(b"\r\n" + dash + b"\r\n")]


def _piece(text: bytes) -> Piece:
    head, blank, body = text.partition(b"\r\n\r\n")
    assert blank
    return Piece([_field(line) for line in head.decode("ascii").split("\r\n")], body)


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    assert colon
    return name.lower(), value


def exchange(base: str, request: bytes) -> bytes:
    """Raw bytes in, raw bytes out until the server closes."""
    parts = urlsplit(base)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received
