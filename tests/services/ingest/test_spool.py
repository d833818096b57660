"""Parts of a message between memory and one temporary file."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway.errors import StoreFull
from gateway.services.ingest.spool import IN_MEMORY, Spool, Spooled


async def pieces(data: bytes, step: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


@pytest.mark.parametrize(
    "sizes", [[0, 10, 0, 5], [IN_MEMORY - 1, 2, 3 * IN_MEMORY + 7, 100], [IN_MEMORY] * 3]
)
async def test_parts_come_back_as_often_as_wanted(sizes: list[int]) -> None:
    spool = Spool()
    sent = [os.urandom(size) for size in sizes]
    parts = []
    for data in sent:
        parts.append(Spooled(spool))
        await parts[-1].fill(pieces(data, 1_000_003))
    for _ in range(2):
        assert [await part.whole() for part in parts] == sent
    assert [part.length for part in parts] == sizes
    whole, longest = max(zip(parts, sent, strict=True), key=lambda pair: len(pair[1]))
    assert await whole.part(3, 6).whole() == longest[3:9]
    spool.close()


async def test_a_full_temporary_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    spool = Spool()
    with pytest.raises(StoreFull):
        await Spooled(spool).add(bytes(IN_MEMORY))
    spool.close()
