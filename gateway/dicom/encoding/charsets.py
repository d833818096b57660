"""Decode Specific Character Set (PS3.3 C.12.1.1.2) with ISO 2022 code extensions (PS3.5 6.1.2) to Unicode."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# Registration number in a defined term -> codec of text that has this set as G1 (or as the whole set).
_REGISTERED = {
    "6": "latin-1",
    "13": "shift_jis",
    "58": "gb2312",
    "87": "latin-1",
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "126": "iso8859-7",
    "127": "iso8859-6",
    "138": "iso8859-8",
    "144": "iso8859-5",
    "148": "iso8859-9",
    "149": "euc_kr",
    "159": "latin-1",
    "166": "iso8859-11",
    "192": "utf-8",
    "203": "iso8859-15",
}
_NAMED = {"": "latin-1", "GB18030": "gb18030", "GBK": "gbk", "ISO 2022 GBK": "gbk", "ISO 2022 58": "gb2312"}
# Not defined terms, but their meaning is clear.
_GUESSED = {
    "LATIN-1": "latin-1",
    "LATIN1": "latin-1",
    "ISO-8859-1": "latin-1",
    "ISO8859-1": "latin-1",
    "ASCII": "latin-1",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB2312": "gb2312",
    "SHIFT_JIS": "shift_jis",
    "EUC-KR": "euc_kr",
    "WINDOWS-1252": "cp1252",
}
# First terms that leave G1 empty: a byte above 7FH has no meaning until an escape gives it one.
_WITHOUT_G1 = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159"})
_TERM = re.compile(r"ISO(_IR| 2022 IR) (\d+)")
_LIKE_TERM = re.compile(r"ISO[-_ ]?(?:2022[-_ ]?)?IR[-_ ]?(\d+)")

_G1 = {
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
    b"\x1b-A": "latin-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b-T": "iso8859-11",
    b"\x1b-b": "iso8859-15",
}
_SINGLE_G0 = frozenset({b"\x1b(B", b"\x1b(J"})
_DOUBLE_G0 = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$(D": "iso2022_jp_2"}
_ESCAPE = re.compile(rb"(\x1b[\x20-\x2f]*[\x30-\x7e]|\x1b)")
_RUNS = re.compile(rb"[\n\f\r\t]|[^\n\f\r\t\x80-\xff]+|[\x80-\xff]+")
_CONTROLS = re.compile(rb"([\n\f\r\t])")
_VALUE_STOPS = re.compile(rb"([\\\n\f\r\t])")
_NAME_STOPS = re.compile(rb"([\\^=\n\f\r\t])")
JIS_ROMAN = str.maketrans({"\\": "¥", "~": "‾"})


@dataclass(frozen=True, slots=True)
class Charset:
    """The encoding of a data set's text; `problem` says what is wrong with its declaration.

    `declared` means that the first term defines bytes above 7FH. `plain` means that every ASCII byte is the
    ASCII character, which is not so in JIS X 0201.
    """

    codec: str = "latin-1"
    declared: bool = False
    plain: bool = True
    problem: str = ""

    def text(self, raw: bytes) -> tuple[str, bool]:
        """Return one value that may hold backslashes (ST, LT, UT), and whether every byte was valid."""
        if b"\x1b" in raw:
            return self._decode_escapes(raw, _CONTROLS)
        decoded, good = self._plainly(raw)
        return (decoded if self.plain else decoded.translate(JIS_ROMAN)), good

    def values(self, raw: bytes) -> tuple[list[str], bool]:
        """Return the values, split at 5CH, and whether every byte was valid.

        They are split as characters of the source encoding: a 5CH that is the second byte of a GBK character
        does not split (PS3.5 6.1.2.3).
        """
        return self._split(raw, _VALUE_STOPS)

    def names(self, raw: bytes) -> tuple[list[str], bool]:
        """Return the values of a PN, and whether every byte was valid.

        In a PN, `^` and `=` reset code extensions too (PS3.5 6.1.2.5.3).
        """
        return self._split(raw, _NAME_STOPS)

    def _split(self, raw: bytes, stops: re.Pattern[bytes]) -> tuple[list[str], bool]:
        decoded, good = self._decode_escapes(raw, stops) if b"\x1b" in raw else self._plainly(raw)
        return decoded.split("\\"), good

    def _plainly(self, raw: bytes) -> tuple[str, bool]:
        decoded, good = _decode(raw, self.codec)
        return decoded, good and (self.declared or raw.isascii())

    def _decode_escapes(self, raw: bytes, stops: re.Pattern[bytes]) -> tuple[str, bool]:
        """Return text with escape sequences decoded; each of `stops` resets to the first character set."""
        out: list[str] = []
        good = True
        g1 = self.codec
        double = b""
        for piece in _ESCAPE.split(raw):
            if piece in _SINGLE_G0:
                double = b""
            elif piece in _DOUBLE_G0:
                double = piece
            elif piece in _G1:
                g1 = _G1[piece]
            elif piece.startswith(b"\x1b"):
                good = False
            elif double:
                good &= _two_byte(piece, double, g1, out)
                if _CONTROLS.search(piece):
                    double = b""
            elif piece:
                # If the first set leaves G1 empty, the set that was announced last is more likely.
                after = self.codec if self.declared else g1
                good &= _one_byte(piece, g1, after, stops, out)
                if stops.search(piece):
                    g1 = after
        return "".join(out), good


DEFAULT = Charset()


def decoder(declared: bytes) -> tuple[Callable[[bytes], str], bool]:
    """Return a decoder of texts under this value of (0008,0005), and whether its terms are all defined."""
    chosen = charset(declared)
    return (lambda raw: chosen.text(raw)[0]), not chosen.problem


@lru_cache(maxsize=256)
def charset(raw: bytes) -> Charset:
    """Return the character set that the encoded value of (0008,0005) declares."""
    terms = [term.strip(" \0").upper() for term in raw.decode("latin-1").split("\\")]
    codec, problem = _codec(terms[0])
    if not problem:
        problem = next(filter(None, (_codec(term)[1] for term in terms[1:])), "")
    return Charset(codec, terms[0] not in _WITHOUT_G1, codec != "shift_jis", problem)


def _codec(term: str) -> tuple[str, str]:
    known = _NAMED.get(term)
    if known is None and (match := _TERM.fullmatch(term)):
        known = _REGISTERED.get(match[2])
    if known is not None:
        return known, ""
    guess = _GUESSED.get(term)
    if guess is None and (match := _LIKE_TERM.fullmatch(term)):
        guess = _REGISTERED.get(match[1])
    if guess is not None:
        return guess, f"undefined term in Specific Character Set, read as {guess}"
    return "latin-1", "unknown term in Specific Character Set, read as latin-1"


def _decode(raw: bytes, codec: str) -> tuple[str, bool]:
    try:
        return raw.decode(codec), True
    except UnicodeDecodeError:
        return raw.decode(codec, "replace"), False


def _one_byte(piece: bytes, g1: str, after: str, stops: re.Pattern[bytes], out: list[str]) -> bool:
    """Decode a piece with ASCII in G0, and return whether it was valid.

    At the first of `stops`, the set `after` replaces `g1` in G1.
    """
    good = True
    codec = g1
    for part in stops.split(piece):
        decoded, valid = _decode(part, codec)
        good &= valid
        out.append(decoded)
        if len(part) == 1 and stops.fullmatch(part):
            codec = after
    return good


def _two_byte(piece: bytes, escape: bytes, g1: str, out: list[str]) -> bool:
    """Decode a piece with JIS X 0208 or 0212 in G0, and return whether it was valid.

    In these sets 5CH may be half of a character; bytes above 7FH are still of G1.
    """
    good = True
    ended = False
    for run in _RUNS.findall(piece):
        if run in b"\n\f\r\t":
            ended = True
            out.append(run.decode("ascii"))
        elif run[0] >= 0x80 or ended:
            decoded, valid = _decode(run, g1)
            out.append(decoded)
            good &= valid
        else:
            decoded, valid = _decode(escape + run, _DOUBLE_G0[escape])
            out.append(decoded.replace("\\", "＼"))
            good &= valid
    return good
