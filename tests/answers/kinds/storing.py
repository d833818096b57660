"""STOW-RS of files: what is taken, what is refused, and why (PS3.18 10.5)."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset
from tests import build
from tests.answers.ask import BOUNDARY, DICOM, JSON, ROOT, XML, Asks, get, head, parts, post, related, stored
from tests.answers.held import Held

HERE = f"{ROOT}/studies"
TYPE = f"{related(DICOM)}; boundary={BOUNDARY}"
BASE = "2.25.7302"


def named(number: int, **attributes: object) -> Dataset:
    """Return a small CT image whose UIDs follow from the number."""
    uids = {
        "StudyInstanceUID": f"{BASE}.1.{number}",
        "SeriesInstanceUID": f"{BASE}.2.{number}",
        "SOPInstanceUID": f"{BASE}.3.{number}",
    }
    return build.dataset(**{**uids, **attributes})


def asks(held: Held) -> Asks:
    """Bodies of every form, outcomes of every kind, answers in every form."""
    file = build.part10(named(1))
    yield stored("one file", HERE, file)
    yield stored("the same again", HERE, file)
    yield stored("other pixels under its UID", HERE, build.part10(named(1, PixelData=bytes(128))))
    yield stored("another name under its UID", HERE, build.part10(named(1, PatientName="Roe^Rae")))
    yield stored("its UID in another study", HERE, build.part10(named(1, StudyInstanceUID=f"{BASE}.1.9")))
    yield stored("its UID in another series", HERE, build.part10(named(1, SeriesInstanceUID=f"{BASE}.2.9")))
    yield stored(
        "its UID in another class", HERE, build.part10(named(1, SOPClassUID=build.SECONDARY_CAPTURE))
    )
    yield stored(
        "into its study", f"{HERE}/{BASE}.1.1", build.part10(named(2, StudyInstanceUID=f"{BASE}.1.1"))
    )
    yield stored("into another study", f"{HERE}/{BASE}.1.1", build.part10(named(3)))
    yield stored("into no UID", f"{HERE}/x", file)
    yield stored("several", HERE, *(build.part10(named(n)) for n in (4, 5, 6)))
    yield stored("good and bad", HERE, build.part10(named(7)), b"no DICOM", file[:400])
    yield stored("the same twice at once", HERE, build.part10(named(8)), build.part10(named(8)))
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
        yield stored(f"without {keyword}", HERE, _without(9, keyword))
    for number, syntax in enumerate(("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")):
        yield stored(f"in {syntax}", HERE, build.part10(named(20 + number), syntax))
    yield stored("without preamble", HERE, build.part10(named(25))[132:])
    yield stored("a directory", HERE, build.part10(named(26, SOPClassUID="1.2.840.10008.1.3.10")))
    yield stored("an unknown syntax", HERE, file.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.2.1\0"))
    yield from _answers()
    yield from _bodies(file)
    yield get("studies that were stored", f"{HERE}?StudyInstanceUID={BASE}.1.1&includefield=all", JSON)
    yield get("metadata of what was stored", f"{HERE}/{BASE}.1.1/metadata", JSON)
    yield head("head of what was stored", f"{HERE}/{BASE}.1.1")


def _without(number: int, keyword: str) -> bytes:
    """A file that lacks an attribute; pydicom would not write its file meta information then."""
    tag = {"SOPClassUID": b"\x08\0\x16\0UI", "SOPInstanceUID": b"\x08\0\x18\0UI"}.get(keyword)
    if tag is None:
        return build.part10(named(number, **{keyword: None}))
    data = build.part10(named(number))
    at = data.index(tag)
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    return data[:at] + data[at + 8 + length :]


def _answers() -> Asks:
    """The forms of the answer."""
    for number, accept in enumerate(
        ("*/*", "", XML, related(XML), "application/json", "image/png", "text/html")
    ):
        yield stored(f"answered as {accept}", HERE, build.part10(named(30 + number)), accept=accept)
        yield stored(f"failure answered as {accept}", HERE, b"no DICOM", accept=accept)
    for number, charset in enumerate(("iso-8859-1", "utf-16", "klingon")):
        file = build.part10(named(40 + number))
        yield stored(f"answered in {charset}", HERE, file, accept=XML, accept_charset=charset)
    many = [build.part10(named(50 + n, StudyInstanceUID=f"{BASE}.1.50")) for n in range(10)]
    yield stored("answered in gzip", HERE, *many, accept_encoding="gzip")
    yield stored("from another site", HERE, build.part10(named(60)), origin="https://viewer.example.org")


def _bodies(file: bytes) -> Asks:
    """Bodies that are no message, or a message of another kind."""
    body = parts((DICOM, "", file))
    said = {
        "empty": (b"", TYPE),
        "no parts": (f"--{BOUNDARY}--\r\n".encode(), TYPE),
        "cut": (body[:-20], TYPE),
        "cut in a part": (body[:300], TYPE),
        "of another boundary": (body, TYPE + "x"),
        "without boundary": (body, related(DICOM)),
        "without type": (body, f"multipart/related; boundary={BOUNDARY}"),
        "of unquoted type": (body, f"multipart/related; type=application/dicom; boundary={BOUNDARY}"),
        "bare": (file, DICOM),
        "bare and empty": (b"", DICOM),
        "bare, with a syntax": (file, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1"),
        "bare, with another syntax": (file, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.2"),
        "of a type that is not taken": (file, "image/tiff"),
        "of form data": (body, f"multipart/form-data; boundary={BOUNDARY}"),
        "of no known root": (body, f"{related('image/png')}; boundary={BOUNDARY}"),
        "zipped": (b"PK\3\4", "application/zip"),
        "of nonsense": (body, "nonsense"),
        "with a preamble": (b"preamble\r\n" + body, TYPE),
        "with a part of another type": (parts(("image/png", "", b"x"), (DICOM, "", file)), TYPE),
        "with a part of octets": (parts(("application/octet-stream", "", file)), TYPE),
        "with an empty part": (parts((DICOM, "", b"")), TYPE),
        "with bare line feeds": (body.replace(b"\r\n", b"\n", 3), TYPE),
    }
    for name, (data, media) in said.items():
        yield post(f"a body {name}", HERE, data, media)
    yield replace(post("a body in chunks", HERE, body, TYPE), chunked=True)
    yield post("a body in gzip", HERE, body, TYPE, content_encoding="gzip")
    yield post("a body with parameters", f"{HERE}?x=y", body, TYPE)
