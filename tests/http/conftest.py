"""The HTTP room over services in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.http.fakes import Rooms


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def web(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    """The service root `http://h/dicom-web`."""
    transport = httpx.ASGITransport(app=rooms.application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080/dicom-web") as client:
        yield client
