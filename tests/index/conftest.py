"""Drivers on real databases: a file each, and databases of one PostgreSQL that lives as long as the session."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
from gateway.index.driver import SqlIndex
from gateway.index.postgres import PostgresIndex
from gateway.index.sqlite import SqliteIndex
from tests import servers

Open: TypeAlias = Callable[[], Awaitable[SqlIndex]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a server that lives as long as the session."""
    with servers.postgres() as uri:
        yield uri


@asynccontextmanager
async def new_database(uri: str) -> AsyncIterator[str]:
    """The URI of an empty database."""
    name = f"test_{os.getpid()}_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(uri)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield uri.replace("/postgres?", f"/{name}?")
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@asynccontextmanager
async def opening(kind: str, folder: Path, postgres: Callable[[], str]) -> AsyncIterator[Open]:
    """Opens as many drivers as wanted on one new database; closes them all."""
    opened: list[SqlIndex] = []

    async def sqlite() -> SqlIndex:
        opened.append(await SqliteIndex.open(folder / "index.sqlite"))
        return opened[-1]

    if kind == "sqlite":
        yield sqlite
    else:
        async with new_database(postgres()) as uri:

            async def server() -> SqlIndex:
                opened.append(await PostgresIndex.open(uri))
                return opened[-1]

            yield server
            for index in opened:
                await index.close()
            return
    for index in opened:
        await index.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    async with opening(request.param, tmp_path, lambda: request.getfixturevalue("postgres")) as opens:
        yield opens


async def shared_database(uri: str) -> str:
    """The URI of one database for one test after the other; it goes with the server."""
    admin = await asyncpg.connect(uri)
    with suppress(asyncpg.DuplicateDatabaseError):
        await admin.execute("CREATE DATABASE shared")
    await admin.close()
    return uri.replace("/postgres?", "/shared?")


@pytest.fixture(params=["sqlite", "postgres"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlIndex]:
    """A driver with empty tables."""
    driver: SqlIndex
    if request.param == "sqlite":
        driver = await SqliteIndex.open(tmp_path / "index.sqlite")
    else:
        driver = await PostgresIndex.open(await shared_database(request.getfixturevalue("postgres")))
    await driver.migrate()
    await driver.reset()
    yield driver
    await driver.close()
