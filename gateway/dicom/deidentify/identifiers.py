"""Search the text that stays for known identifiers of the patient (PS3.15 E.1.1).

E.1.1 says that the table alone may not be enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute

# Identifiers of patient and request that may be repeated in a description, like names and the birth date.
_IDENTIFIERS = frozenset(
    {
        tags.PATIENT_ID,
        tags.OTHER_PATIENT_IDS,
        tags.OTHER_PATIENT_NAMES,
        tags.PATIENT_TELEPHONE_NUMBERS,
        tags.ACCESSION_NUMBER,
        tags.STUDY_ID,
        tags.REQUESTED_PROCEDURE_ID,
    }
)
_PIECES = re.compile(r"[\^=\s,;]+")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){3,}")
_SHORTEST, _WORD = 3, 5
# With more identifiers, every text is taken to hold one and is emptied.
MANY = 2000


def _texts(member: Attribute) -> Iterator[str]:
    for value in member.get("Value") or ():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from (text for text in value.values() if isinstance(text, str))


@dataclass(slots=True)
class Identifiers:
    """The texts and UIDs that must not remain in the data set."""

    found: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)

    def learn(self, tag: str, member: Attribute) -> None:
        """Remember a value that is removed or replaced."""
        vr = member.get("vr")
        if vr == "PN":
            for text in _texts(member):
                self._add(_PIECES.split(text))
        elif vr == "UI":
            self.uids.update(text.strip(" \0") for text in _texts(member))
        elif tag in _IDENTIFIERS:
            self._add(text.strip() for text in _texts(member))
        elif tag == tags.PATIENT_BIRTH_DATE:
            for text in _texts(member):
                day = text.strip()
                self._add((day, f"{day[:4]}-{day[4:6]}-{day[6:]}", f"{day[6:]}.{day[4:6]}.{day[:4]}"))

    def _add(self, texts: Iterable[str]) -> None:
        """Remember texts that are long enough; two letters are enough where they are not ASCII."""
        self.found.update(
            text.casefold()
            for text in texts
            if len(text) >= _SHORTEST - (not text.isascii()) and text.strip(".-")
        )

    def finder(self) -> Finder:
        """Return a finder of all these texts; short ASCII texts are found as whole words only."""
        if len(self.found) > MANY:
            return Finder(re.compile(""), self.uids)
        pieces = [
            re.escape(text)
            if len(text) >= _WORD or not text.isascii()
            else rf"(?<!\w){re.escape(text)}(?!\w)"
            for text in sorted(self.found, key=lambda text: (-len(text), text))
        ]
        return Finder(re.compile("|".join(pieces)) if pieces else None, self.uids)


@dataclass(frozen=True, slots=True)
class Finder:
    """A search for identifiers in the attributes that stay."""

    pattern: re.Pattern[str] | None
    uids: set[str]

    def holds(self, member: Attribute) -> bool:
        """Return whether a member has text that contains an identifier, or a number that is one."""
        if member.get("vr") == "IS":
            numbers = (str(value) for value in member.get("Value") or ())
            return self.pattern is not None and any(
                len(number) >= _WORD and self.pattern.fullmatch(number) for number in numbers
            )
        return any(self._within(text) for text in _texts(member))

    def _within(self, text: str) -> bool:
        named = self.pattern is not None and self.pattern.search(text.casefold())
        return bool(named) or any(uid in self.uids for uid in _UID.findall(text))
