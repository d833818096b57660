"""Outcomes of instances that are offered, with the reasons of PS3.18 Annex I and PS3.7 Annex C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dicom import tags
from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.encoding.part10 import ReadWarning
from gateway.errors import (
    DicomError,
    GatewayError,
    LimitExceeded,
    NotDicom,
    ObjectMissing,
    StoreFull,
    Truncated,
)
from gateway.index.base import Refused
from gateway.model import Identity

# PS3.18 Table I.2-2, PS3.7 Annex C. A901 is our own: the study is not the one of the URL.
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
WRONG_STUDY = 0xA901
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
DUPLICATE = 0x0111
CLASS_CONFLICT = 0x0119
NOT_AUTHORISED = 0x0124
SOP_CLASS_UNSUPPORTED = 0x0122
TRANSFER_SYNTAX_UNSUPPORTED = 0xC122

UID_TAGS = frozenset(
    {tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID, tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID}
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one instance. `failure` is a Failure Reason (0008,1197), None where it is stored.

    `warnings` are Warning Reasons (0008,1196); `fresh` is false where nothing new is stored; `quarantined` is
    true where the instance is set aside. A success has a `detail`, too, where other content is known under
    the UID: `differing` names the first attributes that differ.
    """

    identity: Identity | None
    failure: int | None = None
    detail: str = ""
    warnings: tuple[int, ...] = ()
    warning_details: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    fresh: bool = True
    quarantined: bool = False
    original: ReadOnlyDataSet | None = None
    """The item of Original Attributes Sequence that was added to a coerced instance."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The history of an instance before it is received: its warnings, and the values that were coerced.

    `content_digest` is of the content as it was sent, where other content is received: coerced content has the time
    of its coercion in it.
    """

    warnings: tuple[ReadWarning, ...] = ()
    original: ReadOnlyDataSet | None = None
    content_digest: bytes | None = None


NOTHING_BEFORE: Final = Provenance()


class Rejected(Exception):
    """The reason why an instance is not stored."""

    def __init__(self, failure: int, detail: str, differing: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.differing = differing


def refusal(verdict: Refused) -> Rejected:
    known = f"version {verdict.current} is stored"
    if verdict.reason == "class":
        return Rejected(CLASS_CONFLICT, f"the SOP Instance UID is known with another SOP class ({known})")
    if verdict.reason == "misplaced":
        return Rejected(DUPLICATE, f"the SOP Instance UID is known in another study or series ({known})")
    differing = ", ".join(verdict.differing) or "the pixel data or its encoding"
    return Rejected(
        DUPLICATE,
        f"other content is stored under this SOP Instance UID; differing: {differing}",
        verdict.differing,
    )


def rejection(error: GatewayError) -> Rejected:
    """Return the Failure Reason that fits an error (PS3.18 Table I.2-2)."""
    if isinstance(error, StoreFull):
        return Rejected(OUT_OF_RESOURCES, "the store is full")
    if isinstance(error, Truncated | NotDicom | LimitExceeded):
        return Rejected(CANNOT_UNDERSTAND, error.detail)
    if isinstance(error, DicomError):
        wrong_uid = error.tag is not None and error.tag in UID_TAGS
        return Rejected(DATA_SET_MISMATCH if wrong_uid else CANNOT_UNDERSTAND, error.detail)
    if isinstance(error, ObjectMissing):
        return Rejected(PROCESSING_FAILURE, "the object vanished while it was stored")
    return Rejected(PROCESSING_FAILURE, "the store or the index failed; send the instance again")
