"""Read how a presentation state presents one frame of an image (PS3.3 A.33, PS3.4 N.2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from gateway.dicom import tags, uids
from gateway.render.attributes import Attributes
from gateway.render.objects import blending
from gateway.render.objects.graphics import draw_graphics, layers_of
from gateway.render.objects.layercolours import read_layer_ink
from gateway.render.rendering import DisplayedArea, Ink, Placement, Presentation
from gateway.render.stages.shutter import bitmap_group

# XA/XRF, volumetric and advanced blending states are not applied.
APPLICABLE = frozenset(
    {
        uids.GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
        uids.COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE,
        uids.PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE,
        uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    }
)

_ACTIVATION, _OVERLAY_DATA = "1001", "3000"
_NOTHING = Attributes({})


def read_superimposed(state: Attributes, item: Attributes, instance: str, frame: int) -> Presentation:
    """Return the presentation of a frame that a blending state superimposes (PS3.4 N.2.4.2).

    It is shown in the colours of the state's palette.
    """
    voi = next(
        (each for each in item.items(tags.SOFTCOPY_VOI_LUT_SEQUENCE) if refers(each, instance, frame)),
        _NOTHING,
    )
    return Presentation(modality=item, voi=voi, palette=state)


def read_applied(
    state: Attributes, sop_class: str, image: Attributes, instance: str, frame: int
) -> Presentation:
    """Return the presentation of `frame` (from 1) of `image` through a state of the given SOP class.

    `instance` is the SOP Instance UID of the image. A module that the state does not have is the identity:
    the image's own LUTs and windows do not count (PS3.4 N.2.1.1). For a blending state, this is the
    presentation of the underlying image.
    """
    found = blending.parts(state) if sop_class == uids.BLENDING_SOFTCOPY_PRESENTATION_STATE_STORAGE else None
    grades = found[0] if found is not None else state
    voi = next(
        (item for item in grades.items(tags.SOFTCOPY_VOI_LUT_SEQUENCE) if refers(item, instance, frame)),
        _NOTHING,
    )
    area = next(
        (
            item
            for item in state.items(tags.DISPLAYED_AREA_SELECTION_SEQUENCE)
            if refers(item, instance, frame)
        ),
        None,
    )
    notes = [item for item in state.items(tags.GRAPHIC_ANNOTATION_SEQUENCE) if refers(item, instance, frame)]
    grey = sop_class != uids.COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE
    shown = Presentation(
        modality=grades if grey else _NOTHING,
        voi=voi if grey else _NOTHING,
        lut=state if grey and found is None else _NOTHING,
        shutter=state,
        overlays=_overlays(state, image),
        inks=_inks(state),
        palette=state if sop_class == uids.PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE else None,
        icc=state.raw(tags.ICC_PROFILE),
        flip=state.text(tags.IMAGE_HORIZONTAL_FLIP).strip() == "Y",
        rotation=state.integer(tags.IMAGE_ROTATION) % 360,
        area=_read_displayed_area(area) if area is not None else None,
    )
    if not notes:
        return shown
    display = _display(shown, image.integer(tags.COLUMNS), image.integer(tags.ROWS))
    return replace(shown, draw=partial(draw_graphics, notes=notes, layers=layers_of(state), display=display))


def refers(item: Attributes, instance: str, frame: int) -> bool:
    """Return whether an item applies to this frame (C.10.4, C.11.8).

    It does if it references the frame, or its image without frame numbers, or if it references nothing.
    """
    named = item.items(tags.REFERENCED_IMAGE_SEQUENCE)
    if not named:
        return True
    for reference in named:
        if reference.text(tags.REFERENCED_SOP_INSTANCE_UID) == instance:
            frames = reference.numbers(tags.REFERENCED_FRAME_NUMBER)
            if not frames or frame in frames:
                return True
    return False


def _read_displayed_area(item: Attributes) -> DisplayedArea | None:
    first, last = (
        item.numbers(tags.DISPLAYED_AREA_TOP_LEFT_HAND_CORNER),
        item.numbers(tags.DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER),
    )
    if len(first) != 2 or len(last) != 2:
        return None
    left, top, right, bottom = (int(value) for value in (*first, *last))
    return DisplayedArea(
        *(left, top, right, bottom),
        mode=item.text(tags.PRESENTATION_SIZE_MODE).strip() or "SCALE TO FIT",
        magnification=item.number(tags.PRESENTATION_PIXEL_MAGNIFICATION_RATIO) or 1.0,
        aspect=_aspect(item),
    )


def _aspect(item: Attributes) -> float:
    """Return the height of a pixel divided by its width.

    It follows from the spacing (row, column) or the ratio (vertical, horizontal); 1 where there is neither.
    """
    for tag in (tags.PRESENTATION_PIXEL_SPACING, tags.PRESENTATION_PIXEL_ASPECT_RATIO):
        pair = item.numbers(tag)
        if len(pair) == 2 and all(value > 0 for value in pair):
            return pair[0] / pair[1]
    return 1.0


def _display(shown: Presentation, columns: int, rows: int) -> Placement:
    """Return the map from fractions of the displayed area, as it is seen, to the image (C.10.5)."""
    left, top, right, bottom = 1, 1, max(columns, 1), max(rows, 1)
    if shown.area is not None:
        left, right = sorted((shown.area.left, shown.area.right))
        top, bottom = sorted((shown.area.top, shown.area.bottom))
    width, height = right - left + 1, bottom - top + 1
    way = Placement(c=1 - left, f=1 - top)
    for _ in range(shown.rotation // 90 % 4):
        way = way.then(Placement(0, -1, height, 1, 0, 0))
        width, height = height, width
    if shown.flip:
        way = way.then(Placement(-1, 0, width, 0, 1, 0))
    return way.then(Placement(a=1 / width, e=1 / height)).inverse()


def _active(state: Attributes) -> dict[str, str]:
    """Return the overlay groups with the layer of each; a group without a layer is not shown (C.11.7)."""
    activations = [tag for tag in state.tags() if tag.startswith("60") and tag.endswith(_ACTIVATION)]
    return {tag[:4]: layer for tag in activations if (layer := state.text(tag).strip())}


def _inks(state: Attributes) -> dict[str, Ink]:
    layers = layers_of(state)
    return {group: read_layer_ink(layers.get(layer)) for group, layer in _active(state).items()}


def _overlays(state: Attributes, image: Attributes) -> Attributes:
    """Return the overlay planes to draw: the state's own or else the image's, and that of a bitmap shutter.

    C.11.7, C.7.6.15.
    """
    groups = {*_active(state), *filter(None, [bitmap_group(state)])}
    own = {group for group in groups if group + _OVERLAY_DATA in state}
    theirs = groups - own
    return state.only(tuple(own)).merge(image.only(tuple(theirs)))
