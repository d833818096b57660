"""Query keys by API and configuration, over the wire, on both indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from tests import build
from tests.deployments import PLACES, Place
from tests.live import multipart
from tests.wire.studies import search_archive

KEYS = "/api/v1/keys"
MEANT = {"X-Requested-With": "test"}
PRIVATE = "00231001[Acme 1.0]"


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PLACES[request.param](tmp_path_factory.mktemp("keys")) as there:
        there.environment["GATEWAY_QUERY_KEYS"] = "SliceThickness,00081140.ReferencedSOPInstanceUID"
        yield there


def sent(web: httpx.Client, *datasets: Dataset) -> None:
    body, media = multipart([build.part10(ds) for ds in datasets])
    answer = web.post("/dicom-web/studies", content=body, headers={"Content-Type": media})
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def web(place: Place) -> Iterator[httpx.Client]:
    with place.serving() as live, httpx.Client(base_url=live.base, timeout=60) as client:
        sent(client, *search_archive.datasets())
        yield client


def until_ready(web: httpx.Client, id: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown: dict[str, Any] = web.get(f"{KEYS}/{id}").json()
        if shown["state"] == "ready":
            return shown
        time.sleep(0.05)
    raise AssertionError(f"the key is still {shown['state']}: {shown['progress']}")


def uids(answer: httpx.Response) -> list[str]:
    assert answer.status_code in (200, 204), answer.text
    return [row["00080018"]["Value"][0] for row in answer.json()] if answer.status_code == 200 else []


def test_configured_keys_are_there(web: httpx.Client) -> None:
    shown = {key["name"]: key for key in web.get(KEYS).json()["keys"]}
    assert {"SliceThickness", "ReferencedImageSequence.ReferencedSOPInstanceUID"} <= shown.keys()
    assert until_ready(web, shown["SliceThickness"]["id"])["level"] == "instance"
    assert uids(web.get("/dicom-web/instances?SliceThickness=2.5")) == ["2.5.1.1"]


@pytest.mark.row("Q-27")
def test_a_declared_key_is_filled_and_answers(web: httpx.Client) -> None:
    answer = web.post(KEYS, json={"key": PRIVATE, "vr": "LO"})
    assert answer.status_code == 201, answer.text
    key = answer.json()
    assert answer.headers["location"] == f"{str(web.base_url).rstrip('/')}{KEYS}/{key['id']}"
    assert (key["key"], key["vr"], key["level"]) == (f"{PRIVATE}:LO", "LO", "instance")
    shown = until_ready(web, key["id"])
    assert shown["progress"]["done"] == shown["progress"]["total"] >= 8
    again = web.post(KEYS, json={"key": PRIVATE, "vr": "LO"})
    assert (again.status_code, again.json()["id"]) == (200, key["id"])
    found = web.get("/dicom-web/instances?00230010=Acme%201.0&00231001=red&includefield=00231001")
    assert uids(found) == ["2.5.1.1"]
    (row,) = found.json()
    assert (row["00230011"]["Value"], row["00231101"]["Value"]) == (["Acme 1.0"], ["red"])
    late = search_archive.one(search_archive.FIFTH, 1, 9)
    search_archive.private(late, 0x10, "Acme 1.0", "red")
    sent(web, late)
    assert uids(web.get("/dicom-web/instances?00230010=Acme%201.0&00231001=r*")) == ["2.5.1.1", "2.5.1.9"]
    web.delete("/dicom-web/studies/2.5/series/2.5.1/instances/2.5.1.9")
    assert uids(web.get("/dicom-web/instances?00230010=Acme%201.0&00231001=r*")) == ["2.5.1.1"]


def test_the_vr_that_a_key_was_declared_with_is_that_of_searches(web: httpx.Client) -> None:
    dated = search_archive.one(search_archive.FOURTH, 2, 1)
    dated.add_new((0x0025, 0x0010), "LO", "Acme 1.0")
    dated.add_new((0x0025, 0x1002), "DA", "20240131")
    odd = search_archive.one(search_archive.FOURTH, 2, 2)
    odd.add_new((0x0025, 0x0010), "LO", "Acme 1.0")
    odd.add_new((0x0025, 0x1002), "LO", "last week")
    sent(web, dated, odd)
    search = "/dicom-web/instances?00250010=Acme%201.0&00251002="
    assert uids(web.get(f"{search}20240101-20240201")) == []  # as text, until it is known to be a date
    key = web.post(KEYS, json={"key": "00251002[Acme 1.0]:DA"}).json()
    assert until_ready(web, key["id"])["failed"] == 1
    assert uids(web.get(f"{search}20240101-20240201")) == ["2.4.2.1"]
    assert web.get(f"{search}January").status_code == 400
    failures = web.get(f"{KEYS}/{key['id']}/failures").json()
    failed = {"study": "2.4", "series": "2.4.2", "instance": "2.4.2.2", "reason": "the value is no DA"}
    assert failures == {"failures": [failed]}
    page = web.get(f"{KEYS}/{key['id']}/failures?limit=1").json()
    assert web.get(f"{KEYS}/{key['id']}/failures", params={"after": page["next"]}).json() == {"failures": []}
    assert web.delete(f"{KEYS}/{key['id']}", headers=MEANT).status_code == 204
    assert web.get(f"{KEYS}/{key['id']}").status_code == 404
    assert uids(web.get(f"{search}20240131")) == ["2.4.2.1"]  # by looking into candidates again
    web.delete("/dicom-web/studies/2.4/series/2.4.2")


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        ({}, 400, "key"),
        ({"key": ""}, 400, "key"),
        ({"key": 7}, 400, "key"),
        ({"key": "Nonsense"}, 400, "key"),
        ({"key": "PixelData"}, 400, "key"),
        ({"key": "00231001"}, 400, "key"),
        ({"key": "00231001[Acme 1.0]"}, 400, "key"),
        ({"key": "SliceThickness", "vr": "LO"}, 400, "key"),
        ({"key": "SliceThickness", "vr": "ds"}, 400, "vr"),
        ({"key": "SliceThickness", "level": "study"}, 400, "level"),
        ({"key": "PatientID.StudyDate"}, 400, "key"),
        (["SliceThickness"], 400, None),
    ],
)
def test_what_is_no_key(web: httpx.Client, body: Any, status: int, parameter: str | None) -> None:
    answer = web.post(KEYS, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json().get("parameter") == parameter
    assert answer.json()["expected"]


def test_other_requests_that_are_wrong(web: httpx.Client) -> None:
    assert web.post(KEYS, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert web.post(KEYS, content=b"key", headers={"Content-Type": "text/plain"}).status_code == 415
    assert web.post(KEYS, json={"key": "x" * (1 << 17)}).status_code == 413
    for path in ("/0", "/x", "/99999999999999999999", "/0/failures"):
        assert web.get(KEYS + path).status_code == 404, path
    assert web.delete(f"{KEYS}/0", headers=MEANT).status_code == 404
    assert web.put(KEYS, json={}).status_code == 405
    assert web.get(KEYS, headers={"Accept": "image/png"}).status_code == 406
    assert web.post(KEYS, json={"key": "SliceThickness"}).status_code == 200
    key = web.post(KEYS, json={"key": f"00231002[{'A' * 16}]:LO"}).json()
    assert web.post(KEYS, json={"key": f"00231002[{'A' * 16}]:SH"}).status_code == 409
    assert web.delete(f"{KEYS}/{key['id']}", headers=MEANT).status_code == 204


def test_a_reindex_gives_keys_and_answers_back(place: Place, web: httpx.Client) -> None:
    """The last test of the module: the server goes on with an index made anew beneath it."""
    key = web.post(KEYS, json={"key": "SeriesDescription"}).json()
    until_ready(web, key["id"])
    searches = ("/dicom-web/instances?SliceThickness=2.5", "/dicom-web/series?SeriesDescription=*xial")
    before = [web.get(url).text for url in searches]
    keys = web.get(KEYS).json()
    place.command("verify")
    place.command("reindex")
    for shown in keys["keys"]:
        until_ready(web, shown["id"])
    assert web.get(KEYS).json() == keys
    assert [web.get(url).text for url in searches] == before
