"""List the versions below a path by one read of the index; the whole answer is made from it."""

from __future__ import annotations

from gateway.index.base import Index, Scope, StoredInstance, fingerprint_of
from gateway.model import ResourcePath
from gateway.services.retrieve.layouts import make_damaged
from gateway.services.timing import measure


class Listing:
    """Lists instances in default order.

    A listed instance is read by its version, whatever is committed since.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    async def find_version_set(self, scope: Scope, path: ResourcePath) -> str:
        """Return a fingerprint of the versions under `path`: any change there changes it.

        Raises NotFound, Gone.
        """
        with measure("index"):
            return await self._index.version_set(scope, path)

    async def list_instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        """Return the instances that are not damaged.

        Raises NotFound, Gone, ObjectDamaged where all are damaged.
        """
        return _pick_sound(await self._list(scope, path))

    async def list_sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        """Return the instances that are not damaged, and the number of damaged ones.

        Raises as `list_instances` does.
        """
        stored = await self._list(scope, path)
        sound = _pick_sound(stored)
        return sound, len(stored) - len(sound)

    async def list_versions(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], str]:
        """Return the instances that are not damaged, and the version set of this very listing.

        Raises as `list_instances` does.
        """
        stored = await self._list(scope, path)
        return _pick_sound(stored), fingerprint_of(one.version for one in stored)

    async def read_row(self, scope: Scope, stored: StoredInstance) -> bytes:
        """Return the DICOM JSON object of a listed instance, with a NUL byte in place of the base URL.

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
