"""A live server on the embedded default for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.live import LiveServer, serving
from tests.wire.transfer import Archive, filled


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("data")) as live:
        yield live


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.root, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def archive(server: LiveServer) -> Iterator[Archive]:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        yield filled(http)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
