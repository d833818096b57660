"""Put PS3.10 files together from metadata and bulk data (PS3.18 10.5.1.4, 10.5.2)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.dicom import tags, uids
from gateway.dicom.dataset import DataSet, ReadOnlyDataSet
from gateway.dicom.encoding.filemeta import IMPLEMENTATION_VERSION_NAME, file_meta
from gateway.dicom.encoding.part10 import ReadWarning
from gateway.dicom.model.encode import Codestreams, Encoded, Octets, encode, text_of
from gateway.dicom.model.patch import (
    AttributeChange,
    Modification,
    Nonconforming,
    Patch,
    apply_patch,
    original_attributes,
    remember_originals,
)
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from gateway.render.pool import CodecPool
from gateway.services.ingest.assemblepixels import OCTETS, AssemblePixels
from gateway.services.ingest.bulkparts import Bulk, require_parts, require_single
from gateway.services.ingest.outcomes import (
    DATA_SET_MISMATCH,
    Provenance,
    Rejected,
)
from gateway.services.ingest.spool import Spooled

PIECE = 64 << 10
_UIDS = (
    (tags.STUDY_INSTANCE_UID, "Study"),
    (tags.SERIES_INSTANCE_UID, "Series"),
    (tags.SOP_INSTANCE_UID, "SOP"),
    (tags.SOP_CLASS_UID, "SOP Class"),
)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A PS3.10 file in pieces, ready to be streamed, and the warnings that go with it."""

    identity: Identity
    transfer_syntax: str
    encoded: Encoded
    before: Provenance

    async def chunks(self) -> AsyncIterator[bytes]:
        """Stream the file."""
        yield file_meta(self.identity, self.transfer_syntax)
        async for chunk in _chunks(self.encoded):
            yield chunk


def references(model: ReadOnlyDataSet) -> Iterator[str]:
    """Yield every BulkDataURI of a data set, at any depth."""
    for member in model.values():
        if not isinstance(member, Mapping):
            continue
        if isinstance(member.get("BulkDataURI"), str):
            yield member["BulkDataURI"]
        for value in member.get("Value") or () if isinstance(member.get("Value"), list) else ():
            if isinstance(value, Mapping):
                yield from references(value)


def identity_of(model: ReadOnlyDataSet) -> Identity:
    """Return the UIDs of a data set. Raises Rejected naming a missing one."""
    values = []
    for tag, name in _UIDS:
        uid = text_of(model, tag)
        if not uid:
            kind = "" if name == "SOP Class" else " Instance"
            raise Rejected(DATA_SET_MISMATCH, f"{name}{kind} UID ({tag[:4]},{tag[4:]}) is missing")
        if not uid.isascii():  # an answer could not even repeat a lone surrogate
            raise Rejected(DATA_SET_MISMATCH, f"({tag[:4]},{tag[4:]}) has characters that no UID has")
        values.append(uid)
    study, series, instance, sop_class = values
    return Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class)


class Assemble:
    """Makes files of metadata and the bulk data that came with it."""

    def __init__(self, pool: CodecPool) -> None:
        self._pool = pool
        self._pixels = AssemblePixels(pool)

    async def instance(self, model: DataSet, bulk: Bulk) -> Assembled:
        """Return the file. Raises Rejected, DicomError, CodecError; nothing is stored then."""
        identity = identity_of(model)
        pixels = await self._pixels.find(model, bulk)
        _check_document(model, bulk)

        def resolve(path: str, vr: str, uri: str) -> Octets | Codestreams:
            if path == tags.PIXEL_DATA and pixels is not None:
                return pixels.place
            return require_single(bulk, path, uri)

        whole = {**model, **(pixels.members if pixels else {})}
        encoded = await self._pool.run(encode, whole, resolve)
        warnings = _warnings(encoded)
        original = digest = None
        if encoded.coerced:
            digest = await _digest(encoded)
            original, changed = await self._pool.run(_keep_originals, whole, encoded.coerced)
            encoded = await self._pool.run(encode, changed, resolve)
        syntax = pixels.transfer_syntax if pixels else uids.EXPLICIT_VR_LITTLE_ENDIAN
        return Assembled(identity, syntax, encoded, Provenance(warnings, original, digest))


def _warnings(encoded: Encoded) -> tuple[ReadWarning, ...]:
    found = [ReadWarning("B000", "", remark) for remark in encoded.remarks]
    if encoded.discarded:
        names = ", ".join(encoded.discarded[:10])
        found.append(ReadWarning("B006", "", f"{names}: no part of a data set, left out"))
    return tuple(found)


async def _chunks(encoded: Encoded) -> AsyncIterator[bytes]:
    for segment in encoded.segments:
        if isinstance(segment, bytes):
            for at in range(0, len(segment), PIECE):
                yield segment[at : at + PIECE]
                # The consumer takes each piece at once: let other tasks have their turn.
                await asyncio.sleep(0)
            continue
        assert isinstance(segment.source, Spooled)
        async for chunk in segment.source.chunks():
            yield chunk


async def _digest(encoded: Encoded) -> bytes:
    """Return the SHA-256 of the data set and of the sent values that it could not hold."""
    digest = hashlib.sha256(repr(encoded.coerced).encode())
    async for chunk in _chunks(encoded):
        digest.update(chunk)
    return digest.digest()


def _original(model: ReadOnlyDataSet, coerced: Sequence[Nonconforming]) -> DataSet:
    """Return the item of Original Attributes Sequence for values that do not conform to their VR.

    PS3.18 10.5.2.
    """
    changes = Patch(tuple(AttributeChange(one.path, {"vr": one.vr}) for one in coerced))
    how = Modification(datetime.now(UTC), IMPLEMENTATION_VERSION_NAME, "CORRECT")
    return original_attributes(apply_patch(model, changes), changes, how, coerced)


def _keep_originals(model: ReadOnlyDataSet, coerced: Sequence[Nonconforming]) -> tuple[DataSet, DataSet]:
    """Return the item of Original Attributes Sequence, and the model with it."""
    original = _original(model, coerced)
    return original, apply_patch(model, Patch(tuple(remember_originals(model, original))))


def _check_document(model: DataSet, bulk: Bulk) -> None:
    """Set the document's MIME type from the media type of its part (S-52).

    Raises Rejected where the model gives another type.
    """
    member = model.get(tags.ENCAPSULATED_DOCUMENT)
    uri = member.get("BulkDataURI") if isinstance(member, Mapping) else None
    if not isinstance(uri, str):
        return
    (part, *_), said = (
        require_parts(bulk, tags.ENCAPSULATED_DOCUMENT, uri),
        text_of(model, tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT),
    )
    if not said and part.media != OCTETS:
        model[tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT] = {"vr": "LO", "Value": [part.media]}
    elif part.media not in (OCTETS, said.lower(), said):
        raise Rejected(DATA_SET_MISMATCH, f"(0042,0012) says {said[:60]}, the part is {part.media[:60]}")
