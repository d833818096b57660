"""What is stored: a CT series, many small studies, a multi-frame and a slide, made from pydicom's CT_small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from tests.bench.client import Request

ARC = "2.25.77013000"
CT = f"{ARC}.1"
BOUNDARY = "bench-boundary-7f3a"
STOW = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; `quick` shows that the benchmark runs, its ratios say little."""

    instances: int = 600
    studies: int = 2000
    frames: int = 300
    tiles: int = 5000
    seconds: float = 5.0


QUICK = Sizes(instances=40, studies=100, frames=40, tiles=300, seconds=1.0)


def _template(study: str, series: str, instance: str) -> Dataset:
    """CT_small with its own private groups, as a header of real size."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    if "DataSetTrailingPadding" in dataset:
        del dataset.DataSetTrailingPadding
    return dataset


def _written(dataset: Dataset) -> bytes:
    out = BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def ct_uid(number: int) -> str:
    return f"{CT}.1.{number:06d}".replace(".0", ".9")


def ct_series(count: int) -> Iterator[list[bytes]]:
    """Instances of 512 x 512 in 16 bits, in pieces: the header is each one's own, the pixels are shared."""
    dataset = _template(CT, f"{CT}.1", ct_uid(0))
    dataset.Rows = dataset.Columns = 512
    rows = np.arange(512 * 512, dtype="u4").reshape(512, 512)
    dataset.PixelData = ((rows * 7) % 4000).astype("<u2").tobytes()
    dataset.InstanceNumber = "800000"
    whole = _written(dataset)
    at = len(whole) - 512 * 512 * 2
    header, pixels = whole[:at], whole[at:]
    for number in range(count):
        own = header.replace(ct_uid(0).encode(), ct_uid(number).encode())
        yield [own.replace(b"800000", b"%06d" % (number + 1)), pixels]


def small_studies(count: int) -> Iterator[list[bytes]]:
    """A study of one instance each, over 24 months, without pixels."""
    uid = f"{ARC}.2.900000"
    dataset = _template(f"{uid}.1", f"{uid}.2", f"{uid}.3")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(dataset, keyword)
    for group in (0x09, 0x19, 0x21, 0x23, 0x27, 0x43, 0x45):
        for element in [e for e in dataset if e.tag.group == group]:
            del dataset[element.tag]
    dataset.PatientID, dataset.PatientName, dataset.StudyDate = "PAT900000", "Bench^N900000", "19000101"
    whole = _written(dataset)
    for number in range(count):
        digits = b"9%05d" % number
        year, month = divmod(number % 24, 12)
        date = b"%04d%02d%02d" % (2024 + year, month + 1, number % 28 + 1)
        yield [whole.replace(b"900000", digits).replace(b"19000101", date)]


def multi_frame(count: int) -> tuple[str, list[bytes]]:
    """One native object of `count` frames of 256 x 256 in 16 bits."""
    uid = f"{ARC}.3"
    dataset = _template(uid, f"{uid}.1", f"{uid}.2")
    dataset.Rows = dataset.Columns = 256
    dataset.NumberOfFrames = count
    frame = (np.arange(256 * 256, dtype="u4") % 4000).astype("<u2")
    dataset.PixelData = b"".join((frame + n).tobytes() for n in range(count))
    return f"/studies/{uid}/series/{uid}.1/instances/{uid}.2", [_written(dataset)]


def slide(count: int) -> tuple[str, list[bytes]]:
    """One object of `count` JPEG tiles of 256 x 256, with a Basic Offset Table."""
    uid = f"{ARC}.4"
    dataset = _template(uid, f"{uid}.1", f"{uid}.2")
    dataset.Rows = dataset.Columns = 256
    dataset.NumberOfFrames, dataset.SamplesPerPixel = count, 3
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL_422", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.file_meta.TransferSyntaxUID = UID(JPEG_BASELINE)
    tiles = [_tile(n) for n in range(20)]
    dataset.PixelData = encapsulate([tiles[n % 20] for n in range(count)], has_bot=True)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return f"/studies/{uid}/series/{uid}.1/instances/{uid}.2", [_written(dataset)]


def _tile(number: int) -> bytes:
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    texture = np.sin(x * (number + 3) / 9) * np.cos(y / 5) * 60
    tile = np.stack([180 + texture, 120 - texture, 160 + texture / 2], axis=-1).astype("u1")
    return bytes(imagecodecs.jpeg8_encode(tile, 80, subsampling="422"))


def stow(path: str, instances: list[list[bytes]]) -> Request:
    """One POST of these instances."""
    body: list[bytes] = []
    for pieces in instances:
        body.append(f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode())
        body.extend(pieces)
    body.append(f"\r\n--{BOUNDARY}--\r\n".encode())
    return Request("POST", path, "application/dicom+json", STOW, body)


def in_posts(path: str, instances: Iterator[list[bytes]], size: int) -> Iterator[Request]:
    batch: list[list[bytes]] = []
    for instance in instances:
        batch.append(instance)
        if len(batch) == size:
            yield stow(path, batch)
            batch = []
    if batch:
        yield stow(path, batch)
