"""A start never loses what was acknowledged: it compares, replays, journals, or refuses by name."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest
from gateway.app import Gateway, open_index
from gateway.errors import ForeignArchive, IndexBehind, IndexFailure, JournalDamaged
from gateway.index.base import Change, Scope
from gateway.model import Level, ResourcePath, Source, StudyUID
from gateway.services.admin.sweep import Sweeper
from gateway.services.admin.verify import Verify
from gateway.services.journal.format import to_line
from gateway.services.journal.segments import Segments
from gateway.services.objectkeys import new_version
from gateway.services.recovery.reindex import Reindex
from gateway.settings import Settings
from gateway.store.s3 import S3Store
from tests import build, servers
from tests.index.conftest import new_database
from tests.live import run
from tests.services.recovery.test_reindex import answers, store

SCOPE = Scope()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URI of a server that lives as long as the module."""
    with servers.postgres() as uri:
        yield uri


@dataclass
class Home:
    """Where an archive lies, embedded or beside PostgreSQL."""

    folder: Path
    index: str = ""

    @property
    def settings(self) -> Settings:
        return Settings(data=str(self.folder), index=self.index)

    @asynccontextmanager
    async def opened(self, *, start: bool = True, rebuild: bool = False) -> AsyncIterator[Gateway]:
        """A process that compares, and takes work."""
        gateway = await Gateway.open(self.settings, check=False)
        await gateway.index.migrate()
        try:
            if rebuild:
                await gateway.compare(rebuild=True)
            if start:
                await gateway.start(follow=False)
            yield gateway
        finally:
            await gateway.close()

    def lose_index(self) -> None:
        for file in self.folder.glob("index.sqlite*"):
            file.unlink()

    @property
    def objects(self) -> Path:
        return self.folder / "objects"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data")


async def damages(gateway: Gateway) -> list[str]:
    return [
        f"{d.kind} {d.what}" async for d in Verify(gateway.store, gateway.index).differences() if d.is_damage
    ]


async def filled(gateway: Gateway, count: int = 5) -> None:
    """Stores in objects of their own, a delete and a repeat."""
    files = [build.instance(InstanceNumber=n) for n in range(count)]
    for file in files:
        assert await store(gateway, file) == [None]
    assert await store(gateway, files[0]) == [None]
    gone = (await gateway.index.changes(await gateway.index.last_revision() - 1, 1))[0]
    await gateway.remove.remove(SCOPE, ResourcePath(gone.identity.study), Source("api"))


# -- the index is behind ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["lost", "emptied"])
async def test_a_lost_index_comes_back_before_anything_is_answered(
    home: Home, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
        before = await answers(gateway)
    home.lose_index()
    if loss == "emptied":
        (home.folder / "index.sqlite").touch()
    with caplog.at_level(logging.WARNING):
        async with home.opened() as gateway:
            assert await answers(gateway) == before
            last = await gateway.index.last_revision()
            assert await store(gateway, build.instance()) == [None]
            assert await gateway.index.last_revision() == last + 1
            sweeper = Sweeper(
                *(gateway.store, gateway.index, gateway.journal, gateway.counters),
                undo_seconds=0.0,
                grace=-1.0,
            )
            swept = await sweeper.run(confirmed=True)
            assert (swept.orphans, swept.why_not) == ([], "")
            assert await damages(gateway) == []
    assert any("they are replayed" in r.getMessage() for r in caplog.records)
    assert any("is empty" in r.getMessage() for r in caplog.records) == (loss == "emptied")


async def test_an_older_index_gets_the_tail_only(home: Home, tmp_path: Path) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
    shutil.copy(home.folder / "index.sqlite", tmp_path / "backup")
    async with home.opened() as gateway:
        await filled(gateway, 3)
        before = await answers(gateway)
    home.lose_index()
    shutil.copy(tmp_path / "backup", home.folder / "index.sqlite")
    steps: list[tuple[int, int]] = []
    async with home.opened(start=False) as gateway:
        await gateway.compare(progress=lambda done, total: steps.append((done, total)))
        assert await answers(gateway) == before
        assert steps[-1] == (5, 5), "three stores, a repeat and a delete, of twelve changes"


async def test_starts_at_once_replay_together(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway, 20)
        before = await answers(gateway)
    home.lose_index()
    async with home.opened(start=False) as one, home.opened(start=False) as other:
        await asyncio.gather(one.start(follow=False), other.start(follow=False))
        assert await answers(one) == before
        assert await answers(other) == before


async def test_a_replay_that_was_interrupted_goes_on(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway, 6)
        before = await answers(gateway)
    home.lose_index()
    async with home.opened(start=False) as gateway:
        changes = [c async for page in gateway.journal.changes() for c in page]
        await gateway.index.replay(changes[:0], {})
        await gateway.index.adopt((await gateway.index.archive_id()) or "")
    async with home.opened() as gateway:
        assert await answers(gateway) == before


async def test_one_missing_object_does_not_stop_the_replay(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
        counted = await gateway.index.counts()
    next(iter(sorted(home.objects.rglob("*.dcm"), key=lambda p: p.name))).unlink()  # of the deleted one
    sorted(home.objects.rglob("*.dcm"), key=lambda p: p.name)[0].unlink()
    home.lose_index()
    async with home.opened() as gateway:
        assert (await gateway.index.counts())[Level.INSTANCE] >= counted[Level.INSTANCE] - 1
        assert await gateway.index.last_revision() == 7
    assert sum("is missing" in r.getMessage() for r in caplog.records) == 2


async def test_postgres_refuses_and_names_the_command(tmp_path: Path, postgres: str) -> None:
    async with new_database(postgres) as one, new_database(postgres) as other:
        home = Home(tmp_path / "data", one)
        async with home.opened() as gateway:
            await filled(gateway)
            before = await answers(gateway)
        lost = replace(home, index=other)
        async with lost.opened(start=False) as gateway:
            with pytest.raises(IndexBehind, match=r"dicomweb-gateway reindex.*--rebuild"):
                await gateway.start(follow=False)
            assert await gateway.index.last_revision() == 0
            assert await gateway.index.archive_id() == ""
        async with lost.opened(rebuild=True) as gateway:
            assert await answers(gateway) == before
            assert await damages(gateway) == []


async def test_a_damaged_tail_is_not_replayed_over(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
    home.lose_index()
    victim = sorted((home.objects / "journal" / "log").iterdir())[2]
    victim.unlink()
    async with home.opened(start=False) as gateway:
        with pytest.raises(JournalDamaged, match="revisions 3"):
            await gateway.start(follow=False)


async def test_a_damaged_end_of_the_journal_is_told(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """The index knows all, so that it starts; but once the index is lost, this is."""
    async with home.opened() as gateway:
        await filled(gateway)
    (home.objects / "journal" / "log" / "0000000000000007.jsonl").write_bytes(b"")
    async with home.opened():
        pass
    assert any("run 'dicomweb-gateway verify'" in r.getMessage() for r in caplog.records)


async def test_a_file_that_is_no_sqlite_is_refused_by_name(home: Home) -> None:
    home.folder.mkdir()
    (home.folder / "index.sqlite").write_bytes(b"this is no database at all\n" * 400)
    with pytest.raises(IndexFailure, match="no SQLite file"):
        await Gateway.open(home.settings)


# -- the index is ahead -------------------------------------------------------------------------------------


async def test_an_end_of_the_journal_that_was_lost_is_written_again(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
        before = await answers(gateway)
    for victim in sorted((home.objects / "journal" / "log").iterdir())[-3:]:
        victim.unlink()
    async with home.opened() as gateway:
        assert await damages(gateway) == []
    home.lose_index()
    async with home.opened() as gateway:
        assert await answers(gateway) == before


# -- of one archive -----------------------------------------------------------------------------------------


async def test_an_archive_has_a_name_in_store_index_and_journal(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway, 1)
        said = orjson.loads((home.objects / "archive.json").read_bytes())
        assert said["format"] == 2
        assert await gateway.index.archive_id() == said["id"] == gateway.journal.archive
    log = sorted((home.objects / "journal" / "log").iterdir())
    assert {orjson.loads(f.read_bytes().split(b"\n")[0])["archive"] for f in log} == {said["id"]}


@pytest.mark.parametrize("kind", ["other store", "emptied store"])
async def test_an_index_beside_another_store_is_refused(home: Home, tmp_path: Path, kind: str) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
    shutil.move(home.objects, tmp_path / "aside")
    other = Home(tmp_path / "other")
    if kind == "other store":
        async with other.opened() as gateway:
            await filled(gateway, 2)
        shutil.copytree(other.objects, home.objects)
    async with home.opened(start=False) as gateway:
        with pytest.raises(ForeignArchive, match="belongs to archive"):
            await gateway.start(follow=False)
    assert not (home.objects / "archive.json").exists() or kind == "other store"


async def test_archive_json_is_made_again_where_the_journal_names_it(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
    body = orjson.loads((home.objects / "archive.json").read_bytes())
    (home.objects / "archive.json").unlink()
    async with home.opened() as gateway:
        assert gateway.journal.archive == body["id"]
    assert orjson.loads((home.objects / "archive.json").read_bytes())["id"] == body["id"]
    (home.objects / "archive.json").write_bytes(b"{}")
    async with home.opened(start=False) as gateway:
        with pytest.raises(ForeignArchive, match=r"archive\.json"):
            await gateway.start(follow=False)


async def test_two_indexes_over_one_store_stop_at_the_first_batch(home: Home, tmp_path: Path) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
    twin = Home(tmp_path / "twin")
    twin.folder.mkdir()
    shutil.copy(home.folder / "index.sqlite", twin.folder / "index.sqlite")
    twin.objects.symlink_to(home.objects)
    async with home.opened() as one, twin.opened() as other:
        assert await store(one, build.instance()) == [None]
        (failure,) = await store(other, build.instance())
        assert failure is not None
        before = await answers(one)
    async with twin.opened(start=False) as other:
        with pytest.raises(ForeignArchive, match="different changes of revision 8"):
            await other.start(follow=False)
    home.lose_index()
    async with home.opened() as gateway:
        assert await answers(gateway) == before


# -- cost ---------------------------------------------------------------------------------------------------


async def test_a_healthy_start_reads_the_end_of_the_journal_only(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with home.opened() as gateway:
        await filled(gateway, 30)
        await Segments(gateway.store, gateway.journal).compact(quiet=-1, least=2)
        await filled(gateway, 3)
    async with home.opened(start=False) as gateway:
        reads: list[str] = []
        real = gateway.store.read

        def read(key: str, *more: object) -> object:
            reads.append(key)
            return real(key, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(gateway.store, "read", read)
        await gateway.start(follow=False)
        assert len(reads) <= 4, reads


# -- S3 -----------------------------------------------------------------------------------------------------


async def test_the_same_over_s3(home: Home) -> None:
    with servers.moto() as server, servers.admin(server) as client:
        client.create_bucket(Bucket=servers.BUCKET)

        def bucket() -> S3Store:
            return S3Store(
                *(servers.BUCKET, "archive"),
                endpoint=server.endpoint,
                access=servers.ACCESS,
                secret=servers.SECRET,
                region="us-east-1",
            )

        before: list[object] = []
        for round in range(2):
            home.lose_index()
            index = await open_index(home.settings.index_url)
            await index.migrate()
            gateway = Gateway(home.settings, bucket(), index)
            await gateway.start(follow=False)
            if not round:
                await filled(gateway)
                await Segments(gateway.store, gateway.journal).compact(quiet=-1, least=2)
                before = await answers(gateway)
            assert await answers(gateway) == before
            await gateway.close()


# -- archives of format 1 -----------------------------------------------------------------------------------


async def aged(home: Home) -> None:
    """Make the archive one of format 1, byte for byte as the code before wrote it."""
    async with home.opened() as gateway:
        changes = await gateway.index.changes(0, 1000)
        await _unnamed(gateway)
    shutil.rmtree(home.objects / "journal" / "log")
    (home.objects / "archive.json").unlink()
    for change in changes:
        _old(home, [change])
    _old(home, changes[1:3])  # as another process had journaled what a crash left


def _old(home: Home, changes: list[Change]) -> None:
    name = f"{changes[0].revision:016d}-{new_version()}.jsonl"
    (home.objects / "journal" / name).write_bytes(b"".join(map(to_line, changes)))


async def _unnamed(gateway: Gateway) -> None:
    """An index that was made before it could bear a name."""
    await gateway.index._commit(lambda db: db.execute("DELETE FROM archive"))  # type: ignore[attr-defined]


async def test_an_archive_of_format_1_is_taken_over_on_start(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
        gone = (await gateway.index.changes(await gateway.index.last_revision() - 1, 1))[0].identity.study
        await gateway.remove.restore(SCOPE, ResourcePath(StudyUID(gone)), Source("api"))
        before = await answers(gateway)
    await aged(home)
    untouched = {p: p.read_bytes() for p in home.objects.rglob("*") if p.is_file()}
    async with home.opened() as gateway:
        assert await answers(gateway) == before
        assert gateway.journal.archive == await gateway.index.archive_id() != ""
        assert {p: p.read_bytes() for p in untouched} == untouched
        assert await store(gateway, build.instance()) == [None]
        after = await answers(gateway)
        await gateway.ingest.close()
        await Reindex(gateway.store, gateway.index).run()
        assert await answers(gateway) == after
        assert await Segments(gateway.store, gateway.journal).compact(quiet=-1, least=1) >= 1
        assert await damages(gateway) == []
    assert not list((home.objects / "journal").glob("*.jsonl"))
    home.lose_index()
    async with home.opened() as gateway:
        assert await answers(gateway) == after


async def test_an_archive_of_format_1_whose_index_is_lost_comes_back(home: Home) -> None:
    async with home.opened() as gateway:
        await filled(gateway)
        before = await answers(gateway)
    await aged(home)
    home.lose_index()
    async with home.opened() as gateway:
        assert await answers(gateway) == before


def test_commands_say_a_refusal_in_one_line(home: Home, tmp_path: Path) -> None:
    async def prepare() -> None:
        async with home.opened() as gateway:
            await filled(gateway)

    asyncio.run(prepare())
    shutil.rmtree(home.objects)
    for command in (("serve", "--port", "0"), ("import", str(tmp_path)), ("reclaim", "--older-than", "0s")):
        done = run(*command, data=home.folder, environment=dict(os.environ))
        assert done.returncode == 1
        assert done.stderr.startswith("dicomweb-gateway: the index belongs to archive"), done.stderr
        assert done.stderr.count("\n") == 1
