"""An answer that has begun is of the versions that were listed, whatever is deleted, replaced or restored meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.app import Gateway
from gateway.http import gate
from gateway.index.base import Scope
from gateway.model import ResourcePath, Source, StudyUID
from gateway.services.retrieve import metadata
from gateway.settings import Settings
from tests import build
from tests.services.recovery.test_reindex import store

SCOPE = Scope()
SOURCE = Source("stow")
STUDY = StudyUID("1.2.3")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    made = [
        build.instance(StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.1", SOPInstanceUID=f"1.2.3.1.{n}")
        for n in range(1, 5)
    ]
    assert await store(gateway, *made) == [None] * 4
    yield gateway
    await gateway.close()


def client(gateway: Gateway) -> httpx.AsyncClient:
    services = gate.Services()
    services.bind(
        ingest=gateway.ingest, retrieve=gateway.retrieve, search=gateway.search, remove=gateway.remove
    )
    services.archive = gateway.archive
    services.rendered = gateway.rendered
    services.documents = gateway.documents
    services.states = gateway.states
    services.thumbnails = gateway.thumbnails
    app = gate.build(services, gate.HttpSettings())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1/dicom-web")


def instance(number: int) -> ResourcePath:
    return ResourcePath(STUDY, "1.2.3.1", f"1.2.3.1.{number}")  # type: ignore[arg-type]


async def remove(gateway: Gateway, number: int) -> None:
    await gateway.remove.remove(SCOPE, instance(number), SOURCE, "test")


@pytest.mark.parametrize("at_once", [1 << 20, 0], ids=["held", "paged"])
@pytest.mark.parametrize(
    "accept", ["application/dicom+json", 'multipart/related; type="application/dicom+xml"']
)
async def test_a_tag_is_that_of_the_metadata_it_comes_with(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, at_once: int, accept: str
) -> None:
    """A commit between two readings must not put the tag of the first over the bytes of the second."""
    monkeypatch.setattr(metadata, "METADATA_AT_ONCE", at_once)
    real = gateway.index.version_set
    raced = False

    async def committed_just_after(scope: Scope, path: ResourcePath) -> str:
        nonlocal raced
        found = await real(scope, path)
        if not raced:
            raced = True
            await remove(gateway, 4)
        return found

    headers = {"Accept": accept}
    async with client(gateway) as http:
        before = await http.get(f"/studies/{STUDY}/metadata", headers=headers)
        gateway.index.version_set = committed_just_after  # type: ignore[method-assign]
        first = await http.get(f"/studies/{STUDY}/metadata", headers=headers)
        second = await http.get(f"/studies/{STUDY}/metadata", headers=headers)
    assert raced
    assert before.content != second.content
    assert (first.headers["etag"] == before.headers["etag"]) == (first.content == before.content)
    assert (first.headers["etag"] == second.headers["etag"]) == (first.content == second.content)


async def test_the_tag_of_a_page_is_that_which_is_kept_with_the_study(gateway: Gateway) -> None:
    for path in (ResourcePath(STUDY), ResourcePath(STUDY, "1.2.3.1"), instance(1)):  # type: ignore[arg-type]
        described = await gateway.index.describe(SCOPE, path, 0)
        assert described.rows is None
        assert described.version_set == await gateway.index.version_set(SCOPE, path)
        whole = await gateway.index.describe(SCOPE, path, 1 << 20)
        assert whole.rows == await gateway.index.metadata(SCOPE, path)


async def test_pages_are_whole_though_instances_go_between_them(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "METADATA_AT_ONCE", 0)
    monkeypatch.setattr(metadata, "PAGE_BYTES", 1)
    path = ResourcePath(STUDY)
    expected = await gateway.index.metadata(SCOPE, path)
    described = await gateway.retrieve.describe(SCOPE, path)
    pages = gateway.retrieve.pages(SCOPE, described.versions)
    found = await anext(pages)
    assert len(found) == 1
    for number in (2, 3, 4):
        await remove(gateway, number)
    found += [row async for page in pages for row in page]
    assert found == expected
    assert gateway.retrieve.inflight.held == 0


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        ("", "application/zip"),
        ("/bulkdata", 'multipart/related; type="application/octet-stream"'),
        ("/pixeldata", 'multipart/related; type="application/octet-stream"'),
    ],
)
async def test_a_whole_study_is_sent_though_it_is_deleted_meanwhile(
    gateway: Gateway, below: str, accept: str
) -> None:
    """Every instance goes just after the study was listed."""
    real = gateway.index.instances
    headers = {"Accept": accept}

    async def deleted_just_after(scope: Scope, path: ResourcePath) -> Any:
        found = await real(scope, path)
        await gateway.remove.remove(SCOPE, ResourcePath(STUDY), SOURCE, "test")
        return found

    async with client(gateway) as http:
        before = await http.get(f"/studies/{STUDY}{below}", headers=headers)
        gateway.index.instances = deleted_just_after  # type: ignore[method-assign]
        answer = await http.get(f"/studies/{STUDY}{below}", headers=headers)
        gateway.index.instances = real  # type: ignore[method-assign]
        assert (await http.get(f"/studies/{STUDY}{below}", headers=headers)).status_code == 410
    assert before.status_code == answer.status_code == 200
    assert answer.content == before.content


async def test_what_replaced_an_instance_is_not_sent_in_its_place(gateway: Gateway) -> None:
    (listed,) = await gateway.retrieve.instances(SCOPE, instance(1))
    await asyncio.sleep(0)
    found = await gateway.retrieve.find_layout(SCOPE, listed)
    await remove(gateway, 1)
    again = await gateway.retrieve.find_layout(SCOPE, listed)
    assert again.stored == found.stored
    assert again.layout == found.layout
