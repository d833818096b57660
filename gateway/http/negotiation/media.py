"""Media types with parameters, and lists of them, as header fields have them.

RFC 9110 5.6, 8.3; PS3.18 8.7.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gateway.dicom import uids

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")

MULTIPART = "multipart/related"
DICOM = "application/dicom"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"

# PS3.18 Table 8.7.3-5: the media type of a stored codestream, by transfer syntax.
_FAMILIES: dict[str, tuple[str, ...]] = {
    "image/jpeg": (
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_LOSSLESS,
        uids.JPEG_LOSSLESS_SV1,
    ),
    "image/jls": (uids.JPEG_LS_LOSSLESS, uids.JPEG_LS_NEAR_LOSSLESS),
    "image/jp2": (uids.JPEG_2000_LOSSLESS, uids.JPEG_2000),
    "image/jpx": (uids.JPEG_2000_MC_LOSSLESS, uids.JPEG_2000_MC),
    "image/jphc": (uids.HTJ2K_LOSSLESS, uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K),
    "image/jxl": (uids.JPEG_XL_LOSSLESS, uids.JPEG_XL_JPEG_RECOMPRESSION, uids.JPEG_XL),
    "video/mpeg": (uids.MPEG2MPML, uids.MPEG2MPMLF, uids.MPEG2MPHL, uids.MPEG2MPHLF),
    "video/mp4": (
        uids.MPEG4HP41,
        uids.MPEG4HP41F,
        uids.MPEG4HP41BD,
        uids.MPEG4HP41BDF,
        uids.MPEG4HP422D,
        uids.MPEG4HP422DF,
        uids.MPEG4HP423D,
        uids.MPEG4HP423DF,
        uids.MPEG4HP42STEREO,
        uids.MPEG4HP42STEREOF,
    ),
    "video/H265": (uids.HEVCMP51, uids.HEVCM10P51),
    "image/dicom-rle": (uids.RLE_LOSSLESS,),
}
COMPRESSED: dict[str, str] = {syntax: media for media, family in _FAMILIES.items() for syntax in family}

# The transfer syntax that a compressed type means where none is named (Table 8.7.3-5).
DEFAULTS: dict[str, str] = {
    "image/jpeg": uids.JPEG_LOSSLESS_SV1,
    "image/dicom-rle": uids.RLE_LOSSLESS,
    "image/jls": uids.JPEG_LS_LOSSLESS,
    "image/jp2": uids.JPEG_2000_LOSSLESS,
    "image/jpx": uids.JPEG_2000_MC_LOSSLESS,
    "image/jphc": uids.HTJ2K_LOSSLESS,
    "image/jxl": uids.JPEG_XL_LOSSLESS,
    "video/mpeg": uids.MPEG2MPHL,
    "video/mp4": uids.MPEG4HP41,
    "video/H265": uids.HEVCMP51,
}
# Transfer syntaxes that may hold less than the original pixels. Frames are encoded to one only where it is
# named; stored frames are sent in it even where it is not named.
LOSSY = frozenset(
    {
        uids.JPEG_BASELINE_8_BIT,
        uids.JPEG_EXTENDED_12_BIT,
        uids.JPEG_SPECTRAL_SELECTION_NON_HIERARCHICAL_68,
        uids.JPEG_FULL_PROGRESSION_NON_HIERARCHICAL_1012,
        uids.JPEG_LS_NEAR_LOSSLESS,
        uids.JPEG_2000,
        uids.JPEG_2000_MC,
        uids.JPEG_XL_JPEG_RECOMPRESSION,
        uids.JPEG_XL,
        uids.HTJ2K,
    }
) | {syntax for syntax, media in COMPRESSED.items() if media.startswith("video/")}

# Spellings of earlier editions and of clients, with today's names.
ALIASES: dict[str, str] = {
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/dicom+rle": "image/dicom-rle",
    "image/dicom+jpeg": "image/jpeg",
    "image/dicom+jpeg-jls": "image/jls",
    "image/dicom+jp2": "image/jp2",
    "application/json": JSON,
    "video/h265": "video/H265",
}


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type. `essence` is `type/subtype` in lower case.

    Parameter names are in lower case, values as given.
    """

    essence: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the value of a parameter, None where it is absent."""
        for key, value in self.parameters:
            if key == name:
                return value
        return None

    def repeats(self, name: str) -> bool:
        return sum(key == name for key, _ in self.parameters) > 1


def split_quoted(text: str, separator: str) -> Iterator[str]:
    """Yield the stripped pieces between separators; separators in quoted strings do not count."""
    if '"' not in text:
        for piece in text.split(separator):
            yield piece.strip()
        return
    start, quoted, escaped = 0, False, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


@lru_cache(maxsize=1024)
def parse_media_type(text: str) -> MediaType | None:
    """Return a media type or range, None where it is malformed.

    Values that should have been quoted (`type=application/dicom`) are accepted, and so is a parameter inside
    the quotes of `type` (`type="application/dicom; transfer-syntax=1.2"`, C-ACC-18).
    """
    pieces = list(split_quoted(text, ";"))
    essence = pieces[0].lower()
    kind, slash, subtype = essence.partition("/")
    if not slash or not _TOKEN.match(kind) or not _TOKEN.match(subtype):
        return None
    parameters: list[tuple[str, str]] = []
    for piece in pieces[1:]:
        if not piece:
            continue
        parameter = _parameter(piece)
        if parameter is None:
            return None
        parameters.append(parameter)
    return MediaType(essence, _unnest(parameters))


def _parameter(piece: str) -> tuple[str, str] | None:
    name, equals, value = piece.partition("=")
    name, value = name.strip().lower(), value.strip()
    if not equals or not _TOKEN.match(name):
        return None
    if not value.startswith('"'):
        return None if '"' in value else (name, value)
    if len(value) < 2 or not value.endswith('"'):
        return None
    return name, re.sub(r"\\(.)", r"\1", value[1:-1])


def _unnest(parameters: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    flat: list[tuple[str, str]] = []
    for name, value in parameters:
        if name == "type" and ";" in value:
            value, *nested = (piece.strip() for piece in value.split(";"))
            flat.append((name, value))
            flat.extend(found for piece in nested if (found := _parameter(piece)) is not None)
        else:
            flat.append((name, value))
    return tuple(flat)


def find_compressed_type(transfer_syntax: str) -> str:
    """Return the media type of a codestream in this transfer syntax; octets where the standard has none."""
    return COMPRESSED.get(transfer_syntax, OCTETS)
