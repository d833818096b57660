"""Normal forms of search keys, so that both sides of a comparison are normalised in the same way.

Names: each component group is folded (compatibility forms decomposed, accents and case removed, ß becomes ss)
and compared without trailing `^`. A queried name without `=` may match any group; with `=` each group that it
names must match in its place.

A fuzzy word matches a word of any group when it is a prefix of it or sounds like it. Words end at `^`, `=`,
white space, hyphens, commas, dots, slashes, tildes and parentheses; an apostrophe is dropped (O'Neil is
oneil). ä, ö, ü, å, ø and æ count both without their marks and as ae, oe, ue, aa, oe, ae.

Words sound alike when their phonetic keys are equal. Only words of three or more letters have one, if all
letters are a to z once folded. ph counts as f, th as t, ck as k. The key is the first letter (c and q as k, z
as s, y and j as i, v and w as f), then at most six classes of the other consonants as in Soundex (b f p v w:
1, c g j k q s x z: 2, d t: 3, l: 4, m n: 5, r: 6). A class that directly follows itself counts once; vowels
and h are left out.

N-grams: all runs of one to three characters of a text, with its begin and its end as extra characters. Each
text that matches a pattern has all n-grams of the pattern's literal parts; the reverse need not hold.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "đ": "d", "œ": "oe", "ı": "i"})
_PARTS = re.compile(r"[\s^=,\-\u2010-\u2015\u30fb./~()]+")
_APOSTROPHES = re.compile(r"['\u2018\u2019`\u00b4]")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_SINGLE = struct.Struct("<f")
_CLASSES = {
    **dict.fromkeys("bfpvw", "1"),
    **dict.fromkeys("cgjkqsxz", "2"),
    **dict.fromkeys("dt", "3"),
    "l": "4",
    **dict.fromkeys("mn", "5"),
    "r": "6",
}


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Return the text without case, accents and compatibility differences."""
    decomposed = unicodedata.normalize(
        "NFKD", unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
    )
    kept = "".join(c for c in decomposed if not unicodedata.combining(c) or "\u3099" <= c <= "\u309a")
    return unicodedata.normalize("NFC", kept)


def fold_groups(name: str) -> tuple[str, ...]:
    """Return the component groups of a name with `=` between them, folded, without trailing `^`."""
    return tuple(fold(group).rstrip("^ ") for group in name.split("="))


_RUN = re.compile(r"[*?]+")


def collapse(pattern: str) -> str:
    """Return the same pattern in its shortest form.

    A run of wild characters becomes all its `?`, then one `*` if it has any.
    """
    return _RUN.sub(lambda run: "?" * run[0].count("?") + "*" * ("*" in run[0]), pattern)


@lru_cache(maxsize=1024)
def name_patterns(group: str) -> tuple[str, ...]:
    """Return the folded pattern of a group, and its form without components that may be empty.

    `a^*` also means `a`. Two patterns are enough for any number of such components: `a^*^*` matches nothing
    that `a^*` does not.
    """
    last, end = len(group), len(group)
    while group.endswith("^*", 0, end):
        last, end = end, end - 1
        while end and group[end - 1] in "^ ":
            end -= 1
    shortest = group[:end]
    if shortest.endswith("*"):
        return (shortest,)
    return tuple(dict.fromkeys(pattern for pattern in (group[:last], shortest) if pattern))


def split_stored_groups(value: object) -> tuple[str, str, str]:
    """Return the alphabetic, ideographic and phonetic groups of a PN in DICOM JSON (PS3.18 F.2.2), folded."""
    if isinstance(value, Mapping):
        groups = [str(value.get(key) or "") for key in ("Alphabetic", "Ideographic", "Phonetic")]
        alphabetic, ideographic, phonetic = (fold(group).rstrip("^ ") for group in groups)
        return alphabetic, ideographic, phonetic
    found = (*fold_groups(str(value)), "", "")
    return found[0], found[1], found[2]


def name_text(value: object) -> str:
    """Return a PN value of DICOM JSON with `=` between its groups."""
    return "=".join(str(group) for group in value.values()) if isinstance(value, Mapping) else str(value)


def _spellings(word: str) -> set[str]:
    low = _APOSTROPHES.sub("", unicodedata.normalize("NFC", word).casefold())
    return {fold(low), fold(low.translate(_UMLAUTS))} - {""}


def words_of(name: str) -> list[str]:
    """Return the words of a name in all their spellings, sorted."""
    return sorted({s for word in _PARTS.split(name) if word for s in _spellings(word)})


def sound(word: str) -> str:
    """Return the phonetic key of a folded word; empty for a word that has none."""
    if len(word) < 3 or not word.isascii() or not word.isalpha():
        return ""
    text = word.replace("ph", "f").replace("th", "t").replace("ck", "k")
    first = {"c": "k", "q": "k", "z": "s", "y": "i", "j": "i", "v": "f", "w": "f"}.get(text[0], text[0])
    codes = [_CLASSES.get(c, "") for c in text]
    kept = [code for code, before in zip(codes[1:], codes, strict=False) if code and code != before]
    return first + "".join(kept)[:6]


def fuzzy_tokens(name: str) -> str:
    """Return the text that a fuzzy search looks into: ` word word ~sound ~sound `."""
    words = words_of(name)
    sounds = sorted({f"~{key}" for word in words if (key := sound(word))})
    return " " + " ".join([*words, *sounds]) + " " if words else ""


def fuzzy_asked(word: str) -> tuple[list[str], list[str]]:
    """Return the prefixes and the phonetic keys by which a queried word may match."""
    prefixes = sorted(_spellings(word))
    return prefixes, sorted({key for prefix in prefixes if (key := sound(prefix))})


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def time_key(value: str) -> str:
    """Return a TM value as `HHMMSS.FFFFFF`; empty where it is none. Colons of the old form are dropped."""
    text = value.replace(":", "").strip()
    whole, _, fraction = text.partition(".")
    if not _are_digits(whole) or len(whole) not in (2, 4, 6):
        return ""
    return f"{whole:0<6}.{fraction[:6]:0<6}" if _are_digits(fraction or "0") else ""


def date_key(value: str) -> str:
    """Return a DA value as `YYYYMMDD`; empty where it is none. Dots of the old form are dropped."""
    text = value.replace(".", "").strip()
    return text if len(text) == 8 and _are_digits(text) else ""


def shift_day(moment: str, days: int) -> str:
    """Return the date of `YYYYMMDD…` some days later; the same date at the ends of the calendar."""
    try:
        return f"{datetime.strptime(moment[:8], '%Y%m%d') + timedelta(days=days):%Y%m%d}".rjust(8, "0")
    except (ValueError, OverflowError):
        return moment[:8]


def datetime_key(value: str, zone: str = "") -> str:
    """Return a DT value as `YYYYMMDDHHMMSS.FFFFFF`; empty where it is none.

    It is in UTC where the value, or the data set by `zone`, names an offset.
    """
    match = re.match(r"([0-9]{4,14})(?:\.([0-9]{1,6}))?([+-][0-9]{4})?\Z", value.strip())
    if match is None:
        return ""
    digits, fraction, offset = match.groups()
    offset = offset or zone
    full = digits + "00000101000000"[len(digits) :]
    try:
        # A leap second counts as the last second of its minute.
        moment = datetime.strptime(full[:12] + min(full[12:], "59"), "%Y%m%d%H%M%S")
        if offset:
            minutes = int(offset[1:3]) * 60 + int(offset[3:])
            moment -= timedelta(minutes=minutes if offset[0] == "+" else -minutes)
    except (ValueError, OverflowError):
        return ""
    return f"{moment.year:04}{moment:%m%d%H%M%S}.{fraction or '':0<6}"


def number_key(value: object, vr: str = "") -> str:
    """Return a number in its normal form: `7` for `007`, `+7` and `7.0`; other text unchanged.

    An FL is rounded to its 32 bits, so that 0.1 is found.
    """
    text = str(value).strip()
    if _WHOLE.fullmatch(text):
        return str(int(text))
    try:
        number = float(text)
        if vr == "FL":
            number = _SINGLE.unpack(_SINGLE.pack(number))[0]
    except (ValueError, OverflowError):  # no number, or too large for 32 bits
        return text
    return str(int(number)) if number.is_integer() else repr(number)


BEGIN, END = "\x02", "\x03"
_WILD = re.compile(r"[*?]")


def ngrams(text: str) -> set[str]:
    """Return all n-grams of a text; an empty set where it is empty."""
    if not text:
        return set()
    whole = f"{BEGIN}{text}{END}"
    return set(text) | {whole[n : n + size] for size in (2, 3) for n in range(len(whole) - size + 1)}


def pattern_ngrams(pattern: str) -> set[str]:
    """Return n-grams that every match of a pattern of `*` and `?` has: the longest that there are."""
    found: set[str] = set()
    for part in _WILD.split(f"{BEGIN}{pattern}{END}"):
        if len(part) >= 3:
            found.update(part[n : n + 3] for n in range(len(part) - 2))
        elif part not in ("", BEGIN, END, BEGIN + END):
            found.add(part)
    return found


def word_ngrams(tokens: str) -> set[str]:
    """Return the n-grams of fuzzy tokens; a phonetic key counts as a single n-gram."""
    found: set[str] = set()
    for token in tokens.split():
        found |= {token} if token.startswith("~") else ngrams(token)
    return found
