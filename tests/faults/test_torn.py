"""Whole-study answers while instances of the study are deleted and restored: none is torn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests import build
from tests.live import LiveServer, multipart, serving

STUDY, SERIES = "1.2.10", "1.2.10.1"
INSTANCES, ANSWERS = 12, 40
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("torn"), "--workers", "2") as live:
        for number in range(INSTANCES):
            data = build.instance(
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=SERIES,
                SOPInstanceUID=f"{SERIES}.{number}",
                InstanceNumber=number,
            )
            body, kind = multipart([data])
            answer = httpx.post(f"{live.root}/studies", content=body, headers={"Content-Type": kind})
            assert answer.status_code == 200
        yield live


def churn(server: LiveServer, over: threading.Event, counts: list[int]) -> None:
    """Delete and restore all but the first instance, one after another."""
    with httpx.Client(timeout=30) as http:
        while not over.is_set():
            for number in range(1, INSTANCES):
                below = f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}"
                assert http.delete(f"{server.root}{below}").status_code in {200, 204}
                restored = http.post(
                    f"{server.base}/api/v1/deleted{below}/restore",
                    headers={"Content-Type": "application/json"},
                    content=b"{}",
                )
                assert restored.status_code in {200, 204}, restored.text
                counts[0] += 1
                if over.is_set():
                    break


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("", DICOM),
        ("", "application/zip"),
        ("/bulkdata", OCTETS),
        ("/pixeldata", OCTETS),
        ("/metadata", "application/dicom+json"),
    ],
)
def test_none_is_torn(server: LiveServer, below: str, accept: str, tmp_path: Path) -> None:
    over, counts = threading.Event(), [0]
    thread = threading.Thread(target=churn, args=(server, over, counts))
    thread.start()
    tags: dict[str, bytes] = {}
    try:
        with httpx.Client(timeout=60) as http:
            asked = 0
            # Short answers may all be over before the first change is: go on until there was one.
            while asked < ANSWERS or (not counts[0] and thread.is_alive()):
                asked += 1
                answer = http.get(f"{server.root}/studies/{STUDY}{below}", headers={"Accept": accept})
                assert answer.status_code == 200, answer.text
                # The same strong tag is the same bytes.
                assert tags.setdefault(answer.headers["etag"], answer.content) == answer.content
    finally:
        over.set()
        thread.join(60)
    assert counts[0]
