"""How long a healthy start takes beside a journal of many changes: `python -m tests.bench.startup [changes]`.

The index is SQLite with the same rows; the journal is segments, and a log of single changes at the end.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.app import Gateway
from gateway.index import changelog
from gateway.index.base import Change
from gateway.index.connection import Connection
from gateway.model import (
    DEFAULT_PARTITION,
    Identity,
    InstanceUID,
    Locator,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)
from gateway.services.journal.format import pack_block
from gateway.services.objectkeys import log_key, segment_key
from gateway.settings import Settings
from gateway.store.filesystem import FilesystemStore

LOG = 1500
SEGMENT = 20_000
ROWS = 1000


def change(revision: int) -> Change:
    """A store like any other."""
    version = VersionId(f"{revision:032x}")
    return Change(
        *(revision, 1_700_000_000_000_000 + revision, "store", DEFAULT_PARTITION),
        Identity(
            StudyUID("1.2.3.4.5"), SeriesUID("1.2.3.4.5.6"), InstanceUID(f"1.2.3.4.5.6.{revision}"), "1.2"
        ),
        *(None, version, Source("stow", "127.0.0.1"), ""),
        Locator("file", f"ab/1/1.2.3.4.5/{version}.dcm", 0, 512),
        *(b"1" * 32, b"2" * 32, "1.2.840.10008.1.2.1"),
    )


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def fill(folder: Path, count: int) -> None:
    """An archive of `count` changes, without the objects."""
    settings = Settings(data=str(folder))
    gateway = await Gateway.open(settings)
    await gateway.compare()
    archive = gateway.journal.archive
    store = FilesystemStore(folder / "objects")
    for first in range(1, count + 1, SEGMENT):
        rows = [change(revision) for revision in range(first, min(first + SEGMENT, count + 1))]

        async def append(db: Connection, rows: list[Change] = rows) -> None:
            await changelog.append(db, rows)
            await db.execute("UPDATE change SET journaled = 1 WHERE revision >= ?", rows[0].revision)

        await gateway.index._commit(append)  # type: ignore[attr-defined]
        if first + SEGMENT <= count - LOG:
            runs = [rows[n : n + ROWS] for n in range(0, len(rows), ROWS)]
            body = b"".join(pack_block(archive, "bench", 0, "", run) for run in runs)
            await store.put(segment_key(rows[0].revision, rows[-1].revision), once(body))
        else:
            for row in rows:
                await store.put(log_key(row.revision), once(pack_block(archive, "bench", 0, "", [row])))
    await gateway.close()
    await store.close()


async def main(count: int) -> None:
    """Print how long each of a few starts took, in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name), count)
        listed = sum(1 for _ in Path(name, "objects", "journal").rglob("*.jsonl"))
        print(f"{count} changes, {listed} journal objects")
        for _ in range(4):
            gateway = await Gateway.open(Settings(data=name))
            begun = time.perf_counter()
            await gateway.compare()
            print(f"compared in {(time.perf_counter() - begun) * 1000:.1f} ms")
            await gateway.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
