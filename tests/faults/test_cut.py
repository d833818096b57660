"""Connections that are cut before and after each COMMIT, and before and after each change of an S3 object."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from gateway.app import Gateway
from gateway.services import lostanswers
from tests import servers
from tests.faults.after import Parts, check
from tests.faults.histories import History, made, stored
from tests.faults.proxies import Cut, PostgresProxy, S3Proxy
from tests.index.conftest import new_database
from tests.servers import ACCESS, SECRET, S3Server, admin, moto


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with servers.postgres() as uri:
        yield uri


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    async with new_database(postgres) as uri:
        yield uri


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto() as server, pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", ACCESS)
        patched.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield server


async def lived(parts: Parts, cut: Cut, at: int, **through: str) -> bool:
    """One history with the n-th exchange cut; whether there was an n-th."""
    gateway = await Gateway.open(parts.settings(**through))
    await gateway.start(follow=False)
    history = History(gateway)
    cut.arm(at)
    await history.live()
    was_cut = bool(cut.done)
    if at % 2:
        cut.calm()
        new = made()
        assert await stored(gateway, new[0]) == [None], "a retry succeeds"
        history.known.is_now(new[1], "present")
    await gateway.close()
    cut.calm()
    await check(parts, history.known)
    if not cut.stays and was_cut:
        # Of changes none; a read, which has its COMMIT too, may be asked again by the client.
        assert history.failures <= 1, f"{cut.done}: a single cut is looked up, not handed on"
    return was_cut


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_every_commit_may_be_cut(
    tmp_path: Path, database: str, after: bool, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A6: the client got 503, then 'received again', and the store itself was never journaled."""
    if stays:
        monkeypatch.setattr(lostanswers, "PATIENCE_SECONDS", 0.1)
    parts = Parts((tmp_path / "objects").as_uri(), database)
    async with parts.gateway():  # its tables are there
        pass
    at = 1
    while True:
        cut = Cut(after, stays)
        async with PostgresProxy(database, cut).running() as uri:
            if not await lived(parts, cut, at, index=uri):
                break
        at += 1
    assert at > 12, "hardly anything was committed"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [False, True])
async def test_every_change_of_an_object_may_be_cut(tmp_path: Path, s3: S3Server, after: bool) -> None:
    at = 1
    while True:
        bucket, folder = f"b{uuid.uuid4().hex[:12]}", tmp_path / str(at)
        folder.mkdir()
        with admin(s3) as client:
            client.create_bucket(Bucket=bucket)
        index = f"sqlite://{folder / 'index.sqlite'}"
        parts, cut = Parts(f"s3://{bucket}/archive", index, s3.endpoint), Cut(after)
        proxy = S3Proxy(s3, cut, lambda method, _: method in {"PUT", "DELETE"})
        async with proxy.running() as endpoint:
            if not await lived(parts, cut, at, s3_endpoint=endpoint):
                break
        at += 1
    assert at > 12, "hardly anything was written"


@pytest.mark.timeout(300)
async def test_no_cut_is_an_unexpected_failure(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4: readers and writers while every connection is cut again and again: only failures of ours."""
    from gateway.dicom.query.query import Query
    from gateway.errors import GatewayError
    from gateway.model import Level
    from tests.faults.after import SCOPE

    monkeypatch.setattr(lostanswers, "PATIENCE_SECONDS", 0.5)
    parts = Parts((tmp_path / "objects").as_uri(), database)
    async with parts.gateway():
        pass
    cut = Cut(after=False)
    proxy = PostgresProxy(database, cut)
    async with proxy.running() as uri:
        gateway = await Gateway.open(parts.settings(index=uri))
        await gateway.start(follow=False)
        seen = 0

        async def ask() -> None:
            nonlocal seen
            while seen < 200:
                try:
                    await gateway.index.search(SCOPE, Query(Level.STUDY))
                    await gateway.index.counts()
                except GatewayError:
                    seen += 1

        async def write() -> None:
            while seen < 200:
                await stored(gateway, made()[0])

        async def cutting() -> None:
            while seen < 200:
                proxy.cut_all()
                await asyncio.sleep(0.003)

        await asyncio.gather(*(ask() for _ in range(8)), write(), cutting())
        await gateway.close()
