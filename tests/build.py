"""Datasets and Part 10 bytes in a line; no fixture files for what can be built."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

from gateway.dicom.encoding.layout import PixelLayout
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def dataset(**attributes: Any) -> Dataset:
    """A small CT image; keywords override, None leaves out."""
    ds = Dataset()
    defaults: dict[str, Any] = {
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "StudyDate": "20240131",
        "StudyTime": "101500",
        "AccessionNumber": "A1",
        "Modality": "CT",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "StudyID": "S1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Rows": 8,
        "Columns": 8,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": bytes(range(128)),
    }
    for keyword, value in {**defaults, **attributes}.items():
        if value is not None:
            setattr(ds, keyword, value)
    if "PixelData" in ds:
        ds["PixelData"].VR = "OW"
    return ds


def part10(ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a PS3.10 file."""
    if UID(transfer_syntax).name == transfer_syntax:
        return _newer(ds, transfer_syntax)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
    meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.file_meta = meta
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _newer(ds: Dataset, transfer_syntax: str) -> bytes:
    """As another compressed syntax, then renamed: pydicom writes none that it does not know (PS3.5 A.4)."""
    data = part10(ds, JPEG2000Lossless)
    before, after = (name.encode() + b"\0" * (len(name) % 2) for name in (JPEG2000Lossless, transfer_syntax))
    head = struct.pack("<HH2sH", 2, 0x10, b"UI", len(before)) + before
    assert head in data
    (length,) = struct.unpack_from("<I", data, 140)
    data = data[:140] + struct.pack("<I", length + len(after) - len(before)) + data[144:]
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return data.replace(head, struct.pack("<HH2sH", 2, 0x10, b"UI", len(after)) + after, 1)


def instance(**attributes: Any) -> bytes:
    """A small CT image as a PS3.10 file."""
    return part10(dataset(**attributes))


def pixel_layout(**changes: Any) -> PixelLayout:
    """Return a layout of 64 x 64 grey pixels of 16 bits, but for `changes`."""
    plain = PixelLayout(
        tag=0x7FE00010,
        vr="OB",
        offset=0,
        length=0,
        encapsulated=True,
        frames=1,
        declared_frames=1,
        rows=64,
        columns=64,
        samples=1,
        bits_allocated=16,
        bits_stored=16,
        high_bit=15,
        pixel_representation=0,
        photometric="MONOCHROME2",
        planar=0,
    )
    return replace(plain, **changes)
