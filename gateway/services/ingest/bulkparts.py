"""Keep the bulk data of one message by the Content-Location of its parts.

PS3.18 8.6.1.2, 10.5.1.4.
"""

from __future__ import annotations

from urllib.parse import urljoin

from gateway.dicom.model.encode import Octets
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND, Rejected
from gateway.services.ingest.spool import Spool, Spooled


class Bulk:
    """Bulk data of one message by Content-Location; relative and absolute forms of a URL are the same."""

    def __init__(self, base: str) -> None:
        self.spool = Spool()
        self._base = base
        self._parts: dict[str, list[Spooled]] = {}

    def add(self, part: Spooled) -> None:
        """Add a part under its Content-Location."""
        self._parts.setdefault(self.name(part.location), []).append(part)

    def name(self, uri: str) -> str:
        """Return the name under which all spellings of one location are known."""
        text = uri.strip().strip("<>").removeprefix("cid:").removeprefix("urn:uuid:")
        try:
            return urljoin(self._base, text)
        except ValueError:  # not a URL (`http://[`), but still a name
            return text

    def find(self, uri: str) -> list[Spooled]:
        """Return the parts at `uri`, in order.

        Several parts are frames; `uri/frames/n` also names frames (S-50).
        """
        name = self.name(uri)
        found = self._parts.get(name)
        if found:
            return found
        frames: list[Spooled] = []
        while part := self._parts.get(f"{name}/frames/{len(frames) + 1}"):
            frames += part
        return frames

    def close(self) -> None:
        """Close the spool with all parts."""
        self.spool.close()


def require_parts(bulk: Bulk, path: str, uri: str) -> list[Spooled]:
    """Return the parts at `uri`, which the attribute at `path` names.

    Raises Rejected where there are none.
    """
    parts = bulk.find(uri)
    if not parts:
        raise Rejected(CANNOT_UNDERSTAND, f"{path}: no part has the Content-Location '{uri[:100]}'")
    return parts


def require_single(bulk: Bulk, path: str, uri: str) -> Octets:
    """Return the value at `uri`. Raises Rejected where there is no part, or more than one."""
    parts = require_parts(bulk, path, uri)
    if len(parts) > 1:
        raise Rejected(
            CANNOT_UNDERSTAND, f"{path}: {len(parts)} parts have the Content-Location '{uri[:100]}'"
        )
    return Octets(parts[0], parts[0].length)
