"""Decide from attributes whether pixels may have identifying text burned in (PS3.15 E.3.1).

Nothing is painted over here: an image that may have such text is refused. Burned In Annotation (0028,0301) NO
is the statement of the equipment that made the image, and is trusted, except for captured screens and film.
Where it is absent an image may or may not have such text (PS3.3 C.7.6.1). Then only reconstructed or computed
images pass, and only if Image Type says that they are primary images and the pixels have no colour, since
fused and captured images have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.dicom import tags, uids
from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.encoding.frames import is_video

# SOP classes of the images that are de-identified, without their common root.
_SINGLE = frozenset(
    {
        uids.COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
        uids.DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        uids.DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        uids.DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        uids.DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        uids.DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        uids.DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        uids.CT_IMAGE_STORAGE,
        uids.ENHANCED_CT_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
        uids.ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
        uids.MR_IMAGE_STORAGE,
        uids.ENHANCED_MR_IMAGE_STORAGE,
        uids.ENHANCED_MR_COLOR_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
        uids.ULTRASOUND_IMAGE_STORAGE,
        uids.ENHANCED_US_VOLUME_STORAGE,
        uids.SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids.X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
        uids.ENHANCED_XA_IMAGE_STORAGE,
        uids.X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
        uids.ENHANCED_XRF_IMAGE_STORAGE,
        uids.X_RAY_3D_ANGIOGRAPHIC_IMAGE_STORAGE,
        uids.X_RAY_3D_CRANIOFACIAL_IMAGE_STORAGE,
        uids.BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
        uids.BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        uids.BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        uids.INTRAVASCULAR_OPTICAL_COHERENCE_TOMOGRAPHY_IMAGE_STORAGE_FOR_PRESENTATION,
        uids.INTRAVASCULAR_OPTICAL_COHERENCE_TOMOGRAPHY_IMAGE_STORAGE_FOR_PROCESSING,
        uids.NUCLEAR_MEDICINE_IMAGE_STORAGE,
        uids.PARAMETRIC_MAP_STORAGE,
        uids.SEGMENTATION_STORAGE,
        uids.VL_ENDOSCOPIC_IMAGE_STORAGE,
        uids.VL_MICROSCOPIC_IMAGE_STORAGE,
        uids.VL_SLIDE_COORDINATES_MICROSCOPIC_IMAGE_STORAGE,
        uids.VL_PHOTOGRAPHIC_IMAGE_STORAGE,
        uids.OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE_STORAGE,
        uids.OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE_STORAGE,
        uids.OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE,
        uids.VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE,
        uids.DERMOSCOPIC_PHOTOGRAPHY_IMAGE_STORAGE,
        uids.POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
        uids.ENHANCED_PET_IMAGE_STORAGE,
        uids.RT_IMAGE_STORAGE,
        uids.RT_DOSE_STORAGE,
    }
)
# Images that are computed from signals: their pixels hold text only if it was written there on purpose.
_RECONSTRUCTED = frozenset(
    {
        uids.CT_IMAGE_STORAGE,
        uids.ENHANCED_CT_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
        uids.MR_IMAGE_STORAGE,
        uids.ENHANCED_MR_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
        uids.NUCLEAR_MEDICINE_IMAGE_STORAGE,
        uids.POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
        uids.LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
        uids.ENHANCED_PET_IMAGE_STORAGE,
        uids.PARAMETRIC_MAP_STORAGE,
    }
)
_COMPUTED = frozenset({uids.SEGMENTATION_STORAGE, uids.RT_DOSE_STORAGE})
_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "SEG", "RTDOSE"})
_CAPTURED = frozenset({"DV", "SD", "DF", "DRW", "SI", "WSD"})
_LABELS = frozenset({"LABEL", "OVERVIEW"})
_SCREENS = ("SCREEN", "SAVE", "DOSE_INFO")


def obstacle(model: ReadOnlyDataSet, transfer_syntax: str) -> str:
    """Return why an instance cannot be sent de-identified; empty where no reason is known."""
    sop_class = _text(model, tags.SOP_CLASS_UID)
    if sop_class not in _SINGLE:
        private = "" if sop_class.startswith(uids.REGISTERED) else "private "
        return f"only images are de-identified, and it is of {private}SOP class {sop_class[:64]}"
    if is_video(transfer_syntax):
        return "video is not looked into"
    if tags.PIXEL_DATA_PROVIDER_URL in model:
        return "its pixel data is behind a URL (0028,7FE0)"
    return _find_embedded_overlays(model) or _find_burned_in_text(model, sop_class)


def _find_embedded_overlays(model: ReadOnlyDataSet) -> str:
    """Return the obstacle of overlays in unused bits of the pixels (retired), which stay there."""
    for tag in model:
        if tag[:2] == "60" and f"{tag[:4]}3000" not in model:
            return f"an overlay may lie in its pixels ({tag[:4]},{tag[4:]})"
    return ""


def _find_burned_in_text(model: ReadOnlyDataSet, sop_class: str) -> str:
    said = _text(model, tags.BURNED_IN_ANNOTATION).upper()
    image_type = [str(one).strip().upper() for one in _values(model, tags.IMAGE_TYPE)]
    if said == "YES":
        return "it has text burned in: Burned In Annotation (0028,0301) is YES"
    if _text(model, tags.CONVERSION_TYPE).upper() in _CAPTURED:
        return "it is a captured screen, film or paper (0008,0064), which may have text burned in"
    if any(one in _LABELS or one.startswith(_SCREENS) for one in image_type):
        return "it is a picture of a screen or a label (0008,0008), which may have text burned in"
    if said == "NO" or sop_class in _COMPUTED:
        return ""
    return _unsaid(model, sop_class, image_type)


def _unsaid(model: ReadOnlyDataSet, sop_class: str, image_type: Sequence[str]) -> str:
    absent = "Burned In Annotation (0028,0301) is not NO, and"
    if sop_class not in _RECONSTRUCTED or _text(model, tags.MODALITY) not in _MODALITIES:
        return f"{absent} images of its SOP class or modality may have text burned in"
    if image_type[1:2] != ["PRIMARY"]:
        return f"{absent} it is not said to be a primary image (0008,0008)"
    if _text(model, tags.SAMPLES_PER_PIXEL) not in ("", "1"):
        return f"{absent} it has colours, as captured and fused images have"
    return ""


def _values(model: ReadOnlyDataSet, tag: str) -> Sequence[Any]:
    return model.get(tag, {}).get("Value") or ()


def _text(model: ReadOnlyDataSet, tag: str) -> str:
    values = _values(model, tag)
    return str(values[0] if values and values[0] is not None else "").strip(" \0")
