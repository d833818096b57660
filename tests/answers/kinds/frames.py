"""Frames: one and several, native and encoded (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from tests.answers.ask import OCTETS, Asks, get, head, related
from tests.answers.held import Held

PREFIX = "1.2.840.10008.1.2"
MEDIA = ("image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jphc", "image/jxl", "image/dicom-rle")
NAMES = (
    "CT_small.dcm",
    "SC_rgb_small_odd.dcm",
    "MR_small_RLE.dcm",
    "JPEG-lossy.dcm",
    "gen-mf-byte-sc.dcm",
    "gen-3x3-fragments-nobot.dcm",
    "MR_small_jp2klossless.dcm",
    "htj2k_lossless_parity.dcm",
    "gen-jxl-lossless-110.dcm",
    "liver.dcm",
)
LISTS = ("1", "1,2", "2,1", "1,1", "3", "1,2,3", "4", "0", "-1", "x", "1,", "1,99", "1-2", "01", "1%2C2", "")


def asks(held: Held) -> Asks:
    """Each media type of some frames, every way to name frames."""
    for name, path in held.some(*NAMES):
        one = f"{path}/frames/1"
        for media in MEDIA:
            yield get(f"frame of {name} as {media}", one, related(media))
        yield get(f"frame of {name} alone as octets", one, OCTETS)
        yield get(f"frame of {name}, native or not", one, related(OCTETS, "*"))
        yield get(f"frame of {name} by default", one)
    for name, path in held.some("gen-mf-byte-sc.dcm", "gen-3x3-fragments-bot.dcm", "gen-h264-102.dcm"):
        for numbers in LISTS:
            yield get(f"frames {numbers} of {name}", f"{path}/frames/{numbers}", related(OCTETS))
            yield get(
                f"frames {numbers} of {name} as stored", f"{path}/frames/{numbers}", related("*/*", "*")
            )
    yield from _named(held.path("CT_small.dcm"))
    for name, path in held.some("emri_small.dcm", "sm_image.dcm", "examples_ybr_color.dcm"):
        yield get(f"frames 2,5 of {name}", f"{path}/frames/2,5", related(OCTETS))
        yield get(f"frames 2,5 of {name} as JPEG LS", f"{path}/frames/2,5", related("image/jls"))
        yield get(f"frame 3 of {name} alone", f"{path}/frames/3", "image/jls")
        yield get(f"frames 3,4 of {name} alone", f"{path}/frames/3,4", "image/jls")


def _named(path: str) -> Asks:
    """By transfer syntax, by range, by condition."""
    one = f"{path}/frames/1"
    for last in (
        ".1",
        "",
        ".2",
        ".5",
        ".4.50",
        ".4.70",
        ".4.80",
        ".4.81",
        ".4.90",
        ".4.91",
        ".4.111",
        ".4.201",
    ):
        yield get(f"frame in {PREFIX}{last}", one, f"*/*; transfer-syntax={PREFIX}{last}")
        yield get(f"frames in {PREFIX}{last}", one, related("*/*", PREFIX + last))
    for media in (
        *MEDIA,
        "image/png",
        "image/x-jls",
        "image/dicom+jp2",
        "video/mp4",
        "image/*",
        "text/plain",
    ):
        yield get(f"frame alone as {media}", one, media)
    yield get("frame by parameter", f"{one}?accept=image/jls", OCTETS)
    answer = yield head("head of a frame", one, OCTETS)
    tag = answer.header("etag")
    yield get("a known frame", one, OCTETS, if_none_match=tag)
    for span in ("bytes=0-99", "bytes=-10", "bytes=99999999-"):
        yield get(f"range {span} of a frame", one, OCTETS, range=span)
    yield get("a range of a known frame", one, OCTETS, range="bytes=0-9", if_range=tag)
    yield get("a frame in gzip", one, OCTETS, accept_encoding="gzip")
