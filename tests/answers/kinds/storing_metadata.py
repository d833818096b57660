"""STOW-RS of metadata and bulk data (PS3.18 10.5.1.4)."""

from __future__ import annotations

import json
from typing import Any

from tests.answers.ask import BOUNDARY, DICOM, JSON, OCTETS, ROOT, XML, Asks, get, parts, post, related
from tests.answers.held import Held

HERE = f"{ROOT}/studies"
BASE = "2.25.7303"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
NATIVE = """<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel>
<DicomAttribute tag="00080016" vr="UI"><Value number="1">1.2.840.10008.5.1.4.1.1.7</Value></DicomAttribute>
<DicomAttribute tag="00080018" vr="UI"><Value number="1">2.25.7303.3.20</Value></DicomAttribute>
<DicomAttribute tag="00080060" vr="CS"><Value number="1">OT</Value></DicomAttribute>
<DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><Alphabetic><FamilyName>Doe</FamilyName>
</Alphabetic></PersonName></DicomAttribute>
<DicomAttribute tag="0020000D" vr="UI"><Value number="1">2.25.7303.1.20</Value></DicomAttribute>
<DicomAttribute tag="0020000E" vr="UI"><Value number="1">2.25.7303.2.20</Value></DicomAttribute>
</NativeDicomModel>"""


def asks(held: Held) -> Asks:
    """With and without pixels, in both forms; what does not fit together."""
    yield post("metadata alone", HERE, _json(_model(1)), JSON)
    yield post("metadata alone, again", HERE, _json(_model(1)), JSON)
    yield post("metadata of two", HERE, _json(_model(2), _model(3)), JSON)
    yield post("metadata as XML", HERE, NATIVE.encode(), XML)
    for name, body in {"not closed": b"{", "empty": b"", "no array": b"3", "no objects": b"[1]"}.items():
        yield post(f"metadata that is {name}", HERE, body, JSON)
    for name, body in {"not closed": b"<a>", "empty": b"", "no model": b"<a/>"}.items():
        yield post(f"XML that is {name}", HERE, body, XML)
    deep = _model(4, **{"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}})
    yield post("metadata with items", HERE, _json(deep), JSON)
    yield post("metadata with a value of no kind", HERE, _json(_model(5, **{"00280010": _us("x")})), JSON)
    yield post(
        "metadata with inline octets", HERE, _json(_model(6, **_pixels(InlineBinary="AAECAw=="))), JSON
    )
    yield post("metadata without a study", HERE, _json({**_model(7), "0020000D": {"vr": "UI"}}), JSON)
    yield post("metadata of nothing known", HERE, _json(_model(8, **{"00080016": {"vr": "UI"}})), JSON)
    yield from _with_bulk()
    for number in (1, 4, 6, 10, 12, 20):
        path = f"{HERE}/{BASE}.1.{number}/series/{BASE}.2.{number}/instances/{BASE}.3.{number}"
        yield get(f"metadata that was given, {number}", f"{path}/metadata", JSON)
        yield get(f"file of the metadata that was given, {number}", path, f"{DICOM}; transfer-syntax=*")
        yield get(f"picture of what was given, {number}", f"{path}/rendered", "image/png")


def _with_bulk() -> Asks:
    root, media = (JSON, f"{related(JSON)}; boundary={BOUNDARY}")
    pixels = bytes(range(64))
    good = _json(_model(10, **_pixels(BulkDataURI="pixels")))
    yield post("metadata and pixels", HERE, parts((root, "", good), (OCTETS, "pixels", pixels)), media)
    named = _json(_model(11, **_pixels(BulkDataURI="elsewhere")))
    yield post("pixels by another name", HERE, parts((root, "", named), (OCTETS, "pixels", pixels)), media)
    short = _json(_model(12, **_pixels(BulkDataURI="pixels")))
    yield post("too few pixels", HERE, parts((root, "", short), (OCTETS, "pixels", pixels[:10])), media)
    jpeg = _json(_model(13, **_pixels(BulkDataURI="pixels")))
    yield post(
        "pixels that are no JPEG", HERE, parts((root, "", jpeg), ("image/jpeg", "pixels", b"x")), media
    )
    yield post("pixels before metadata", HERE, parts((OCTETS, "pixels", pixels), (root, "", good)), media)
    yield post("pixels alone", HERE, parts((OCTETS, "pixels", pixels)), media)
    outside = _json(_model(14, **_pixels(BulkDataURI="http://127.0.0.1:1/x")))
    yield post("pixels of another server", HERE, parts((root, "", outside)), media)
    xml = f"{related(XML)}; boundary={BOUNDARY}"
    yield post(
        "XML in a part", HERE, parts((XML, "", NATIVE.replace("7303.3.20", "7303.3.21").encode())), xml
    )


def _model(number: int, **members: Any) -> dict[str, Any]:
    """A data set whose UIDs follow from the number."""
    found = {
        "00080016": {"vr": "UI", "Value": [SECONDARY]},
        "00080018": {"vr": "UI", "Value": [f"{BASE}.3.{number}"]},
        "00080060": {"vr": "CS", "Value": ["OT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
        "0020000D": {"vr": "UI", "Value": [f"{BASE}.1.{number}"]},
        "0020000E": {"vr": "UI", "Value": [f"{BASE}.2.{number}"]},
    }
    return dict(sorted({**found, **members}.items()))


def _pixels(**where: str) -> dict[str, Any]:
    """An image of 8 by 8 octets, whose pixels are elsewhere."""
    numbers = {
        "00280002": 1,
        "00280010": 8,
        "00280011": 8,
        "00280100": 8,
        "00280101": 8,
        "00280102": 7,
        "00280103": 0,
    }
    return {
        **{tag: _us(number) for tag, number in numbers.items()},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "7FE00010": {"vr": "OB", **where},
    }


def _us(value: object) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def _json(*models: dict[str, Any]) -> bytes:
    return json.dumps(models).encode()
