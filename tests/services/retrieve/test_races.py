"""A commit in the middle of a request: the entity tag is that of the bytes that go with it, whatever was committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.dicom import uids
from gateway.index.base import Scope
from gateway.model import InstanceUID, ResourcePath, SeriesUID, Source, StudyUID
from gateway.services.render.rendertarget import RenderTarget
from gateway.services.retrieve import metadata
from gateway.settings import Settings
from pydicom.dataset import Dataset
from tests import build
from tests.services.recovery.test_reindex import store
from tests.services.retrieve.test_listed import client

SCOPE = Scope()
STUDY, SERIES = StudyUID("1.2.3"), SeriesUID("1.2.3.1")
PATHS = {
    "study": f"/studies/{STUDY}",
    "series": f"/studies/{STUDY}/series/{SERIES}",
    "instance": f"/studies/{STUDY}/series/{SERIES}/instances/1.2.3.1.1",
}
JSON, OCTETS = "application/dicom+json", 'multipart/related; type="application/octet-stream"'
XML, BARE_XML = 'multipart/related; type="application/dicom+xml"', "application/dicom+xml"
STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
NATIVE = 'multipart/related; type="application/dicom"'


def file(number: int, *, patient: str = "Doe^Jane", blank: bool = False) -> bytes:
    """An instance whose attributes, long values and pixels all differ where `number`, `patient` or `blank` do."""
    lut = Dataset()
    lut.LUTDescriptor = [1024, 0, 16]
    lut.ModalityLUTType = "US"
    shift = 4000 * number + 20000 * blank
    lut.LUTData = b"".join((n * 16 + shift).to_bytes(2, "little") for n in range(1024))
    return build.instance(
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        SOPInstanceUID=f"1.2.3.1.{number}",
        InstanceNumber=number,
        PatientName=patient,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        BurnedInAnnotation="NO",
        WindowCenter=32000,
        WindowWidth=64000,
        ModalityLUTSequence=[lut],
        PixelData=bytes((n * number + 128 * blank) & 0xFF for n in range(128)),
    )


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(Settings(data=str(tmp_path), policy="replace"))
    await gateway.start(follow=False)
    assert await store(gateway, *(file(number) for number in range(1, 4))) == [None] * 3
    yield gateway
    await gateway.close()


async def replace_first(gateway: Gateway) -> None:
    assert await store(gateway, file(1, patient="Roe^Richard", blank=True)) == [None]


async def remove_middle(gateway: Gateway) -> None:
    """The instance that stands for its series in a thumbnail."""
    path = ResourcePath(STUDY, SERIES, InstanceUID("1.2.3.1.2"))
    await gateway.remove.remove(SCOPE, path, Source("stow"), "test")


def commit_after(gateway: Gateway, read: str, commit: Callable[[Gateway], Awaitable[None]]) -> list[str]:
    """Have `commit` happen once, just after the next reading of the index by this name; the list tells that it did."""
    real, done = getattr(gateway.index, read), list[str]()

    async def read_then_commit(*args: Any) -> Any:
        found = await real(*args)
        if not done:
            done.append(read)
            await commit(gateway)
        return found

    setattr(gateway.index, read, read_then_commit)
    return done


FIRST = "1.2.3.1.1"
METADATA = [
    *((PATHS[level], accept) for level in PATHS for accept in (JSON, XML)),
    (PATHS["instance"], BARE_XML),
]
OTHERS = [
    *((PATHS[level], accept, "instances") for level in PATHS for accept in (STORED, NATIVE)),
    (PATHS["instance"], "application/dicom", "instances"),
    (PATHS["study"], "application/zip", "instances"),
    *(
        (f"{PATHS[level]}/{what}", OCTETS, "instances")
        for level in PATHS
        for what in ("bulkdata", "pixeldata")
    ),
    (f"{PATHS['instance']}/frames/1", OCTETS, "layout"),
    (f"{PATHS['instance']}/bulkdata/7FE00010", OCTETS, "layout"),
    (f"{PATHS['instance']}/bulkdata/00283000/1/00283006", OCTETS, "layout"),
    (f"{PATHS['instance']}/rendered", "image/png", "layout"),
    (f"{PATHS['instance']}/frames/1/rendered", "image/png", "layout"),
    (f"{PATHS['series']}/rendered", 'multipart/related; type="image/png"', "instances"),
    *((f"{PATHS[level]}/thumbnail", "image/png", "version_set") for level in PATHS),
]


@pytest.mark.parametrize("at_once", [1 << 20, 0], ids=["held", "paged"])
@pytest.mark.parametrize(("path", "accept"), METADATA)
async def test_metadata_has_the_tag_of_its_bytes(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str, accept: str, at_once: int
) -> None:
    monkeypatch.setattr(metadata, "METADATA_AT_ONCE", at_once)
    await check_tags(gateway, f"{path}/metadata", accept, "version_set")


@pytest.mark.parametrize(("url", "accept", "read"), OTHERS)
async def test_bytes_have_the_tag_of_what_they_are(
    gateway: Gateway, url: str, accept: str, read: str
) -> None:
    await check_tags(gateway, url, accept, read)


async def check_tags(gateway: Gateway, url: str, accept: str, read: str) -> None:
    """Ask before a commit, with it in the middle, and after it: answers of one tag have the same bytes."""
    commit = replace_first if FIRST in url else remove_middle
    headers = {"Accept": accept}
    async with client(gateway) as http:
        before = await http.get(url, headers=headers)
        gateway.freshness._forget_all()  # as though another process had answered it
        done = commit_after(gateway, read, commit)
        during = await http.get(url, headers=headers)
        after = await http.get(url, headers=headers)
    assert done
    assert [one.status_code for one in (before, during, after)] == [200] * 3
    assert before.content != after.content
    assert before.headers["etag"] != after.headers["etag"]
    assert during.headers["etag"] in (before.headers["etag"], after.headers["etag"])
    same = before if during.headers["etag"] == before.headers["etag"] else after
    assert during.content == same.content


async def test_a_file_without_identity_is_of_the_version_that_was_found(gateway: Gateway) -> None:
    path = ResourcePath(STUDY, SERIES, InstanceUID(FIRST))
    expected = await read_anonymous(gateway, await gateway.rendered.subjects.find(SCOPE, path))
    subject = await gateway.rendered.subjects.find(SCOPE, path)
    await replace_first(gateway)
    assert await read_anonymous(gateway, subject) == expected
    replaced = await gateway.rendered.subjects.find(SCOPE, path)
    assert await read_anonymous(gateway, replaced) != expected


async def read_anonymous(gateway: Gateway, subject: RenderTarget) -> bytes:
    body = await gateway.anonymous.instance(SCOPE, subject, uids.EXPLICIT_VR_LITTLE_ENDIAN)
    return b"".join([chunk async for chunk in body.chunks])


async def test_a_picture_is_kept_under_the_version_it_was_drawn_from(gateway: Gateway) -> None:
    """What was made while the instance was replaced must not be served for the old version ever after."""
    path = ResourcePath(STUDY, SERIES, InstanceUID(FIRST))
    subjects = gateway.rendered.subjects
    expected = (await subjects.attributes(SCOPE, await subjects.find(SCOPE, path))).text("00100010")
    gateway.freshness._forget_all()
    done = commit_after(gateway, "layout", replace_first)
    subject = await subjects.find(SCOPE, path)
    assert done
    assert (await subjects.attributes(SCOPE, subject)).text("00100010") == expected
