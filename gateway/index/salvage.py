"""Versions that an index still knows, read for a rebuild of the index and for comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

from gateway.dicom.encoding import layoutbytes
from gateway.index import changelog, retrieval, rows
from gateway.index.base import Change, NewVersion, StoredInstance
from gateway.index.connection import Connection
from gateway.model import VersionId

# As the reader of files does (dicom/encoding/tokens.py): longer metadata have an outline,
# of the short attributes.
_SHORT_METADATA, _SHORT_ATTRIBUTE = 256 << 10, 64 << 10


async def versions(db: Connection, changes: Sequence[Change]) -> dict[VersionId, NewVersion]:
    """Return the versions that these changes stored, as far as known; reclaimed versions are left out."""
    stored = {c.version_after: c for c in changes if c.kind == "store" and c.version_after is not None}
    found = await db.fetch(
        f"SELECT {retrieval.VERSION}, m.body, l.layout FROM version v "
        "JOIN instance_metadata m ON m.version = v.id JOIN instance_layout l ON l.version = v.id "
        f"WHERE {db.dialect.among('v.id')}",
        db.dialect.listed(sorted(stored)),
    )
    inflate = zstandard.ZstdDecompressor().decompress
    known: dict[VersionId, NewVersion] = {}
    for row in found:
        one, metadata = retrieval.make_stored(row), inflate(row["body"])
        change = stored[one.version]
        known[one.version] = NewVersion(
            version=one.version,
            identity=one.identity,
            transfer_syntax=one.transfer_syntax,
            locator=one.locator,
            file_digest=bytes(one.file_digest),
            content_digest=bytes(one.content_digest),
            received=one.received,
            metadata=metadata,
            layout=layoutbytes.decode(row["layout"]),
            source=change.source,
            outline=_outline(metadata),
            damage=one.damage,
        )
    return known


def _outline(metadata: bytes) -> bytes:
    if len(metadata) <= _SHORT_METADATA:
        return b""
    whole = rows.load(metadata)
    return rows.dump({t: a for t, a in whole.items() if len(rows.dump({t: a})) <= _SHORT_ATTRIBUTE})


async def find_named(db: Connection, ids: Sequence[str]) -> dict[VersionId, tuple[StoredInstance, str]]:
    """Return the versions with these ids that were ever admitted, and their states."""
    found = await db.fetch(
        f"SELECT {retrieval.VERSION}, v.state FROM version v WHERE {db.dialect.among('v.id')}",
        db.dialect.listed(sorted(set(ids))),
    )
    return {VersionId(row["id"]): (retrieval.make_stored(row), row["state"]) for row in found}


async def list_damaged(db: Connection, after: str, limit: int) -> list[StoredInstance]:
    """Return damaged versions that were not reclaimed, by id, from above `after`."""
    found = await db.fetch(
        f"SELECT {retrieval.VERSION} FROM version v WHERE v.damage != '' AND v.id > ? ORDER BY v.id LIMIT ?",
        *(after, limit),
    )
    return [retrieval.make_stored(row) for row in found]


async def change_at(db: Connection, revision: int) -> Change | None:
    """Return the change of this revision, None where there is none."""
    found = await changelog.after(db, revision - 1, 1)
    return found[0] if found and found[0].revision == revision else None


async def has_same_past(live: Connection, aside: Connection) -> bool:
    """Return whether both hold the same change at the last revision of the new index, as far as both go."""
    last = await changelog.last_revision(aside)
    ours, theirs = await change_at(live, last), await change_at(aside, last)
    return ours is None or theirs is None or ours.is_same(theirs)
