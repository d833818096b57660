"""The demands of PS3.18 that we know of, as rows, and the passing tests that hold them.

`rows.json` is written by the test run (`make conformance`) and checked by every full one, so a row without a
passing test shows as not claimed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files

LEVELS = {"M": "shall", "S": "should", "O": "optional", "G": "our choice"}


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """One demand: the situation, the expected result, and the passing tests that hold it.

    `section` is a section of PS3.18 where it names no other part; `level` is one of M, S, O, G
    or two of them.
    """

    row: str
    section: str
    level: str
    given: str
    expect: str
    tests: list[str]
    not_claimed: str

    @property
    def is_claimed(self) -> bool:
        return bool(self.tests)


def load_packaged() -> list[ClaimedRow]:
    """Return the rows as of the last full test run of this version."""
    text = (files("gateway.conformance") / "rows.json").read_text(encoding="utf-8")
    return [ClaimedRow(**entry) for entry in json.loads(text)]


def dump(rows: Iterable[ClaimedRow]) -> str:
    """Return the text of `rows.json`, one row a line so that a change reads well."""
    lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    return f"[\n{lines}\n]\n"


def counts(rows: Iterable[ClaimedRow]) -> Mapping[str, tuple[int, int]]:
    """Return level → (rows claimed, rows not claimed); a double level counts as its stricter one."""
    found: dict[str, tuple[int, int]] = dict.fromkeys(LEVELS, (0, 0))
    for row in rows:
        level = row.level.split("/")[0]
        claimed, without = found[level]
        found[level] = (claimed + 1, without) if row.is_claimed else (claimed, without + 1)
    return found
