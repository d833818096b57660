"""Tiny frames are worked on in runs: reads, jobs and tasks are bounded by bytes, not by the number of frames."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway.app import Gateway
from gateway.dicom import uids
from gateway.dicom.encoding.frames import IN_A_RUN, WINDOW, runs, windows
from gateway.dicom.encoding.layout import PixelLayout
from gateway.index.base import Scope
from gateway.model import FrameNumber, ResourcePath, Span
from gateway.services.bytestream import Body
from gateway.services.retrieve.framebodies import FrameBodies
from gateway.services.retrieve.frames import select_all_frames, select_frames
from gateway.services.retrieve.layouts import StoredLayout, weight_of
from gateway.settings import Settings
from pydicom.encaps import encapsulate
from tests import build
from tests.services.recovery.test_reindex import store

SCOPE = Scope()
RLE = "1.2.840.10008.1.2.5"
COUNT = 5000


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    yield gateway
    await gateway.close()


def rle(value: int) -> bytes:
    head = b"".join(n.to_bytes(4, "little") for n in (1, 64, *[0] * 14))
    return head + bytes((0, value))


async def tiny(gateway: Gateway, *, encapsulated: bool, **attributes: Any) -> StoredLayout:
    """Frames of one pixel whose value is the lowest byte of their index."""
    ds = build.dataset(
        Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=COUNT, **attributes
    )
    values = bytes(n & 0xFF for n in range(COUNT))
    ds.PixelData = encapsulate([rle(v) for v in values]) if encapsulated else values
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = encapsulated
    assert await store(
        gateway, build.part10(ds, RLE if encapsulated else uids.EXPLICIT_VR_LITTLE_ENDIAN)
    ) == [None]
    return await gateway.retrieve.locate(
        SCOPE, ResourcePath(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    )


class Counted:
    """How often the store was read and the pool was given work, and how many tasks there were at most."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = self.jobs = self.tasks = 0
        read_now, run = gateway.store.read_now, gateway.pool.run

        def counted_read(key: str, span: Span) -> bytes | None:
            self.reads += 1
            return read_now(key, span)

        async def counted_run(*args: Any, **kwargs: Any) -> Any:
            self.jobs += 1
            self.tasks = max(self.tasks, len(asyncio.all_tasks()))
            return await run(*args, **kwargs)

        monkeypatch.setattr(gateway.store, "read_now", counted_read)
        monkeypatch.setattr(gateway.pool, "run", counted_run)


async def all_of(body: Body) -> bytes:
    return b"".join([chunk async for chunk in body.chunks])


async def each(frames: FrameBodies) -> list[bytes]:
    return [await all_of(body) async for body in frames.bodies]


FEW = 3 * COUNT // IN_A_RUN + 20


@pytest.mark.parametrize("encapsulated", [True, False])
async def test_all_pixels_as_one_value(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, encapsulated: bool
) -> None:
    located = await tiny(gateway, encapsulated=encapsulated)
    counted = Counted(gateway, monkeypatch)
    body = await gateway.retrieve.value(SCOPE, located, "7FE00010")
    chunks = [chunk async for chunk in body.chunks]
    assert b"".join(chunks) == bytes(n & 0xFF for n in range(COUNT))
    assert body.length == COUNT
    assert len(chunks) <= 2
    assert counted.reads <= FEW
    assert counted.jobs <= FEW
    assert counted.tasks <= FEW


@pytest.mark.parametrize("encapsulated", [True, False])
@pytest.mark.parametrize("target", [None, uids.EXPLICIT_VR_LITTLE_ENDIAN])
async def test_a_list_of_frames(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, encapsulated: bool, target: str | None
) -> None:
    located = await tiny(gateway, encapsulated=encapsulated)
    counted = Counted(gateway, monkeypatch)
    found = await each(await gateway.retrieve.open_frames(select_all_frames(located), target=target))
    native = not encapsulated or target is not None
    assert found == [bytes((n & 0xFF,)) if native else rle(n & 0xFF) for n in range(COUNT)]
    assert counted.reads <= FEW
    assert counted.jobs <= FEW
    assert counted.tasks <= FEW
    assert gateway.retrieve.inflight.held == 0


async def test_frames_in_any_order_and_twice(gateway: Gateway) -> None:
    located = await tiny(gateway, encapsulated=True)
    order = [FrameNumber(n) for n in (7, 8, 9, 3, 3, 5000, 1)]
    for target in (None, uids.EXPLICIT_VR_LITTLE_ENDIAN):
        frames = await gateway.retrieve.open_frames(select_frames(located, order), target=target)
        sizes = frames.sizes
        found = await each(frames)
        assert [data[-1] for data in found] == [n - 1 & 0xFF for n in order]
        assert sizes == [len(data) for data in found]


async def test_a_whole_instance_made_native(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    located = await tiny(gateway, encapsulated=True)
    counted = Counted(gateway, monkeypatch)
    data = await all_of(
        await gateway.retrieve.instance_bytes(SCOPE, located.stored, uids.EXPLICIT_VR_LITTLE_ENDIAN)
    )
    assert data.endswith(bytes(n & 0xFF for n in range(COUNT)))
    assert counted.jobs <= FEW
    assert gateway.retrieve.inflight.held == 0


async def test_a_frame_of_many_fragments_is_few_reads(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = build.dataset(Rows=8, Columns=8, NumberOfFrames=1)
    ds.PixelData = encapsulate([bytes(range(200)) * 100], fragments_per_frame=5000)
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    assert await store(gateway, build.part10(ds, RLE)) == [None]
    path = ResourcePath(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    located = await gateway.retrieve.locate(SCOPE, path)
    assert located.layout.pixels is not None
    assert len(located.layout.pixels.starts) == 5000
    counted = Counted(gateway, monkeypatch)
    body = await gateway.retrieve.open_frame(select_frames(located, [FrameNumber(1)]))
    assert await all_of(body) == bytes(range(200)) * 100
    assert counted.reads <= 5


def test_runs_are_of_neighbours_and_short() -> None:
    size = WINDOW // 4
    pixels = PixelLayout(
        *(1, 1, 1, 8, 8, 7, 0, "MONOCHROME2", 0),
        vr="OB",
        offset=0,
        length=0,
        encapsulated=True,
        frames=100,
        declared_frames=100,
        frame_bits=8,
        starts=array("Q", [8 + n * (size + 8) for n in range(100)]),
        lengths=array("Q", [size] * 100),
        first=array("L", range(100)),
    )
    numbers = [FrameNumber(n) for n in (1, 2, 3, 4, 5, 9, 10, 8)]
    assert list(runs(pixels, numbers, 1)) == [[1, 2, 3], [4, 5], [9, 10], [8]]
    assert list(runs(pixels, numbers, WINDOW)) == [[n] for n in numbers]


def test_windows_leave_out_what_is_far() -> None:
    spans = [Span(0, 10), Span(18, 20), Span(5000, 5001), Span(5009, 5010 + WINDOW)]
    found = [(window.start, window.stop, len(inside)) for window, inside in windows(spans)]
    assert found == [(0, 20, 2), (5000, 5001, 1), (5009, 5010 + WINDOW, 1)]


async def test_a_layout_weighs_what_its_tables_do(gateway: Gateway) -> None:
    located = await tiny(gateway, encapsulated=True)
    assert weight_of(located.layout) > COUNT * 24
