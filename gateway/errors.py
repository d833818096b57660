"""Every failure the gateway knows, HTTP-free.

GatewayError
├── BadRequest            the request contains something that is not allowed
│   └── BadParameter      a path segment, query parameter or header has a wrong value
├── Forbidden
├── NotFound              the target is unknown in this scope
│   └── Gone              the target is known to be deleted
├── NotAcceptable         nothing we can produce is acceptable
├── UnsupportedMedia      the body's media type is not taken
├── Conflict              well formed, but against the state
├── TooLarge              beyond a limit of ours
├── DicomError            the bytes break PS3.5 or PS3.10
│   ├── NotDicom          not a DICOM file at all
│   ├── Truncated         the bytes end early
│   └── LimitExceeded     hostile or absurd: nesting, element count, inflation ratio
├── CodecError            pixel data that cannot be decoded or encoded
│   └── NotInstalled      what would do it is an extra that is not installed
├── StoreError
│   ├── ObjectMissing
│   ├── ObjectExists      put never overwrites
│   ├── ShortRead         the object is shorter than the span to read
│   ├── ObjectChanged     an object outside our store has changed since it was indexed
│   ├── ObjectDamaged     the object is missing or altered, as the index knows
│   ├── StoreFull
│   ├── StoreUnavailable
│   ├── JournalDamaged    an object of the journal cannot be read, or is altered
│   └── JournalForked     two indexes write to one archive
├── ForeignArchive        index, journal and objects do not belong to one archive
├── IndexBehind           the journal holds changes that the index lacks
├── IndexFailure
│   ├── IndexUnavailable
│   └── MigrationNeeded   the schema is older (or newer) than this program
└── Busy                  try again later
    └── Overdue           the work took longer than allowed, and was given up

A message says what was seen, what was wanted and the way out, in one sentence, lower case, no trailing stop.
No patient data in messages: UIDs and tags may appear, values of other attributes may not.
"""

from __future__ import annotations

from collections.abc import Sequence


class GatewayError(Exception):
    """Base of every domain failure; `detail` may be shown to a client."""

    def __init__(
        self,
        detail: str,
        *,
        parameter: str | None = None,
        tag: str | None = None,
        uid: str | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.parameter = parameter
        self.tag = tag
        self.uid = uid
        self.expected = expected


class BadRequest(GatewayError):
    """The request contains something that is not allowed."""


class BadParameter(BadRequest):
    """A path segment, query parameter or header field has a wrong value; `parameter` names it."""


class Forbidden(GatewayError):
    """The principal may not do this."""


class NotFound(GatewayError):
    """The target is unknown in this scope."""


class Gone(NotFound):
    """The target is known to be deleted."""


class NotAcceptable(GatewayError):
    """No representation that we can produce is acceptable; `available` lists ours (PS3.18 8.7.8.1)."""

    def __init__(self, detail: str, *, available: Sequence[str] = (), uid: str | None = None) -> None:
        super().__init__(detail, uid=uid, expected=", ".join(available) or None)
        self.available = tuple(available)


class UnsupportedMedia(GatewayError):
    """The body's media type is not taken; `available` lists those that are."""

    def __init__(self, detail: str, *, available: Sequence[str] = ()) -> None:
        super().__init__(detail, expected=", ".join(available) or None)
        self.available = tuple(available)


class Conflict(GatewayError):
    """The request is well formed, but against the state of the stored data."""


class TooLarge(GatewayError):
    """The request is beyond a limit of ours; the message names the limit."""


class DicomError(GatewayError):
    """The bytes break PS3.5 or PS3.10; the message carries tag path and byte offset."""


class NotDicom(DicomError):
    """The bytes are not a DICOM file at all."""


class Truncated(DicomError):
    """The bytes end before the data set does."""


class LimitExceeded(DicomError):
    """The input is hostile or absurd: nesting, element count, inflation ratio."""


class CodecError(GatewayError):
    """The pixel data cannot be decoded or encoded."""


class NotInstalled(CodecError):
    """Its decoder or encoder belongs to an extra that is not installed; the message names the command."""


class StoreError(GatewayError):
    """The object store failed."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class ObjectExists(StoreError):
    """There is an object under this key already; `put` never overwrites."""


class ShortRead(StoreError):
    """The object is shorter than the span to read."""


class ObjectChanged(StoreError):
    """An object outside our store has changed since it was indexed in place."""


class ObjectDamaged(StoreError):
    """The object of an instance is missing or altered, as the index knows; the message gives the reason."""


class StoreFull(StoreError):
    """The store has no room left."""


class StoreUnavailable(StoreError):
    """The store does not answer, after bounded retries."""


class JournalDamaged(StoreError):
    """An object of the journal is missing, truncated, altered or not ours; the message says which and why."""


class JournalForked(StoreError):
    """The journal holds another change of the same revision: two indexes write to one archive."""


class ForeignArchive(GatewayError):
    """Index, journal and objects do not belong to one archive; nothing was changed."""


class IndexBehind(GatewayError):
    """The journal holds changes that the index lacks; the message names the command that helps."""


class IndexFailure(GatewayError):
    """The index failed."""


class IndexUnavailable(IndexFailure):
    """The index does not answer."""


class MigrationNeeded(IndexFailure):
    """The schema is older or newer than that of this program."""


class Busy(GatewayError):
    """There is too much work at once; try again later."""


class Overdue(Busy):
    """The work took longer than allowed and was given up."""
