"""DICOM JSON objects put together from ready members, keys ascending (PS3.18 F.2.2)."""

from __future__ import annotations

from operator import itemgetter

# `"GGGGEEEE"` begins every member, so that text order is tag order.
_KEY = itemgetter(slice(1, 9))


class Order:
    """Tags of an object whose elements do not ascend; kept only for such objects."""

    __slots__ = ("_count", "_tags")

    def __init__(self) -> None:
        self._tags: set[int] = set()
        self._count = 0

    def admits(self, tag: int, members: list[str]) -> bool:
        """Whether `tag` is not among `members` yet: of two elements with one tag the first counts."""
        self._tags.update(int(_KEY(member), 16) for member in members[self._count :])
        self._count = len(members)
        return tag not in self._tags


def json_object(members: list[str], disordered: bool) -> str:
    """`members` are complete; `disordered` where they have to be sorted."""
    if disordered:
        members = sorted(members, key=_KEY)
    return "{" + ",".join(members) + "}"


def opening(tag: int, vr: str) -> str:
    """The member up to its value, without closing brace."""
    return f'"{tag:08X}":{{"vr":"{vr}"'


def bulk_member(bare: str, path: str, version: str) -> str:
    """A value by reference; NUL, which JSON text cannot hold, stands for the URL of the instance."""
    return f'{bare},"BulkDataURI":"\0/bulkdata/{path}?v={version}"}}'
