"""The order of durable calls, and what is left when the power goes at the moment of the answer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway.app import Gateway, open_index
from gateway.model import Source
from gateway.services.admin.verify import Verify
from gateway.settings import Settings
from gateway.store.disk import Disk
from gateway.store.filesystem import FilesystemStore
from tests import build


class RecordingDisk(Disk):
    """Notes each call; `synced` is what a power cut would leave: contents and names that were fsynced."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._names: dict[int, str] = {}
        self._unsynced: dict[str, bytes] = {}
        self._inodes: dict[str, bytes] = {}
        self._entries: dict[str, bytes] = {}
        self.synced: dict[str, bytes] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._names[descriptor] = str(path)
        self._unsynced[str(path)] = b""
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data)
        self._unsynced[self._names[descriptor]] += data

    def fsync(self, descriptor: int) -> None:
        super().fsync(descriptor)
        name = self._names[descriptor]
        self.calls.append(("fsync", name))
        self._inodes[name] = self._unsynced[name]

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self.calls.append(("link", str(target)))
        # Without the fsync before it, the name would lead to an empty file.
        self._entries[str(target)] = self._inodes.get(str(source), b"")

    def fsync_folder(self, path: Path) -> None:
        super().fsync_folder(path)
        self.calls.append(("fsync folder", str(path)))
        here = [name for name in self._entries if Path(name).parent == path]
        self.synced.update((name, self._entries.pop(name)) for name in here)


@asynccontextmanager
async def recorded(tmp_path: Path, disk: RecordingDisk) -> AsyncIterator[Gateway]:
    index = await open_index(f"sqlite://{tmp_path / 'index.sqlite'}")
    await index.migrate()
    gateway = Gateway(Settings(), FilesystemStore(tmp_path / "objects", disk=disk), index)
    await gateway.start(follow=False)
    try:
        yield gateway
    finally:
        await gateway.close()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def stored(gateway: Gateway, files: list[bytes]) -> None:
    async def send(file: bytes) -> None:
        session = gateway.ingest.session(Source("stow"))
        await session.take(one(file))
        (outcome,) = await session.finish()
        assert outcome.failure is None, outcome.detail

    await asyncio.gather(*(send(file) for file in files))


def assert_in_order(calls: list[tuple[str, str]]) -> None:
    """Each object: fsync, link, fsync of its folder; all objects of a batch before its journal object."""
    for position, (call, name) in enumerate(calls):
        if call != "link":
            continue
        assert any(c == "fsync" for c, _ in calls[:position])
        assert ("fsync folder", str(Path(name).parent)) in calls[position:]


async def test_one_store_syncs_object_then_journal(tmp_path: Path) -> None:
    disk = RecordingDisk()
    async with recorded(tmp_path, disk) as gateway:
        await stored(gateway, [build.instance()])
        assert_in_order(disk.calls)
        linked = [Path(name).suffix for call, name in disk.calls if call == "link"]
        assert linked == [".json", ".dcm", ".jsonl"], "archive.json, the object, the journal"
        assert disk.calls[-1][0] == "fsync folder"


@pytest.mark.row("S-78")
async def test_fifty_at_once_survive_a_power_cut_at_the_answer(tmp_path: Path) -> None:
    disk = RecordingDisk()
    async with recorded(tmp_path, disk) as gateway:
        await stored(gateway, [build.instance(InstanceNumber=n) for n in range(50)])
        assert_in_order(disk.calls)
        after_the_cut = dict(disk.synced)
        # The index as its last commit left it: synchronous=FULL syncs the WAL before COMMIT returns.
        backup = sqlite3.connect(tmp_path / "copy.sqlite")
        with sqlite3.connect(tmp_path / "index.sqlite") as live:
            live.backup(backup)
        backup.close()
    replayed = tmp_path / "replayed"
    for name, content in after_the_cut.items():
        target = replayed / Path(name).relative_to(tmp_path / "objects")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    index = await open_index(f"sqlite://{tmp_path / 'copy.sqlite'}")
    store = FilesystemStore(replayed)
    found = [difference async for difference in Verify(store, index).differences()]
    assert found == []
    assert sum(1 for name in after_the_cut if name.endswith(".dcm")) == 50
    await index.close()
    await store.close()


async def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    from gateway.index.sqlite import SqliteIndex

    index = await SqliteIndex.open(tmp_path / "index.sqlite")
    await index.migrate()
    assert await index._run(index._readers, lambda db: db.execute("PRAGMA synchronous").fetchone()[0]) == 2
    await index.close()
