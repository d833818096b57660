"""Choose the character set of answers. Pure, tested as a table.

PS3.18 8.3.3.2, 8.7.3.5.3, 8.8, Annex D. The order is that of 8.8.5: the `charset` parameter of the chosen
media type, then `charset=`, then `Accept-Charset`, then UTF-8. DICOM JSON is always UTF-8 (PS3.18 F.2); XML,
HTML and plain text are written in any set below that holds all their characters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from gateway.errors import NotAcceptable
from gateway.http.negotiation.media import split_quoted

UTF8: Final = "UTF-8"

# Annex D: IANA's preferred MIME name → DICOM's defined terms, and Python's codec ("" where it has none).
ANNEX_D: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "US-ASCII": (("ISO_IR 6", "ISO 2022 IR 6"), "ascii"),
    "ISO-8859-1": (("ISO_IR 100", "ISO 2022 IR 100"), "iso8859_1"),
    "ISO-8859-2": (("ISO_IR 101", "ISO 2022 IR 101"), "iso8859_2"),
    "ISO-8859-3": (("ISO_IR 109", "ISO 2022 IR 109"), "iso8859_3"),
    "ISO-8859-4": (("ISO_IR 110", "ISO 2022 IR 110"), "iso8859_4"),
    "ISO-8859-5": (("ISO_IR 144", "ISO 2022 IR 144"), "iso8859_5"),
    "ISO-8859-6": (("ISO_IR 127", "ISO 2022 IR 127"), "iso8859_6"),
    "ISO-8859-7": (("ISO_IR 126", "ISO 2022 IR 126"), "iso8859_7"),
    "ISO-8859-8": (("ISO_IR 138", "ISO 2022 IR 138"), "iso8859_8"),
    "ISO-8859-9": (("ISO_IR 148", "ISO 2022 IR 148"), "iso8859_9"),
    "ISO-8859-15": (("ISO_IR 203", "ISO 2022 IR 203"), "iso8859_15"),
    "TIS-620": (("ISO_IR 166", "ISO 2022 IR 166"), "tis_620"),
    "ISO-2022-JP": (("ISO 2022 IR 13\\ISO 2022 IR 87",), "iso2022_jp"),
    "ISO-2022-KR": (("ISO 2022 IR 6\\ISO 2022 IR 149",), "iso2022_kr"),
    "ISO-2022-CN": (("ISO 2022 IR 6\\ISO 2022 IR 58",), ""),
    "GB18030": (("GB18030",), "gb18030"),
    "GBK": (("GBK",), "gbk"),
    UTF8: (("ISO_IR 192",), "utf-8"),
}
_ALIASES: Final = {"utf8": UTF8, "latin1": "ISO-8859-1", "ascii": "US-ASCII"}
_NAMES: Final = {
    spelling.lower(): name for name, (terms, _) in ANNEX_D.items() for spelling in (name, *terms)
} | _ALIASES

# The sets that text other than DICOM JSON can be written in.
WRITABLE: Final = tuple(name for name, (_, codec) in ANNEX_D.items() if codec)


def find_charset(name: str) -> str | None:
    """Return the preferred name of an identifier or defined term, in any case; None where unknown (8.8)."""
    return _NAMES.get(name.strip().strip('"').strip().lower())


def choose_charset(
    named: str | None, parameter: str | None, header: str | None, offered: Collection[str] = (UTF8,)
) -> str:
    """Return the set to write in; UTF-8 among equals. Raises NotAcceptable listing the sets offered.

    `named` is the `charset` of the chosen media type. Unknown names are ignored (8.8.1), and so is a list
    with no known name. A list of known names without `*` excludes all others (8.8.4).
    """
    refused = False
    for listed in (named, parameter, header):
        qualities = dict(_iterate_preferences(listed)) if listed is not None else {}
        if not qualities:
            continue
        ranked = [(-q, name != UTF8, name) for name in offered if (q := _quality_of(name, qualities)) > 0]
        if ranked:
            return min(ranked)[2]
        refused = True
    if refused:
        raise not_writable("text", offered)
    return UTF8


def not_writable(what: str, offered: Collection[str]) -> NotAcceptable:
    """Return the error that lists the sets offered (8.8.5)."""
    names = [f"charset={name}" for name in offered]
    return NotAcceptable(f"{what} cannot be sent in a character set that is accepted", available=names)


def recode(text: bytes, charset: str) -> bytes:
    """Return UTF-8 text in another set. Raises NotAcceptable where it lacks a character (8.8.5)."""
    if charset == UTF8:
        return text
    try:
        return text.decode("utf-8").encode(ANNEX_D[charset][1])
    except UnicodeEncodeError as error:
        raise NotAcceptable(
            f"{charset} cannot hold all characters of the text", available=[f"charset={UTF8}"]
        ) from error


def recode_xml(document: bytes, charset: str) -> bytes:
    """Return a UTF-8 XML document in another set, with its name in the declaration. Raises NotAcceptable."""
    if charset == UTF8:
        return document
    return recode(document.replace(b'encoding="UTF-8"', f'encoding="{charset}"'.encode(), 1), charset)


def _iterate_preferences(text: str) -> Iterator[tuple[str, float]]:
    for piece in split_quoted(text, ","):
        name, *parameters = split_quoted(piece, ";")
        found = "*" if name == "*" else find_charset(name)
        if found is not None:
            yield found, _weight(parameters)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _quality_of(name: str, qualities: dict[str, float]) -> float:
    return qualities.get(name, qualities.get("*", 0.0))
