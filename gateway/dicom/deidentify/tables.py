"""Table E.1-1 of PS3.15 (edition 2026c, Basic Profile), and the Types that its combined codes depend on.

`basic.csv` has its 655 rows, taken from the tables of the package dicom-anonymizer 2.1.0. `types.csv` lists
where PS3.3 has the attributes with combined codes as Type 1 (also 1C) or 2 (also 2C): `within` is the
sequence that contains the attribute, empty for the data set itself; `classes` are SOP classes without their
common root, `*` for all. It comes from the module tables of highdicom 0.28.2. An attribute without a row is
Type 3, or not in the IOD.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from gateway.dicom import uids

EDITION = "2026c"
_GROUP_OF_50, _GROUP_OF_60 = "50XXXXXX", ("60XX3000", "60XX4000")


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text("ascii")
    yield from csv.DictReader(text.splitlines())


@cache
def basic() -> dict[str, str]:
    """Return the action codes by tag; repeating groups are written as in the table."""
    return {row["tag"]: row["action"] for row in _rows("basic.csv")}


@cache
def _types() -> dict[tuple[str, str], list[tuple[str, frozenset[str]]]]:
    found: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = {}
    for row in _rows("types.csv"):
        classes = frozenset(row["classes"].split())
        found.setdefault((row["tag"], row["within"]), []).append((row["type"], classes))
    return found


def find_code(tag: str) -> str:
    """Return the action code of a tag; empty where the table has no row for it."""
    if tag[:2] == "50" and int(tag[2:4], 16) % 2 == 0:
        return basic()[_GROUP_OF_50]
    if tag[:2] == "60":
        tag = f"60XX{tag[4:]}" if f"60XX{tag[4:]}" in _GROUP_OF_60 else tag
    return basic().get(tag, "")


def type_of(tag: str, within: str, sop_class: str) -> int:
    """Return the Type (1, 2 or 3) of an attribute with a combined code.

    `within` is the sequence whose item holds it, empty for the data set itself.
    """
    short = sop_class.removeprefix(uids.STORAGE)
    for kind, classes in _types().get((tag, within), ()):
        if "*" in classes or short in classes:
            return int(kind)
    return 3
