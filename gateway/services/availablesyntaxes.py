"""Available Transfer Syntax UID (0008,3002): all lossless ones of an instance (PS3.18 Table 10.6.3-5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import orjson

from gateway.dicom import tags, uids
from gateway.dicom.encoding import layoutbytes
from gateway.index.base import StoredInstance
from gateway.model import (
    Identity,
    InstanceUID,
    Locator,
    SeriesUID,
    StudyUID,
    VersionId,
)
from gateway.render.codecs.transcodetargets import LOSSLESS_TARGETS
from gateway.services.retrieve.layouts import StoredLayout

Obstacle = Callable[[StoredLayout, str], str]

_ANY = Identity(StudyUID(""), SeriesUID(""), InstanceUID(""), "")
_TAG = f'"{tags.AVAILABLE_TRANSFER_SYNTAX_UID}":{{"vr":"UI","Value":['.encode()


class Available:
    """Available Transfer Syntax UIDs, found from the kind of layout that the index keeps.

    `obstacle` returns why an instance cannot be sent in a transfer syntax, empty where it can.
    """

    def __init__(self, obstacle: Obstacle) -> None:
        self._obstacle = obstacle
        self.syntaxes = lru_cache(maxsize=4096)(self._syntaxes)
        self._written = lru_cache(maxsize=4096)(self._text)

    def _syntaxes(self, kind: str) -> tuple[str, ...]:
        """Return the transfer syntaxes of a kind of layout, the stored one first where it is ever sent."""
        layout = layoutbytes.from_kind(kind)
        stored = layout.transfer_syntax
        instance = StoredInstance(VersionId(""), _ANY, stored, Locator("", "", 0, 0), b"", b"", 0)
        wanted = dict.fromkeys(
            (
                stored,
                uids.EXPLICIT_VR_LITTLE_ENDIAN,
                uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
                *LOSSLESS_TARGETS,
            )
        )
        located = StoredLayout(instance, layout)
        return tuple(syntax for syntax in wanted if not self._obstacle(located, syntax))

    def _text(self, kind: str) -> tuple[bytes, bytes]:
        """Return the attribute as index rows have it, and with the whole list of transfer syntaxes."""
        stored = layoutbytes.from_kind(kind).transfer_syntax
        return _TAG + orjson.dumps(stored) + b"]", _TAG + orjson.dumps(list(self.syntaxes(kind)))[1:]

    def complete(self, rows: Sequence[bytes], kinds: Sequence[str]) -> Sequence[bytes]:
        """Return rows of instances with the whole list in place of the stored transfer syntax."""
        return [self._complete(row, kind) for row, kind in zip(rows, kinds, strict=True)] if kinds else rows

    def _complete(self, row: bytes, kind: str) -> bytes:
        if not kind:
            return row
        before, after = self._written(kind)
        if row.count(before) == 1:
            return row.replace(before, after)
        # An item of a sequence has the same bytes; a NUL stands where the sender puts the base URL.
        found = orjson.loads(row.replace(b"\0", _BASE))
        found[tags.AVAILABLE_TRANSFER_SYNTAX_UID]["Value"] = list(self.syntaxes(kind))
        return orjson.dumps(found).replace(_BASE, b"\0")


_BASE = "\uf8ff\uf8fe\uf8ff".encode()
