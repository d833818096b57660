"""`transferSyntax` of the URI service, over a real store and index (PS3.18 8.7.3.6, 9.4.2.4)."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pydicom
import pytest
from gateway.app import Gateway
from gateway.dicom import uids
from gateway.errors import BadParameter, NotAcceptable
from gateway.http.message.request import Request
from gateway.http.studies.instancechoice import Choice
from gateway.index.base import StoredInstance
from gateway.model import Source
from gateway.settings import Settings
from pydicom.encaps import encapsulate
from tests import build

JLS, RLE, MP4 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102"


async def nothing() -> dict[str, str]:
    return {"type": "http.disconnect"}


def request() -> Request:
    return Request("GET", "/wado", b"", {}, "", "http://here", nothing)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    opened = await Gateway.open(Settings(data=str(tmp_path)))
    await opened.start()
    yield opened
    await opened.close()


async def stored(gateway: Gateway, data: bytes) -> StoredInstance:
    async def body() -> AsyncIterator[bytes]:
        yield data

    session = gateway.ingest.session(Source("stow"))
    await session.take(body())
    (outcome,) = await session.finish()
    assert outcome.identity is not None
    (found,) = await gateway.retrieve.instances(request().scope, outcome.identity.path)
    return found


async def named(gateway: Gateway, instance: StoredInstance, value: str | None) -> str | None:
    return await Choice(gateway.retrieve, request(), single=True).choose_named(instance, value)


async def sent(gateway: Gateway, instance: StoredInstance, value: str | None) -> str:
    """The transfer syntax of what the URI service would answer."""
    target = await named(gateway, instance, value)
    body = await gateway.retrieve.instance_bytes(request().scope, instance, target)
    data = b"".join([chunk async for chunk in body.chunks])
    return str(pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, uids.EXPLICIT_VR_LITTLE_ENDIAN, marks=pytest.mark.row("U-30")),
        pytest.param(JLS, JLS, marks=pytest.mark.row("U-31")),
        pytest.param(RLE, RLE, marks=pytest.mark.row("U-31")),
        pytest.param(
            uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN, marks=pytest.mark.row("U-31")
        ),
        pytest.param("*", RLE, marks=pytest.mark.row("U-35")),
    ],
)
async def test_what_is_sent(gateway: Gateway, value: str | None, expected: str) -> None:
    plain = await stored(gateway, build.instance())
    target = await named(gateway, plain, RLE)
    body = await gateway.retrieve.instance_bytes(request().scope, plain, target)
    ds = pydicom.dcmread(io.BytesIO(b"".join([chunk async for chunk in body.chunks])))
    ds.SOPInstanceUID = "1.2.3"
    assert await sent(gateway, await stored(gateway, build.part10(ds, RLE)), value) == expected


@pytest.mark.row("U-32")
@pytest.mark.parametrize("value", ["", "explicit", f"{JLS},{RLE}", f"{JLS};q=1", "1.2 ", "1" * 65, "**"])
async def test_what_is_not_one_uid_is_400(gateway: Gateway, value: str) -> None:
    with pytest.raises(BadParameter) as raised:
        await named(gateway, await stored(gateway, build.instance()), value)
    assert raised.value.parameter == "transferSyntax"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MP4, marks=pytest.mark.row("U-33")),
        pytest.param("1.2.3", marks=pytest.mark.row("U-33")),
        pytest.param(uids.IMPLICIT_VR_LITTLE_ENDIAN, marks=pytest.mark.row("U-34")),
        pytest.param(uids.EXPLICIT_VR_BIG_ENDIAN, marks=pytest.mark.row("U-34")),
    ],
)
@pytest.mark.parametrize("syntax", [uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN])
async def test_what_cannot_be_had_is_406_and_names_what_can(
    gateway: Gateway, syntax: str, value: str
) -> None:
    instance = await stored(gateway, build.part10(build.dataset(), syntax))
    with pytest.raises(NotAcceptable) as raised:
        await named(gateway, instance, value)
    assert {f"transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}", f"transfer-syntax={JLS}"} <= set(
        raised.value.available
    )
    assert f"transfer-syntax={uids.IMPLICIT_VR_LITTLE_ENDIAN}" not in raised.value.available


@pytest.mark.row("U-30", "U-33")
async def test_video_stands_for_explicit_little_endian_unless_that_is_named(gateway: Gateway) -> None:
    """PS3.18 8.7.3.4: lossy, and not to be decoded here."""
    ds = build.dataset(PixelData=encapsulate([b"stream"]))
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    instance = await stored(gateway, build.part10(ds, MP4))
    assert await sent(gateway, instance, None) == MP4
    with pytest.raises(NotAcceptable):
        await named(gateway, instance, uids.EXPLICIT_VR_LITTLE_ENDIAN)
