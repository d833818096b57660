"""Two processes on one archive, mixed load: no lost count; what one changes the other shows within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid
from tests import build
from tests.deployments import PLACES
from tests.live import multipart, serving

JSON = {"Accept": "application/dicom+json"}
STUDY = generate_uid()


async def _send(roots: Sequence[str], count: int) -> None:
    # A client of its own connects anew, so that all workers get some.
    for n in range(count):
        async with httpx.AsyncClient(base_url=roots[n % len(roots)], timeout=60) as http:
            body, content_type = multipart([build.instance(StudyInstanceUID=STUDY, InstanceNumber=n)])
            answer = await http.post("/studies", content=body, headers={"Content-Type": content_type, **JSON})
            assert answer.status_code == 200, answer.text


async def _read(roots: Sequence[str], count: int) -> None:
    """Counts never fall, and a study is never shown with fewer instances than can be listed."""
    seen = 0
    for n in range(count):
        async with httpx.AsyncClient(base_url=roots[n % len(roots)], timeout=60) as http:
            listed = await http.get("/studies", params={"StudyInstanceUID": STUDY})
            assert listed.status_code in {200, 204}
            if listed.status_code == 200:
                (study,) = listed.json()
                shown = study["00201208"]["Value"][0]
                assert shown >= seen
                seen = shown


async def _load(roots: Sequence[str]) -> None:
    senders = [_send([*roots[n % 2 :], *roots[: n % 2]], 10) for n in range(6)]
    await asyncio.gather(*senders, *(_read(roots, 20) for _ in range(2)))


def _no_count_is_lost_and_a_delete_is_seen_by_all(roots: Sequence[str]) -> None:
    asyncio.run(_load(roots))
    for root in roots:
        (study,) = httpx.get(f"{root}/studies", params={"StudyInstanceUID": STUDY}).json()
        assert study["00201208"]["Value"] == [60]
        assert study["00201206"]["Value"] == [60]
    listed = httpx.get(f"{roots[0]}/instances", params={"StudyInstanceUID": STUDY, "limit": 1}).json()
    frame = listed[0]["00081190"]["Value"][0].split("/dicom-web")[1] + "/frames/1"
    # Warm the caches of all.
    assert {httpx.get(root + frame).status_code for _ in range(20) for root in roots} == {200}
    assert httpx.delete(f"{roots[0]}/studies/{STUDY}").status_code == 204
    time.sleep(1)
    assert {httpx.get(root + frame).status_code for _ in range(20) for root in roots} == {410}


def test_two_workers_on_one_sqlite_file(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "2") as live:
        _no_count_is_lost_and_a_delete_is_seen_by_all([live.root])


@pytest.mark.parametrize("name", ["postgres", "scale-out"])
def test_two_processes_on_one_postgresql(tmp_path: Path, name: str) -> None:
    with PLACES[name](tmp_path) as place, ExitStack() as both:
        servers = [place.start() for _ in range(2)]
        for server in servers:
            both.callback(server.stop)
        _no_count_is_lost_and_a_delete_is_seen_by_all([server.root for server in servers])
        both.close()
        place.command("verify")
