"""`kill -9` at random moments under concurrent STOW: what was acknowledged is there, nothing else half is."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid
from tests import build
from tests.deployments import PLACES, Place, embedded
from tests.live import LiveServer, multipart

CLIENTS = 6


class Sent:
    """What a client sent and what the server said."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.paths: dict[str, str] = {}
        self.any = asyncio.Event()


async def _client(server: LiveServer, study: str, sent: Sent) -> None:
    async with httpx.AsyncClient(base_url=server.root, timeout=20) as http:
        while True:
            files = {}
            for _ in range(random.randint(1, 4)):
                ds = build.dataset(
                    StudyInstanceUID=study, Rows=64, Columns=64, PixelData=random.randbytes(8192)
                )
                files[ds.SOPInstanceUID] = build.part10(ds)
                sent.paths[ds.SOPInstanceUID] = (
                    f"/studies/{study}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
                )
            body, content_type = multipart(list(files.values()))
            try:
                answer = await http.post(
                    "/studies",
                    content=body,
                    headers={"Content-Type": content_type, "Accept": "application/dicom+json"},
                )
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            for item in answer.json()["00081199"]["Value"]:
                uid = item["00081155"]["Value"][0]
                sent.acknowledged[uid] = files[uid]
            sent.any.set()


async def _until_killed(server: LiveServer, sent: Sent, seconds: float, *, acknowledged: bool) -> None:
    """Kill the server after `seconds`; where something has to be `acknowledged`, not before that, however busy we are."""
    clients = [asyncio.create_task(_client(server, generate_uid(), sent)) for _ in range(CLIENTS)]
    await asyncio.sleep(seconds)
    if acknowledged and not sent.acknowledged:
        first = asyncio.create_task(sent.any.wait())
        await asyncio.wait([first, *clients], return_when=asyncio.FIRST_COMPLETED)
        first.cancel()
    await asyncio.to_thread(server.kill)
    await asyncio.gather(*clients)


def _check(server: LiveServer, sent: Sent) -> None:
    with httpx.Client(base_url=server.root, timeout=30) as http:
        listed: dict[str, int] = {}
        studies = http.get("/studies", params={"limit": 5000})
        assert studies.status_code in {200, 204}, studies.text  # 204: killed before anything was stored
        for study in studies.json() if studies.content else ():
            uid = study["0020000D"]["Value"][0]
            listed[uid] = study["00201208"]["Value"][0]
        found: dict[str, int] = dict.fromkeys(listed, 0)
        for uid, path in sent.paths.items():
            answer = http.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
            if uid in sent.acknowledged:
                assert answer.status_code == 200, f"acknowledged {uid} is lost"
                assert _digest(answer.content) == _digest(sent.acknowledged[uid])
            else:
                assert answer.status_code in {200, 404}
            if answer.status_code == 200:
                # Whole or not at all: whoever can be read can also be described and is counted.
                assert http.get(path + "/metadata").status_code == 200
                found[path.split("/")[2]] += 1
        assert found == listed


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _rounds(place: Place, count: int) -> None:
    sent = Sent()
    for number in range(count):
        server = place.start()
        last = number == count - 1
        asyncio.run(_until_killed(server, sent, random.uniform(0.3, 1.5), acknowledged=last))
        server = place.start()
        try:
            _check(server, sent)
        finally:
            server.stop()
        place.command("verify")
    assert sent.acknowledged, "nothing was acknowledged: the rounds proved nothing"


@pytest.mark.timeout(300)
def test_three_kills_lose_nothing(tmp_path: Path) -> None:
    with embedded(tmp_path) as place:
        _rounds(place, 3)


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("name", "archives"), [("embedded", 10), ("postgres", 3), ("scale-out", 3)])
def test_thirty_kills_lose_nothing(tmp_path: Path, name: str, archives: int) -> None:
    # Each round looks at all that was sent before it, so ten archives of three rounds, not one of thirty.
    for n in range(archives):
        folder = tmp_path / str(n)
        folder.mkdir()
        with PLACES[name](folder) as place:
            _rounds(place, 3)
