"""What is read of headers alone is what is read of whole files; nothing is read that is not needed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from gateway.dicom.encoding.part10 import Part10Reader
from gateway.errors import DicomError, ObjectMissing, ShortRead
from gateway.index.base import Change, NewVersion
from gateway.model import Locator, Source, Span, VersionId
from gateway.services.recovery import reread
from gateway.services.recovery.reread import Reread
from gateway.store.base import Stored
from tests import build
from tests.corpus import rows

VERSION = VersionId("0" * 12 + "7" + "0" * 19)


class Bytes:
    """A store of one object, in memory; counts what is read."""

    id = "memory"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read_bytes = 0

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        whole = span or Span(0, len(self.data))
        if whole.stop > len(self.data):
            raise ShortRead(key)

        async def chunks() -> AsyncIterator[bytes]:
            self.read_bytes += len(whole)
            yield self.data[whole.start : whole.stop]

        yield chunks()

    async def stat(self, key: str) -> Stored:
        if key != "ab/1/1.2/x.dcm":
            raise ObjectMissing(key)
        return Stored(key, len(self.data), 0.0)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        return
        yield


def change_of(data: bytes) -> Change:
    """As if the file had been stored. Raises DicomError."""
    reader = Part10Reader(version=VERSION)
    reader.feed(data)
    read = reader.finish()
    return Change(
        *(1, 0, "store", Source("stow").partition, read.identity, None, VERSION, Source("stow")),
        locator=Locator("memory", "ab/1/1.2/x.dcm", 0, len(data)),
        file_digest=hashlib.sha256(data).digest(),
        content_digest=read.content_digest,
        transfer_syntax=read.transfer_syntax,
    )


async def read(data: bytes, *, headers: bool) -> tuple[NewVersion, int]:
    store = Bytes(data)
    made = await Reread(store, headers=headers).versions([change_of(data)])  # type: ignore[arg-type]
    return made[VERSION], store.read_bytes


async def test_headers_tell_the_same_as_whole_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the corpus, with jumps wherever a value is passed by."""
    monkeypatch.setattr(reread, "FIRST_READ", 512)
    monkeypatch.setattr(reread, "AFTER_GAP", 64)
    monkeypatch.setattr(reread, "GAP", 16)
    compared = 0
    for row in rows():
        data = row.file.read_bytes()
        if len(data) > 4 << 20:
            continue
        try:
            whole, _ = await read(data, headers=False)
        except DicomError:
            continue
        part, _ = await read(data, headers=True)
        assert part == whole, row.name
        compared += 1
    assert compared > len(rows()) // 2


@pytest.mark.parametrize("after", [False, True])
async def test_native_pixels_are_not_read(after: bool) -> None:
    more = {"DataSetTrailingPadding": bytes(16)} if after else {}
    data = build.instance(Rows=2048, Columns=2048, PixelData=bytes(2048 * 2048 * 2), **more)
    whole, _ = await read(data, headers=False)
    part, count = await read(data, headers=True)
    assert part == whole
    assert not part.damage
    assert count < 100_000


async def test_what_is_cut_off_is_told_by_its_length() -> None:
    data = build.instance(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
    change = change_of(data)
    for headers in (False, True):
        store = Bytes(data[:-4000])
        made = await Reread(store, headers=headers).versions([change])  # type: ignore[arg-type]
        assert made[VERSION].damage


async def test_another_file_in_its_place_is_told_by_its_header() -> None:
    data, other = build.instance(), build.instance()
    change = replace(change_of(data), locator=Locator("memory", "ab/1/1.2/x.dcm", 0, len(other)))
    made = await Reread(Bytes(other), headers=True).versions([change])  # type: ignore[arg-type]
    assert "another instance" in made[VERSION].damage


async def test_what_comes_back_from_the_trash_and_cannot_be_read_is_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is what was stored, and no longer read as such: a rebuild goes on all the same."""
    data = build.part10(build.dataset())
    change = change_of(data)

    async def swept(self: Reread, change: Change) -> bool:
        return True

    def unreadable(self: Part10Reader, chunk: bytes) -> None:
        raise DicomError("this is not taken any more")

    monkeypatch.setattr(Reread, "_bring_back", swept)
    monkeypatch.setattr(Part10Reader, "feed", unreadable)
    made = await Reread(Bytes(data)).versions([change])  # type: ignore[arg-type]
    assert "cannot be read" in made[VERSION].damage
