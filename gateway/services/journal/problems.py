"""Kinds of damage to the journal, and the sentences that describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.errors import JournalDamaged

Kind: TypeAlias = Literal["missing", "empty", "truncated", "altered", "foreign", "forked", "chain", "unknown"]

_SAID: dict[Kind, str] = {
    "missing": "nothing tells of revisions {range}",
    "empty": "{key} is empty; revisions {range} are affected",
    "truncated": "{key} is cut off; revisions {range} are affected",
    "altered": "{key} is not what was written; revisions {range} are affected",
    "foreign": "{key} is not of this journal; revisions {range} are affected",
    "forked": "{key} tells revisions {range} otherwise than another object: two indexes wrote to this archive",
    "chain": "the object that the same process wrote before {key} is another than it was; revisions {range} rest on it",
    "unknown": "{key} has a name that is none of the journal's",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A damage to the journal.

    `key` is empty for 'missing'. `last` is 0 where nobody knows how far the damage goes. `first` is above
    `last` where other objects hold all the changes of this one: then nothing is lost.
    """

    kind: Kind
    key: str
    first: int
    last: int

    @property
    def is_loss(self) -> bool:
        """Whether changes are lost."""
        return not (self.last and self.first > self.last)

    @property
    def range(self) -> str:
        """The affected revisions in words."""
        if not self.is_loss:
            return "(none: others tell of them)"
        if not self.first:
            return "unknown"
        if not self.last:
            return f"{self.first} and what follows"
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def sentence(self) -> str:
        """A sentence with the object, what is wrong, and the revisions."""
        return "journal: " + _SAID[self.kind].format(key=self.key, range=self.range)

    def error(self) -> JournalDamaged:
        """Return the problem as an exception."""
        return JournalDamaged(self.sentence)
