"""Bulk data: as metadata names it, all of it, and all pixels (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.answers.ask import JSON, OCTETS, ROOT, Asks, get, head, related
from tests.answers.held import Held, series, study

NAMES = (
    "CT_small.dcm",
    "gen-every-vr.dcm",
    "gen-huge-text.dcm",
    "gen-ecg-12-lead.dcm",
    "gen-encapsulated-pdf.dcm",
    "gen-mf-byte-sc.dcm",
    "MR_small_RLE.dcm",
    "gen-h264-102.dcm",
    "ovly_p01.dcm",
    "MR_small_bigendian.dcm",
    "prLUTs.dcm",
    "parametric_map_float.dcm",
)


def asks(held: Held) -> Asks:
    """Each URI of the metadata with and without its version, then by level."""
    for name, path in held.some(*NAMES):
        answer = yield get(f"metadata that names bulk data of {name}", f"{path}/metadata", JSON)
        for number, url in enumerate(list(_named(answer.json()))[:4]):
            place = ROOT + url.partition(ROOT)[2]
            bare = place.partition("?")[0]
            yield get(f"bulk data {number} of {name}", place, related(OCTETS))
            yield get(f"bulk data {number} of {name}, alone", bare, OCTETS)
            yield get(f"bulk data {number} of {name}, anything", bare, "*/*")
            yield get(f"bulk data {number} of {name}, a part", bare, OCTETS, range="bytes=2-11")
            yield head(f"head of bulk data {number} of {name}", place, OCTETS)
        for level, place in (("study", study(path)), ("series", series(path)), ("instance", path)):
            for kind in ("bulkdata", "pixeldata"):
                yield get(f"{level} {kind} of {name}", f"{place}/{kind}", related(OCTETS))
    yield from _odd(held.path("CT_small.dcm"))


def _odd(path: str) -> Asks:
    for rest in (
        "7FE00010",
        "7fe00010",
        "00100010",
        "PixelData",
        "x",
        "00081140/1/00081150",
        "7FE00010/1",
        "",
        "%00",
    ):
        yield get(f"bulk data at {rest}", f"{path}/bulkdata/{rest}", related(OCTETS))
    yield get("bulk data of a version that never was", f"{path}/bulkdata/7FE00010?v=0", OCTETS)
    for accept in ("image/jpeg", OCTETS, related("image/jls"), "*/*", "", related(OCTETS, "*")):
        for kind in ("bulkdata", "pixeldata"):
            yield get(f"{kind} as {accept}", f"{path}/{kind}", accept)


def _named(value: Any) -> Iterator[str]:
    """The URIs in metadata, in order."""
    if isinstance(value, dict):
        for key, held in value.items():
            if key == "BulkDataURI":
                yield str(held)
            else:
                yield from _named(held)
    elif isinstance(value, list):
        for held in value:
            yield from _named(held)
