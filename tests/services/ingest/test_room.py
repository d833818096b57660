"""A folder that is nearly full: told by /readyz, and by STOW before the bytes come."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from gateway.errors import StoreFull
from gateway.services.readiness import Readiness
from gateway.settings import Settings
from tests import build
from tests.live import multipart, serving
from tests.server.raw import connected


class Answers:
    """Store and index that are well."""

    async def stat(self, key: str) -> None: ...

    async def search(self, scope: object, query: object) -> None: ...


def readiness(folder: Path, reserve: int) -> Readiness:
    return Readiness(Answers(), Answers(), [folder], reserve)  # type: ignore[arg-type]


async def test_the_reserve_is_kept(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    await readiness(tmp_path, free // 2).check_room()
    await readiness(tmp_path, free // 2).check_room(free // 4)
    with pytest.raises(StoreFull, match="MiB are free"):
        await readiness(tmp_path, free // 2).check_room(free)
    with pytest.raises(StoreFull):
        await readiness(tmp_path, 2 * free).check_room()
    await Readiness(Answers(), Answers(), [], 2 * free).check_room(1 << 60)  # type: ignore[arg-type]


async def test_who_comes_while_it_is_measured_is_not_refused(tmp_path: Path) -> None:
    ready = readiness(tmp_path, 1)
    await asyncio.gather(*(ready.check_room() for _ in range(20)))


def test_the_folders_are_those_of_store_and_index(tmp_path: Path) -> None:
    here = str(tmp_path)
    assert Settings(data=here).folders == (tmp_path / "objects", tmp_path)
    assert Settings(data=here, store="s3://bucket").folders == (tmp_path,)
    assert Settings(data=here, store="s3://bucket", index="postgresql://h/d").folders == ()
    assert Settings(data=here, store="file:///a%20b").folders[0] == Path("/a b")


def test_a_full_folder_over_the_wire(tmp_path: Path) -> None:
    ds = build.dataset()
    body, media = multipart([build.part10(ds)])
    with serving(tmp_path) as live:
        headers = {"Content-Type": media}
        assert httpx.post(f"{live.root}/studies", content=body, headers=headers).status_code == 200
        opened = connected(live.base)
        opened.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
            b"Content-Length: 99999999999999\r\n\r\n"
        )
        assert opened.recv(100).startswith(b"HTTP/1.1 507 ")
        opened.close()
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize >> 20
    with serving(tmp_path, environment={"GATEWAY_MIN_FREE": str(free * 2)}, ready=507) as live:
        ready = httpx.get(f"{live.base}/readyz")
        assert (ready.status_code, "no room left" in ready.json()["detail"]) == (507, True)
        assert httpx.post(f"{live.root}/studies", content=body, headers=headers).status_code == 507
        assert httpx.get(f"{live.root}/studies/{ds.StudyInstanceUID}").status_code == 200
        assert httpx.delete(f"{live.root}/studies/{ds.StudyInstanceUID}").status_code == 204
