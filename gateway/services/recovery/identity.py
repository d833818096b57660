"""`archive.json` in the store: the id of the archive that its objects belong to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import orjson

from gateway.errors import ForeignArchive, ObjectExists, ObjectMissing
from gateway.services.journal.reading import read_object
from gateway.services.objectkeys import ARCHIVE_KEY
from gateway.store.base import ObjectStore

FORMAT = 2


async def read(store: ObjectStore) -> str:
    """Return the id, empty where there is none yet.

    Raises ForeignArchive where the object is not one of ours.
    """
    try:
        body = await read_object(store, ARCHIVE_KEY)
    except ObjectMissing:
        return ""
    try:
        said = orjson.loads(body)
        id, format = said["id"], said["format"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ForeignArchive(
            f"{ARCHIVE_KEY} in the store cannot be read: take it away, and it is made again where index and "
            "journal agree on the archive"
        ) from error
    if format != FORMAT or not isinstance(id, str) or not id:
        raise ForeignArchive(f"the store holds an archive of format {format}; this program knows {FORMAT}")
    return id


async def name(store: ObjectStore, id: str = "") -> str:
    """Write `archive.json`, with this id or a new one; return the id that it holds then."""
    id = id or uuid.uuid4().hex
    body = orjson.dumps(
        {"id": id, "format": FORMAT, "created": datetime.now(UTC).isoformat(timespec="seconds")},
        option=orjson.OPT_APPEND_NEWLINE,
    )

    async def once() -> AsyncIterator[bytes]:
        yield body

    try:
        await store.put(ARCHIVE_KEY, once())
    except ObjectExists:
        return await read(store)
    return id
