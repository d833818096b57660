"""What a presentation state says of one frame of an image (PS3.3 A.33, PS3.4 N.2)."""

from __future__ import annotations

from functools import partial

from gateway.render.attributes import Attributes
from gateway.render.graphics import drawn
from gateway.render.rendering import DisplayedArea, Presentation

GRAYSCALE, COLOR, PSEUDO_COLOR = (f"1.2.840.10008.5.1.4.1.1.11.{n}" for n in (1, 2, 3))
# Blending, XA/XRF and volumetric states say what cannot be drawn of one frame alone, and are not applied.
APPLICABLE = frozenset({GRAYSCALE, COLOR, PSEUDO_COLOR})

_REFERENCED, _INSTANCE, _FRAMES = "00081140", "00081155", "00081160"
_VOI, _ICC = "00283110", "00282000"
_AREA, _TOP_LEFT, _BOTTOM_RIGHT = "0070005A", "00700052", "00700053"
_MODE, _SPACING, _ASPECT, _MAGNIFICATION = "00700100", "00700101", "00700102", "00700103"
_ROTATION, _FLIP = "00700042", "00700041"
_ANNOTATIONS = "00700001"
_ACTIVATION, _OVERLAY_DATA = "1001", "3000"
_NOTHING = Attributes({})


def applied(state: Attributes, sop_class: str, image: Attributes, instance: str, frame: int) -> Presentation:
    """Of `frame` (from 1) of `image`, whose SOP Instance UID is `instance`, through a state of that class.

    What the state leaves unsaid is nothing: the image's own LUTs and windows do not count (PS3.4 N.2.1.1).
    """
    voi = next((item for item in state.items(_VOI) if refers(item, instance, frame)), _NOTHING)
    area = next((item for item in state.items(_AREA) if refers(item, instance, frame)), None)
    notes = [item for item in state.items(_ANNOTATIONS) if refers(item, instance, frame)]
    grey = sop_class != COLOR
    return Presentation(
        modality=state if grey else _NOTHING,
        voi=voi if grey else _NOTHING,
        lut=state if grey else _NOTHING,
        shutter=state,
        overlays=_overlays(state, image),
        palette=state if sop_class == PSEUDO_COLOR else None,
        icc=state.raw(_ICC),
        flip=state.text(_FLIP).strip() == "Y",
        rotation=state.integer(_ROTATION) % 360,
        area=_displayed(area) if area is not None else None,
        draw=partial(drawn, state=state, notes=notes) if notes else None,
    )


def refers(item: Attributes, instance: str, frame: int) -> bool:
    """Whether an item is about this frame: it names it, or its image without frames, or nothing (C.10.4, C.11.8)."""
    named = item.items(_REFERENCED)
    if not named:
        return True
    for reference in named:
        if reference.text(_INSTANCE) == instance:
            frames = reference.numbers(_FRAMES)
            if not frames or frame in frames:
                return True
    return False


def _displayed(item: Attributes) -> DisplayedArea | None:
    first, last = item.numbers(_TOP_LEFT), item.numbers(_BOTTOM_RIGHT)
    if len(first) != 2 or len(last) != 2:
        return None
    left, top, right, bottom = (int(value) for value in (*first, *last))
    return DisplayedArea(
        *(left, top, right, bottom),
        mode=item.text(_MODE).strip() or "SCALE TO FIT",
        magnification=item.number(_MAGNIFICATION) or 1.0,
        aspect=_aspect(item),
    )


def _aspect(item: Attributes) -> float:
    """Height of a pixel over its width: by spacing (row, column), or by ratio (vertical, horizontal)."""
    for tag in (_SPACING, _ASPECT):
        pair = item.numbers(tag)
        if len(pair) == 2 and all(value > 0 for value in pair):
            return pair[0] / pair[1]
    return 1.0


def _overlays(state: Attributes, image: Attributes) -> Attributes:
    """Planes that a layer is named for: the state's own, else the image's (PS3.3 C.11.7)."""
    groups = {tag[:4] for tag in state.tags() if tag.startswith("60") and tag.endswith(_ACTIVATION)}
    own = {group for group in groups if group + _OVERLAY_DATA in state}
    theirs = groups - own
    return state.only(tuple(own)).beside(image.only(tuple(theirs)))
