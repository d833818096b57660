"""Whether store and index can be used now."""

from __future__ import annotations

from contextlib import suppress

from gateway.errors import ObjectMissing
from gateway.index.base import Index, Scope
from gateway.store.base import ObjectStore

_NO_OBJECT = "readyz"
_WHOLE = Scope()


class Readiness:
    """Asks both for something that costs little."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index

    async def check(self, scope: Scope = _WHOLE) -> None:
        """Raises StoreUnavailable (no such bucket, credentials refused, no answer), IndexFailure."""
        with suppress(ObjectMissing):
            await self._store.stat(_NO_OBJECT)
        await self._index.ping(scope)
