"""An archive with something of each category, and what it looks like."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from gateway.render.output.video import X264, encode_video
from gateway.render.rendering import Array, Image
from PIL import Image as Pillow
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from tests import build
from tests.wire.transfer import MP4, Part, parts

SC = "1.2.840.10008.5.1.4.1.1.7"
MULTI = "1.2.840.10008.5.1.4.1.1.7.3"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
RAW = "1.2.840.10008.5.1.4.1.1.66"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
STUDY, SERIES = "1.2.7", "1.2.7.1"
# Of odd length: it is padded in the data set.
DOCUMENT = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 80 + b"%%EOF\n"
WIDE, HIGH, FRAMES = 24, 16, 3


def grey(*, rows: int = HIGH, columns: int = WIDE) -> Array:
    """A ramp to the right and, more slowly, down: every pixel another value."""
    across = np.arange(columns, dtype="<u2")[None, :] * 100
    down = np.arange(rows, dtype="<u2")[:, None] * 5
    pixels: Array = (across + down).astype("<u2")
    return pixels


def picture(pixels: Array, **attributes: Any) -> Dataset:
    """An image of these pixels, grey or colour."""
    bits = 8 * pixels.dtype.itemsize
    colour = pixels.shape[-1] == 3
    frames = pixels.shape[0] if pixels.ndim - colour == 3 else 1
    values: dict[str, Any] = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "Rows": pixels.shape[-3] if colour else pixels.shape[-2],
        "Columns": pixels.shape[-2] if colour else pixels.shape[-1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "NumberOfFrames": frames if frames > 1 else None,
        "PixelData": pixels.tobytes(),
    }
    return build.dataset(**(values | attributes))


def frames_of_grey() -> Array:
    """Levels 40, 120 and 200."""
    return np.stack([np.full((HIGH, WIDE), level, "u1") for level in (40, 120, 200)])


def video(path: Path, frames: int = 12) -> bytes:
    """Frames that get brighter."""
    images = (Image(np.full((48, 64, 3), 20 * n + 10, "u1")) for n in range(frames))
    encode_video(images, 10.0, path, 95, encoder=X264)
    return path.read_bytes()


def dimensioned(values: list[list[int]]) -> Dataset:
    """A multi-frame image whose frames say another order."""
    ds = picture(frames_of_grey(), SOPClassUID=MULTI, SeriesInstanceUID="1.2.7.5", SOPInstanceUID="1.2.7.5.1")
    ds.PerFrameFunctionalGroupsSequence = []
    for one in values:
        content, group = Dataset(), Dataset()
        content.DimensionIndexValues = one
        group.FrameContentSequence = [content]
        ds.PerFrameFunctionalGroupsSequence.append(group)
    return ds


class Gallery:
    """Paths below the service by name."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.paths: dict[str, str] = {}

    def store(self, name: str, data: bytes) -> None:
        from tests.live import multipart

        body, content_type = multipart([data])
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        answer = self.http.post("/studies", content=body, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        self.paths[name] = "/studies/" + str(url).partition("/studies/")[2]

    def get(self, name: str, below: str = "/rendered", accept: str = "*/*", **fields: str) -> httpx.Response:
        return self.http.get(self.paths[name] + below, headers={"Accept": accept, **fields})

    def shown(self, name: str, below: str = "/rendered", accept: str = "image/png") -> Array:
        """The picture of an answer that is one, as an array."""
        answer = self.get(name, below, accept)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == accept
        return opened(answer.content)

    def query(self, name: str) -> str:
        """The parameters of the URI service that name it."""
        uids = self.paths[name].strip("/").split("/")[1::2]
        named = zip(("studyUID", "seriesUID", "objectUID"), uids, strict=True)
        return "requestType=WADO&" + "&".join(f"{key}={uid}" for key, uid in named)


def opened(data: bytes) -> Array:
    with Pillow.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


def bodies(answer: httpx.Response) -> list[Part]:
    return parts(answer)


def filled(http: httpx.Client, folder: Path) -> Gallery:
    """Study 1.2.7: images, a multi-frame one, a report, a raw one; others by themselves."""
    made = Gallery(http)
    made.store(
        "grey",
        build.part10(picture(grey(), SOPInstanceUID="1.2.7.1.1", WindowCenter="1150", WindowWidth="2300")),
    )
    made.store("plain", build.part10(picture(grey(), StudyInstanceUID="1.2.8", SOPInstanceUID="1.2.8.1.1")))
    colours = np.zeros((HIGH, WIDE, 3), "u1")
    colours[:, :8, 0], colours[:, 8:16, 1], colours[:, 16:, 2] = 250, 250, 250
    made.store("rgb", build.part10(picture(colours, SOPInstanceUID="1.2.7.1.2", InstanceNumber=2)))
    multi = picture(
        frames_of_grey(), SOPClassUID=MULTI, SeriesInstanceUID="1.2.7.2", FrameTime="40", SeriesNumber=2
    )
    made.store("multi", build.part10(multi))
    made.store("turned", build.part10(dimensioned([[3], [1], [2]])))
    report = build.dataset(
        SOPClassUID=SR, StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.7.3", PixelData=None, Modality="SR"
    )
    report.SpecificCharacterSet, report.PatientName = "ISO_IR 100", "Müller^Jörg"
    made.store("report", build.part10(report))
    raw = build.dataset(
        SOPClassUID=RAW, StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.7.4", PixelData=None, Modality="OT"
    )
    made.store("raw", build.part10(raw))
    ecg = build.dataset(SOPClassUID=ECG, StudyInstanceUID="1.2.9", PixelData=None, Modality="ECG")
    made.store("ecg", build.part10(ecg))
    pdf = build.dataset(SOPClassUID=PDF, StudyInstanceUID="1.2.10", PixelData=None, Modality="DOC")
    pdf.EncapsulatedDocument, pdf.MIMETypeOfEncapsulatedDocument = DOCUMENT, "application/pdf"
    pdf["EncapsulatedDocument"].VR = "OB"
    pdf.EncapsulatedDocumentLength = len(DOCUMENT)
    made.store("pdf", build.part10(pdf))
    made.store("video", stored_video(video(folder / "made.mp4"), StudyInstanceUID="1.2.11"))
    burned = picture(grey(), StudyInstanceUID="1.2.12", SOPClassUID=SC, BurnedInAnnotation="YES")
    made.store("burned", build.part10(burned))
    made.store("gone", build.part10(picture(grey(), StudyInstanceUID="1.2.13")))
    assert http.delete(made.paths["gone"]).status_code == 204
    return made


def stored_video(stream: bytes, **attributes: Any) -> bytes:
    """A video of 12 frames as a PS3.10 file."""
    ds = picture(
        np.zeros((12, 48, 64, 3), "u1"),
        SOPClassUID=VIDEO,
        FrameTime="100",
        PhotometricInterpretation="YBR_PARTIAL_420",
        **attributes,
    )
    ds.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, MP4)
