"""Fonts for burned-in text: each character is drawn in a font that covers it.

The fonts cover all scripts of PS3.3 C.12.1.1.2. They come in wheels and are found without importing them; without the
`fonts` extra there is only the one for Latin, Greek and Cyrillic.
Text is laid out without system libraries: Arabic letters are joined and text of both directions is reordered
before drawing, so that every machine makes the same picture.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import ImageFont

from gateway.extras import Extra, is_installed

_FONTS = (
    ("fontpkg_noto_sans", "files/NotoSans[wdth,wght].ttf"),
    ("fontpkg_heebo", "files/Heebo[wght].ttf"),
    ("fontpkg_noto_sans_arabic", "files/NotoSansArabic[wdth,wght].ttf"),
    ("fontpkg_noto_sans_thai", "files/NotoSansThai[wdth,wght].ttf"),
    ("cvttf_NotoSansCJK_Regular", "NotoSansCJKtc-Regular.otf"),
)
Run = tuple[str, int]
# All threads share one object of a FreeType face: hold this lock while drawing or measuring.
DRAWING = Lock()
# Scripts whose letters change order or form, which is not supported here: Indic, Burmese, Khmer.
_SHAPED = (range(0x0900, 0x0E00), range(0x1000, 0x10A0), range(0x1780, 0x1800), range(0xA8E0, 0xA900))


def font_file(number: int) -> Path:
    """Return the path of the font with this number.

    Raises FileNotFoundError where its package is not installed.
    """
    package, name = _FONTS[number]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the font package {package} is not installed")
    return Path(spec.submodule_search_locations[0]) / name


@lru_cache(maxsize=64)
def font(number: int, size: int) -> ImageFont.FreeTypeFont:
    """Return the font with this number in `size` pixels; hold `DRAWING` while it is used."""
    return ImageFont.truetype(str(font_file(number)), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=len(_FONTS))
def list_covered(number: int) -> frozenset[int]:
    """Return the code points of the font's glyphs, without scripts that cannot be laid out here."""
    found = code_points(font_file(number).read_bytes())
    return frozenset(code for code in found if not any(code in block for block in _SHAPED))


def code_points(data: bytes) -> frozenset[int]:
    """Return the code points of an OpenType font's character map, format 12 or 4 (ISO 14496-22 5.2.1)."""
    cmap = _table(data, b"cmap")
    count = int.from_bytes(cmap[2:4], "big")
    starts = {int.from_bytes(cmap[8 + 8 * n : 12 + 8 * n], "big") for n in range(count)}
    found: set[int] = set()
    for start in starts:
        kind = int.from_bytes(cmap[start : start + 2], "big")
        if kind == 12:
            found |= _format_12(cmap[start:])
        elif kind == 4:
            found |= _format_4(cmap[start:])
    return frozenset(found)


def _table(data: bytes, name: bytes) -> bytes:
    count = int.from_bytes(data[4:6], "big")
    for n in range(count):
        entry = data[12 + 16 * n : 28 + 16 * n]
        if entry[:4] == name:
            at, length = int.from_bytes(entry[8:12], "big"), int.from_bytes(entry[12:16], "big")
            return data[at : at + length]
    raise ValueError(f"the font has no table {name!r}")


def _format_12(table: bytes) -> set[int]:
    count = int.from_bytes(table[12:16], "big")
    groups = np.frombuffer(table, ">u4", count=3 * count, offset=16).reshape(-1, 3)
    return {code for first, last, glyph in groups.tolist() for code in range(first + (not glyph), last + 1)}


def _format_4(table: bytes) -> set[int]:
    words = np.frombuffer(table[: len(table) // 2 * 2], ">u2").tolist()
    segments = words[3] // 2
    ends, starts = 7, 8 + segments
    deltas, offsets = starts + segments, starts + 2 * segments
    found = set()
    for n in range(segments):
        for code in range(words[starts + n], words[ends + n] + 1):
            offset = words[offsets + n]
            glyph = code
            if offset:
                glyph = words[offsets + n + offset // 2 + code - words[starts + n]]
            if glyph and (glyph + words[deltas + n]) & 0xFFFF and code != 0xFFFF:
                found.add(code)
    return found


def runs(text: str) -> list[Run]:
    """Return the text in visual order, split where another font is needed: pairs of text and font number.

    A character that no font has is written as its code point: a name is never shown with a box for a letter.
    """
    seen = _in_visual_order(_drawable(text))
    out: list[Run] = []
    for character in seen:
        last = out[-1][1] if out else 0
        number = last if ord(character) in list_covered(last) else _font_of(character)
        if out and out[-1][1] == number:
            out[-1] = (out[-1][0] + character, number)
        else:
            out.append((character, number))
    return out


def _in_visual_order(text: str) -> str:
    """Join Arabic letters and put both directions in order; without the extra there are none to be put."""
    if not is_installed(Extra.FONTS):
        return text
    import arabic_reshaper
    from bidi import get_display

    shown: str = get_display(arabic_reshaper.reshape(text))
    return shown


def _drawable(text: str) -> str:
    """Return the text in NFC without control characters.

    A character that no font has becomes its code point, as `[1234]`.
    """
    plain = unicodedata.normalize("NFC", text)
    return "".join(
        c if drawable(c) else f"[{ord(c):04X}]"
        for c in plain
        if unicodedata.category(c) not in {"Cc", "Cf", "Cs"}
    )


def drawable(character: str) -> bool:
    """Return whether some font has the character."""
    return any(ord(character) in list_covered(number) for number in _numbers())


def _font_of(character: str) -> int:
    return next((number for number in _numbers() if ord(character) in list_covered(number)), 0)


def _numbers() -> range:
    """Return the numbers of the fonts that are installed: all, or only the first."""
    return range(len(_FONTS) if is_installed(Extra.FONTS) else 1)
