"""Decide from attributes whether pixels may have identifying text burned in (PS3.15 E.3.1).

Nothing is painted over here: an image that may have such text is refused. Burned In Annotation (0028,0301) NO
is the statement of the equipment that made the image, and is trusted, except for captured screens and film.
Where it is absent an image may or may not have such text (PS3.3 C.7.6.1). Then only reconstructed or computed
images pass, and only if Image Type says that they are primary images and the pixels have no colour, since
fused and captured images have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.dicom.deidentify.tables import STORAGE
from gateway.dicom.encoding.frames import is_video

# SOP classes of the images that are de-identified, without their common root.
_IMAGES = (
    *(
        "1",
        "1.1",
        "1.1.1",
        "1.2",
        "1.2.1",
        "1.3",
        "1.3.1",
        "2",
        "2.1",
        "2.2",
        "3.1",
        "4",
        "4.1",
        "4.3",
        "4.4",
    ),
    *("6.1", "6.2", "7", "7.1", "7.2", "7.3", "7.4", "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2"),
    *(
        "13.1.3",
        "13.1.4",
        "13.1.5",
        "14.1",
        "14.2",
        "20",
        "30",
        "66.4",
        "77.1.1",
        "77.1.2",
        "77.1.3",
        "77.1.4",
    ),
    *("77.1.5.1", "77.1.5.2", "77.1.5.4", "77.1.6", "77.1.7", "128", "128.1", "130", "481.1", "481.2"),
)
_SINGLE = frozenset(STORAGE + name for name in _IMAGES)
# Images that are computed from signals: their pixels hold text only if it was written there on purpose.
_RECONSTRUCTED = frozenset(
    STORAGE + name for name in ("2", "2.1", "2.2", "4", "4.1", "4.4", "20", "128", "128.1", "130", "30")
)
_COMPUTED = frozenset(STORAGE + name for name in ("66.4", "481.2"))
_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "SEG", "RTDOSE"})
_CAPTURED = frozenset({"DV", "SD", "DF", "DRW", "SI", "WSD"})
_LABELS = frozenset({"LABEL", "OVERVIEW"})
_SCREENS = ("SCREEN", "SAVE", "DOSE_INFO")


def obstacle(model: Mapping[str, Any], transfer_syntax: str) -> str:
    """Return why an instance cannot be sent de-identified; empty where no reason is known."""
    sop_class = _text(model, "00080016")
    if sop_class not in _SINGLE:
        private = "" if sop_class.startswith("1.2.840.10008.") else "private "
        return f"only images are de-identified, and it is of {private}SOP class {sop_class[:64]}"
    if is_video(transfer_syntax):
        return "video is not looked into"
    if "00287FE0" in model:
        return "its pixel data is behind a URL (0028,7FE0)"
    return _find_embedded_overlays(model) or _find_burned_in_text(model, sop_class)


def _find_embedded_overlays(model: Mapping[str, Any]) -> str:
    """Return the obstacle of overlays in unused bits of the pixels (retired), which stay there."""
    for tag in model:
        if tag[:2] == "60" and f"{tag[:4]}3000" not in model:
            return f"an overlay may lie in its pixels ({tag[:4]},{tag[4:]})"
    return ""


def _find_burned_in_text(model: Mapping[str, Any], sop_class: str) -> str:
    said = _text(model, "00280301").upper()
    image_type = [str(one).strip().upper() for one in _values(model, "00080008")]
    if said == "YES":
        return "it has text burned in: Burned In Annotation (0028,0301) is YES"
    if _text(model, "00080064").upper() in _CAPTURED:
        return "it is a captured screen, film or paper (0008,0064), which may have text burned in"
    if any(one in _LABELS or one.startswith(_SCREENS) for one in image_type):
        return "it is a picture of a screen or a label (0008,0008), which may have text burned in"
    if said == "NO" or sop_class in _COMPUTED:
        return ""
    return _unsaid(model, sop_class, image_type)


def _unsaid(model: Mapping[str, Any], sop_class: str, image_type: Sequence[str]) -> str:
    absent = "Burned In Annotation (0028,0301) is not NO, and"
    if sop_class not in _RECONSTRUCTED or _text(model, "00080060") not in _MODALITIES:
        return f"{absent} images of its SOP class or modality may have text burned in"
    if image_type[1:2] != ["PRIMARY"]:
        return f"{absent} it is not said to be a primary image (0008,0008)"
    if _text(model, "00280002") not in ("", "1"):
        return f"{absent} it has colours, as captured and fused images have"
    return ""


def _values(model: Mapping[str, Any], tag: str) -> Sequence[Any]:
    return model.get(tag, {}).get("Value") or ()


def _text(model: Mapping[str, Any], tag: str) -> str:
    values = _values(model, tag)
    return str(values[0] if values and values[0] is not None else "").strip(" \0")
