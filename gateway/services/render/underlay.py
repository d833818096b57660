"""Find the images beneath segments and doses: their source images, or images at the same position.

PS3.3 C.7.6.16.2.6 names the source images; for doses C.8.8.3 has only the frame of reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dicom import uids
from gateway.errors import CodecError, NotFound
from gateway.index.base import Scope, StoredInstance
from gateway.model import FrameNumber, ResourcePath
from gateway.render.attributes import Attributes
from gateway.render.objects import dose, segmentation
from gateway.render.objects.blending import find_facing
from gateway.render.objects.imageplane import ImagePlane, plane_of, within
from gateway.render.rendering import Placement
from gateway.services.render.rendertarget import RenderTarget, RenderTargets
from gateway.services.retrieve.retrieve import Retrieve

# CT, MR and PET: single, Enhanced and legacy converted. Of images at the same position the first kind
# is shown.
KINDS = (
    (uids.CT_IMAGE_STORAGE, uids.ENHANCED_CT_IMAGE_STORAGE, uids.LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE),
    (uids.MR_IMAGE_STORAGE, uids.ENHANCED_MR_IMAGE_STORAGE, uids.LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE),
    (
        uids.POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
        uids.ENHANCED_PET_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
    ),
)
# In a study of more images than this, no image is looked for by its position.
IMAGES_AT_MOST = 4000


@dataclass(frozen=True, slots=True)
class Underlay:
    """A frame beneath another one, and its placement: from the other's columns and rows to its own."""

    subject: RenderTarget
    number: FrameNumber
    way: Placement


@dataclass(frozen=True, slots=True)
class _Placed:
    subject: RenderTarget
    number: FrameNumber
    plane: ImagePlane


class Underlays:
    """Finds the images beneath frames, in the same study."""

    def __init__(self, retrieve: Retrieve, subjects: RenderTargets) -> None:
        self._retrieve = retrieve
        self._subjects = subjects

    async def find(
        self, scope: Scope, subject: RenderTarget, numbers: Sequence[FrameNumber]
    ) -> list[Underlay | None]:
        """Return the image beneath each frame; None where none is stored, or the frame needs none."""
        if subject.obstacle or subject.sop_class not in segmentation.CLASSES | dose.CLASSES:
            return [None] * len(numbers)
        attributes = await self._subjects.attributes(scope, subject)
        stored = await self._retrieve.instances(scope, ResourcePath(subject.path.study))
        named: dict[str, StoredInstance] = {}
        if segmentation.is_segmentation(attributes):
            named = {one.identity.instance: one for one in stored}
        found = [await self._find_named(scope, subject, attributes, number, named) for number in numbers]
        if None not in found:
            return list(found)
        placed = await self._find_placed(scope, stored)
        return [
            under or _at(_plane(attributes, number), placed)
            for under, number in zip(found, numbers, strict=True)
        ]

    async def _find_named(
        self,
        scope: Scope,
        over: RenderTarget,
        attributes: Attributes,
        number: FrameNumber,
        stored: Mapping[str, StoredInstance],
    ) -> Underlay | None:
        """Return the frame that a segment says it was derived from."""
        source = segmentation.source_of(attributes, number)
        if source is None or source[0] not in stored:
            return None
        frame = FrameNumber(source[1])
        subject = await self._image(scope, stored[source[0]])
        if subject is None or frame > subject.frames:
            return None
        plane = _plane(attributes, number)
        other = plane_of(await self._subjects.attributes(scope, subject), frame)
        if plane is not None and other is not None and plane.space == other.space:
            return Underlay(subject, frame, within(plane, other))
        mine, theirs = over.pixels, subject.pixels
        alike = (mine.rows, mine.columns) == (theirs.rows, theirs.columns)
        return Underlay(subject, frame, Placement()) if alike else None

    async def _find_placed(self, scope: Scope, stored: Sequence[StoredInstance]) -> list[list[_Placed]]:
        """Return the frames of images with a known position, by kind."""
        if len(stored) > IMAGES_AT_MOST:
            return []
        found: list[list[_Placed]] = [[] for _ in KINDS]
        for one in stored:
            kind = next((n for n, kind in enumerate(KINDS) if one.identity.sop_class in kind), None)
            subject = await self._image(scope, one) if kind is not None else None
            if kind is None or subject is None:
                continue
            attributes = await self._subjects.attributes(scope, subject)
            for number in map(FrameNumber, range(1, subject.frames + 1)):
                plane = plane_of(attributes, number)
                if plane is not None and plane.space:
                    found[kind].append(_Placed(subject, number, plane))
        return found

    async def _image(self, scope: Scope, stored: StoredInstance) -> RenderTarget | None:
        """Return an image; None where it is gone meanwhile, or has no picture."""
        try:
            subject = await self._subjects.find_listed(scope, stored)
            await self._subjects.attributes(scope, subject)
        except (NotFound, CodecError):
            return None
        return None if subject.obstacle or subject.stream or not subject.frames else subject


def _plane(attributes: Attributes, number: int) -> ImagePlane | None:
    return dose.plane(attributes, number) if dose.is_dose(attributes) else plane_of(attributes, number)


def _at(plane: ImagePlane | None, kinds: Sequence[Sequence[_Placed]]) -> Underlay | None:
    """Return the frame nearest to `plane`, within its thickness, of the first kind that has one."""
    if plane is None or not plane.space:
        return None
    for kind in kinds:
        same = [placed for placed in kind if placed.plane.space == plane.space]
        at = find_facing(plane, [placed.plane for placed in same])
        if at is not None:
            return Underlay(same[at].subject, same[at].number, within(plane, same[at].plane))
    return None
