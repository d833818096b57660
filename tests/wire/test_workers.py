"""Two workers on one SQLite file: no lost count; what one changes the other shows within a second."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer, multipart, serving

JSON = {"Accept": "application/dicom+json"}
STUDY = generate_uid()


async def _send(server: LiveServer, count: int) -> None:
    # A client of its own connects anew, so that both workers get some.
    for n in range(count):
        async with httpx.AsyncClient(base_url=server.root, timeout=60) as http:
            body, content_type = multipart([build.instance(StudyInstanceUID=STUDY, InstanceNumber=n)])
            answer = await http.post("/studies", content=body, headers={"Content-Type": content_type, **JSON})
            assert answer.status_code == 200, answer.text


async def _load(server: LiveServer) -> None:
    await asyncio.gather(*(_send(server, 10) for _ in range(6)))


def test_no_count_is_lost_and_a_delete_is_seen_by_all(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "2") as live:
        asyncio.run(_load(live))
        (study,) = httpx.get(f"{live.root}/studies", params={"StudyInstanceUID": STUDY}).json()
        assert study["00201208"]["Value"] == [60]
        assert study["00201206"]["Value"] == [60]
        instance = httpx.get(f"{live.root}/instances", params={"StudyInstanceUID": STUDY, "limit": 1}).json()[
            0
        ]
        frame = instance["00081190"]["Value"][0] + "/frames/1"
        # Warm the cache of both workers.
        assert {httpx.get(frame).status_code for _ in range(20)} == {200}
        assert httpx.delete(f"{live.root}/studies/{STUDY}").status_code == 204
        time.sleep(1)
        assert {httpx.get(frame).status_code for _ in range(20)} == {410}
