"""Draw one small picture of a study, series, instance or of frames (PS3.18 8.3.5.2, 10.4.1.1.4).

Of an instance it is the middle frame, of a series the middle instance, of a study the series of images with
the most instances; secondary captures come last. No annotation is drawn, and the object's own overlays are
left out. An instance that says the patient's name is burned in, or that is not an image, is shown as a
drawn icon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.dicom import tags, uids
from gateway.errors import CodecError, NotAcceptable, NotFound
from gateway.index.base import Scope, StoredInstance
from gateway.model import FrameNumber, ResourcePath
from gateway.render.output.icons import icon
from gateway.render.output.imageformats import encode
from gateway.render.pool import CodecPool
from gateway.render.rendering import Rendering, Viewport
from gateway.services.render.rendered import Rendered, RenderedFrame, check_has_picture
from gateway.services.render.renderparameters import RenderRequest
from gateway.services.render.rendertarget import Category, RenderTarget
from gateway.services.retrieve.retrieve import Retrieve

SIDE = 256
QUALITY = 80
# Series that are tried before an icon is drawn.
TRIED = 5
_WAVEFORMS = (uids.WAVEFORMS,)
# Secondary captures, and objects that are shown on top of images: chosen only where there is nothing else.
_SECOND = (
    uids.SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids.PARAMETRIC_MAP_STORAGE,
    uids.SEGMENTATION_STORAGE,
    uids.LABEL_MAP_SEGMENTATION_STORAGE,
    uids.RT_DOSE_STORAGE,
)
_NO_IMAGES = (
    uids.WAVEFORMS,
    uids.PRESENTATION_STATES,
    uids.RAW_DATA_STORAGE,
    uids.STRUCTURED_REPORTS,
    uids.ENCAPSULATED_DOCUMENTS,
    uids.RT_STRUCTURE_SET_STORAGE,
    uids.RT_PLAN_STORAGE,
    uids.RT_ION_PLAN_STORAGE,
)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The bytes of a picture, the instance it shows, and the versions it was chosen from.

    `version_set` is the fingerprint of these versions.
    """

    data: bytes
    source: ResourcePath
    frame: FrameNumber | None
    version_set: str


class Thumbnails:
    """Chooses the frame that represents a resource, and draws it."""

    def __init__(self, retrieve: Retrieve, rendered: Rendered, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._rendered = rendered
        self._pool = pool

    async def make(
        self,
        scope: Scope,
        path: ResourcePath,
        numbers: Sequence[FrameNumber] | None,
        viewport: Viewport | None,
        media: str,
    ) -> Thumbnail:
        """Draw the thumbnail from one listing of the instances below `path`.

        Raises NotFound, Gone, ObjectDamaged, BadParameter.
        """
        box = viewport or Viewport(SIDE, SIDE)
        asked = RenderRequest(Rendering(viewport=box, quality=QUALITY), overlays=False)
        stored, version_set = await self._retrieve.list_versions(scope, path)
        first: RenderTarget | None = None
        for instance in representatives(stored)[:TRIED]:
            subject = await self._rendered.subjects.find_listed(scope, instance)
            first = first or subject
            try:
                number = _number(subject, numbers)
                if await self._is_shown(scope, subject):
                    data = await self._rendered.picture(scope, RenderedFrame(subject, number), asked, media)
                    frame = number if subject.frames > 1 else None
                    return Thumbnail(data, subject.path, frame, version_set)
            except (CodecError, NotAcceptable):
                continue
        if first is None:
            raise NotFound("there is nothing to make a thumbnail of")
        return Thumbnail(await self._sign(scope, first, box, media), first.path, None, version_set)

    async def _is_shown(self, scope: Scope, subject: RenderTarget) -> bool:
        """Return whether it is an image, and does not say that annotation is burned in (PS3.3 C.7.6.1)."""
        check_has_picture(subject)
        attributes = await self._rendered.subjects.attributes(scope, subject)
        return attributes.text(tags.BURNED_IN_ANNOTATION).strip().upper() != "YES"

    async def _sign(self, scope: Scope, subject: RenderTarget, box: Viewport, media: str) -> bytes:
        attributes = await self._rendered.subjects.attributes(scope, subject)
        kind = "text" if subject.category is Category.TEXT else "image"
        kind = "wave" if _is_of(subject.sop_class, _WAVEFORMS) else kind
        drawn = await self._pool.run(icon, kind, attributes.text(tags.MODALITY), box.vw, box.vh)
        return await self._pool.run(encode, drawn, media, QUALITY)


def _number(subject: RenderTarget, numbers: Sequence[FrameNumber] | None) -> FrameNumber:
    """Return the middle one of the requested frames, or of all. Raises NotFound for a missing one."""
    if numbers is None:
        return FrameNumber((subject.frames + 1) // 2 or 1)
    for number in numbers:
        if number > max(subject.frames, 0):
            raise NotFound(f"frame {number}: the instance has {subject.frames}", parameter="frames")
    return numbers[(len(numbers) - 1) // 2]


def representatives(stored: Sequence[StoredInstance]) -> list[StoredInstance]:
    """Return the middle instance of each series, the best series first."""
    series: dict[str, list[StoredInstance]] = {}
    for instance in stored:
        series.setdefault(instance.identity.series, []).append(instance)
    return [found[(len(found) - 1) // 2] for found in sorted(series.values(), key=_rank)]


def _rank(series: Sequence[StoredInstance]) -> tuple[int, int]:
    sop_class = series[(len(series) - 1) // 2].identity.sop_class
    kind = 1 if _is_of(sop_class, _SECOND) else 2 if _is_of(sop_class, _NO_IMAGES) else 0
    return kind, -len(series)


def _is_of(sop_class: str, families: Sequence[str]) -> bool:
    return any(f"{sop_class}.".startswith(f"{family.removesuffix('.')}.") for family in families)
