"""Transcoding over a real store and index: attributes, proof, sharing, streaming, and every file of the corpus."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from gateway.app import Gateway
from gateway.dicom import uids
from gateway.dicom.encoding.headeredit import derive_uid
from gateway.errors import CodecError, GatewayError, NotAcceptable
from gateway.index.base import Scope
from gateway.model import FrameNumber, Source
from gateway.render.codecs import encode, jpeg2000, transcodetargets
from gateway.render.codecs.decode import decode_frame
from gateway.render.codecs.encodejob import EncodeJob
from gateway.services.retrieve import transcode
from gateway.services.retrieve.frames import select_frames
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.obtainable import find_obstacle
from gateway.services.retrieve.pixelstream import AHEAD
from gateway.settings import Settings
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
from tests import build
from tests.corpus import rows, there
from tests.render import matrix
from tests.render.compressed import layout_of

SCOPE = Scope()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    opened = await Gateway.open(Settings(data=str(tmp_path)))
    await opened.start()
    yield opened
    await opened.close()


async def stored(gateway: Gateway, data: bytes) -> StoredLayout:
    async def body() -> AsyncIterator[bytes]:
        yield data

    session = gateway.ingest.session(Source("stow"))
    await session.take(body())
    (outcome,) = await session.finish()
    assert outcome.identity is not None, outcome
    assert not outcome.failure, outcome
    return await gateway.retrieve.locate(SCOPE, outcome.identity.path)


async def sent(gateway: Gateway, located: StoredLayout, target: str | None) -> bytes:
    body = await gateway.retrieve.instance_bytes(SCOPE, located.stored, target)
    data = b"".join([chunk async for chunk in body.chunks])
    assert body.length in (None, len(data))
    return data


def image(kind: str, frames: int = 1, **attributes: Any) -> Dataset:
    """A native image of a kind of the matrix, its frames alike but for the last."""
    data, pixels = matrix.picture(**matrix.KINDS[kind])
    last = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    values: dict[str, Any] = {
        **matrix.describe(pixels),
        "NumberOfFrames": frames if frames > 1 else None,
        "PixelData": data * (frames - 1) + (last if frames > 1 else data),
    }
    return build.dataset(**(values | attributes))


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


# -- whole instances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.IMPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_BIG_ENDIAN,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
@pytest.mark.parametrize(
    "target",
    [
        uids.RLE_LOSSLESS,
        uids.HTJ2K_LOSSLESS_RPCL,
        uids.JPEG_LS_LOSSLESS,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
async def test_every_encoding_of_the_data_set_can_be_sent_compressed(
    gateway: Gateway, syntax: str, target: str
) -> None:
    """Head, frames and what comes after the pixels; implicit and big endian are written anew."""
    ds = image("12 of 16 signed", frames=3, ImageComments="x" * 300)
    ds.add_new(0x7FE10010, "LO", "OURS")
    ds.add_new(0x7FE11001, "OB", b"after")
    if syntax == uids.EXPLICIT_VR_BIG_ENDIAN:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    located = await stored(gateway, _written(ds, syntax))
    plain = read(await sent(gateway, located, uids.EXPLICIT_VR_LITTLE_ENDIAN))
    found = read(await sent(gateway, located, target))
    assert found.file_meta.TransferSyntaxUID == target
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert bytes(found[0x7FE11001].value)[:5] == b"after"
    assert {e.tag for e in found} == {e.tag for e in plain}
    if target == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        assert found.PixelData == plain.PixelData
        return
    shape = layout_of(found)
    frames = list(generate_frames(found.PixelData, number_of_frames=3))
    assert b"".join(decode_frame(frame, shape, target).data for frame in frames) == plain.PixelData


def _written(ds: Dataset, syntax: str) -> bytes:
    out = build.part10(ds, syntax)
    if syntax == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        assert read(out).PixelData == ds.PixelData
    return out


@pytest.mark.parametrize("frames", [1, 4])
async def test_fragments_are_one_a_frame_and_the_offset_table_says_what_it_can(
    gateway: Gateway, frames: int
) -> None:
    """PS3.5 A.4: of one frame its offset; of several none, since they stream after it."""
    located = await stored(gateway, build.part10(image("8", frames=frames)))
    found = read(await sent(gateway, located, uids.RLE_LOSSLESS))
    assert parse_basic_offsets(found.PixelData) == ([0] if frames == 1 else [])
    fragments = list(generate_fragments(found.PixelData[12 if frames == 1 else 8 :]))
    assert len(fragments) == frames
    assert all(len(fragment) % 2 == 0 for fragment in fragments)
    assert found["PixelData"].VR == "OB"
    assert found["PixelData"].is_undefined_length


@pytest.mark.parametrize(
    ("kind", "target", "photometric", "planar"),
    [
        ("RGB by plane", uids.JPEG_2000_LOSSLESS, "YBR_RCT", 0),
        ("RGB by plane", uids.HTJ2K_LOSSLESS, "YBR_RCT", 0),
        ("RGB by plane", uids.JPEG_LOSSLESS_SV1, "RGB", 0),
        ("RGB by plane", uids.RLE_LOSSLESS, "RGB", 1),
        ("YBR by plane", uids.JPEG_LS_LOSSLESS, "YBR_FULL", 0),
        ("palette of 8", uids.JPEG_2000_LOSSLESS, "PALETTE COLOR", None),
    ],
)
async def test_lossless_attributes(
    gateway: Gateway, kind: str, target: str, photometric: str, planar: int | None
) -> None:
    located = await stored(gateway, build.part10(image(kind)))
    found = read(await sent(gateway, located, target))
    assert found.PhotometricInterpretation == photometric
    assert found.get("PlanarConfiguration") == planar
    assert "LossyImageCompression" not in found


@pytest.mark.parametrize(
    ("kind", "target", "method", "photometric"),
    [
        ("RGB", uids.JPEG_BASELINE_8_BIT, "ISO_10918_1", "YBR_FULL_422"),
        ("12 of 16", uids.JPEG_EXTENDED_12_BIT, "ISO_10918_1", "MONOCHROME2"),
        ("12 of 16", uids.JPEG_LS_NEAR_LOSSLESS, "ISO_14495_1", "MONOCHROME2"),
        ("RGB", uids.JPEG_2000, "ISO_15444_1", "YBR_ICT"),
        ("RGB", uids.HTJ2K, "ISO_15444_15", "YBR_ICT"),
        ("RGB", uids.JPEG_XL, "ISO_18181_1", "XYB"),
    ],
)
async def test_a_lossy_version_is_a_new_image(
    gateway: Gateway, kind: str, target: str, method: str, photometric: str
) -> None:
    """PS3.3 C.7.6.1.1.5, C.12.4.1: a new UID, DERIVED, of what and how."""
    ds = image(kind, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    located = await stored(gateway, build.part10(ds))
    data = await sent(gateway, located, target)
    found = read(data)
    assert found.SOPInstanceUID == derive_uid(ds.SOPInstanceUID, located.stored.version, target)
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID != ds.SOPInstanceUID
    assert list(found.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", method)
    assert float(found.LossyImageCompressionRatio) > 1
    (source,) = found.SourceImageSequence
    assert (source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID) == (
        ds.SOPClassUID,
        ds.SOPInstanceUID,
    )
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert found.DerivationCodeSequence[0].CodeValue == "113040"
    assert found.PhotometricInterpretation == photometric
    assert data == await sent(gateway, located, target)  # the same image each time


async def test_a_further_lossy_step_is_put_after_the_earlier_ones(gateway: Gateway) -> None:
    ds = image(
        "8",
        LossyImageCompression="01",
        LossyImageCompressionRatio="10",
        LossyImageCompressionMethod="ISO_10918_1",
        DerivationDescription="resampled",
    )
    earlier = Dataset()
    earlier.ReferencedSOPClassUID, earlier.ReferencedSOPInstanceUID = build.CT_IMAGE, "1.2.3"
    ds.SourceImageSequence = [earlier]
    located = await stored(gateway, build.part10(ds))
    found = read(await sent(gateway, located, uids.JPEG_2000))
    assert list(found.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert float(found.LossyImageCompressionRatio[0]) == 10
    assert len(found.LossyImageCompressionRatio) == 2
    assert [s.ReferencedSOPInstanceUID for s in found.SourceImageSequence] == ["1.2.3", ds.SOPInstanceUID]
    assert found.DerivationDescription == "resampled"


async def test_what_was_lossy_stays_marked_and_keeps_its_uid_without_loss(gateway: Gateway) -> None:
    """PS3.3 C.7.6.1.1.5: '01' is never taken back; a lossless representation is the same image."""
    native = await stored(gateway, build.part10(image("RGB")))
    lossy = read(await sent(gateway, native, uids.JPEG_BASELINE_8_BIT))
    del lossy.LossyImageCompression
    located = await stored(gateway, build.part10(lossy, uids.JPEG_BASELINE_8_BIT))
    for target in (
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.JPEG_2000_LOSSLESS,
        uids.JPEG_XL_JPEG_RECOMPRESSION,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ):
        found = read(await sent(gateway, located, target))
        assert found.SOPInstanceUID == lossy.SOPInstanceUID
        assert found.LossyImageCompression == "01"


async def test_frames_of_single_bits_join_without_padding(gateway: Gateway) -> None:
    """PS3.5 8.1.1: 25 bits a frame, of an encapsulated source as of a native one."""
    bits = np.random.default_rng(0).integers(0, 2, 3 * 25)
    packed = np.packbits(bits, bitorder="little").tobytes()
    ds = image("1 bit", Rows=5, Columns=5, NumberOfFrames=3, PixelData=packed + b"\0" * (len(packed) % 2))
    ds["PixelData"].VR = "OB"
    located = await stored(gateway, build.part10(ds))
    compressed = read(await sent(gateway, located, uids.JPEG_2000_LOSSLESS))
    compressed.SOPInstanceUID = "1.2.3.4"
    again = await stored(gateway, build.part10(compressed, uids.JPEG_2000_LOSSLESS))
    assert read(await sent(gateway, again, uids.EXPLICIT_VR_LITTLE_ENDIAN)).PixelData == ds.PixelData
    bulk = await gateway.retrieve.value(SCOPE, again, "7FE00010")
    assert bulk.length == len(packed)
    assert b"".join([chunk async for chunk in bulk.chunks]) == packed


async def test_what_cannot_be_had_is_406_and_names_what_can(gateway: Gateway) -> None:
    located = await stored(gateway, build.part10(image("32")))
    with pytest.raises(NotAcceptable, match="wanted 8 or 16") as raised:
        await sent(gateway, located, uids.JPEG_LS_LOSSLESS)
    assert raised.value.available[0] == f"transfer-syntax={uids.EXPLICIT_VR_LITTLE_ENDIAN}"
    assert f"transfer-syntax={uids.HTJ2K_LOSSLESS}" in raised.value.available
    report = await stored(gateway, build.part10(build.dataset(PixelData=None, Modality="SR")))
    with pytest.raises(NotAcceptable, match="no pixel data"):
        await sent(gateway, report, uids.RLE_LOSSLESS)
    for never in (uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN, "1.2.3"):
        with pytest.raises(NotAcceptable):
            await sent(gateway, located, never)


# -- proof, sharing, streaming -----------------------------------------------------------------------------


async def frame(gateway: Gateway, located: StoredLayout, number: int, target: str) -> bytes:
    body = await gateway.retrieve.open_frame(select_frames(located, [FrameNumber(number)]), target=target)
    return b"".join([chunk async for chunk in body.chunks])


def wrong(job: EncodeJob) -> bytes:
    """An encoder that loses a bit of one pixel."""
    cells = job.cells.copy()
    cells[0, 0] ^= 1
    return jpeg2000.jpeg2000(replace(job, cells=cells))


async def test_a_codestream_that_is_not_the_pixels_is_refused_and_counted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    located = await stored(gateway, build.part10(image("12 of 16")))
    good = await frame(gateway, located, 1, uids.HTJ2K_LOSSLESS)
    assert gateway.counters["transcode_proved_total"] == 1
    monkeypatch.setitem(encode._ENCODERS, uids.JPEG_2000_LOSSLESS, wrong)
    for _ in range(2):  # what failed was not kept
        with pytest.raises(CodecError, match="does not decode to the same pixels"):
            await frame(gateway, located, 1, uids.JPEG_2000_LOSSLESS)
    assert gateway.counters["transcode_refuted_total"] == 2
    monkeypatch.undo()
    assert await frame(gateway, located, 1, uids.JPEG_2000_LOSSLESS) != good
    assert gateway.counters["transcode_proved_total"] == 2


async def test_proof_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = await Gateway.open(Settings(data=str(tmp_path), verify_transcoding=False))
    await opened.start()
    try:
        located = await stored(opened, build.part10(image("12 of 16")))
        monkeypatch.setitem(encode._ENCODERS, uids.JPEG_2000_LOSSLESS, wrong)
        assert (await frame(opened, located, 1, uids.JPEG_2000_LOSSLESS)).startswith(b"\xff\x4f\xff\x51")
        assert opened.counters.all() == {"transcode_frames_total": 1}
    finally:
        await opened.close()


async def test_who_asks_the_same_at_once_shares_one_job_and_later_the_cache(gateway: Gateway) -> None:
    located = await stored(gateway, build.part10(image("16", frames=2)))
    same = await asyncio.gather(*(frame(gateway, located, 2, uids.HTJ2K_LOSSLESS) for _ in range(12)))
    assert len(set(same)) == 1
    assert gateway.counters["transcode_frames_total"] == 1
    await frame(gateway, located, 2, uids.HTJ2K_LOSSLESS)
    assert gateway.counters["transcode_cached_total"] == 1
    assert await frame(gateway, located, 1, uids.HTJ2K_LOSSLESS) != same[0]
    assert await frame(gateway, located, 2, uids.JPEG_2000_LOSSLESS) != same[0]
    assert gateway.counters["transcode_frames_total"] == 3


async def test_frames_of_an_instance_are_made_as_they_are_taken(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stops reading stops the work, and no more than a few frames of a long instance are ever held."""
    monkeypatch.setattr(transcode, "MADE_FIRST_AT_MOST", 0)
    located = await stored(gateway, build.part10(image("16", frames=30)))
    body = await gateway.retrieve.instance_bytes(SCOPE, located.stored, uids.HTJ2K_LOSSLESS)
    for _ in range(5):
        await anext(body.chunks)
    made = gateway.counters["transcode_frames_total"]
    assert made <= 3 + AHEAD + 1
    await body.chunks.aclose()
    await asyncio.sleep(0.05)
    assert gateway.counters["transcode_frames_total"] <= made + AHEAD + 1


async def test_a_codestream_that_serves_as_it_stands_is_passed_on(gateway: Gateway) -> None:
    """First-order prediction is lossless JPEG; RPCL is HTJ2K."""
    native = await stored(gateway, build.part10(image("16")))
    for source, target in (
        (uids.JPEG_LOSSLESS_SV1, uids.JPEG_LOSSLESS),
        (uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K_LOSSLESS),
    ):
        ds = read(await sent(gateway, native, source))
        ds.SOPInstanceUID = f"1.2.{int(source[-2:])}"
        located = await stored(gateway, build.part10(ds, source))
        before = gateway.counters["transcode_proved_total"]
        (original,) = generate_frames(ds.PixelData, number_of_frames=1)
        assert await frame(gateway, located, 1, target) == original
        assert gateway.counters["transcode_proved_total"] == before


# -- the corpus --------------------------------------------------------------------------------------------

SMALL = 600_000


def _files(most: int) -> list[Any]:
    return [row for row in rows() if row.file.stat().st_size <= most]


async def _everything(gateway: Gateway, most: int, wanted: tuple[str, ...]) -> tuple[int, dict[str, str]]:
    """Each file in each transfer syntax that is said to be possible, read again by pydicom."""
    done, failed = 0, dict[str, str]()
    for row in _files(most):
        try:
            located = await stored(gateway, row.read())
        except (AssertionError, GatewayError):
            continue
        for target in wanted:
            if find_obstacle(located, target) or target == located.layout.transfer_syntax:
                continue
            try:
                data = await sent(gateway, located, target)
            except CodecError as error:
                failed[row.name] = error.detail
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = read(data)
            assert found.file_meta.TransferSyntaxUID == target, row.name
            new = found.SOPInstanceUID != located.stored.identity.instance
            reconstructed = (located.layout.transfer_syntax, target) == (
                uids.JPEG_XL_JPEG_RECOMPRESSION,
                uids.JPEG_BASELINE_8_BIT,
            )
            assert new == (transcodetargets.is_lossy(target) and not reconstructed), row.name
            done += 1
    return done, failed


# Streams that are no streams, and cells with more than their samples, which lossy syntaxes refuse.
NOT_CODED = {
    "fragments/JPEG2000-embedded-sequence-delimiter.dcm",
    "fragments/gen-bot-wrong.dcm",
    "fragments/invalid_compression.dcm",
    "pixels/mlut_18.dcm",
    "pixels/ovly_p01.dcm",
}


async def test_small_files_of_the_corpus_in_every_transfer_syntax(gateway: Gateway) -> None:
    done, failed = await _everything(
        gateway,
        40_000,
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *transcodetargets.TARGETS),
    )
    assert set(failed) <= NOT_CODED
    assert done > (300 if there() else 20)
    assert gateway.counters["transcode_refuted_total"] == 0


@pytest.mark.long
async def test_every_file_of_the_corpus_in_every_transfer_syntax(gateway: Gateway) -> None:
    done, failed = await _everything(
        gateway,
        SMALL,
        (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, *transcodetargets.TARGETS),
    )
    assert set(failed) <= NOT_CODED
    assert done > (1500 if there() else 20)
    assert gateway.counters["transcode_refuted_total"] == 0
    more, failed = await _everything(gateway, 1 << 30, (uids.HTJ2K_LOSSLESS,))
    assert set(failed) <= NOT_CODED
    assert more
