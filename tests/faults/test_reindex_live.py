"""`reindex` beside a running server: no answer is less than before, nothing acknowledged is lost, killed or not."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid
from tests import build
from tests.deployments import PLACES, Place
from tests.live import COMMAND, ROOT, LiveServer, multipart

JSON = {"Accept": "application/dicom+json"}


@dataclass
class Load:
    """Clients that store, and look whether what was acknowledged is there."""

    server: LiveServer
    study: str = field(default_factory=generate_uid)
    series: str = field(default_factory=generate_uid)
    acknowledged: list[str] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    answers: int = 0

    async def store(self) -> None:
        while not self.stop.is_set():
            ds = build.dataset(StudyInstanceUID=self.study, SeriesInstanceUID=self.series)
            body, content_type = multipart([build.part10(ds)])
            async with httpx.AsyncClient(base_url=self.server.root, timeout=60) as http:
                answer = await http.post(
                    "/studies", content=body, headers={"Content-Type": content_type, **JSON}
                )
            assert answer.status_code == 200, answer.text
            self.acknowledged.append(ds.SOPInstanceUID)

    async def read(self) -> None:
        while not self.stop.is_set():
            known = len(self.acknowledged)
            if not known:
                await asyncio.sleep(0.05)
                continue
            uid = random.choice(self.acknowledged[:known])
            async with httpx.AsyncClient(base_url=self.server.root, timeout=60) as http:
                answer = await http.get("/studies", params={"StudyInstanceUID": self.study})
                assert answer.status_code == 200, answer.text
                assert answer.json()[0]["00201208"]["Value"][0] >= known
                path = f"/studies/{self.study}/series/{self.series}/instances/{uid}/metadata"
                answer = await http.get(path)
                assert answer.status_code == 200, answer.text
            self.answers += 1


async def reindex(place: Place, *options: str) -> subprocess.Popen[str]:
    return await asyncio.to_thread(
        subprocess.Popen,
        [*COMMAND, "reindex", "--data", str(place.data), *place.options, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **place.environment},
    )


async def rebuilding(load: Load, place: Place) -> None:
    """Killed at random moments, then to its end, twice."""
    try:
        await asyncio.sleep(3)
        for _ in range(4):
            process = await reindex(place)
            await asyncio.sleep(random.uniform(0.5, 2.0))
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        for options in ((), ("--headers",)):
            process = await reindex(place, *options)
            out, error = await asyncio.to_thread(process.communicate)
            assert process.returncode == 0, out + error
            await asyncio.sleep(1)
    finally:
        load.stop.set()


def all_there(server: LiveServer, load: Load) -> None:
    with httpx.Client(base_url=server.root, timeout=60) as http:
        answer = http.get("/instances", params={"StudyInstanceUID": load.study, "limit": 5000}, headers=JSON)
        listed = {row["00080018"]["Value"][0] for row in answer.json()}
    assert set(load.acknowledged) == listed


@pytest.mark.parametrize("kind", list(PLACES))
def test_a_server_goes_on_while_its_index_is_rebuilt(kind: str, tmp_path: Path) -> None:
    with PLACES[kind](tmp_path) as place:
        two = Place(place.data, (*place.options,), place.environment)
        with Place(two.data, (*two.options, "--workers", "2"), two.environment).serving() as server:

            async def run() -> Load:
                load = Load(server)
                async with asyncio.TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(load.store())
                        group.create_task(load.read())
                    group.create_task(rebuilding(load, place))
                return load

            load = asyncio.run(run())
            assert load.answers > 10
            all_there(server, load)
        with place.serving() as server:
            all_there(server, load)
        assert "no damage" in place.command("verify")
