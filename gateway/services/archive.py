"""Studies, series and instances as zip files with a DICOMDIR, streamed (PS3.10 8; an extension to PS3.18 10.4)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import groupby, islice

import orjson
from stream_zip import ZIP_64, async_stream_zip

from gateway.dicom.dicomdir import Entry, dicomdir, listed
from gateway.index.base import Scope, StoredInstance
from gateway.model import EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE
from gateway.render.pool import CodecPool
from gateway.services.body import Body
from gateway.services.retrieve import Retrieve

FILE_SET = "DICOM"
CHUNK = 1 << 18
_REWRITTEN = frozenset({IMPLICIT_VR_LE, EXPLICIT_VR_BE})
README = (
    "This is a DICOM file-set (PS3.10). The file DICOMDIR lists what is in it;\r\n"
    "programs that read DICOM media open that.\r\n"
)


class Archive:
    """Makes them. Instances go in as they are stored, implicit and big endian ones as Explicit VR Little Endian."""

    def __init__(self, retrieve: Retrieve, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._pool = pool

    async def zipped(
        self, scope: Scope, stored: Sequence[StoredInstance], uid: str
    ) -> AsyncGenerator[bytes, None]:
        """The bytes; `uid` is the File-set UID. Raises nothing before the first byte but what reading metadata does."""
        entries = await self._entries(scope, stored)
        directory = await self._pool.run(dicomdir, entries, FILE_SET, uid)
        modified = datetime.fromtimestamp(max(one.received for one in stored) / 1e6, UTC)

        async def members() -> AsyncIterator[tuple[str, datetime, int, object, AsyncIterator[bytes]]]:
            yield "README.TXT", modified, 0o644, ZIP_64, _once(README.encode())
            yield "DICOMDIR", modified, 0o644, ZIP_64, _once(directory)
            for entry, one in zip(entries, stored, strict=True):
                name = "/".join(entry.file_id)
                yield name, modified, 0o644, ZIP_64, self._bytes(scope, one)

        # Stored, not compressed: pixel data hardly gives way, and a viewer waits for it.
        async for chunk in async_stream_zip(
            members(),  # type: ignore[arg-type]
            chunk_size=CHUNK,
            get_compressobj=lambda: zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS),
        ):
            yield chunk

    async def _entries(self, scope: Scope, stored: Sequence[StoredInstance]) -> list[Entry]:
        """What the directory says of each instance that was listed, read in pages."""
        left = zip(_names(stored), stored, strict=True)
        entries: list[Entry] = []
        async with aclosing(self._retrieve.pages(scope, [one.version for one in stored])) as pages:
            async for rows in pages:
                few = list(islice(left, len(rows)))
                entries += await self._pool.run(
                    lambda rows=rows, few=few: [  # type: ignore[misc]
                        _entry(name, one, row) for (name, one), row in zip(few, rows, strict=True)
                    ]
                )
        return entries

    async def _bytes(self, scope: Scope, one: StoredInstance) -> AsyncIterator[bytes]:
        body: Body = await self._retrieve.instance_bytes(scope, one, None)
        async for chunk in body.chunks:
            yield chunk


def _names(stored: Sequence[StoredInstance]) -> Iterator[tuple[str, ...]]:
    """One for each instance, in order; they say nothing of the patient (F-17)."""
    series = groupby(stored, key=lambda one: one.identity.series)
    for number, (_, group) in enumerate(series):
        for count, _ in enumerate(group):
            yield "DICOM", f"SE{number:06d}", f"IM{count:06d}"


def _entry(name: tuple[str, ...], one: StoredInstance, row: bytes) -> Entry:
    syntax = EXPLICIT_VR_LE if one.transfer_syntax in _REWRITTEN else one.transfer_syntax
    return Entry(name, one.identity, syntax, listed(orjson.loads(row.replace(b"\0", b""))))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
