"""A store without room (PS3.18 Table I.2-2, A7xx; 10.5.3)."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.app import Gateway, open_index
from gateway.dicom.query.query import Query
from gateway.http.studies.storeresponse import store_status
from gateway.index.base import Scope
from gateway.model import Level, Source
from gateway.settings import Settings
from gateway.store.disk import Disk
from gateway.store.filesystem import FilesystemStore
from tests import build


class SmallDisk(Disk):
    """Takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: bytes) -> None:
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(data)
        super().write(descriptor, data)


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.row("S-76", "S-F-A7xx", "S-85")
async def test_what_finds_no_room_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    index = await open_index(f"sqlite://{tmp_path / 'index.sqlite'}")
    await index.migrate()
    small, large = build.instance(), build.instance(PixelData=bytes(1 << 16), Rows=256, Columns=128)
    disk = SmallDisk(len(small) * 10)
    store = FilesystemStore(tmp_path / "objects", disk=disk)
    gateway = Gateway(Settings(), store, index)
    await gateway.start(follow=False)
    try:
        for data, failure, status in ((large, 0xA700, 503), (small, None, 200)):
            session = gateway.ingest.session(Source("stow"))
            await session.take(one(data))
            outcomes = await session.finish()
            assert ([outcome.failure for outcome in outcomes], store_status(outcomes)) == ([failure], status)
        assert len((await index.search(Scope(), Query(Level.INSTANCE))).rows) == 1
        files = [file for file in (tmp_path / "objects").rglob("*.dcm") if file.is_file()]
        assert [file.read_bytes() for file in files] == [small]
    finally:
        await gateway.close()
