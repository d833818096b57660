"""Instances put together from metadata and bulk data (PS3.18 10.5.1.4, 10.5.2)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from gateway.dicom.encoding.filemeta import IMPLEMENTATION_VERSION_NAME, file_meta
from gateway.dicom.encoding.part10 import ReadWarning
from gateway.dicom.encoding.pixels import write_members
from gateway.dicom.model.encode import Encoded, Frames, Octets, encode, text_of
from gateway.dicom.model.patch import (
    AttributeChange,
    Modification,
    Nonconforming,
    Patch,
    apply_patch,
    original_attributes,
    remember_originals,
)
from gateway.errors import CodecError
from gateway.model import EXPLICIT_VR_LE, Identity, InstanceUID, SeriesUID, StudyUID
from gateway.render.codecs import fromimagefiles, fromvideofiles
from gateway.render.pool import CodecPool
from gateway.services.ingest.outcomes import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    TRANSFER_SYNTAX_UNSUPPORTED,
    Provenance,
    Rejected,
)
from gateway.services.ingest.spool import Spool, Spooled

OCTETS = "application/octet-stream"
PIECE = 64 << 10
PIXELS, DOCUMENT, MIME_TYPE = "7FE00010", "00420011", "00420012"
_UIDS = (("0020000D", "Study"), ("0020000E", "Series"), ("00080018", "SOP"), ("00080016", "SOP Class"))
_DESCRIBING = ("00280010", "00280011", "00280002", "00280100")
# Visible light, and Multi-frame True Color Secondary Capture, whose pixels have 8 bits (PS3.3 A.32, A.8.5).
_EIGHT_BIT = ("1.2.840.10008.5.1.4.1.1.77.1.", "1.2.840.10008.5.1.4.1.1.7.4", "1.2.840.10008.5.1.4.1.1.7.2")
_SLIDES = "1.2.840.10008.5.1.4.1.1.77.1.6"


@dataclass(frozen=True, slots=True)
class Assembled:
    """A PS3.10 file in pieces, ready to be streamed, and what is to be said of it."""

    identity: Identity
    transfer_syntax: str
    encoded: Encoded
    before: Provenance

    async def chunks(self) -> AsyncIterator[bytes]:
        yield file_meta(self.identity, self.transfer_syntax)
        async for chunk in _chunks(self.encoded):
            yield chunk


class Bulk:
    """Bulk data of one message by its Content-Location; relative and absolute forms of a URL are one."""

    def __init__(self, base: str) -> None:
        self.spool = Spool()
        self._base = base
        self._parts: dict[str, list[Spooled]] = {}

    def add(self, part: Spooled) -> None:
        self._parts.setdefault(self.name(part.location), []).append(part)

    def name(self, uri: str) -> str:
        """What two spellings of one location have in common."""
        text = uri.strip().strip("<>").removeprefix("cid:").removeprefix("urn:uuid:")
        try:
            return urljoin(self._base, text)
        except ValueError:  # no URL (`http://[`), but a name all the same
            return text

    def find(self, uri: str) -> list[Spooled]:
        """The parts at `uri`, in order: several are frames, and so are those at `uri/frames/n` (S-50)."""
        name = self.name(uri)
        found = self._parts.get(name)
        if found:
            return found
        frames: list[Spooled] = []
        while part := self._parts.get(f"{name}/frames/{len(frames) + 1}"):
            frames += part
        return frames

    def close(self) -> None:
        self.spool.close()


def references(model: Mapping[str, Any]) -> Iterator[str]:
    """Every BulkDataURI of a data set, at any depth."""
    for member in model.values():
        if not isinstance(member, Mapping):
            continue
        if isinstance(member.get("BulkDataURI"), str):
            yield member["BulkDataURI"]
        for value in member.get("Value") or () if isinstance(member.get("Value"), list) else ():
            if isinstance(value, Mapping):
                yield from references(value)


def identity_of(model: Mapping[str, Any]) -> Identity:
    """Raises Rejected naming the UID that is missing."""
    uids = []
    for tag, name in _UIDS:
        uid = text_of(model, tag)
        if not uid:
            kind = "" if name == "SOP Class" else " Instance"
            raise Rejected(DATA_SET_MISMATCH, f"{name}{kind} UID ({tag[:4]},{tag[4:]}) is missing")
        if not uid.isascii():  # an answer could not even repeat a lone surrogate
            raise Rejected(DATA_SET_MISMATCH, f"({tag[:4]},{tag[4:]}) has characters that no UID has")
        uids.append(uid)
    study, series, instance, sop_class = uids
    return Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class)


class Assemble:
    """Makes files of metadata and the bulk data that came with it."""

    def __init__(self, pool: CodecPool) -> None:
        self._pool = pool

    async def instance(self, model: dict[str, Any], bulk: Bulk) -> Assembled:
        """Raises Rejected, DicomError, CodecError: then nothing of the instance is stored."""
        identity = identity_of(model)
        pixels = await self._pixels(model, bulk)
        _check_document(model, bulk)

        def resolve(path: str, vr: str, uri: str) -> Octets | Frames:
            if path == PIXELS and pixels is not None:
                return pixels.place
            return _single(bulk, path, uri)

        whole = {**model, **(pixels.members if pixels else {})}
        encoded = await self._pool.run(encode, whole, resolve)
        warnings = [ReadWarning("B000", "", remark) for remark in encoded.remarks]
        if encoded.discarded:
            names = ", ".join(encoded.discarded[:10])
            warnings.append(ReadWarning("B006", "", f"{names}: no part of a data set, left out"))
        original = digest = None
        if encoded.coerced:
            digest = await _digest(encoded)
            original, changed = await self._pool.run(_remembering, whole, encoded.coerced)
            encoded = await self._pool.run(encode, changed, resolve)
        syntax = pixels.transfer_syntax if pixels else EXPLICIT_VR_LE
        return Assembled(identity, syntax, encoded, Provenance(tuple(warnings), original, digest))

    async def _pixels(self, model: Mapping[str, Any], bulk: Bulk) -> _Pixels | None:
        member = model.get(PIXELS)
        uri = member.get("BulkDataURI") if isinstance(member, Mapping) else None
        if not isinstance(uri, str):
            return None
        parts = _there(bulk, PIXELS, uri)
        media = parts[0].media
        if any(part.media != media for part in parts):
            raise Rejected(CANNOT_UNDERSTAND, "the frames of Pixel Data are of different media types")
        if media == OCTETS:
            return _native(parts)
        if media in fromimagefiles.VIDEOS:
            return await self._video(model, parts, media)
        if media in fromimagefiles.UNDESCRIBED:
            return _infer_pixels(model, parts, media)
        if media in fromimagefiles.CODESTREAMS:
            return await self._codestreams(model, parts, media, bulk.spool)
        if media in fromimagefiles.DECODED:
            return await self._decode(model, parts, media, bulk.spool)
        raise Rejected(TRANSFER_SYNTAX_UNSUPPORTED, f"Pixel Data as {media[:60]} is not taken")

    async def _video(self, model: Mapping[str, Any], parts: Sequence[Spooled], media: str) -> _Pixels:
        """Unchanged, in one fragment where its length allows (PS3.5 A.4); described by itself where need be."""
        if len(parts) > 1:
            raise Rejected(CANNOT_UNDERSTAND, f"{media} comes in one part (PS3.18 8.7.3.3.2)")
        (part,) = parts
        place = Frames((Octets(part, part.length),))
        try:
            found = await self._pool.run(fromvideofiles.describe, part.open())
        except CodecError as error:
            missing = _missing(model)
            if missing:
                raise Rejected(
                    TRANSFER_SYNTAX_UNSUPPORTED, f"{error.detail}; and {missing} is missing"
                ) from error
            return _Pixels(place, part.transfer_syntax or fromimagefiles.VIDEOS[media], {})
        members = _agreeing(model, found.members(), _DESCRIBING[:3])
        if not text_of(model, "00280009"):
            members |= found.timing()
        native = found.image.count_bytes() * found.frames
        members |= _lossy(model, found.method, native, part.length)
        return _Pixels(place, part.transfer_syntax or found.transfer_syntax, members)

    async def _codestreams(
        self, model: Mapping[str, Any], parts: Sequence[Spooled], media: str, spool: Spool
    ) -> _Pixels:
        frames: list[Octets] = []
        found: fromimagefiles.Described | None = None
        for part in parts:
            data = await _whole(part)
            stream, described = await self._pool.run(fromimagefiles.codestream, data, media)
            found = _alike(found, described, len(frames))
            frames.append(Octets(await _place(part, data, stream, spool), len(stream)))
        assert found is not None
        syntax = parts[0].transfer_syntax or found.transfer_syntax
        if syntax not in (found.transfer_syntax, *_LESS_STRICT.get(found.transfer_syntax, ())):
            raise Rejected(
                TRANSFER_SYNTAX_UNSUPPORTED,
                f"the part says transfer syntax {syntax}, its codestream is {found.transfer_syntax}",
            )
        size = sum(frame.length for frame in frames)
        image = found.image
        native = image.rows * image.columns * image.samples * ((image.bits_stored + 7) // 8) * len(frames)
        lossy = "" if syntax == _JXL_LOSSLESS else found.lossy  # whoever sends it knows, JPEG XL does not say
        members = _members(model, found, len(frames)) | _lossy(model, lossy, native, size)
        return _Pixels(Frames(tuple(frames)), syntax, members)

    async def _decode(
        self, model: Mapping[str, Any], parts: Sequence[Spooled], media: str, spool: Spool
    ) -> _Pixels:
        frames, native = 0, Spooled(spool)
        found: fromimagefiles.Described | None = None
        for part in parts:
            data = await _whole(part)
            # One large picture at a time, whoever sends it.
            async with self._pool.budget.hold(2 * fromimagefiles.count_decoded_bytes(data, media)):
                decoded, described = await self._pool.run(fromimagefiles.pixels, data, media)
                found = _alike(found, described, frames)
                frames += len(decoded)
                while decoded:
                    await native.add(decoded.pop(0))
        assert found is not None
        sop_class = text_of(model, "00080016")
        bits = found.image.bits_stored
        if bits > 8 and sop_class.startswith(_EIGHT_BIT) and sop_class != _SLIDES:
            raise Rejected(DATA_SET_MISMATCH, f"{bits} bits a sample: SOP class {sop_class} has 8")
        members = _members(model, found, frames)
        members[PIXELS] = {"vr": "OW" if bits > 8 else "OB", "BulkDataURI": "made"}
        return _Pixels(Octets(native, native.length), EXPLICIT_VR_LE, members)


_PREFIX = "1.2.840.10008.1.2.4."
_JXL_LOSSLESS = _PREFIX + "110"
# A codestream of the key is one of these too: they ask less (PS3.5 A.4).
_LESS_STRICT = {
    _PREFIX + "50": (_PREFIX + "51",),
    _PREFIX + "70": (_PREFIX + "57",),
    _PREFIX + "80": (_PREFIX + "81",),
    _PREFIX + "90": (_PREFIX + "91", _PREFIX + "92", _PREFIX + "93"),
    _PREFIX + "91": (_PREFIX + "93",),
    _PREFIX + "201": (_PREFIX + "202", _PREFIX + "203"),
    _PREFIX + "112": (_PREFIX + "110",),
}


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Where Pixel Data is, how it is encoded, and the members that change for it."""

    place: Octets | Frames
    transfer_syntax: str
    members: dict[str, Any]


def _alike(
    first: fromimagefiles.Described | None, other: fromimagefiles.Described, number: int
) -> fromimagefiles.Described:
    """What describes all frames; lossy where one of them is. Raises Rejected where they differ."""
    if first is None:
        return other
    lossy = first.lossy or other.lossy
    if first.image != other.image or first.transfer_syntax != other.transfer_syntax:
        raise Rejected(
            DATA_SET_MISMATCH, f"part {number + 1} of Pixel Data is another kind of picture than the first"
        )
    return replace(first, lossy=lossy)


async def _whole(part: Spooled) -> bytes:
    """A part in memory. Raises CodecError where it is longer than any picture that could be read."""
    if part.length > fromimagefiles.CODED_AT_MOST:
        raise CodecError(f"a picture of {part.length} bytes is beyond {fromimagefiles.CODED_AT_MOST}")
    return await part.whole()


async def _place(part: Spooled, data: bytes, stream: bytes, spool: Spool) -> Spooled:
    """Where the codestream lies: mostly within the part, else anew in the spool."""
    at = data.find(stream)
    if at >= 0:
        return part.part(at, len(stream))
    made = Spooled(spool)
    await made.add(stream)
    return made


async def _chunks(encoded: Encoded) -> AsyncIterator[bytes]:
    for segment in encoded.segments:
        if isinstance(segment, bytes):
            for at in range(0, len(segment), PIECE):
                yield segment[at : at + PIECE]
                await asyncio.sleep(0)  # who takes it reads it at once, and others are to have their turn
            continue
        assert isinstance(segment.source, Spooled)
        async for chunk in segment.source.chunks():
            yield chunk


async def _digest(encoded: Encoded) -> bytes:
    """Of what was sent: the data set, and the values in it that could not be kept."""
    digest = hashlib.sha256(repr(encoded.coerced).encode())
    async for chunk in _chunks(encoded):
        digest.update(chunk)
    return digest.digest()


def _original(model: Mapping[str, Any], coerced: Sequence[Nonconforming]) -> dict[str, Any]:
    """The item of Original Attributes Sequence for values that their VRs could not hold (PS3.18 10.5.2)."""
    changes = Patch(tuple(AttributeChange(one.path, {"vr": one.vr}) for one in coerced))
    how = Modification(datetime.now(UTC), IMPLEMENTATION_VERSION_NAME, "CORRECT")
    return original_attributes(apply_patch(model, changes), changes, how, coerced)


def _remembering(
    model: Mapping[str, Any], coerced: Sequence[Nonconforming]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given, and the model that says so."""
    original = _original(model, coerced)
    return original, apply_patch(model, Patch(tuple(remember_originals(model, original))))


def _native(parts: Sequence[Spooled]) -> _Pixels:
    if len(parts) > 1:
        raise Rejected(CANNOT_UNDERSTAND, "uncompressed Pixel Data comes in one part (PS3.18 8.7.3.3.1)")
    syntax = parts[0].transfer_syntax
    if syntax not in (None, EXPLICIT_VR_LE):
        raise Rejected(TRANSFER_SYNTAX_UNSUPPORTED, f"octets in transfer syntax {syntax} are not taken")
    return _Pixels(Octets(parts[0], parts[0].length), EXPLICIT_VR_LE, {})


def _missing(model: Mapping[str, Any]) -> str:
    """The first of the attributes without which nobody can read pixels, '' where all are there."""
    missing = next((tag for tag in _DESCRIBING if not text_of(model, tag)), "")
    return f"({missing[:4]},{missing[4:]})" if missing else ""


def _infer_pixels(model: Mapping[str, Any], parts: Sequence[Spooled], media: str) -> _Pixels:
    if missing := _missing(model):
        raise Rejected(DATA_SET_MISMATCH, f"{missing} is missing, and {media} does not say it")
    frames = Frames(tuple(Octets(part, part.length) for part in parts))
    return _Pixels(frames, parts[0].transfer_syntax or fromimagefiles.UNDESCRIBED[media], {})


def _agreeing(model: Mapping[str, Any], found: Mapping[str, Any], strict: Sequence[str]) -> dict[str, Any]:
    """What the picture says where the metadata is silent; of `strict` both must say the same (S-53)."""
    members: dict[str, Any] = {}
    for tag, member in found.items():
        given = text_of(model, tag)
        if not given:
            members[tag] = member
        elif tag in strict and given != str(member["Value"][0]):
            raise Rejected(
                DATA_SET_MISMATCH,
                f"({tag[:4]},{tag[4:]}) is {given[:20]} in the metadata and {member['Value'][0]} in the picture",
            )
    return members


def _members(model: Mapping[str, Any], found: fromimagefiles.Described, frames: int) -> dict[str, Any]:
    """The description, and as many frames as came."""
    members = _agreeing(model, write_members(found.image), _DESCRIBING[:3])
    given = text_of(model, "00280008")
    if frames > 1 and not given:
        members["00280008"] = {"vr": "IS", "Value": [frames]}
    elif given and given != str(frames):
        raise Rejected(DATA_SET_MISMATCH, f"Number of Frames is {given[:20]} and {frames} came")
    return members


def _lossy(model: Mapping[str, Any], method: str, native: int, size: int) -> dict[str, Any]:
    """PS3.3 C.7.6.1.1.5: loss is never forgotten. `native` bytes became `size`."""
    if not method or text_of(model, "00282110"):
        return {}
    return {
        "00282110": {"vr": "CS", "Value": ["01"]},
        "00282112": {"vr": "DS", "Value": [f"{native / max(size, 1):.4g}"]},
        "00282114": {"vr": "CS", "Value": [method]},
    }


def _check_document(model: dict[str, Any], bulk: Bulk) -> None:
    """The part's media type is the document's (S-52)."""
    member = model.get(DOCUMENT)
    uri = member.get("BulkDataURI") if isinstance(member, Mapping) else None
    if not isinstance(uri, str):
        return
    (part, *_), said = _there(bulk, DOCUMENT, uri), text_of(model, MIME_TYPE)
    if not said and part.media != OCTETS:
        model[MIME_TYPE] = {"vr": "LO", "Value": [part.media]}
    elif part.media not in (OCTETS, said.lower(), said):
        raise Rejected(DATA_SET_MISMATCH, f"(0042,0012) says {said[:60]}, the part is {part.media[:60]}")


def _there(bulk: Bulk, path: str, uri: str) -> list[Spooled]:
    parts = bulk.find(uri)
    if not parts:
        raise Rejected(CANNOT_UNDERSTAND, f"{path}: no part has the Content-Location '{uri[:100]}'")
    return parts


def _single(bulk: Bulk, path: str, uri: str) -> Octets:
    parts = _there(bulk, path, uri)
    if len(parts) > 1:
        raise Rejected(
            CANNOT_UNDERSTAND, f"{path}: {len(parts)} parts have the Content-Location '{uri[:100]}'"
        )
    return Octets(parts[0], parts[0].length)
