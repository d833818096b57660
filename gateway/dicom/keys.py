"""Search keys in their normal form, so that both sides of a comparison are made alike.

Names: each component group is folded (compatibility forms decomposed, accents and case taken away, ß is ss)
and compared without trailing `^`. A fuzzy word matches a word of any group when it is a prefix of it or sounds
like it. Words part at `^`, `=`, space, hyphen and comma; an apostrophe is dropped (O'Neil is oneil). ä, ö and
ü count both as a, o, u and as ae, oe, ue. Words sound alike when their phonetic keys are equal: the first
letter, then the consonants in the classes of Soundex, vowels and doubles left out, at most six; only words of
three or more Latin letters have one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "đ": "d", "œ": "oe", "ı": "i"})
_PARTS = re.compile(r"[\s^=,\-\u2010-\u2015\u30fb.]+")
_APOSTROPHES = re.compile(r"['\u2018\u2019`\u00b4]")
_CLASSES = {
    **dict.fromkeys("bfpvw", "1"),
    **dict.fromkeys("cgjkqsxz", "2"),
    **dict.fromkeys("dt", "3"),
    "l": "4",
    **dict.fromkeys("mn", "5"),
    "r": "6",
}


@lru_cache(maxsize=8192)
def folded(text: str) -> str:
    """Without case, accents and compatibility differences."""
    decomposed = unicodedata.normalize(
        "NFKD", unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
    )
    kept = "".join(c for c in decomposed if not unicodedata.combining(c) or "\u3099" <= c <= "\u309a")
    return unicodedata.normalize("NFC", kept)


def name_groups(alphabetic: str, ideographic: str, phonetic: str) -> str:
    """`=group=group=`, each folded and without trailing `^`; empty where the name is."""
    groups = [folded(g).rstrip("^ ") for g in (alphabetic, ideographic, phonetic) if g]
    return "=" + "=".join(groups) + "=" if groups else ""


def _spellings(word: str) -> set[str]:
    low = _APOSTROPHES.sub("", unicodedata.normalize("NFC", word).casefold())
    return {folded(low), folded(low.translate(_UMLAUTS))} - {""}


def words_of(name: str) -> list[str]:
    """The words of a name in all their spellings, sorted."""
    return sorted({s for word in _PARTS.split(name) if word for s in _spellings(word)})


def sound(word: str) -> str:
    """The phonetic key of a folded word, '' for those that have none."""
    if len(word) < 3 or not word.isascii() or not word.isalpha():
        return ""
    text = word.replace("ph", "f").replace("th", "t").replace("ck", "k")
    first = {"c": "k", "q": "k", "z": "s", "y": "i", "j": "i", "v": "f", "w": "f"}.get(text[0], text[0])
    codes = [_CLASSES.get(c, "") for c in text]
    kept = [code for code, before in zip(codes[1:], codes, strict=False) if code and code != before]
    return first + "".join(kept)[:6]


def fuzzy_tokens(name: str) -> str:
    """What a fuzzy search looks into: ` word word ~sound ~sound `."""
    words = words_of(name)
    sounds = sorted({f"~{key}" for word in words if (key := sound(word))})
    return " " + " ".join([*words, *sounds]) + " " if words else ""


def fuzzy_asked(word: str) -> tuple[list[str], list[str]]:
    """The prefixes and the sounds that an asked word may match by."""
    prefixes = sorted(_spellings(word))
    return prefixes, sorted({key for prefix in prefixes if (key := sound(prefix))})


def time_key(value: str) -> str:
    """A TM value as `HHMMSS.FFFFFF`; colons of the old form are dropped; '' where it is none."""
    text = value.replace(":", "").strip()
    whole, _, fraction = text.partition(".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6):
        return ""
    return f"{whole:0<6}.{fraction[:6]:0<6}" if (fraction or "0").isdigit() else ""


def date_key(value: str) -> str:
    """A DA value as `YYYYMMDD`; dots of the old form are dropped; '' where it is none."""
    text = value.replace(".", "").strip()
    return text if len(text) == 8 and text.isdigit() else ""


def datetime_key(value: str) -> str:
    """A DT value as `YYYYMMDDHHMMSS.FFFFFF` in UTC where it names its offset; '' where it is none."""
    match = re.match(r"(\d{4,14})(?:\.(\d{1,6}))?([+-]\d{4})?\Z", value.strip())
    if match is None:
        return ""
    digits, fraction, zone = match.groups()
    full = digits + "00000101000000"[len(digits) :]
    key = f"{full}.{fraction or '':0<6}"
    if zone is None:
        return key
    from datetime import datetime, timedelta

    try:
        moment = datetime.strptime(key, "%Y%m%d%H%M%S.%f")
    except ValueError:
        return ""
    minutes = int(zone[1:3]) * 60 + int(zone[3:])
    return (moment - timedelta(minutes=minutes if zone[0] == "+" else -minutes)).strftime("%Y%m%d%H%M%S.%f")


def number_key(value: object) -> str:
    """An IS or other number in its one spelling: `7` for `007` and `+7`."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else repr(number)
