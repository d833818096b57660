"""The versions below a path: one reading of the index, from which the whole answer is made."""

from __future__ import annotations

from gateway.index.base import Index, Scope, StoredInstance, fingerprint_of
from gateway.model import ResourcePath
from gateway.services.retrieve.layouts import make_damaged
from gateway.services.timing import measure


class Listing:
    """Lists instances in default order. What was listed is read by its version, whatever is committed since."""

    def __init__(self, index: Index) -> None:
        self._index = index

    async def find_version_set(self, scope: Scope, path: ResourcePath) -> str:
        """Return a fingerprint that changes whenever what is under `path` does. Raises NotFound, Gone."""
        with measure("index"):
            return await self._index.version_set(scope, path)

    async def list_instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Return those that can be had. Raises NotFound, Gone, ObjectDamaged where none can be had."""
        return _pick_sound(await self._list(scope, path))

    async def list_sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        """Return those that can be had, and how many are damaged. Raises as `list_instances` does."""
        stored = await self._list(scope, path)
        sound = _pick_sound(stored)
        return sound, len(stored) - len(sound)

    async def list_versions(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], str]:
        """Return those that can be had, and the version set of this very listing. Raises as `list_instances` does."""
        stored = await self._list(scope, path)
        return _pick_sound(stored), fingerprint_of(one.version for one in stored)

    async def read_row(self, scope: Scope, stored: StoredInstance) -> bytes:
        """Return the DICOM JSON object of an instance that was listed, a NUL byte where the base URL goes.

        Raises NotFound once it was reclaimed.
        """
        with measure("index"):
            (row,) = await self._index.bodies(scope, [stored.version], 0)
        return row

    async def _list(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        with measure("index"):
            return await self._index.instances(scope, path)


def _pick_sound(stored: list[StoredInstance]) -> list[StoredInstance]:
    sound = [one for one in stored if not one.damage]
    if not sound:
        raise make_damaged(stored[0])
    return sound
