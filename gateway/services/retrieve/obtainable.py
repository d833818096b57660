"""Find the transfer syntaxes that an instance can be sent in, from its attributes alone (PS3.18 8.7.3)."""

from __future__ import annotations

from functools import lru_cache

from gateway.dicom import uids
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import NotAcceptable
from gateway.render.codecs import transcodetargets as targets
from gateway.render.codecs.decode import decodable, native_frame_length
from gateway.services.retrieve.layouts import StoredLayout

NEVER_SENT = frozenset({uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN})
UNCOMPRESSED = NEVER_SENT | {uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN}
# The longest value that the length field of an element can give (PS3.5 7.1.2); the next number
# means "undefined".
MOST_NATIVE = 0xFFFFFFFE
_NATIVE_TARGETS = frozenset({uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN})


def is_convertible(transfer_syntax: str) -> bool:
    """Return whether an instance in this transfer syntax can be sent in Explicit VR Little Endian."""
    return transfer_syntax in UNCOMPRESSED or decodable(transfer_syntax)


def is_too_long(located: StoredLayout) -> bool:
    """Return whether the decoded pixel data is too long for Explicit VR Little Endian (PS3.18 8.7.3.4)."""
    pixels = located.layout.pixels
    return pixels is not None and pixels.encapsulated and bool(_find_excess(pixels))


@lru_cache(maxsize=100)
def list_possible_targets(transfer_syntax: str) -> tuple[str, ...]:
    """Return the other transfer syntaxes that an instance stored so might be sent in, best first.

    Only `find_obstacle` says whether a given instance can be.
    """
    if not is_convertible(transfer_syntax):
        return ()
    return tuple(
        t for t in (uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *targets.TARGETS) if t != transfer_syntax
    )


def find_targets(located: StoredLayout) -> tuple[str, ...]:
    """Return the transfer syntaxes that the frames can be encoded to; nothing is decoded to find out."""
    pixels = located.layout.pixels
    if pixels is None or pixels.frames < pixels.declared_frames:
        return ()
    return targets.reachable(pixels, frame_syntax(located, pixels))


def find_obstacle(located: StoredLayout, target: str) -> str:
    """Return why an instance cannot be sent in a transfer syntax; empty where there is no known reason."""
    layout, pixels = located.layout, located.layout.pixels
    if target in NEVER_SENT:
        return "it is never sent over the web (PS3.18 8.7.3)"
    if target == layout.transfer_syntax:
        return ""
    if pixels is None:
        return "" if target in _NATIVE_TARGETS else "the instance has no pixel data to be encoded"
    if target in _NATIVE_TARGETS:
        if not pixels.encapsulated:
            return ""
        return targets.unreachable(
            pixels, layout.transfer_syntax, uids.EXPLICIT_VR_LITTLE_ENDIAN
        ) or _find_excess(pixels)
    if pixels.frames < pixels.declared_frames:
        return f"{pixels.declared_frames} frames are declared and there are {pixels.frames}"
    return targets.unreachable(pixels, frame_syntax(located, pixels), target)


def check_obtainable(located: StoredLayout, target: str) -> None:
    """Raise NotAcceptable where `find_obstacle` finds one, naming it and the available transfer syntaxes."""
    if reason := find_obstacle(located, target):
        have = [located.layout.transfer_syntax, uids.EXPLICIT_VR_LITTLE_ENDIAN, *find_targets(located)]
        available = [f"transfer-syntax={t}" for t in dict.fromkeys(have) if not find_obstacle(located, t)]
        raise NotAcceptable(
            f"transfer syntax {target}: {reason}; ask for transfer-syntax=*",
            available=available,
            uid=located.stored.identity.instance,
        )


def frame_syntax(located: StoredLayout, pixels: PixelLayout) -> str:
    """Return the transfer syntax of the frames: Explicit VR Little Endian for all native ones."""
    return located.layout.transfer_syntax if pixels.encapsulated else uids.EXPLICIT_VR_LITTLE_ENDIAN


def _find_excess(pixels: PixelLayout) -> str:
    size = native_frame_length(pixels) * pixels.frames
    if size <= MOST_NATIVE:
        return ""
    return f"decoded, {size} bytes of pixel data are more than a length can say"
