"""Instances to be rendered: their category (PS3.18 8.7.2), and the attributes that rendering reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import orjson

from gateway.dicom import tags, uids
from gateway.dicom.encoding.frames import is_video
from gateway.dicom.encoding.layout import PixelLayout
from gateway.errors import CodecError
from gateway.index.base import Scope, StoredInstance
from gateway.model import ResourcePath
from gateway.render.attributes import Attributes, bulk_wanted
from gateway.render.codecs.decode import decodable, describe_after
from gateway.render.pool import CodecPool
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.retrieve.layouts import StoredLayout
from gateway.services.retrieve.retrieve import Retrieve

ATTRIBUTES_AT_MOST = 64 << 20
# Bytes of LUTs, palettes, overlays and profiles of one instance together.
BULK_AT_MOST = 64 << 20
# Bytes; longer JSON is parsed off the event loop.
PARSED_NOW = 256 << 10

# Structured documents outside of that family: macular grid, spectacle prescription.
_MORE_SR = frozenset(
    {uids.MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE, uids.SPECTACLE_PRESCRIPTION_REPORT_STORAGE}
)
_JPIP = frozenset(
    {
        uids.JPIP_REFERENCED,
        uids.JPIP_REFERENCED_DEFLATE,
        uids.JPIP_HTJ2K_REFERENCED,
        uids.JPIP_HTJ2K_REFERENCED_DEFLATE,
    }
)


class Category(StrEnum):
    """Resource categories (PS3.18 8.7.2).

    A presentation state is in the category Other, although it has pictures (8.3.5.1.6).
    """

    SINGLE = "single frame image"
    MULTI = "multi-frame image"
    VIDEO = "video"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RenderTarget:
    """An instance to be rendered.

    `frames` is the number of frames that can be requested; `obstacle` says why it has no picture.
    """

    located: StoredLayout
    category: Category
    frames: int
    obstacle: str = ""

    @property
    def path(self) -> ResourcePath:
        return self.located.stored.identity.path

    @property
    def version(self) -> str:
        return self.located.stored.version

    @property
    def sop_class(self) -> str:
        return self.located.stored.identity.sop_class

    @property
    def pixels(self) -> PixelLayout:
        """Return the layout of the pixel data. Raises CodecError where there is none."""
        if self.located.layout.pixels is None:
            raise CodecError(f"instance {self.path.instance} has no pixel data", uid=self.path.instance)
        return self.located.layout.pixels

    @property
    def stream(self) -> bool:
        """Return whether the frames are in one stream of video."""
        return is_video(self.located.layout.transfer_syntax)

    @property
    def state(self) -> bool:
        """Return whether it is a presentation state."""
        return self.sop_class.startswith(uids.PRESENTATION_STATES)

    @property
    def encapsulated(self) -> bool:
        """Return whether it is a document in a data set, such as a PDF."""
        return (
            self.sop_class.startswith(uids.ENCAPSULATED_DOCUMENTS)
            or tags.ENCAPSULATED_DOCUMENT in self.located.layout.bulk
        )


def subject_of(located: StoredLayout) -> RenderTarget:
    """Return the instance with its category by SOP class, transfer syntax and frames (8.7.2)."""
    sop_class, layout = located.stored.identity.sop_class, located.layout
    pixels = layout.pixels
    text = (
        sop_class.startswith((uids.STRUCTURED_REPORTS, uids.ENCAPSULATED_DOCUMENTS))
        or sop_class in _MORE_SR
        or tags.ENCAPSULATED_DOCUMENT in layout.bulk
    )
    if text:
        return RenderTarget(located, Category.TEXT, 0)
    if layout.transfer_syntax in _JPIP:
        return RenderTarget(
            located, Category.SINGLE, 0, "its pixel data is not held here, but behind a URL (JPIP)"
        )
    if pixels is None:
        return RenderTarget(located, Category.OTHER, 0, "it has no pixel data")
    if is_video(layout.transfer_syntax):
        frames = max(pixels.declared_frames, 1)
        return RenderTarget(located, Category.VIDEO if frames > 1 else Category.SINGLE, frames)
    category = Category.MULTI if pixels.frames > 1 else Category.SINGLE
    return RenderTarget(located, category, pixels.frames, _obstacle(pixels, layout.transfer_syntax))


def _obstacle(pixels: PixelLayout, transfer_syntax: str) -> str:
    """Return why its frames cannot be rendered, as far as the layout tells; empty where they can."""
    if pixels.problem or not pixels.frames:
        return pixels.problem or "it has no frames"
    if pixels.encapsulated and not decodable(transfer_syntax):
        return f"frames in transfer syntax {transfer_syntax} cannot be decoded here"
    if pixels.samples not in {1, 3}:
        return f"it has {pixels.samples} samples per pixel"
    return ""


class RenderTargets:
    """Finds instances and reads their attributes, which are cached."""

    def __init__(self, retrieve: Retrieve, freshness: Freshness, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._pool = pool
        self._kept: StudyCache[Attributes] = freshness.watch(StudyCache(ATTRIBUTES_AT_MOST))

    async def find(self, scope: Scope, path: ResourcePath) -> RenderTarget:
        """Return the current version of one instance. Raises NotFound, Gone, ObjectDamaged."""
        return subject_of(await self._retrieve.locate(scope, path))

    async def find_listed(self, scope: Scope, stored: StoredInstance) -> RenderTarget:
        """Return an instance that was listed before, even if it was deleted since.

        Raises Gone, ObjectDamaged.
        """
        return subject_of(await self._retrieve.find_layout(scope, stored))

    async def attributes(self, scope: Scope, subject: RenderTarget) -> Attributes:
        """Return the attributes of the decoded frames, with LUTs, palettes, overlays and profiles read.

        Raises CodecError.
        """
        key = (scope.fingerprint, subject.version)
        found = self._kept.get(key)
        if found is None:
            row = await self._retrieve.read_row(scope, subject.located.stored)
            found, weight = await self._read(scope, subject, row)
            self._kept.put(key, found, study=subject.path.study, weight=weight)
        return found

    async def _read(self, scope: Scope, subject: RenderTarget, row: bytes) -> tuple[Attributes, int]:
        text = row.replace(b"\0", b"")
        members = await self._pool.run(orjson.loads, text) if len(text) > PARSED_NOW else orjson.loads(text)
        bulk: dict[str, bytes] = {}
        size = 0
        for where in bulk_wanted(members):
            body = await self._retrieve.value(scope, subject.located, where)
            size += body.length or 0
            if size > BULK_AT_MOST:
                await body.chunks.aclose()
                raise CodecError(f"LUTs, overlays and profiles are beyond the limit of {BULK_AT_MOST} bytes")
            bulk[where] = b"".join([chunk async for chunk in body.chunks])
        attributes = Attributes(members, bulk)
        layout = subject.located.layout
        if layout.pixels is not None and layout.pixels.encapsulated and not subject.stream:
            attributes = attributes.with_changes(describe_after(layout.pixels, layout.transfer_syntax))
        return attributes, 5 * len(text) + size
