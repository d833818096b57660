"""Whatever fails while bytes are given up: what is left is an orphan, and the next one goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.errors import Gone, StoreUnavailable
from gateway.index.base import Scope
from gateway.model import ResourcePath, Source
from gateway.services.admin.remove import Remove
from gateway.services.admin.sweep import Sweeper, Swept
from gateway.services.admin.verify import Verify
from gateway.services.ingest.inplace import InPlace
from gateway.services.recovery.reindex import Reindex
from gateway.settings import Settings
from tests import build

SCOPE, SOURCE = Scope(), Source("stow")


class Crash(BaseException):
    """As if the process ended here."""


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def opened(data: Path) -> Gateway:
    gateway = await Gateway.open(Settings(data=str(data)))
    await gateway.start(follow=False)
    return gateway


async def deleted(gateway: Gateway) -> ResourcePath:
    ds = build.dataset()
    session = gateway.ingest.session(SOURCE)
    await session.take(one(build.part10(ds)))
    assert [outcome.failure for outcome in await session.finish()] == [None]
    path = ResourcePath(ds.StudyInstanceUID)
    await gateway.remove.remove(SCOPE, path, SOURCE)
    return path


async def differences(gateway: Gateway) -> list[str]:
    return [d.kind async for d in Verify(gateway.store, gateway.index).differences()]


def files(data: Path) -> list[Path]:
    """Objects that are not in the trash."""
    return [path for path in (data / "objects").rglob("*.dcm") if "trash" not in path.parts]


async def swept(gateway: Gateway, *, confirmed: bool = False) -> Swept:
    of = (gateway.store, gateway.index, gateway.journal, gateway.counters)
    return await Sweeper(*of, undo_seconds=None, grace=-1).run(confirmed=confirmed)


async def test_what_the_store_does_not_delete_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await opened(tmp_path)
    await deleted(gateway)

    async def away(key: str) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(gateway.store, "delete", away)
        tally = await gateway.reclaim.run(0)
    assert (tally.versions, tally.length, tally.left) == (1, 0, 1)
    assert await differences(gateway) == ["orphan"]
    assert len((await swept(gateway)).orphans) == 1
    assert files(tmp_path) == []
    assert await differences(gateway) == ["in trash"]
    await gateway.close()


@pytest.mark.parametrize("where", ["put", "delete"])
async def test_after_a_crash_the_journal_says_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    gateway = await opened(tmp_path)
    path = await deleted(gateway)

    async def crash(*given: Any) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(gateway.store, where, crash)
        with pytest.raises(Crash):
            await gateway.reclaim.run(0)
    await gateway.close()
    gateway = await opened(tmp_path)
    assert await differences(gateway) == ["orphan"]
    assert (await gateway.reclaim.run(0)).versions == 0
    await Reindex(gateway.store, gateway.index).run()
    assert await differences(gateway) == ["orphan"]
    with pytest.raises(Gone, match="given up"):
        await gateway.remove.restore(SCOPE, path, SOURCE)
    await swept(gateway)
    assert files(tmp_path) != []  # older than the index that was rebuilt
    await swept(gateway, confirmed=True)
    assert files(tmp_path) == []
    await gateway.close()


async def test_what_lies_elsewhere_is_left_there(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    ds = build.dataset()
    (archive / "a.dcm").write_bytes(build.part10(ds))
    gateway = await opened(tmp_path / "data")
    job = InPlace(gateway.store, gateway.commits, Source("import"))
    async with gateway.place(archive.as_uri()) as place:
        assert [(await job.take(found)).failure async for found in place.find()] == [None]
    remove: Remove = gateway.remove
    await remove.remove(SCOPE, ResourcePath(ds.StudyInstanceUID), SOURCE)
    tally = await gateway.reclaim.run(0)
    assert (tally.versions, tally.length, tally.left) == (1, 0, 0)
    assert [path.name for path in archive.iterdir()] == ["a.dcm"]
    assert await differences(gateway) == []
    await gateway.close()
