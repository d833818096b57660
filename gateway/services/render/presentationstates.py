"""Render presentation states: the frames that a state shows, and how each is drawn.

PS3.18 8.3.5.1.6, PS3.4 N.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.dicom import tags, uids
from gateway.errors import BadParameter, NotAcceptable, NotFound
from gateway.index.base import Scope
from gateway.model import FrameNumber, InstanceUID, ResourcePath, SeriesUID, StudyUID
from gateway.render.attributes import Attributes
from gateway.render.objects import blending
from gateway.render.objects.presentation import APPLICABLE, read_applied
from gateway.render.rendering import Presentation
from gateway.services.render.blendingstates import BlendedFrame, BlendedLayer, above
from gateway.services.render.rendered import Rendered, RenderedFrame
from gateway.services.render.rendertarget import RenderTarget


@dataclass(frozen=True, slots=True)
class Reference:
    """An image that a state refers to; empty `frames` mean all of them."""

    series: str
    instance: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PresentedFrame:
    """A state applied to one image. `key` is the version of the state."""

    attributes: Attributes
    sop_class: str
    key: str
    instance: str

    async def present(self, attributes: Attributes, number: int) -> Presentation:
        return read_applied(self.attributes, self.sop_class, attributes, self.instance, number)


def references(state: Attributes) -> Iterator[Reference]:
    """Yield the images that a state refers to, in its order (PS3.3 C.11.11)."""
    for series in state.items(tags.REFERENCED_SERIES_SEQUENCE):
        uid = series.text(tags.SERIES_INSTANCE_UID)
        for image in series.items(tags.REFERENCED_IMAGE_SEQUENCE):
            frames = tuple(
                int(number) for number in image.numbers(tags.REFERENCED_FRAME_NUMBER) if number >= 1
            )
            yield Reference(uid, image.text(tags.REFERENCED_SOP_INSTANCE_UID), frames)


class States:
    """Finds the frames that presentation states show."""

    def __init__(self, rendered: Rendered) -> None:
        self._rendered = rendered

    async def shots(self, scope: Scope, state: RenderTarget) -> list[RenderedFrame]:
        """Return every stored frame that the state refers to, to be drawn through the state.

        Raises NotAcceptable where the state cannot be applied here, or none of its images can be rendered.
        """
        attributes = await self._applicable(scope, state)
        if state.sop_class == uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE:
            found = await self._blend(scope, state, attributes)
        else:
            found = [
                replace(shot, state=PresentedFrame(attributes, state.sop_class, state.version, uid))
                for uid, shot in await self._render_references(scope, state.path.study, attributes)
            ]
        if not found:
            uid = state.path.instance
            raise NotAcceptable(f"presentation state {uid}: none of its images can be rendered here", uid=uid)
        return await self._rendered.order(scope, found)

    async def _render_references(
        self, scope: Scope, study: StudyUID, item: Attributes
    ) -> list[tuple[str, RenderedFrame]]:
        """Return the frames that a state, or an item of a blending state, refers to.

        They are not drawn through the state yet. Each comes with the UID of its image.
        """
        found: list[tuple[str, RenderedFrame]] = []
        for reference in references(item):
            subject = await self._image(scope, study, reference)
            if subject is not None:
                numbers = reference.frames or range(1, subject.frames + 1)
                found += [
                    (reference.instance, RenderedFrame(subject, FrameNumber(n)))
                    for n in numbers
                    if n <= subject.frames
                ]
        return found

    async def _blend(self, scope: Scope, state: RenderTarget, attributes: Attributes) -> list[RenderedFrame]:
        """Return the frames of the lower layer, each with the layer above it (PS3.18 10.4.3.3.3)."""
        both = blending.parts(attributes)
        if both is None:
            return []
        beneath, over = [
            await self._render_references(
                scope, StudyUID(item.text(tags.STUDY_INSTANCE_UID) or state.path.study), item
            )
            for item in both
        ]
        through = BlendedLayer(attributes, both[1], state.version)
        planes = await above(self._rendered, scope, [replace(shot, state=through) for _, shot in over])
        places: dict[str, dict[int, int]] = {}
        for place, (uid, shot) in enumerate(beneath):
            places.setdefault(uid, {})[shot.number] = place

        def make_blended(uid: str) -> BlendedFrame:
            count = len(beneath)
            return BlendedFrame(self._rendered, scope, attributes, planes, places[uid], count, state.version)

        return [replace(shot, state=make_blended(uid)) for uid, shot in beneath]

    async def through(self, scope: Scope, path: ResourcePath, subject: RenderTarget) -> RenderedFrame:
        """Return the first frame of `subject` that the state at `path` refers to, through it (9.5.2.3).

        Raises BadParameter where there is no such state or it refers to another image, NotAcceptable as
        `shots` does.
        """
        try:
            state = await self._rendered.subjects.find(scope, path)
        except NotFound as error:
            raise _unknown(path, "is not known here") from error
        if not state.state:
            raise _unknown(path, "is no presentation state")
        attributes = await self._applicable(scope, state)
        if state.sop_class == uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE:
            shots = await self._blend(scope, state, attributes)
            found = [shot for shot in shots if shot.subject.path == subject.path]
            if found:
                return min(found, key=lambda shot: shot.number)
        for reference in references(attributes):
            if (reference.series, reference.instance) == (subject.path.series, subject.path.instance):
                through = PresentedFrame(attributes, state.sop_class, state.version, reference.instance)
                return RenderedFrame(subject, FrameNumber(min(reference.frames, default=1)), through)
        raise _unknown(path, f"does not refer to instance {subject.path.instance}")

    async def _applicable(self, scope: Scope, state: RenderTarget) -> Attributes:
        if state.sop_class not in APPLICABLE:
            uid = state.path.instance
            raise NotAcceptable(
                f"presentation state {uid} is of SOP class {state.sop_class}, which is not applied here",
                uid=uid,
            )
        attributes = await self._rendered.subjects.attributes(scope, state)
        if any(
            item.text(tags.MASK_OPERATION).strip() not in ("", "NONE")
            for item in attributes.items(tags.MASK_SUBTRACTION_SEQUENCE)
        ):
            uid = state.path.instance
            raise NotAcceptable(
                f"presentation state {uid} subtracts a mask (0028,6100), which is not done here", uid=uid
            )
        return attributes

    async def _image(self, scope: Scope, study: StudyUID, reference: Reference) -> RenderTarget | None:
        """Return a referenced image; None where it is not stored or cannot be rendered."""
        path = ResourcePath(study, SeriesUID(reference.series), InstanceUID(reference.instance))
        try:
            subject = await self._rendered.subjects.find(scope, path)
        except NotFound:
            return None
        return None if subject.obstacle else subject


def _unknown(path: ResourcePath, why: str) -> BadParameter:
    return BadParameter(
        f"presentationUID: {path.instance} {why}",
        parameter="presentationUID",
        uid=path.instance,
        expected="a presentation state of this study that refers to the image",
    )
