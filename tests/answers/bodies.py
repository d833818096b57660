"""Bodies as they are compared: codings undone, archives as lists of what is in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile

import pydicom
import zstandard
from pydicom.dataset import Dataset
from tests.answers.ask import Answer

# What short text is kept in a recording to be read.
READABLE = 4096
_PART_LENGTH = re.compile(rb"(\r\nContent-Type: [^\r\n]+\r\n)Content-Length: [0-9]+\r\n")
_OFFSETS = (0x00041200, 0x00041202, 0x00041400, 0x00041420)


def plain(answer: Answer) -> bytes:
    """Return the body without its content coding; as it is where it does not hold what the coding says."""
    coding = answer.header("content-encoding")
    try:
        if coding == "gzip" and answer.body:
            return gzip.decompress(answer.body)
        if coding == "zstd" and answer.body:
            return zstandard.ZstdDecompressor().decompressobj().decompress(answer.body)
    except (OSError, EOFError, zstandard.ZstdError):
        pass
    return answer.body


def readable(answer: Answer, body: bytes) -> str | None:
    """Return what is short text, else None."""
    media = answer.header("content-type").lower()
    if len(body) > READABLE or not any(word in media for word in ("json", "xml", "text/", "html")):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def is_archive(answer: Answer) -> bool:
    """Return whether the body is a zip archive."""
    return answer.header("content-type") == "application/zip" and zipfile.is_zipfile(io.BytesIO(answer.body))


def unpacked(body: bytes) -> bytes:
    """Return what a zip archive holds, a line of JSON for each file in order.

    The directory's own UID follows from version ids, and is as long as it happens to be, and files are of the time
    that they were packed: the bytes of the archive cannot be compared.
    """
    lines = []
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith("DICOMDIR"):
                held = {"directory": _directory(data)}
            else:
                held = {"sha256": hashlib.sha256(data).hexdigest(), "size": str(len(data))}
            about = {"name": info.filename, "method": info.compress_type}
            lines.append(json.dumps({**about, **held}))
    return "\n".join(lines).encode()


def unnamed(body: bytes) -> bytes:
    """Return what a file holds but for its SOP Instance UID, as JSON; the body itself where it is no file."""
    try:
        dataset = pydicom.dcmread(io.BytesIO(body))
    except pydicom.errors.InvalidDicomError:
        return body
    meta, held = dataset.file_meta.to_json_dict(), dataset.to_json_dict()
    for tag in ("00020000", "00020003"):
        meta.pop(tag, None)
    held.pop("00080018", None)
    return json.dumps([meta, held]).encode()


def is_streamed(answer: Answer) -> bool:
    """Return whether the body is multipart and was of no known length before its end."""
    return not answer.header("content-length") and answer.header("content-type").startswith("multipart/")


def sizeless(body: bytes) -> bytes:
    """Return a multipart body that is streamed without the lengths of its parts.

    A part has one where its first bytes were all of it, which is as the file happened to be read.
    """
    return _PART_LENGTH.sub(rb"\1", body)


def _directory(data: bytes) -> str:
    """The directory without its UID, and with offsets from where its records begin."""
    directory = pydicom.dcmread(io.BytesIO(data))
    meta = directory.file_meta.to_json_dict()
    for tag in ("00020000", "00020003"):
        meta.pop(tag, None)
    first = int(directory[0x00041200].value)
    for dataset in (directory, *directory.DirectoryRecordSequence):
        _from(first, dataset)
    return json.dumps([meta, directory.to_json_dict()])


def _from(first: int, dataset: Dataset) -> None:
    for tag in _OFFSETS:
        if tag in dataset and dataset[tag].value:
            dataset[tag].value = int(dataset[tag].value) - first
