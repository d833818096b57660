"""One PS3.10 file, read as it arrives: identity, DICOM JSON metadata, layout, digest, warnings."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.layout import InstanceLayout
from gateway.model import Identity


@dataclass(frozen=True, slots=True)
class ReadWarning:
    """Something non-conforming that does not keep the instance out.

    `code` is 'B000' (coerced: a preamble or file meta was supplied) or 'B007' (data set does not match
    its SOP Class or PS3.5).
    """

    code: str
    tag: str
    message: str


@dataclass(frozen=True, slots=True)
class ReadInstance:
    """All that ingest needs to know of one instance; the shapes are those of `index.base.NewVersion`.

    In `metadata` a NUL byte stands for the URL of the instance: `"BulkDataURI":"\\0/bulkdata/7FE00010?v=…"`.
    """

    identity: Identity
    transfer_syntax: str
    metadata: bytes
    layout: InstanceLayout
    content_digest: bytes
    warnings: tuple[ReadWarning, ...]


class Part10Reader:
    """Push parser of one PS3.10 file; memory is bounded by the header, never by the object."""

    def __init__(self, *, version: str, named_transfer_syntax: str | None = None) -> None:
        """`version` goes into BulkDataURIs; `named_transfer_syntax` is what the part's Content-Type said."""
        raise NotImplementedError

    identity: Identity | None
    """Set as soon as the four UIDs were seen."""

    prefix: bytes
    """Preamble and file meta the file lacks; to be stored before its bytes. Settled once `identity` is set."""

    def feed(self, chunk: bytes) -> None:
        """Raises NotDicom, Truncated, LimitExceeded, DicomError."""

    def finish(self) -> ReadInstance:
        """Raises Truncated when the data set is not complete, DicomError when a UID is missing or wrong."""
        raise NotImplementedError
