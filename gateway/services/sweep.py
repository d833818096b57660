"""Objects that were written and never committed, or reclaimed and still there: found and, after a grace time, deleted."""

from __future__ import annotations

import time

from gateway.index.base import Index
from gateway.model import VersionId
from gateway.services.naming import derived_from, version_of
from gateway.store.base import ObjectStore

GRACE_SECONDS = 24 * 3600.0


async def sweep(store: ObjectStore, index: Index, *, grace: float = GRACE_SECONDS) -> list[str]:
    """Delete orphans older than `grace` seconds; their keys.

    What is written now is committed within seconds, so the grace time only has to outlast a slow upload.
    """
    keys, versions = set[str](), set[VersionId]()
    async for stored, state in index.all_versions():
        if state != "reclaimed":
            keys.add(stored.locator.key)
            versions.add(stored.version)
    before = time.time() - grace
    swept: list[str] = []
    for found in [o async for o in store.list("") if o.modified < before]:
        made_of = derived_from(found.key)
        if (version_of(found.key) and found.key not in keys) or (made_of and made_of not in versions):
            await store.delete(found.key)
            swept.append(found.key)
    return swept
