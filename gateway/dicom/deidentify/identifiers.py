"""What is known of a patient, looked for in the text that stays (PS3.15 E.1.1: the table alone may not be enough)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Names of people, identifiers of patient and request, birth date: what may be repeated in a description.
_IDENTIFIERS = frozenset({"00100020", "00101000", "00101001", "00102154", "00080050", "00200010", "00401001"})
_BIRTH = "00100030"
_PIECES = re.compile(r"[\^=\s,;]+")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){3,}")
_SHORTEST, _WORD = 3, 5
# Beyond so many nobody can say what a text holds: all of it goes.
MANY = 2000


def _texts(member: Mapping[str, Any]) -> Iterator[str]:
    for value in member.get("Value") or ():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from (text for text in value.values() if isinstance(text, str))


@dataclass(slots=True)
class Identifiers:
    """Texts that must not be found again."""

    found: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)

    def learn(self, tag: str, member: Mapping[str, Any]) -> None:
        """Take note of a value that is removed or replaced."""
        vr = member.get("vr")
        if vr == "PN":
            for text in _texts(member):
                self._add(_PIECES.split(text))
        elif vr == "UI":
            self.uids.update(text.strip(" \0") for text in _texts(member))
        elif tag in _IDENTIFIERS:
            self._add(text.strip() for text in _texts(member))
        elif tag == _BIRTH:
            for text in _texts(member):
                day = text.strip()
                self._add((day, f"{day[:4]}-{day[4:6]}-{day[6:]}", f"{day[6:]}.{day[4:6]}.{day[:4]}"))

    def _add(self, texts: Iterable[str]) -> None:
        """Two letters are a name where they are no Latin ones."""
        self.found.update(
            text.casefold()
            for text in texts
            if len(text) >= _SHORTEST - (not text.isascii()) and text.strip(".-")
        )

    def finder(self) -> Finder:
        """Finds any of them; short ones as words of their own."""
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
    """Looks for identifiers in what stays."""

    pattern: re.Pattern[str] | None
    uids: set[str]

    def holds(self, member: Mapping[str, Any]) -> bool:
        """Whether a member has text with an identifier in it, or a number that is one."""
        if member.get("vr") == "IS":
            numbers = (str(value) for value in member.get("Value") or ())
            return self.pattern is not None and any(
                len(number) >= _WORD and self.pattern.fullmatch(number) for number in numbers
            )
        return any(self._within(text) for text in _texts(member))

    def _within(self, text: str) -> bool:
        named = self.pattern is not None and self.pattern.search(text.casefold())
        return bool(named) or any(uid in self.uids for uid in _UID.findall(text))
