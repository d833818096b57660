"""The compressed images of the corpus: codestreams by pydicom, pixels by pydicom's plug-ins."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.render.codecs.decode import DecodedFrame, decodable, decode_frame
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from tests.build import pixel_layout
from tests.corpus import Row, row, rows

# gdcm first: it and the codec used here share their arithmetic where JPEG leaves a choice.
PLUGINS = ("gdcm", "pylibjpeg", "pyjpegls", "pydicom")


@dataclass(frozen=True, slots=True)
class Image:
    """One file with encapsulated pixel data in a syntax that can be decoded."""

    name: str
    transfer_syntax: str
    layout: PixelLayout
    frames: tuple[bytes, ...]
    dataset: Dataset

    def decoded(self, index: int = 0) -> DecodedFrame:
        return decode_frame(self.frames[index], self.layout, self.transfer_syntax)


@cache
def images() -> tuple[Image, ...]:
    """Every one of the corpus whose frames pydicom can tell apart."""
    return tuple(found for one in rows() if (found := _image(one)) is not None)


def image(name: str) -> Image:
    found = row(name)
    return next(i for i in images() if i.name == found.name)


def _image(row: Row) -> Image | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(BytesIO(row.read()), force=True)
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            if not decodable(syntax) or "PixelData" not in dataset:
                return None
            count = int(dataset.get("NumberOfFrames") or 1)
            frames = tuple(generate_frames(dataset.PixelData, number_of_frames=count))
        except Exception:
            return None
    return Image(row.name, syntax, layout_of(dataset), frames, dataset)


def layout_of(dataset: Dataset) -> PixelLayout:
    def number(name: str) -> int:
        return int(dataset.get(name) or 0)

    return pixel_layout(
        rows=number("Rows"),
        columns=number("Columns"),
        samples=number("SamplesPerPixel"),
        bits_allocated=number("BitsAllocated"),
        bits_stored=number("BitsStored"),
        high_bit=number("HighBit"),
        pixel_representation=number("PixelRepresentation"),
        photometric=str(dataset.get("PhotometricInterpretation") or ""),
        planar=number("PlanarConfiguration"),
    )


def values(frame: DecodedFrame, shape: PixelLayout) -> np.ndarray[Any, Any]:
    """Rows, columns and, where there are several, samples, read as the frame's own attributes say."""
    if frame.image.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame.data, "u1"), bitorder="little")
        return bits[: shape.rows * shape.columns].reshape(shape.rows, shape.columns)
    kind = "i" if frame.image.pixel_representation else "u"
    array = np.frombuffer(frame.data, f"<{kind}{frame.image.bits_allocated // 8}")
    if frame.image.samples == 1:
        return array.reshape(shape.rows, shape.columns)
    if frame.image.planar:
        return array.reshape(frame.image.samples, shape.rows, shape.columns).transpose(1, 2, 0)
    return array.reshape(shape.rows, shape.columns, frame.image.samples)


def oracles(found: Image, index: int, *, raw: bool) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """What each of pydicom's plug-ins makes of a frame; a plug-in that refuses it is left out."""
    for plugin, array, _ in _decoded(found, index, raw=raw):
        yield plugin, array


def descriptions(found: Image) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each plug-in says the first frame is, once decoded."""
    for plugin, _, described in _decoded(found, 0, raw=True):
        yield plugin, dict(described)


def _decoded(found: Image, index: int, *, raw: bool) -> Iterator[tuple[str, np.ndarray[Any, Any], Any]]:
    try:
        decoder = get_decoder(found.transfer_syntax)
    except NotImplementedError:
        return
    for plugin in PLUGINS:
        if plugin not in decoder.available_plugins:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                array, described = decoder.as_array(
                    found.dataset, index=index, raw=raw, decoding_plugin=plugin
                )
            except Exception:
                continue
        yield plugin, array, described


def outcome(codestream: bytes, pixels: PixelLayout, syntax: str) -> DecodedFrame | None:
    """The frame, or None for a CodecError; anything else is a failure of the test."""
    try:
        return decode_frame(codestream, pixels, syntax)
    except CodecError:
        return None
