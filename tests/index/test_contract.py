"""The contract on every driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.errors import MigrationNeeded
from gateway.index.base import Index
from gateway.index.sqlite import SqliteIndex
from tests.index.contract import IndexContract


@pytest.fixture(params=["sqlite"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    driver = await SqliteIndex.open(tmp_path / "index.sqlite")
    await driver.migrate()
    yield driver
    await driver.close()


class TestIndex(IndexContract):
    pass


async def test_without_tables_a_migration_is_asked_for(tmp_path: Path) -> None:
    driver = await SqliteIndex.open(tmp_path / "index.sqlite")
    with pytest.raises(MigrationNeeded):
        await driver.check_schema()
    await driver.close()
