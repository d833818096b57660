"""The contract on every driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.store.base import ObjectStore
from gateway.store.filesystem import FilesystemStore
from tests.store.contract import ObjectStoreContract


@pytest.fixture(params=["filesystem"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    driver = FilesystemStore(tmp_path / "objects")
    yield driver
    await driver.close()
    # Whatever happened, no unfinished write is left.
    assert list((tmp_path / "objects" / ".tmp").iterdir()) == []


class TestObjectStore(ObjectStoreContract):
    pass
