"""Find the Pixel Data of an instance that comes as metadata and bulk data.

PS3.18 8.7.3.3, 10.5.1.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.dicom import tags, uids
from gateway.dicom.dataset import DataSet, ReadOnlyDataSet
from gateway.dicom.encoding.pixels import write_members
from gateway.dicom.model.encode import Codestreams, Octets, text_of
from gateway.errors import CodecError
from gateway.extras import Extra, require_for_request
from gateway.render.codecs import fromimagefiles
from gateway.render.pool import CodecPool
from gateway.services.ingest.bulkparts import Bulk, require_parts
from gateway.services.ingest.outcomes import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    TRANSFER_SYNTAX_UNSUPPORTED,
    Rejected,
)
from gateway.services.ingest.spool import Spool, Spooled

OCTETS = "application/octet-stream"
_DESCRIBING = (tags.ROWS, tags.COLUMNS, tags.SAMPLES_PER_PIXEL, tags.BITS_ALLOCATED)
# Their pixels have 8 bits: Visible Light, Multi-frame True Color and Multi-frame Grayscale Byte Secondary
# Capture (PS3.3 A.32, A.8.5, A.8.3).
_EIGHT_BIT = (
    uids.VISIBLE_LIGHT,
    uids.MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids.MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
)

# A codestream that conforms to the key conforms to these too, as they are less strict (PS3.5 A.4).
_LESS_STRICT = {
    uids.JPEG_BASELINE_8_BIT: (uids.JPEG_EXTENDED_12_BIT,),
    uids.JPEG_LOSSLESS_SV1: (uids.JPEG_LOSSLESS,),
    uids.JPEG_LS_LOSSLESS: (uids.JPEG_LS_NEAR_LOSSLESS,),
    uids.JPEG_2000_LOSSLESS: (uids.JPEG_2000, uids.JPEG_2000_MC_LOSSLESS, uids.JPEG_2000_MC),
    uids.JPEG_2000: (uids.JPEG_2000_MC,),
    uids.HTJ2K_LOSSLESS: (uids.HTJ2K_LOSSLESS_RPCL, uids.HTJ2K),
    uids.JPEG_XL: (uids.JPEG_XL_LOSSLESS,),
}


@dataclass(frozen=True, slots=True)
class SentPixels:
    """Pixel Data of one instance: where it is, how it is encoded, and the attributes that change for it."""

    place: Octets | Codestreams
    transfer_syntax: str
    members: DataSet


class AssemblePixels:
    """Finds the encoding of the parts of Pixel Data, and the attributes that they imply."""

    def __init__(self, pool: CodecPool) -> None:
        self._pool = pool

    async def find(self, model: ReadOnlyDataSet, bulk: Bulk) -> SentPixels | None:
        """Return the Pixel Data that came in parts, or None where the model does not refer to any.

        Raises Rejected where the parts do not fit the model, CodecError where they cannot be read.
        """
        member = model.get(tags.PIXEL_DATA)
        uri = member.get("BulkDataURI") if isinstance(member, Mapping) else None
        if not isinstance(uri, str):
            return None
        parts = require_parts(bulk, tags.PIXEL_DATA, uri)
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

    async def _video(self, model: ReadOnlyDataSet, parts: Sequence[Spooled], media: str) -> SentPixels:
        """Return the video unchanged, in one fragment (PS3.5 A.4).

        Attributes that the model does not have come from the video.
        """
        if len(parts) > 1:
            raise Rejected(CANNOT_UNDERSTAND, f"{media} comes in one part (PS3.18 8.7.3.3.2)")
        (part,) = parts
        place = Codestreams((Octets(part, part.length),))
        try:
            require_for_request(Extra.VIDEO, "a video that is described by itself")
            from gateway.render.codecs import fromvideofiles

            found = await self._pool.run(fromvideofiles.describe, part.open())
        except CodecError as error:
            missing = _missing(model)
            if missing:
                raise Rejected(
                    TRANSFER_SYNTAX_UNSUPPORTED, f"{error.detail}; and {missing} is missing"
                ) from error
            return SentPixels(place, part.transfer_syntax or fromimagefiles.VIDEOS[media], {})
        members = _fill_missing(model, found.members(), _DESCRIBING[:3])
        if not text_of(model, tags.FRAME_INCREMENT_POINTER):
            members |= found.timing()
        native = found.image.count_bytes() * found.frames
        members |= _lossy(model, found.method, native, part.length)
        return SentPixels(place, part.transfer_syntax or found.transfer_syntax, members)

    async def _codestreams(
        self, model: ReadOnlyDataSet, parts: Sequence[Spooled], media: str, spool: Spool
    ) -> SentPixels:
        frames: list[Octets] = []
        found: fromimagefiles.DescribedImage | None = None
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
        # JPEG XL does not say whether it is lossy: the sender knows.
        lossy = "" if syntax == uids.JPEG_XL_LOSSLESS else found.lossy
        members = _members(model, found, len(frames)) | _lossy(model, lossy, native, size)
        return SentPixels(Codestreams(tuple(frames)), syntax, members)

    async def _decode(
        self, model: ReadOnlyDataSet, parts: Sequence[Spooled], media: str, spool: Spool
    ) -> SentPixels:
        frames, native = 0, Spooled(spool)
        found: fromimagefiles.DescribedImage | None = None
        for part in parts:
            data = await _whole(part)
            # One large picture at a time, for all senders together.
            async with self._pool.budget.hold(2 * fromimagefiles.count_decoded_bytes(data, media)):
                decoded, described = await self._pool.run(fromimagefiles.pixels, data, media)
                found = _alike(found, described, frames)
                frames += len(decoded)
                while decoded:
                    await native.add(decoded.pop(0))
        assert found is not None
        sop_class = text_of(model, tags.SOP_CLASS_UID)
        bits = found.image.bits_stored
        if (
            bits > 8
            and sop_class.startswith(_EIGHT_BIT)
            and sop_class != uids.VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE
        ):
            raise Rejected(DATA_SET_MISMATCH, f"{bits} bits a sample: SOP class {sop_class} has 8")
        members = _members(model, found, frames)
        members[tags.PIXEL_DATA] = {"vr": "OW" if bits > 8 else "OB", "BulkDataURI": "made"}
        return SentPixels(Octets(native, native.length), uids.EXPLICIT_VR_LITTLE_ENDIAN, members)


def _alike(
    first: fromimagefiles.DescribedImage | None, other: fromimagefiles.DescribedImage, number: int
) -> fromimagefiles.DescribedImage:
    """Return the description of all frames; it is lossy where one of them is.

    `number` counts the frames before `other`. Raises Rejected where the two differ.
    """
    if first is None:
        return other
    lossy = first.lossy or other.lossy
    if first.image != other.image or first.transfer_syntax != other.transfer_syntax:
        raise Rejected(
            DATA_SET_MISMATCH, f"part {number + 1} of Pixel Data is another kind of picture than the first"
        )
    return replace(first, lossy=lossy)


async def _whole(part: Spooled) -> bytes:
    """Return a part in memory. Raises CodecError where it is longer than any picture that can be read."""
    if part.length > fromimagefiles.CODED_AT_MOST:
        raise CodecError(f"a picture of {part.length} bytes is beyond {fromimagefiles.CODED_AT_MOST}")
    return await part.whole()


async def _place(part: Spooled, data: bytes, stream: bytes, spool: Spool) -> Spooled:
    """Return where the codestream lies: usually within the part, else appended to the spool."""
    at = data.find(stream)
    if at >= 0:
        return part.part(at, len(stream))
    made = Spooled(spool)
    await made.add(stream)
    return made


def _native(parts: Sequence[Spooled]) -> SentPixels:
    if len(parts) > 1:
        raise Rejected(CANNOT_UNDERSTAND, "uncompressed Pixel Data comes in one part (PS3.18 8.7.3.3.1)")
    syntax = parts[0].transfer_syntax
    if syntax not in (None, uids.EXPLICIT_VR_LITTLE_ENDIAN):
        raise Rejected(TRANSFER_SYNTAX_UNSUPPORTED, f"octets in transfer syntax {syntax} are not taken")
    return SentPixels(Octets(parts[0], parts[0].length), uids.EXPLICIT_VR_LITTLE_ENDIAN, {})


def _missing(model: ReadOnlyDataSet) -> str:
    """Return the first missing attribute that is needed to read the pixels, '' where none is missing."""
    missing = next((tag for tag in _DESCRIBING if not text_of(model, tag)), "")
    return f"({missing[:4]},{missing[4:]})" if missing else ""


def _infer_pixels(model: ReadOnlyDataSet, parts: Sequence[Spooled], media: str) -> SentPixels:
    if missing := _missing(model):
        raise Rejected(DATA_SET_MISMATCH, f"{missing} is missing, and {media} does not say it")
    frames = Codestreams(tuple(Octets(part, part.length) for part in parts))
    return SentPixels(frames, parts[0].transfer_syntax or fromimagefiles.UNDESCRIBED[media], {})


def _fill_missing(model: ReadOnlyDataSet, found: ReadOnlyDataSet, strict: Sequence[str]) -> DataSet:
    """Return the attributes of the picture that the metadata does not have.

    Raises Rejected where the two differ in a tag of `strict` (S-53).
    """
    members: DataSet = {}
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


def _members(model: ReadOnlyDataSet, found: fromimagefiles.DescribedImage, frames: int) -> DataSet:
    """Return the description of the picture and the number of frames that came.

    Raises Rejected where the model says otherwise.
    """
    members = _fill_missing(model, write_members(found.image), _DESCRIBING[:3])
    given = text_of(model, tags.NUMBER_OF_FRAMES)
    if frames > 1 and not given:
        members[tags.NUMBER_OF_FRAMES] = {"vr": "IS", "Value": [frames]}
    elif given and given != str(frames):
        raise Rejected(DATA_SET_MISMATCH, f"Number of Frames is {given[:20]} and {frames} came")
    return members


def _lossy(model: ReadOnlyDataSet, method: str, native: int, size: int) -> DataSet:
    """Return the attributes of Lossy Image Compression, which is always recorded (PS3.3 C.7.6.1.1.5).

    `native` bytes were compressed to `size` bytes.
    """
    if not method or text_of(model, tags.LOSSY_IMAGE_COMPRESSION):
        return {}
    return {
        tags.LOSSY_IMAGE_COMPRESSION: {"vr": "CS", "Value": ["01"]},
        tags.LOSSY_IMAGE_COMPRESSION_RATIO: {"vr": "DS", "Value": [f"{native / max(size, 1):.4g}"]},
        tags.LOSSY_IMAGE_COMPRESSION_METHOD: {"vr": "CS", "Value": [method]},
    }
