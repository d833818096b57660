"""Frames of corpus files as the pipeline wants them, and what dcmtk's renderer makes of the same files."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gateway.dicom.encoding.frames import frame_spans, realign, swap, swap_width
from gateway.dicom.encoding.layout import InstanceLayout, PixelLayout
from gateway.model import FrameNumber
from gateway.render.attributes import Attributes, bulk_wanted
from gateway.render.codecs.decode import decode_frame, describe_after
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Array, Image, Rendering
from PIL import Image as Pillow
from tests.corpus import row
from tests.dicom.oracle import parsed, read, stored
from tests.servers import missing

# What Debian's dcmj2pnm can decode.
DCMTK_READS = frozenset(
    {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70)}
    | {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
    | {"1.2.840.10008.1.2.5"}
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read."""

    name: str
    file: Path
    data: bytes
    layout: InstanceLayout
    metadata: dict[str, Any]

    @property
    def pixels(self) -> PixelLayout:
        assert self.layout.pixels is not None, self.name
        return self.layout.pixels

    def bulk(self) -> dict[str, bytes]:
        """The values by reference that rendering wants, little endian."""
        found = {}
        for path in bulk_wanted(self.metadata):
            value = self.layout.bulk[path]
            raw = self.data[value.offset : value.offset + value.length]
            width = swap_width(value.vr, 16) if self.layout.big_endian else 1
            found[path] = swap(raw, width)
        return found

    def attributes(self) -> Attributes:
        """As they describe the decoded frames."""
        whole = Attributes(self.metadata, self.bulk())
        if not self.pixels.encapsulated:
            return whole
        return whole.with_changes(describe_after(self.pixels, self.layout.transfer_syntax))

    def native(self, frame: int = 1) -> bytes:
        spans = frame_spans(self.pixels, FrameNumber(frame))
        data = b"".join(self.data[span.start : span.stop] for span in spans)
        if self.pixels.encapsulated:
            return decode_frame(data, self.pixels, self.layout.transfer_syntax).data
        if self.pixels.bits_allocated == 1:
            return realign(data, self.pixels, FrameNumber(frame))
        if not self.layout.big_endian:
            return data
        # The words of OW go beyond a frame of odd length.
        ends = spans[-1].stop, spans[-1].stop + len(data) % 2
        return swap(data + self.data[slice(*ends)], swap_width(self.pixels.vr, self.pixels.bits_allocated))

    def render(self, how: Rendering = Rendering(), frame: int = 1) -> Image:  # noqa: B008
        return render_frame(self.native(frame), self.attributes(), frame, how)


@cache
def source(name: str) -> Source:
    """The corpus file of this name."""
    found = row(name)
    data = found.read()
    instance = read(data)
    return Source(found.name, found.file, stored(data, instance), instance.layout, parsed(instance.metadata))


@cache
def dcmj2pnm() -> str:
    """The command; skips, or fails where GATEWAY_TEST_REQUIRE names dcmtk."""
    found = shutil.which("dcmj2pnm")
    if found is None:
        missing("dcmtk", "Debian's dcmtk is not installed")
    assert found is not None
    return found


def by_dcmtk(file: Path, *options: str, frame: int = 1) -> Array:
    """What dcmtk renders, in 8 bits: rows x columns, or with RGB. Raises AssertionError with what it says."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.pnm"
        command = [dcmj2pnm(), "+F", str(frame), *options, "+opb", str(file), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        with Pillow.open(out) as picture:
            return np.asarray(picture).copy()


def apart(ours: Array, theirs: Array) -> int:
    """The largest difference of two pictures; grey may be compared with the same grey in three channels."""
    if ours.ndim == 3 and theirs.ndim == 2:
        theirs = np.repeat(theirs[..., None], 3, axis=2)
    if ours.ndim == 2 and theirs.ndim == 3:
        ours = np.repeat(ours[..., None], 3, axis=2)
    assert ours.shape == theirs.shape
    return int(np.abs(ours.astype(np.int32) - theirs.astype(np.int32)).max())
