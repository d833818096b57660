"""A process that dies between commit and journal: the others journal what it left, and nobody is told too much."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.errors import StoreFull
from tests.faults.after import GONE, PRESENT, SCOPE, Known, Parts, check, states
from tests.faults.histories import SOURCE, made, stored, tried


def parts_of(folder: Path) -> Parts:
    return Parts((folder / "objects").as_uri(), f"sqlite://{folder / 'index.sqlite'}")


async def dying(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> tuple[Gateway, asyncio.Event]:
    """A gateway whose next journal object is never written, as if it had been killed; when it comes to that."""
    gateway = await Gateway.open(parts.settings())
    await gateway.start(follow=False)
    there = asyncio.Event()

    async def never(changes: Any) -> None:
        there.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.journal, "write", never)
    return gateway, there


async def test_a_living_process_journals_what_a_dead_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: it stayed unjournaled until some process was started. One look only notes it: slow is not dead."""
    parts, known = parts_of(tmp_path), Known()
    async with parts.gateway() as living:
        dead, there = await dying(parts, monkeypatch)
        data, path = made()
        known.is_now(path, PRESENT)
        sending = asyncio.create_task(stored(dead, data))
        await there.wait()
        await living.commits.look_after()
        assert len(await living.index.find_unjournaled()) == 1
        await living.commits.look_after()
        assert await living.index.find_unjournaled() == []
        sending.cancel()
    await check(parts, known)


async def test_received_again_is_said_once_the_first_is_journaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: 200 'received again' for what no journal told; its index lost, an acknowledged instance was unknown."""
    parts, known = parts_of(tmp_path), Known()
    async with parts.gateway() as living:
        dead, there = await dying(parts, monkeypatch)
        data, path = made()
        sending = asyncio.create_task(stored(dead, data))
        await there.wait()
        assert await stored(living, data) == [None]
        known.is_now(path, PRESENT)
        async with Parts(parts.store_url, f"sqlite://{tmp_path / 'other.sqlite'}").gateway(
            empty=True
        ) as rebuilt:
            await states(rebuilt, known)
        sending.cancel()
    await check(parts, known)


async def test_a_deletion_that_cannot_be_journaled_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A7: 507, and deleted all the same. Once that is known, nothing more is changed."""
    parts, known = parts_of(tmp_path), Known()
    async with parts.gateway() as gateway:
        (first, kept), (second, deleted) = made(), made()
        assert await stored(gateway, first, second) == [None, None]
        await gateway.remove.remove(SCOPE, deleted, SOURCE)
        known.is_now(kept, PRESENT)
        known.is_now(deleted, GONE)

        async def full(key: str, body: Any) -> None:
            raise StoreFull("no room left")

        with monkeypatch.context() as patched:
            patched.setattr(gateway.store, "put", full)
            assert isinstance(await tried(gateway.remove.remove(SCOPE, kept, SOURCE)), StoreFull)
            await states(gateway, known)
            last = await gateway.index.last_revision()
            assert isinstance(await tried(gateway.remove.remove(SCOPE, kept, SOURCE)), StoreFull)
            assert isinstance(await tried(gateway.remove.restore(SCOPE, deleted, SOURCE)), StoreFull)
            assert await gateway.index.last_revision() == last, "refused before the index was touched"
        lost = Parts(parts.store_url, f"sqlite://{tmp_path / 'other.sqlite'}")
        async with lost.gateway(empty=True) as rebuilt:
            await states(rebuilt, known)
        await gateway.remove.restore(SCOPE, deleted, SOURCE)
        await gateway.remove.remove(SCOPE, kept, SOURCE)
        known.is_now(kept, GONE)
        known.is_now(deleted, PRESENT)
    await check(parts, known)
