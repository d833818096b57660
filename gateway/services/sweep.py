"""Objects that were written and never committed: found and, after a grace time, deleted."""

from __future__ import annotations

import time

from gateway.index.base import Index
from gateway.services.naming import version_of
from gateway.store.base import ObjectStore

GRACE_SECONDS = 24 * 3600.0


async def sweep(store: ObjectStore, index: Index, *, grace: float = GRACE_SECONDS) -> list[str]:
    """Delete orphans older than `grace` seconds; their keys.

    What is written now is committed within seconds, so the grace time only has to outlast a slow upload.
    """
    known = {stored.locator.key async for stored, _ in index.all_versions()}
    before = time.time() - grace
    swept: list[str] = []
    candidates = [o async for o in store.list("") if version_of(o.key) and o.modified < before]
    for found in candidates:
        if found.key not in known:
            await store.delete(found.key)
            swept.append(found.key)
    return swept
