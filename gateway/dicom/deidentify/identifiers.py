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
_SHORTEST, _WORD = 3, 5


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

    def learn(self, tag: str, member: Mapping[str, Any]) -> None:
        """Take note of a value that is removed or replaced."""
        vr = member.get("vr")
        if vr == "PN":
            for text in _texts(member):
                self._add(piece for piece in _PIECES.split(text))
        elif vr == "UI":
            self._add(text for text in _texts(member) if len(text) > 2 * _WORD)
        elif tag in _IDENTIFIERS:
            self._add(text.strip() for text in _texts(member))
        elif tag == _BIRTH:
            for text in _texts(member):
                day = text.strip()
                self._add((day, f"{day[:4]}-{day[4:6]}-{day[6:]}", f"{day[6:]}.{day[4:6]}.{day[:4]}"))

    def _add(self, texts: Iterable[str]) -> None:
        self.found.update(text.casefold() for text in texts if len(text) >= _SHORTEST)

    def pattern(self) -> re.Pattern[str] | None:
        """Finds any of them; short ones as words of their own."""
        if not self.found:
            return None
        pieces = [
            re.escape(text) if len(text) >= _WORD else rf"(?<!\w){re.escape(text)}(?!\w)"
            for text in sorted(self.found, key=lambda text: (-len(text), text))
        ]
        return re.compile("|".join(pieces))


def holds(pattern: re.Pattern[str] | None, member: Mapping[str, Any]) -> bool:
    """Whether a member has text with an identifier in it, or a number that is one."""
    if pattern is None:
        return False
    if member.get("vr") == "IS":
        numbers = (str(value) for value in member.get("Value") or ())
        return any(len(number) >= _WORD and pattern.fullmatch(number) for number in numbers)
    return any(pattern.search(text.casefold()) for text in _texts(member))
