"""Parse the parts of a path: UIDs, frame numbers, bulk data paths (PS3.18 10.1.1, 10.4.1.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.errors import BadParameter, NotFound
from gateway.model import FrameNumber, InstanceUID, ResourcePath, SeriesUID, StudyUID

_UID = re.compile(r"[0-9.]{1,64}\Z")
_COMPONENTS = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+\Z")
_FRAME = re.compile(r"0*[1-9][0-9]{0,9}\Z")
_BULK = re.compile(r"(?:[0-9A-F]{8}/[1-9][0-9]{0,8}/)*[0-9A-F]{8}\Z")


def uid(name: str, text: str) -> str:
    """Return `text` where it is 1 to 64 digits and dots, whatever its components. Raises BadParameter."""
    if not _UID.match(text):
        raise BadParameter(
            f"{name} '{text[:80]}': want a UID, 1 to 64 digits and dots",
            parameter=name,
            expected="1 to 64 digits and dots",
        )
    return text


def check_strict(parameters: Mapping[str, str]) -> None:
    """Check UIDs by the grammar of PS3.18 5.1.1, and that frames ascend (10.1.1). Raises BadParameter."""
    for name in ("study", "series", "instance"):
        text = parameters.get(name)
        if text is not None and not (_UID.match(text) and _COMPONENTS.match(text)):
            raise BadParameter(
                f"{name} '{text[:80]}': want a UID",
                parameter=name,
                expected="0, 1 or 2, then numbers without leading zeros after dots, 64 characters at most",
            )
    if "frames" in parameters:
        numbers = frame_list(parameters["frames"])
        if numbers != sorted(set(numbers)):
            raise BadParameter(
                "frame list: the numbers do not ascend", parameter="frames", expected="ascending numbers"
            )


def resource_path(parameters: Mapping[str, str]) -> ResourcePath:
    """Return the study, series or instance that a path names. Raises BadParameter."""
    series, instance = parameters.get("series"), parameters.get("instance")
    return ResourcePath(
        StudyUID(uid("study", parameters["study"])),
        None if series is None else SeriesUID(uid("series", series)),
        None if instance is None else InstanceUID(uid("instance", instance)),
    )


def frame_list(text: str) -> list[FrameNumber]:
    """Return frame numbers in the requested order; repeats are allowed (R-RES-7). Raises BadParameter."""
    pieces = text.split(",")
    if not all(_FRAME.match(piece) for piece in pieces):
        raise BadParameter(
            f"frame list '{text[:80]}': want 1-based numbers separated by commas, such as 1,3,7",
            parameter="frames",
            expected="1-based numbers separated by commas",
        )
    return [FrameNumber(int(piece)) for piece in pieces]


def bulk_path(text: str) -> str:
    """Return a path of tags and 1-based item numbers, such as `00400275/1/00400007`.

    Raises NotFound, not BadParameter: bulk data URIs are opaque.
    """
    if not _BULK.match(text.upper()):
        raise NotFound(f"bulk data '{text[:80]}': there is none by this path", parameter="bulkdata")
    return text.upper()
