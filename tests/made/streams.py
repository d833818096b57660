"""Encapsulated pixel data (PS3.5 A.4): fragments and offset tables of every kind, and what codecs make."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import imagecodecs
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from tests import build
from tests.made.raw import UNDEFINED, Elements, element, file, implicit, item, plain, uid, us

PREFIX = "1.2.840.10008.1.2.4."
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
MULTI_WORD, MULTI_COLOUR = "1.2.840.10008.5.1.4.1.1.7.3", "1.2.840.10008.5.1.4.1.1.7.4"
SIDE = 64


def waves(side: int = SIDE, top: int = 4095, phase: int = 0) -> Any:
    """Return a picture that no codec finds easy: slopes, edges and a little noise, from a seed."""
    y, x = np.mgrid[:side, :side]
    noise = np.random.default_rng(phase).integers(0, 9, (side, side))
    return ((np.sin((x + 3 * phase) / 7) + np.cos(y / 5) + 2) * (top - 9) / 4 + noise).astype("u2")


def colours(side: int = SIDE, phase: int = 0) -> Any:
    planes = [waves(side, 255, phase + n).astype("u1") for n in range(3)]
    return np.ascontiguousarray(np.stack(planes, axis=-1))


# -- fragments ---------------------------------------------------------------------------------------------


def fragments() -> dict[str, bytes]:
    """Return three JPEG-LS frames, and how they can be cut, counted and pointed to."""
    frames = [bytes(imagecodecs.jpegls_encode(waves(phase=n))) for n in range(3)]
    frames = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    thirds = [[frame[:100], frame[100:220], frame[220:]] for frame in frames]
    starts = _starts([sum(len(piece) + 8 for piece in pieces) for pieces in thirds])
    whole = _starts([len(frame) + 8 for frame in frames])
    pieces = [piece for three in thirds for piece in three]
    extended = {
        0x7FE00001: element(0x7FE00001, "OV", struct.pack("<3Q", *whole)),
        0x7FE00002: element(0x7FE00002, "OV", struct.pack("<3Q", *map(len, frames))),
    }
    native = element(0x7FE00010, "OW", waves().tobytes() * 3)
    made = {
        "gen-3x3-fragments-bot": _encapsulated(starts, pieces),
        "gen-3x3-fragments-nobot": _encapsulated([], pieces),
        "gen-bot-wrong": _encapsulated([0, 50, 120], pieces),
        "gen-defined-length": _encapsulated(whole, frames, ended=False, undefined=False),
        "gen-frames-gt-fragments": _encapsulated([], frames[:2]),
        "gen-no-sequence-delimiter": _encapsulated(whole, frames, ended=False),
        "gen-native-in-compressed-ts": native,
        "gen-eot-3-frames": _encapsulated([], frames),
    }
    found = {}
    for name, pixels in made.items():
        more = extended if name == "gen-eot-3-frames" else {}
        found[f"fragments/{name}.dcm"] = file(name, _multi(name) | more | {0x7FE00010: pixels}, PREFIX + "80")
    text = _multi("invalid_compression") | {
        0x00181120: element(0x00181120, "DS", b"+0.0"),
        0x00200032: element(0x00200032, "DS", b"+1.5\\-.5\\0."),
        0x00280008: element(0x00280008, "IS", b"1"),
    }
    text[0x7FE00010] = _encapsulated([], [b"this is no codestream at all"])
    return found | {"fragments/invalid_compression.dcm": file("invalid_compression", text, PREFIX + "70")}


def _starts(lengths: list[int]) -> list[int]:
    return [sum(lengths[:n]) for n in range(len(lengths))]


def _encapsulated(
    starts: list[int], pieces: list[bytes], *, ended: bool = True, undefined: bool = True
) -> bytes:
    content = item(struct.pack(f"<{len(starts)}I", *starts)) + b"".join(item(piece) for piece in pieces)
    content += implicit(0xFFFEE0DD, b"") if ended else b""
    return element(0x7FE00010, "OB", content, UNDEFINED if undefined else len(content))


def _multi(name: str) -> Elements:
    return plain(name) | {
        0x00080016: element(0x00080016, "UI", MULTI_WORD.encode()),
        0x00280002: us(0x00280002, 1),
        0x00280004: element(0x00280004, "CS", b"MONOCHROME2"),
        0x00280008: element(0x00280008, "IS", b"3"),
        0x00280010: us(0x00280010, SIDE),
        0x00280011: us(0x00280011, SIDE),
        0x00280100: us(0x00280100, 16),
        0x00280101: us(0x00280101, 16),
        0x00280102: us(0x00280102, 15),
        0x00280103: us(0x00280103, 0),
    }


# -- codestreams -------------------------------------------------------------------------------------------


def codestreams() -> dict[str, bytes]:
    """Return an image in each transfer syntax of which packages bring none."""
    return {name: make(name) for name, make in _STREAMS.items()}


def dataset(name: str, pixels: Any, frames: list[bytes], **attributes: Any) -> Dataset:
    """Return an image of these frames that says what `pixels`, the first of them, are."""
    colour, bits = pixels.ndim == 3, pixels.dtype.itemsize * 8
    values: dict[str, Any] = {
        "SOPClassUID": (MULTI_COLOUR if colour else MULTI_WORD)
        if len(frames) > 1
        else build.SECONDARY_CAPTURE,
        "SOPInstanceUID": uid(name),
        "StudyInstanceUID": uid(name + "/study"),
        "SeriesInstanceUID": uid(name + "/series"),
        "Modality": "OT",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "BitsAllocated": bits,
        "BitsStored": bits if bits == 8 else 12,
        "HighBit": (bits if bits == 8 else 12) - 1,
        "NumberOfFrames": len(frames) if len(frames) > 1 else None,
        "PixelData": b"".join(frames),
    }
    return build.dataset(**(values | attributes))


def compressed(
    name: str, syntax: str, pixels: Any, frames: list[bytes], *, table: bool = True, **attributes: Any
) -> bytes:
    ds = dataset(name, pixels, frames, **attributes)
    ds.PixelData = encapsulate(frames, has_bot=table)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, syntax)


def _grey(syntax: str, encode: Callable[[Any], Any], **attributes: Any) -> Callable[[str], bytes]:
    return lambda name: compressed(name, PREFIX + syntax, waves(), [bytes(encode(waves()))], **attributes)


def _colour(
    syntax: str, encode: Callable[[Any], Any], count: int = 1, table: bool = True, **attributes: Any
) -> Callable[[str], bytes]:
    def made(name: str) -> bytes:
        frames = [bytes(encode(colours(phase=n))) for n in range(count)]
        return compressed(name, PREFIX + syntax, colours(), frames, table=table, **attributes)

    return made


def jpeg(pixels: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92, **options)
    return out.getvalue()


# IS that JSON's grammar of numbers cannot spell.
NUMBERED: dict[str, Any] = {"SeriesNumber": "01", "InstanceNumber": "01"}


def lossy(method: str) -> dict[str, Any]:
    """Return the attributes of what lost something (PS3.3 C.7.6.1.1.5)."""
    return {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": method,
    }


_BASELINE: dict[str, Any] = {"PhotometricInterpretation": "YBR_FULL_422"} | lossy("ISO_10918_1")
_RECT: dict[str, Any] = {"PhotometricInterpretation": "YBR_RCT"}
_STREAMS: dict[str, Callable[[str], bytes]] = {
    "ts-jpeg/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm": _grey(
        "51",
        lambda pixels: imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12),
        **lossy("ISO_10918_1"),
    ),
    "ts-jpeg/made-progressive.55.dcm": lambda name: compressed(
        name,
        PREFIX + "55",
        colours()[..., 0],
        [jpeg(colours()[..., 0], progressive=True)],
        **lossy("ISO_10918_1"),
    ),
    "ts-jpeg/made-lossless.57.dcm": _grey(
        "57", lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=4, bitspersample=12)
    ),
    "ts-jpeg/made-lossless.70.dcm": _grey(
        "70", lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=12)
    ),
    "ts-jpegls/made-near.81.dcm": _grey(
        "81", lambda pixels: imagecodecs.jpegls_encode(pixels, 3), **lossy("ISO_14495_1")
    ),
    "ts-jpegls/made-rgb.80.dcm": _colour("80", imagecodecs.jpegls_encode),
    "ts-j2k/htj2k_lossless_parity.dcm": _grey(
        "201", lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)
    ),
    "ts-j2k/made-htj2k-rgb.201.dcm": _colour(
        "201", lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True), **_RECT
    ),
    "ts-j2k/gen-htj2k-rpcl-202.dcm": _grey(
        "202", lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)
    ),
    "ts-j2k/made-htj2k-lossy.203.dcm": _grey(
        "203", lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=False), **lossy("ISO_15444_15")
    ),
    "ts-j2k/gen-jxl-lossless-110.dcm": _colour(
        "110", lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True)
    ),
    "ts-j2k/will-jxl.dcm": _colour(
        "111", lambda pixels: imagecodecs.jpegxl_encode_jpeg(jpeg(pixels)), 3, **_BASELINE, **NUMBERED
    ),
    "ts-j2k/made-jxl-lossy.112.dcm": _colour(
        "112", lambda pixels: imagecodecs.jpegxl_encode(pixels, distance=0.5), **lossy("ISO_18181_1")
    ),
    "modality-vl-wsi/multi_frame_jpeg_camelyon_challenge_image.dcm": _colour(
        "50", jpeg, 6, False, **_BASELINE
    ),
}


# -- what is derived from a file of pydicom ----------------------------------------------------------------


def derived(liver: bytes) -> dict[str, bytes]:
    """Return its segmentation of single bits, compressed frame by frame."""
    source = dcmread(io.BytesIO(liver))
    size = source.Rows * source.Columns // 8
    frames = [source.PixelData[n * size : (n + 1) * size] for n in range(int(source.NumberOfFrames))]
    bits = [np.unpackbits(np.frombuffer(f, "u1"), bitorder="little").reshape(source.Rows, -1) for f in frames]
    kinds = {
        "ts-rle/liver_rle.dcm": ("1.2.840.10008.1.2.5", [_run_lengths(frame) for frame in frames]),
        "ts-uncompressed/liver_deflate.dcm": (
            "1.2.840.10008.1.2.8.1",
            [_deflated(frame) for frame in frames],
        ),
        "ts-j2k/liver_j2k.dcm": (
            PREFIX + "90",
            [
                bytes(imagecodecs.jpeg2k_encode(b, codecformat="j2k", bitspersample=1, reversible=True))
                for b in bits
            ],
        ),
    }
    made = {}
    for name, (syntax, streams) in kinds.items():
        ds = dcmread(io.BytesIO(liver))
        ds.SOPInstanceUID = uid(name)
        ds.PixelData = encapsulate(streams)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        made[name] = build.part10(ds, syntax)
    return made


def _deflated(frame: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(frame) + deflater.flush()
    return data + b"\0" * (len(data) % 2)


def _run_lengths(frame: bytes) -> bytes:
    """Return packed bits as one RLE segment of literal and replicate runs (PS3.5 G.3)."""
    out, at = bytearray(struct.pack("<16I", 1, 64, *[0] * 14)), 0
    while at < len(frame):
        end = at + 1
        while end < len(frame) and end - at < 128 and frame[end] == frame[at]:
            end += 1
        out += bytes([257 - (end - at), frame[at]]) if end - at > 1 else bytes([0, frame[at]])
        at = end
    return bytes(out) + b"\0" * (len(out) % 2)


# -- video -------------------------------------------------------------------------------------------------


def videos() -> dict[str, bytes]:
    """Return one second of MPEG-2 and of H.264, whole and in fragments."""
    h264 = _video("libx264", {"profile": "high", "level": "4.1", "preset": "ultrafast"})
    mpeg2 = _video("mpeg2video", {})
    quarter = -(-len(h264) // 8) * 2
    cut = [h264[n : n + quarter] for n in range(0, len(h264), quarter)]
    return {
        "ts-video/gen-h264-102.dcm": _film("gen-h264-102", "102", [h264]),
        "ts-video/gen-h264-102.1-fragmented.dcm": _film("gen-h264-102.1-fragmented", "102.1", cut),
        "ts-video/gen-mpeg2-100.dcm": _film("gen-mpeg2-100", "100", [mpeg2]),
    }


def _video(codec: str, options: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(25):
            pixels = np.full((96, 128, 3), 9 * number, "u1")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    data = out.getvalue()
    return data + b"\0" * (len(data) % 2)


def _film(name: str, syntax: str, pieces: list[bytes]) -> bytes:
    shape = np.zeros((96, 128, 3), "u1")
    more = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.1.1", "PhotometricInterpretation": "YBR_PARTIAL_420"}
    more |= lossy("ISO_13818_2" if syntax == "100" else "ISO_14496_10") | {
        "FrameIncrementPointer": 0x00181063
    }
    ds = dataset(name, shape, [b""], NumberOfFrames=25, FrameTime="40", Modality="ES", **more)
    ds.PixelData = b"".join(item(piece) for piece in (b"", *pieces))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, PREFIX + syntax)
