"""Following the change log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import asyncpg
import pytest
from gateway.index.base import Admitted, Change
from gateway.index.connection import Connection
from gateway.index.driver import SqlIndex
from gateway.index.postgres import PostgresIndex
from gateway.index.postgres_connection import PostgresConnection
from gateway.model import Source
from tests.index.conftest import Open, new_database
from tests.index.factories import SCOPE, Maker


async def news(tail: AsyncIterator[Sequence[Change]], count: int) -> list[int]:
    """The next `count` revisions that the tail tells of, within a second of each other."""
    seen: list[int] = []
    while len(seen) < count:
        async with asyncio.timeout(1):
            seen += [change.revision for change in await anext(tail)]
    return seen


@asynccontextmanager
async def following(index: SqlIndex) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
    async with aclosing(index.tail()) as tail:  # type: ignore[type-var]  # it is a generator
        assert await anext(tail) in ([], ())
        yield tail


async def test_others_are_heard_within_a_second(open_index: Open) -> None:
    one, other = await open_index(), await open_index()
    await one.migrate()
    await one.admit([Maker(1).version()])
    maker = Maker(2)
    async with following(one) as tail:
        new = maker.version()
        (verdict,) = await other.admit([new])
        assert isinstance(verdict, Admitted)
        assert await news(tail, 1) == [verdict.change.revision]
        removal = await other.remove(SCOPE, new.identity.path, Source("stow"), "")
        assert await news(tail, 1) == [removal.changes[0].revision]
        (own,) = await one.admit([maker.version()])
        assert isinstance(own, Admitted)
        assert await news(tail, 1) == [own.change.revision]


async def test_silence_is_told_as_well(index: SqlIndex) -> None:
    async with following(index) as tail, asyncio.timeout(2):
        assert [list(await anext(tail)) for _ in range(3)] == [[], [], []]


async def test_more_than_a_page_at_once_is_heard_whole(index: SqlIndex) -> None:
    maker = Maker()
    async with following(index) as tail:
        verdicts = await index.admit([maker.version() for _ in range(1500)])
        assert await news(tail, 1500) == [v.change.revision for v in verdicts if isinstance(v, Admitted)]


async def test_whoever_has_a_revision_commits_before_the_next(postgres: str) -> None:
    """Revision 2 must not be seen before 1 can be: its transaction waits."""
    async with new_database(postgres) as uri:
        index = await PostgresIndex.open(uri)
        await index.migrate()
        slow = await asyncpg.connect(uri)
        transaction = slow.transaction()
        await transaction.start()
        (first,) = await PostgresConnection(slow).revisions(1)
        writing = asyncio.create_task(index.admit([Maker().version()]))
        while not await slow.fetchval("SELECT COUNT(*) FROM pg_locks WHERE NOT granted"):
            pass
        assert await index.changes(0) == []
        await slow.execute(
            "INSERT INTO change (revision, time, kind, partition, study, series, instance, sop_class, "
            "source_kind, source_peer, source_ae_title, principal, reason, file_digest, content_digest, "
            "transfer_syntax) VALUES ($1, 1, 'again', 1, '', '', '', '', '', '', '', '', '', '', '', '')",
            first,
        )
        await transaction.commit()
        (verdict,) = await writing
        assert isinstance(verdict, Admitted)
        assert [c.revision for c in await index.changes(0)] == [first, verdict.change.revision] == [1, 2]
        await slow.close()
        await index.close()


async def test_a_transaction_that_fails_leaves_no_gap(open_index: Open) -> None:
    index = await open_index()
    await index.migrate()
    maker = Maker()
    await index.admit([maker.version()])

    async def failing(db: Connection) -> None:
        await db.revisions(3)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await index._commit(failing)
    await index.admit([maker.version()])
    assert [change.revision for change in await index.changes(0)] == [1, 2]
    assert await index.last_revision() == 2
    await index.adopt("a")
    await index.adopt("b")
    assert await index.archive_id() == "b"
