"""Write one value field as the members of its DICOM JSON attribute object (PS3.18 F.2.3 to F.2.7)."""

from __future__ import annotations

import re
from array import array
from binascii import b2a_base64
from math import isfinite
from struct import Struct, unpack

import orjson

from gateway.dicom.encoding.charsets import Charset

# A JSON number that every parser accepts: digits and exponent are bounded.
_NUMBER = r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?0{0,4}[0-9]{1,2})?"
NUMBERS = re.compile(rf"{_NUMBER}(?:\\{_NUMBER})*")
_ONE_NUMBER = re.compile(_NUMBER)

# VR -> format character of struct and size of one value.
BINARY_NUMBERS = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("I", 4),
    "SL": ("i", 4),
    "FL": ("f", 4),
    "FD": ("d", 8),
    "SV": ("q", 8),
    "UV": ("Q", 8),
    "AT": ("HH", 4),
}
_EXACT = 1 << 53
_SINGLE = Struct("<f")
# VR -> array type code of the words that are swapped.
_WORDS = {"OW": "H", "OL": "I", "OF": "I", "OD": "Q", "OV": "Q"}


def quote_json(text: str) -> str:
    """Return the text as a JSON string."""
    return orjson.dumps(text).decode()


def list_json(values: list[str]) -> str:
    """Return strings as members of a JSON list; an empty one is null (PS3.18 F.2.5).

    The result is empty where the only string is empty.
    """
    if len(values) == 1 and not values[0]:
        return ""
    return ",".join([quote_json(value) if value else "null" for value in values])


def strings(vr: str, raw: bytes, charset: Charset) -> tuple[str, bool]:
    """Return the values of a VR that holds strings (not PN, DS, IS), and whether every byte was valid."""
    if vr in ("LT", "ST", "UT", "UR"):
        text, good = charset.text(raw) if vr != "UR" else (raw.decode("latin-1"), raw.isascii())
        return list_json([text.rstrip(" \0")]), good
    if vr in ("LO", "SH", "UC"):
        values, good = charset.values(raw)
    else:
        values, good = raw.decode("latin-1").split("\\"), raw.isascii()
    strip = str.strip if vr == "AE" else str.rstrip
    return list_json([strip(value, " \0") for value in values]), good


def decimals(raw: bytes, as_strings: bool) -> tuple[str, bool]:
    """Return the values of DS or IS, and whether every byte was valid.

    A value is a number with its source digits where JSON's grammar allows it, else a string.
    """
    text = raw.decode("latin-1").strip(" \0")
    if not as_strings and NUMBERS.fullmatch(text):
        return text.replace("\\", ","), True
    values = [value.strip(" \0") for value in text.split("\\")]
    if as_strings:
        return list_json(values), raw.isascii()
    if len(values) == 1 and not text:
        return "", True
    members = [
        "null" if not value else value if _ONE_NUMBER.fullmatch(value) else quote_json(value)
        for value in values
    ]
    return ",".join(members), raw.isascii()


def names(raw: bytes, charset: Charset) -> tuple[str, bool]:
    """Return the values of a PN as objects of their non-empty component groups (PS3.18 F.2.2).

    The second result is whether every byte was valid.
    """
    values, good = charset.names(raw)
    people = [_person(value) for value in values]
    if people == ["null"]:
        return "", good
    return ",".join(people), good


def _person(value: str) -> str:
    if "=" not in value:
        text = value.rstrip(" \0")
        return f'{{"Alphabetic":{quote_json(text)}}}' if text else "null"
    groups = [group.rstrip(" \0") for group in value.split("=", 2)]
    found = [
        f'"{name}":{quote_json(group)}'
        for name, group in zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)
        if group
    ]
    return "{" + ",".join(found) + "}" if found else "null"


def numbers(vr: str, raw: bytes, big_endian: bool) -> str | None:
    """Return the values of a binary number or AT.

    None where the length does not fit or a value is not finite.
    """
    code, size = BINARY_NUMBERS[vr]
    count, rest = divmod(len(raw), size)
    if rest:
        return None
    values = unpack(f"{'>' if big_endian else '<'}{count * len(code)}{code[0]}", raw)
    if vr == "AT":
        return ",".join([f'"{values[i]:04X}{values[i + 1]:04X}"' for i in range(0, len(values), 2)])
    if code == "f" or code == "d":
        if not all(map(isfinite, values)):
            return None
        return ",".join(map(repr, values) if code == "d" else map(shortest_single, values))
    if size == 8:
        return ",".join([str(value) if -_EXACT <= value <= _EXACT else f'"{value}"' for value in values])
    return ",".join(map(str, values))


def shortest_single(value: float) -> str:
    """Return the fewest digits that read back as the same 32-bit float."""
    for digits in (6, 7, 8):
        near = float(f"{value:.{digits}g}")
        try:
            if _SINGLE.unpack(_SINGLE.pack(near))[0] == value:
                return repr(near)
        except OverflowError:  # rounding exceeded the largest 32-bit float
            continue
    return repr(float(f"{value:.9g}"))


def base64_of(vr: str, raw: bytes, big_endian: bool) -> str:
    """Return InlineBinary: the value field in little endian order (PS3.18 F.2.7)."""
    if big_endian and vr in _WORDS:
        words = array(_WORDS[vr], raw[: len(raw) // array(_WORDS[vr]).itemsize * array(_WORDS[vr]).itemsize])
        words.byteswap()
        raw = words.tobytes() + raw[len(words) * words.itemsize :]
    return b2a_base64(raw, newline=False).decode("ascii")


def split_plain(text: str) -> str:
    """Return the values of printable ASCII text without quotes, as JSON list members."""
    return ",".join([f'"{value}"' if (value := part.rstrip(" \0")) else "null" for part in text.split("\\")])
