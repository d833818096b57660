"""Turn one match parameter into nodes of the query (PS3.18 8.3.4.1, PS3.4 C.2.2.2).

In UI, CS and AE keys an encoded comma separates values as a raw one does (OHIF sends it so); elsewhere `%2C`
is part of the value. A list means any of its values for UIDs and ModalitiesInStudy, all of them under
`multiplevaluematching=true`, and is a 400 otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.dicom import tagnumbers
from gateway.dicom.dictionary import is_multiple
from gateway.dicom.query.query import Empty, Equals, Fuzzy, Match, OneOf, Path, Range, Universal, Wildcard
from gateway.dicom.query.searchkeys import collapse
from gateway.errors import BadParameter
from gateway.http.parameters import datetimes
from gateway.http.parameters.querystring import decode

# A name has three groups of 64 characters: it has no more words than this, and none longer.
MOST_WORDS = 96
MOST_LETTERS = 64
# Most values of one key; UIDs, which are looked up directly, may be more.
MOST_VALUES = 256
MOST_UIDS = 4096
# Most characters of a name or pattern, most `*` in a pattern, and most characters of other values.
MOST_CHARACTERS = 1024
MOST_PLACES = 64
LONGEST_PLAIN = 64

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
EMPTY_VRS = WILDCARD_VRS | {"DA", "DT", "TM"}
MULTIPLE_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
ENCODED_COMMA_SEPARATES = frozenset({"UI", "CS", "AE"})

_INTEGER = (re.compile(r"[+-]?\d{1,20}\Z"), "a whole number")
_DECIMAL = (re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z"), "a number")
_FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "UI": (re.compile(r"[0-9.]{1,64}\Z"), "a UID, 1 to 64 digits and dots"),
    "IS": (re.compile(r"[+-]?\d{1,12}\Z"), "a whole number"),
    "AS": (re.compile(r"\d{3}[DWMY]\Z"), "an age, such as 045Y"),
    "AT": (re.compile(r"[0-9A-Fa-f]{8}\Z"), "a tag, 8 hex digits"),
    **dict.fromkeys(("DS", "FL", "FD"), _DECIMAL),
    **dict.fromkeys(("SS", "US", "SL", "UL", "SV", "UV"), _INTEGER),
}

MATCHABLE = WILDCARD_VRS | EMPTY_VRS | _FORMS.keys()


@dataclass(frozen=True, slots=True)
class Key:
    """A match parameter: its name as sent, its attribute, and its value, not yet decoded."""

    name: str
    path: Path
    vr: str
    raw: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The control parameters that change how values match (PS3.18 8.3.4.2, 8.3.4.5, 8.3.4.6)."""

    fuzzy: bool = False
    empty: bool = False
    multiple: bool = False
    zone: str | None = None


def match_of(key: Key, rules: Rules) -> Sequence[Match]:
    """Return the nodes of a key; all of them must match.

    Raises BadParameter naming it and what was wanted.
    """
    values = _values(key, rules)
    if values in ([], [""]):
        return (Universal(key.path),)
    if len(values) == 1:
        return (_single(key, values[0], rules),)
    most = MOST_UIDS if key.vr == "UI" and key.path[-1] != tagnumbers.SOP_CLASSES_IN_STUDY else MOST_VALUES
    if len(values) > most:
        raise bad_value(key, f"{most} values at most")
    if rules.multiple and key.vr in MULTIPLE_VRS and is_multiple(key.path[-1]):
        return tuple(Equals(key.path, key.vr, _check_number(key, value)) for value in values)
    if key.vr == "UI" or key.path[-1] == tagnumbers.MODALITIES_IN_STUDY:
        if any("*" in value or "?" in value for value in values):
            raise bad_value(key, "a list of values without wildcards")
        return (OneOf(key.path, key.vr, tuple(dict.fromkeys(_check_number(key, value) for value in values))),)
    raise bad_value(key, "one value; a comma within a value is sent as %2C")


def _values(key: Key, rules: Rules) -> list[str]:
    """Return the values: split on raw commas, then decoded (C-QP-5).

    A backslash, which no value of these VRs may hold, separates values as in DICOM (Q-25, Q-65).
    """
    if key.vr in ENCODED_COMMA_SEPARATES:
        pieces = decode(key.name, key.raw).split(",")
    else:
        pieces = [decode(key.name, piece) for piece in key.raw.split(",")]
    if (
        key.vr == "UI"
        or key.path[-1] == tagnumbers.MODALITIES_IN_STUDY
        or (rules.multiple and key.vr in MULTIPLE_VRS)
    ):
        pieces = [part for piece in pieces for part in piece.split("\\")]
    values = [piece.strip(" ") for piece in pieces]
    return [value for value in values if value] if len(values) > 1 and any(values) else values[:1]


def _single(key: Key, value: str, rules: Rules) -> Match:
    if value == '""' and rules.empty and key.vr in EMPTY_VRS:
        return Empty(key.path, key.vr)
    if len(value) > LONGEST_PLAIN and key.vr in ("DA", "TM", "DT"):
        raise bad_value(key, f"{LONGEST_PLAIN} characters at most")
    if key.vr in ("DA", "TM", "DT"):
        return _temporal(key, value, rules.zone)
    if key.vr not in WILDCARD_VRS:
        return Equals(key.path, key.vr, _check_number(key, value))
    if not value.strip("*"):
        return Universal(key.path)
    if key.vr == "PN" and rules.fuzzy and "?" not in value:
        return _fuzzy(key, value)
    if "*" in value or "?" in value:
        return Wildcard(key.path, key.vr, _pattern(key, value))
    if key.vr == "PN" and len(value) > MOST_CHARACTERS:
        raise bad_value(key, f"{MOST_CHARACTERS} characters at most")
    return Equals(key.path, key.vr, value)


def _pattern(key: Key, value: str) -> str:
    """Return the pattern in its shortest form.

    Raises BadParameter where it is too long or has too many `*`.
    """
    pattern = collapse(value)
    if len(pattern) > MOST_CHARACTERS:
        raise bad_value(key, f"a pattern of {MOST_CHARACTERS} characters at most")
    if pattern.count("*") > MOST_PLACES:
        raise bad_value(key, f"{MOST_PLACES} times '*' at most")
    return pattern


def _fuzzy(key: Key, value: str) -> Match:
    """Return a node with each word once; repeating a word changes nothing. Raises BadParameter."""
    words = tuple(dict.fromkeys(word for word in re.split(r"[\s^=,*]+", value) if word))
    if len(words) > MOST_WORDS:
        raise bad_value(key, f"{MOST_WORDS} words at most")
    if any(len(word) > MOST_LETTERS for word in words):
        raise bad_value(key, f"words of {MOST_LETTERS} letters at most")
    return Fuzzy(key.path, words) if words else Universal(key.path)


def _temporal(key: Key, value: str, zone: str | None) -> Match:
    try:
        if key.vr == "DA":
            low, high = datetimes.da(value)
        elif key.vr == "TM":
            low, high = datetimes.tm(value)
        else:
            low, high = datetimes.dt(value, zone)
    except datetimes.Malformed as error:
        raise bad_value(key, str(error)) from error
    if key.vr == "DA" and low is not None and low == high and "-" not in value:
        return Equals(key.path, "DA", low)
    return Range(key.path, key.vr, low, high)


def _check_number(key: Key, value: str) -> str:
    """Return the value in its normal form: whole numbers without `+` and leading zeros.

    Raises BadParameter.
    """
    form = _FORMS.get(key.vr)
    if form is None:
        return value
    if len(value) > LONGEST_PLAIN or not form[0].match(value):
        raise bad_value(key, form[1])
    if form is _INTEGER or key.vr == "IS":
        return str(int(value))
    return value.upper() if key.vr == "AT" else value.removeprefix("+")


def bad_value(key: Key, wanted: str) -> BadParameter:
    """Return the error for a value that does not fit its VR, or that cannot be matched on."""
    # The value is left out of the message: it may be a patient's name.
    return BadParameter(
        f"{key.name}: the value does not fit VR {key.vr}; want {wanted}",
        parameter=key.name,
        tag=".".join(f"{tag:08X}" for tag in key.path),
        expected=wanted,
    )
