"""Find colour profiles, make them, and convert pictures to them (PS3.18 8.3.5.1.5, PS3.3 C.11.15, ICC.1).

Profiles of the named spaces are made here from their primaries and curves, always with the same bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from gateway.dicom import tags
from gateway.render.attributes import Attributes
from gateway.render.rendering import Array, IccTarget, Image, Rendering
from gateway.render.stages.color import in_colour

_FAILURES = (ImageCms.PyCMSError, OSError, ValueError, TypeError)

_D65, _D50 = (0.3127, 0.3290), (0.3457, 0.3585)
_WHITE = (0.9642, 1.0, 0.8249)  # of the profile connection space
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Parametric curves of type 3: gamma, a, b, c, d (ICC.1 10.18).
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_ADOBE_CURVE = (563 / 256,)
_ROMM_CURVE = (1.8, 1.0, 0.0, 1 / 16, 16 / 512)
# Name, chromaticities of red, green and blue, of white, and curve.
_SPACES = {
    IccTarget.SRGB: ("sRGB", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), _D65, _SRGB_CURVE),
    IccTarget.ADOBERGB: (
        "Adobe RGB compatible",
        ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
        _D65,
        _ADOBE_CURVE,
    ),
    IccTarget.ROMMRGB: (
        "ROMM RGB",
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
        _D50,
        _ROMM_CURVE,
    ),
    IccTarget.DISPLAYP3: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _D65, _SRGB_CURVE),
}


def finish(picture: Array, attributes: Attributes, frame: int, how: Rendering, found: bytes | None) -> Image:
    """Return the picture with its profile, converted where another space is requested.

    `found` is the profile in the codestream, if any. Grey becomes colour where a profile is requested, since
    these are all RGB profiles. Without a request, only the profile of a presentation state is embedded
    (PS3.18 8.3.5.1.6).
    """
    of_state = how.presentation.icc if how.presentation is not None else None
    if how.icc is None and of_state is not None and usable(of_state):
        return Image(in_colour(picture), of_state)
    if how.icc is None or how.icc == IccTarget.NO:
        return Image(np.ascontiguousarray(picture))
    own = next((p for p in (of_state, object_profile(attributes, frame), found) if p and usable(p)), None)
    colour = in_colour(picture)
    if picture.ndim == 2:
        own = of_state
    if how.icc == IccTarget.YES:
        return Image(colour, own or make_profile(IccTarget.SRGB))
    target = IccTarget(how.icc)
    return Image(_convert(colour, own or make_profile(IccTarget.SRGB), target), make_profile(target))


def object_profile(attributes: Attributes, frame: int) -> bytes | None:
    """Return ICC Profile (0028,2000) of the image or the frame's optical path; None where it is absent."""
    profile = attributes.raw(tags.ICC_PROFILE)
    if profile:
        return profile
    paths = attributes.items(tags.OPTICAL_PATH_SEQUENCE)
    group = attributes.functional(frame, tags.OPTICAL_PATH_IDENTIFICATION_SEQUENCE)
    wanted = group.text(tags.OPTICAL_PATH_IDENTIFIER) if group is not None else ""
    chosen = [path for path in paths if path.text(tags.OPTICAL_PATH_IDENTIFIER) == wanted] or paths
    return chosen[0].raw(tags.ICC_PROFILE) if chosen else None


def usable(profile: bytes) -> bool:
    """Return whether this is an RGB profile that can be read."""
    return profile[36:40] == b"acsp" and profile[16:20] == b"RGB " and _readable(profile)


@lru_cache(maxsize=16)
def _readable(profile: bytes) -> bool:
    try:
        ImageCms.ImageCmsProfile(BytesIO(profile))
    except _FAILURES:
        return False
    return True


def _convert(colour: Array, source: bytes, target: IccTarget) -> Array:
    if source == make_profile(target):
        return colour
    transform = _transform(source, target)
    if transform is None:
        return colour
    done = transform.apply(Pillow.fromarray(np.ascontiguousarray(colour)))
    return np.asarray(done).copy()


@lru_cache(maxsize=16)
def _transform(source: bytes, target: IccTarget) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to the target; None where the source's tags do not allow one.

    `usable` reads the header of the source, not its tags.
    """
    ends = ImageCms.ImageCmsProfile(BytesIO(source)), ImageCms.ImageCmsProfile(BytesIO(make_profile(target)))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    try:
        return ImageCms.ImageCmsTransform(*ends, "RGB", "RGB", intent)
    except _FAILURES:
        return None


def in_codestream(stream: bytes) -> bytes | None:
    """Return the profile in a JPEG (APP2) or in the colour box of a JP2; None where there is none."""
    return _read_jpeg_profile(stream) if stream[:2] == b"\xff\xd8" else _read_jp2_profile(stream)


def _read_jpeg_profile(stream: bytes) -> bytes | None:
    parts: dict[int, bytes] = {}
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = stream[at + 4 : at + 2 + length]
        if stream[at + 1] == 0xE2 and segment.startswith(b"ICC_PROFILE\0") and len(segment) > 14:
            parts[segment[12]] = segment[14:]
        at += 2 + max(length, 2)
    return b"".join(parts[n] for n in sorted(parts)) or None


def _read_jp2_profile(stream: bytes) -> bytes | None:
    at = stream.find(b"colr\2", 0, 4096)
    if not stream.startswith(b"\0\0\0\x0cjP  ") or at < 4:
        return None
    length = int.from_bytes(stream[at - 4 : at], "big")
    return stream[at + 7 : at - 4 + length] or None


@lru_cache(maxsize=8)
def make_profile(target: IccTarget) -> bytes:
    """Return the profile of a named space (matrix and curve, ICC version 4)."""
    name, primaries, white, curve = _SPACES[target]
    matrix, adapted = _matrix(primaries, white)
    parametric = b"para\0\0\0\0" + struct.pack(">HH", 3 if len(curve) > 1 else 0, 0) + _pack_fixed(*curve)
    profile_tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + _pack_fixed(*_WHITE),
        b"chad": b"sf32\0\0\0\0" + _pack_fixed(*adapted.flat),
        **{
            tag: b"XYZ \0\0\0\0" + _pack_fixed(*matrix[:, n])
            for n, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), parametric),
    }
    return _assemble(profile_tags)


def _matrix(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> tuple[Array, Array]:
    """Return the XYZ of red, green and blue under D50 as columns, and the adaptation from their own white."""
    columns = np.array([_xyz(one) for one in primaries]).T
    own = np.array(_xyz(white))
    matrix = columns * np.linalg.solve(columns, own)
    scale = (_BRADFORD @ np.array(_WHITE)) / (_BRADFORD @ own)
    adapted: Array = np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD
    return adapted @ matrix, adapted


def _xyz(chromaticity: tuple[float, float]) -> tuple[float, float, float]:
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y


def _pack_fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data


def _assemble(profile_tags: dict[bytes, bytes]) -> bytes:
    """Return the profile: header, tag table, data (ICC.1 7.2, 7.3); equal data are stored once."""
    at = 128 + 4 + 12 * len(profile_tags)
    places: dict[bytes, int] = {}
    body, table = b"", struct.pack(">I", len(profile_tags))
    for tag, data in profile_tags.items():
        if data not in places:
            places[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, places[data], len(data))
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _pack_fixed(*_WHITE)
    return header.ljust(128, b"\0") + table + body
