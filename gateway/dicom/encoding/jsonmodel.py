"""Build DICOM JSON objects from finished members, keys ascending (PS3.18 F.2.2)."""

from __future__ import annotations

from operator import itemgetter

# Every member begins with `"GGGGEEEE"`, so that text order is tag order.
_KEY = itemgetter(slice(1, 9))


class Order:
    """The tags of an object whose elements do not ascend; kept only for such objects."""

    __slots__ = ("_count", "_tags")

    def __init__(self) -> None:
        self._tags: set[int] = set()
        self._count = 0

    def admits(self, tag: int, members: list[str]) -> bool:
        """Return whether `tag` is not yet among `members`: of two elements with one tag, the first counts."""
        self._tags.update(int(_KEY(member), 16) for member in members[self._count :])
        self._count = len(members)
        return tag not in self._tags


def json_object(members: list[str], disordered: bool) -> str:
    """Return the object of complete `members`; `disordered` says that they must be sorted first."""
    if disordered:
        members = sorted(members, key=_KEY)
    return "{" + ",".join(members) + "}"


def opening(tag: int, vr: str) -> str:
    """Return the member up to its value, without closing brace."""
    return f'"{tag:08X}":{{"vr":"{vr}"'


def bulk_member(bare: str, path: str, version: str) -> str:
    """Return a value by reference; NUL, which JSON text cannot hold, stands for the URL of the instance."""
    return f'{bare},"BulkDataURI":"\0/bulkdata/{path}?v={version}"}}'
