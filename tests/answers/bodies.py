"""Bodies as they are compared: codings undone, archives as lists of what is in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile

import pydicom
import zstandard
from pydicom.dataset import Dataset
from tests.answers.ask import Answer

# What short text is kept in a recording to be read.
READABLE = 4096
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

    The directory's own UID follows from version ids, and is as long as it happens to be: the bytes of the archive
    cannot be compared.
    """
    lines = []
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith("DICOMDIR"):
                held = {"directory": _directory(data)}
            else:
                held = {"sha256": hashlib.sha256(data).hexdigest(), "size": str(len(data))}
            about = {"name": info.filename, "method": info.compress_type, "modified": info.date_time}
            lines.append(json.dumps({**about, **held}))
    return "\n".join(lines).encode()


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
