"""Blending presentation states: frames that are laid over others (PS3.3 C.11.14, PS3.4 N.2.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.dicom import tags, uids
from gateway.errors import NotAcceptable
from gateway.index.base import Scope
from gateway.render.attributes import Attributes
from gateway.render.objects import blending
from gateway.render.objects.imageplane import ImagePlane, plane_of, within
from gateway.render.objects.presentation import read_applied, read_superimposed
from gateway.render.rendering import Placement, Presentation
from gateway.services.render.rendered import Rendered, RenderedFrame
from gateway.services.render.renderparameters import RenderRequest


@dataclass(frozen=True, slots=True)
class BlendedLayer:
    """A frame laid over others, in the colours of the state's palette. `key` is the version of the state."""

    state: Attributes
    item: Attributes
    key: str

    async def present(self, attributes: Attributes, number: int) -> Presentation:
        return read_superimposed(self.state, self.item, attributes.text(tags.SOP_INSTANCE_UID), number)


@dataclass(frozen=True, slots=True)
class BlendedLayerAbove:
    """The frames that a state lays over others, and their planes."""

    shots: tuple[RenderedFrame, ...]
    planes: tuple[ImagePlane | None, ...]

    @property
    def key(self) -> str:
        """Return a key that changes when any of the images has another version."""
        said = "\n".join(f"{shot.subject.version} {shot.number}" for shot in self.shots)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class BlendedFrame:
    """A blending state, applied to one image of the lower layer.

    `place` maps each frame number to its position among all `count` frames of the lower layer.
    """

    rendered: Rendered
    scope: Scope
    state: Attributes
    above: BlendedLayerAbove
    place: dict[int, int]
    count: int
    version: str

    @property
    def key(self) -> str:
        return f"{self.version} {self.above.key}"

    async def present(self, attributes: Attributes, number: int) -> Presentation:
        """Return how a frame is drawn, with the frame that lies over it.

        Raises NotAcceptable where the two layers are not in the same frame of reference.
        """
        shown = read_applied(
            self.state,
            uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE,
            attributes,
            attributes.text(tags.SOP_INSTANCE_UID),
            number,
        )
        found = self._facing(plane_of(attributes, number), number)
        if found is None:
            return shown
        at, way = found
        image = await self.rendered.image(self.scope, self.above.shots[at], RenderRequest(overlays=False))
        share = blending.opacity(self.state)
        return replace(shown, blend=partial(blending.blend, above=image.pixels, way=way, share=share))

    def _facing(self, plane: ImagePlane | None, number: int) -> tuple[int, Placement] | None:
        """Return the index of the frame that lies over a frame of the lower layer, and its placement.

        If the images do not say where they are in space, it is the frame at the same place in order. None where no
        frame lies over it.
        """
        planes = self.above.planes
        if plane is None or not any(planes):
            alike = plane is None and not any(planes) and len(planes) == self.count
            return (self.place[number], Placement()) if alike and number in self.place else None
        _check_space(plane, planes)
        at = blending.find_facing(plane, planes)
        over = planes[at] if at is not None else None
        return None if at is None or over is None else (at, within(plane, over))


async def above(rendered: Rendered, scope: Scope, shots: Sequence[RenderedFrame]) -> BlendedLayerAbove:
    """Return the layer of these frames, with their planes. Raises CodecError."""
    found = [plane_of(await rendered.subjects.attributes(scope, shot.subject), shot.number) for shot in shots]
    return BlendedLayerAbove(tuple(shots), tuple(found))


def _check_space(plane: ImagePlane, planes: Sequence[ImagePlane | None]) -> None:
    spaces = {other.space for other in planes if other is not None and other.space}
    if plane.space and spaces and plane.space not in spaces:
        raise NotAcceptable(
            "the images of a blending presentation state are in different frames of reference, "
            "and no spatial registration is applied here"
        )
