"""B4: what asyncpg raises when a connection is cut within an exchange is an index that does not answer (503)."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from gateway.errors import IndexUnavailable
from gateway.index.postgres import PostgresIndex
from tests.index.conftest import new_database


@pytest.mark.parametrize("way", ["_query", "_glance", "_commit"])
async def test_a_lost_protocol_is_an_index_that_does_not_answer(postgres: str, way: str) -> None:
    async with new_database(postgres) as uri:
        index = await PostgresIndex.open(uri)
        await index.migrate()
        seen: list[int] = []

        async def lost(db: Any) -> None:
            seen.append(db._db.get_server_pid())
            raise asyncpg.InternalClientError("got result for unknown protocol state 3")

        async def asked(db: Any) -> None:
            seen.append(db._db.get_server_pid())

        with pytest.raises(IndexUnavailable):
            await getattr(index, way)(lost)
        await getattr(index, way)(asked)
        assert seen[0] != seen[1], "that connection is not used again"
        await index.close()


@pytest.mark.parametrize("way", ["_query", "_glance", "_search"])
async def test_a_reader_that_lost_a_race_may_ask_again(postgres: str, way: str) -> None:
    """A deadlock with who moves tables, where `deadlock_timeout` is short; a conflict with recovery on a standby."""
    async with new_database(postgres) as uri:
        index = await PostgresIndex.open(uri)
        await index.migrate()

        async def lost(db: Any) -> None:
            raise asyncpg.DeadlockDetectedError("deadlock detected")

        with pytest.raises(IndexUnavailable):
            await getattr(index, way)(lost)
        await index.close()
