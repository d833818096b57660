"""`reindex` gives back every answer byte for byte; nothing refused or deleted comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from gateway.app import Gateway
from gateway.dicom.query import Query
from gateway.index.base import Scope
from gateway.model import Level, ResourcePath, Source, StudyUID
from gateway.services.reindex import Reindex
from gateway.services.verify import Verify
from gateway.settings import Settings
from tests import build

SCOPE = Scope()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def store(gateway: Gateway, *files: bytes) -> list[int | None]:
    session = gateway.ingest.session(Source("stow"))
    for file in files:
        await session.take(one(file))
    return [outcome.failure for outcome in await session.finish()]


async def answers(gateway: Gateway) -> list[object]:
    """All searches, metadata and version sets."""
    seen: list[object] = []
    for level in Level:
        page = await gateway.index.search(SCOPE, Query(level, include_all=True))
        seen.append((level, list(page.rows)))
    studies = await gateway.index.search(SCOPE, Query(Level.STUDY))
    for row in studies.rows:
        uid = row.split(b"/studies/")[1].split(b'"')[0].decode()
        path = ResourcePath(StudyUID(uid))
        seen.append(await gateway.index.version_set(SCOPE, path))
        seen.append(await gateway.index.metadata(SCOPE, path))
        seen.append(await gateway.index.instances(SCOPE, path))
    seen.append(await gateway.index.conflicts(SCOPE))
    seen.append(await gateway.index.changes(0))
    return seen


async def test_every_answer_comes_back(tmp_path: Path) -> None:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    ds = build.dataset(StudyDescription="first")
    other = build.dataset(StudyInstanceUID=ds.StudyInstanceUID, PatientName="Other^Name", Modality="PT")
    gone = build.dataset()
    assert await store(gateway, build.part10(ds), build.part10(other), build.part10(gone)) == [None] * 3
    assert await store(gateway, build.part10(ds)) == [None]
    changed = build.part10(
        build.dataset(**{e.keyword: e.value for e in ds if e.keyword} | {"PatientID": "x"})
    )
    assert await store(gateway, changed) == [0x0111]
    assert await store(gateway, b"not dicom") == [0xC000]
    await gateway.remove.remove(SCOPE, ResourcePath(gone.StudyInstanceUID), Source("stow"))
    assert await store(gateway, build.instance(StudyInstanceUID=ds.StudyInstanceUID, SeriesNumber=2)) == [
        None
    ]
    before = await answers(gateway)
    await gateway.ingest.close()
    await Reindex(gateway.store, gateway.index).run()
    assert await answers(gateway) == before
    assert [d async for d in Verify(gateway.store, gateway.index).differences()] == []
    await gateway.close()


async def test_verify_names_what_is_damaged(tmp_path: Path) -> None:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    await store(gateway, build.instance(), build.instance())
    first, second = sorted(p for p in (tmp_path / "objects").rglob("*.dcm"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1] + b"!")
    (tmp_path / "objects" / "ab" / "1" / "1.2").mkdir(parents=True)
    (tmp_path / "objects" / "ab" / "1" / "1.2" / "0.dcm").write_bytes(b"left over")
    found = {d.kind async for d in Verify(gateway.store, gateway.index).differences()}
    assert found == {"object missing", "object digest", "orphan"}
    await gateway.close()
