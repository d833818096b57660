"""Presentation states as targets: which frames one shows, and how each is drawn (PS3.18 8.3.5.1.6, PS3.4 N)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.errors import NotAcceptable, NotFound
from gateway.index.base import Scope
from gateway.model import FrameNumber, InstanceUID, ResourcePath, SeriesUID, StudyUID
from gateway.render.attributes import Attributes
from gateway.services.rendered import Rendered, Shot
from gateway.services.subjects import Subject

_SERIES, _SERIES_UID = "00081115", "0020000E"
_IMAGES, _IMAGE_UID, _FRAMES = "00081140", "00081155", "00081160"
_BLENDING, _BLENDING_POSITION = "00700402", "00700405"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image that a state refers to; no `frames`: all of them."""

    series: str
    instance: str
    frames: tuple[int, ...] = ()


References: TypeAlias = Sequence[Reference]


def references(state: Attributes) -> list[Reference]:
    """The images of a state (PS3.3 C.11.11): of a blending one, those that lie beneath (PS3.18 10.4.3.3.3)."""
    blended = state.items(_BLENDING)
    if blended:
        beneath = [item for item in blended if item.text(_BLENDING_POSITION).strip() == "UNDERLYING"]
        return [reference for item in beneath for reference in _within(item)]
    return list(_within(state))


def _within(attributes: Attributes) -> Iterator[Reference]:
    for series in attributes.items(_SERIES):
        uid = series.text(_SERIES_UID)
        for image in series.items(_IMAGES):
            frames = tuple(int(number) for number in image.numbers(_FRAMES) if number >= 1)
            yield Reference(uid, image.text(_IMAGE_UID), frames)


class States:
    """Finds what a state shows."""

    def __init__(self, rendered: Rendered) -> None:
        self._rendered = rendered

    async def shots(self, scope: Scope, state: Subject) -> list[Shot]:
        """Every frame that the state refers to, through it."""
        raise NotAcceptable(
            f"presentation state {state.path.instance} cannot be applied here", uid=state.path.instance
        )

    async def through(self, scope: Scope, path: ResourcePath, subject: Subject) -> Shot:
        """The first frame of `subject` that the state at `path` refers to, through it. Raises BadParameter."""
        raise NotAcceptable(f"presentation state {path.instance} cannot be applied here", uid=path.instance)

    async def shown(self, scope: Scope, state: Subject) -> list[Shot]:
        """Every frame that a state refers to and that is there, without the state. Raises NotAcceptable for none."""
        attributes = await self._rendered.subjects.attributes(scope, state)
        found: list[Shot] = []
        for reference in references(attributes):
            path = ResourcePath(
                StudyUID(state.path.study), SeriesUID(reference.series), InstanceUID(reference.instance)
            )
            try:
                subject = await self._rendered.subjects.find(scope, path)
            except NotFound:
                continue
            if subject.obstacle:
                continue
            numbers = reference.frames or range(1, subject.frames + 1)
            found += [Shot(subject, FrameNumber(n)) for n in numbers if n <= subject.frames]
        if not found:
            uid = state.path.instance
            raise NotAcceptable(
                f"presentation state {uid}: no image that it refers to can be rendered here", uid=uid
            )
        return await self._rendered.order(scope, found)
