"""Instances: as stored, in each transfer syntax, ranges, conditions, zip (PS3.18 10.4)."""

from __future__ import annotations

from dataclasses import replace

from tests.answers.ask import DICOM, Asks, get, head, related
from tests.answers.held import Held, series, study

PREFIX = "1.2.840.10008.1.2"
SYNTAXES = (
    *("", ".1", ".2", ".1.99", ".5", ".8.1"),
    *(
        f".4.{last}"
        for last in ("50", "51", "57", "70", "80", "81", "90", "91", "110", "111", "201", "202", "203")
    ),
    ".4.102",
)
# An instance that lost something is another one (PS3.5 A.4).
LOSSY = frozenset({".4.50", ".4.51", ".4.81", ".4.91", ".4.111", ".4.203"})
NAMES = ("CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd.dcm", "gen-mf-byte-sc.dcm", "reportsi.dcm")
FEW = ("JPEG-lossy.dcm", "liver.dcm", "gen-3x3-fragments-bot.dcm", "gen-eot-3-frames.dcm", "image_dfl.dcm")


def asks(held: Held) -> Asks:
    """Every way to have a file."""
    for name, path in held.some(*NAMES):
        for last in SYNTAXES:
            syntax = PREFIX + last
            ask = get(f"{name} in {syntax}", path, f"{DICOM}; transfer-syntax={syntax}")
            yield replace(ask, derived=last in LOSSY)
    for name, path in held.some(*FEW):
        for last in ("", ".1", ".4.80", ".4.201"):
            yield get(f"{name} in {PREFIX}{last}", path, related(DICOM, PREFIX + last))
        yield get(f"{name} as by default", path)
        yield get(f"{name} as one file", path, DICOM)
    for name, path in held.some("s1i1.dcm", "gen-dup-a.dcm", "CT_small.dcm", "6154.dcm"):
        yield from _levels(name, path)
    yield from _parts_of(held.path("CT_small.dcm"))


def _levels(name: str, path: str) -> Asks:
    for level, place in (("study", study(path)), ("series", series(path)), ("instance", path)):
        yield get(f"{level} of {name}, as stored", place, related(DICOM, "*"))
        yield get(f"{level} of {name}, native", place, related(DICOM))
        yield get(f"{level} of {name}, encoded", place, related(DICOM, f"{PREFIX}.4.80"))
        yield get(f"{level} of {name}, one file", place, DICOM)
        yield get(f"{level} of {name}, zip", place, "application/zip")
        yield head(f"head of {level} of {name}, zip", place, "application/zip")
        yield head(f"head of {level} of {name}", place, related(DICOM, "*"))
        yield get(f"{level} of {name}, anything", place, "*/*")
        answer = yield get(f"{level} of {name}, no Accept", place)
        tag = answer.header("etag")
        yield get(f"{level} of {name}, known", place, "*/*", if_none_match=tag)


def _parts_of(path: str) -> Asks:
    """Ranges of a file, and their conditions (RFC 9110 14)."""
    accept = f"{DICOM}; transfer-syntax=*"
    answer = yield head("head of a file", path, accept)
    tag = answer.header("etag")
    ranges = (
        "bytes=0-99",
        "bytes=100-",
        "bytes=-50",
        "bytes=0-0",
        "bytes=5-4",
        "bytes=999999999-",
        "bytes=0-9,20-29",
    )
    for span in (*ranges, "bytes=-0", "bytes=x-y", "lines=0-5", "bytes=0-999999999"):
        yield get(f"range {span} of a file", path, accept, range=span)
        yield get(f"range {span} of many", study(path), related(DICOM, "*"), range=span)
    yield get("a range of what was", path, accept, range="bytes=0-9", if_range='"0123"')
    yield get("a range of what is", path, accept, range="bytes=0-9", if_range=tag)
    yield get("a range of what is known", path, accept, range="bytes=0-9", if_none_match=tag)
    yield get("a file since a date", path, accept, if_modified_since="Tue, 01 Jan 2030 00:00:00 GMT")
    yield get("a coded file", path, accept, accept_encoding="gzip")
    yield get("a file by parameter", f"{path}?accept=application/dicom", "image/png")
