"""Stream zip files of studies, series and instances, each with a DICOMDIR.

PS3.10 8; an extension to PS3.18 10.4.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import TypeAlias, TypeVar

import orjson
from stream_zip import ZIP_64, Method, stream_zip

from gateway.dicom import uids
from gateway.dicom.model.dicomdir import DirectoryEntry, dicomdir, pick_record_keys
from gateway.index.base import Scope, StoredInstance
from gateway.render.pool import CodecPool
from gateway.services.bytestream import Body
from gateway.services.retrieve.retrieve import Retrieve

T = TypeVar("T")
AsyncMember: TypeAlias = tuple[str, datetime, int, Method, AsyncIterator[bytes]]

FILE_SET = "DICOM"
CHUNK = 1 << 18
# Archives that may be packed at the same moment.
AT_ONCE = 2
_REWRITTEN = frozenset({uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN})
README = (
    "This is a DICOM file-set (PS3.10). The file DICOMDIR lists what is in it;\r\n"
    "programs that read DICOM media open that.\r\n"
)


class ZipFiles:
    """Packs instances into zip files, as they are stored.

    Instances in implicit or big endian are packed as Explicit VR Little Endian.
    """

    def __init__(self, retrieve: Retrieve, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._pool = pool
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="zip")

    async def stream_zip(
        self, scope: Scope, stored: Sequence[StoredInstance], uid: str
    ) -> AsyncGenerator[bytes, None]:
        """Stream one zip file; `uid` is the File-set UID of its DICOMDIR.

        Before the first byte it raises only what reading the metadata raises.
        """
        entries = await self._entries(scope, stored)
        directory = await self._pool.run(dicomdir, entries, FILE_SET, uid)
        modified = datetime.fromtimestamp(max(one.received for one in stored) / 1e6, UTC)

        async def members() -> AsyncGenerator[AsyncMember, None]:
            yield "README.TXT", modified, 0o644, ZIP_64, _once(README.encode())
            yield "DICOMDIR", modified, 0o644, ZIP_64, _once(directory)
            for entry, one in zip(entries, stored, strict=True):
                name = "/".join(entry.file_id)
                yield name, modified, 0o644, ZIP_64, self._bytes(scope, one)

        async with aclosing(self._pack(members())) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _pack(self, members: AsyncGenerator[AsyncMember, None]) -> AsyncGenerator[bytes, None]:
        """Stream the archive in chunks of about `CHUNK` bytes.

        Packing runs in threads of its own: the shared threads read the objects that are packed.
        """
        loop = asyncio.get_running_loop()
        pieces = stream_zip(
            ((*about, _iterate_blocking(body, loop)) for *about, body in _iterate_blocking(members, loop)),  # type: ignore[misc]
            chunk_size=CHUNK,
            # Members are stored without compression: pixel data hardly shrinks, and a viewer waits for it.
            get_compressobj=lambda: zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS),
        )
        steps = iter(pieces)
        try:
            while True:
                # Archives take turns, one chunk at a time, so that one archive does not delay
                # everything else.
                async with self._turns:
                    step = loop.run_in_executor(self._threads, next, steps, None)
                    try:
                        piece = await asyncio.shield(step)
                    except asyncio.CancelledError:
                        await asyncio.wait([step])  # the thread still uses `members`, which are closed below
                        raise
                if piece is None:
                    return
                yield piece
        finally:
            await members.aclose()

    def close(self) -> None:
        """Shut down the threads; a step that is running ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _entries(self, scope: Scope, stored: Sequence[StoredInstance]) -> list[DirectoryEntry]:
        """Return the DICOMDIR entry of each instance; the metadata are read in pages."""
        left = zip(_names(stored), stored, strict=True)
        entries: list[DirectoryEntry] = []
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
    """Yield a file name for each instance, in order; names say nothing about the patient (F-17)."""
    series = groupby(stored, key=lambda one: one.identity.series)
    for number, (_, group) in enumerate(series):
        for count, _ in enumerate(group):
            yield "DICOM", f"SE{number:06d}", f"IM{count:06d}"


def _entry(name: tuple[str, ...], one: StoredInstance, row: bytes) -> DirectoryEntry:
    syntax = uids.EXPLICIT_VR_LITTLE_ENDIAN if one.transfer_syntax in _REWRITTEN else one.transfer_syntax
    return DirectoryEntry(name, one.identity, syntax, pick_record_keys(orjson.loads(row.replace(b"\0", b""))))


def _iterate_blocking(things: AsyncIterator[T], loop: asyncio.AbstractEventLoop) -> Iterator[T]:
    """Yield, in a thread, the items of an async iterator that runs on the event loop; block for each item."""

    async def step() -> tuple[T] | None:
        try:
            return (await anext(things),)
        except StopAsyncIteration:
            return None

    while (found := asyncio.run_coroutine_threadsafe(step(), loop).result()) is not None:
        yield found[0]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
