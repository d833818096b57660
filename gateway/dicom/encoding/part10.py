"""Read one PS3.10 file while it arrives: identity, DICOM JSON metadata, layout, digest, warnings."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, replace
from struct import Struct

from gateway.dicom import tagnumbers, tags, uids
from gateway.dicom.encoding import elements
from gateway.dicom.encoding.codestreams import recognise
from gateway.dicom.encoding.filemeta import PREAMBLE, file_meta
from gateway.dicom.encoding.fragments import FragmentScanner
from gateway.dicom.encoding.frames import PixelElement, is_video, pixel_layout
from gateway.dicom.encoding.inflate import Inflater
from gateway.dicom.encoding.layout import BulkValue, InstanceLayout, PixelLayout
from gateway.dicom.encoding.modes import EXPLICIT, EXPLICIT_LE, IMPLICIT, Mode
from gateway.dicom.encoding.pixels import ImagePixel, read_image_pixel
from gateway.dicom.encoding.structure import CODED_VRS
from gateway.dicom.encoding.tokens import Pixels, Tokenizer
from gateway.dicom.limits import LIMITS, ReadLimits
from gateway.errors import DicomError, LimitExceeded, NotDicom, Truncated
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID

_NATIVE = frozenset(
    {
        uids.IMPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.EXPLICIT_VR_BIG_ENDIAN,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)
_BY_REFERENCE = frozenset({uids.JPIP_REFERENCED, uids.JPIP_REFERENCED_DEFLATE})  # JPIP: no pixel bytes at all
_LONG = Struct("<I").unpack_from
_SHORT = Struct("<H").unpack_from
_TAKEN = re.compile(rb"[0-9.]{1,64}")
_CONFORMING = re.compile(rb"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_UID_NAMES = {
    tagnumbers.STUDY_INSTANCE_UID: "Study Instance UID",
    tagnumbers.SERIES_INSTANCE_UID: "Series Instance UID",
    tagnumbers.SOP_INSTANCE_UID: "SOP Instance UID",
    tagnumbers.SOP_CLASS_UID: "SOP Class UID",
}


@dataclass(frozen=True, slots=True)
class ReadWarning:
    """A non-conformance that does not prevent storage of the instance.

    `code` is 'B000' (coerced: a preamble or file meta was supplied) or 'B007' (data set does not match its
    SOP Class or PS3.5).
    """

    code: str
    tag: str
    message: str


@dataclass(frozen=True, slots=True)
class ReadInstance:
    """All that ingest needs to know of one instance; the shapes are those of `index.base.NewVersion`.

    In `metadata` a NUL byte stands for the URL of the instance: `"BulkDataURI":"\\0/bulkdata/7FE00010?v=…"`.
    `outline` is the metadata without its long attributes, empty where they are short altogether.
    """

    identity: Identity
    transfer_syntax: str
    metadata: bytes
    layout: InstanceLayout
    content_digest: bytes
    warnings: tuple[ReadWarning, ...]
    outline: bytes = b""

    def place_base(self) -> tuple[bytes, bytes]:
        """Return metadata and outline with the path of the instance after each NUL.

        NUL then stands for the URL of the service.
        """
        url = b"\0" + self.identity.path.url().encode()
        return self.metadata.replace(b"\0", url), self.outline.replace(b"\0", url)


class Part10Reader:
    """Push parser of one PS3.10 file; its memory is bounded by the header, never by the object."""

    identity: Identity | None
    """The identity, set as soon as the four UIDs have been read."""

    prefix: bytes
    """The preamble and file meta that the file lacks, to be stored first; settled once `identity` is set."""

    def __init__(
        self,
        *,
        version: str,
        named_transfer_syntax: str | None = None,
        numbers_as_strings: bool = False,
        limits: ReadLimits = LIMITS,
    ) -> None:
        """Create a reader; `version` goes into BulkDataURIs.

        `named_transfer_syntax` is the transfer syntax in the part's Content-Type.
        """
        self.identity = None
        self.prefix = b""
        self._version = version
        self._named = named_transfer_syntax
        self._strings = numbers_as_strings
        self._limits = limits
        self._warnings: list[ReadWarning] = []
        self._length = 0
        self._head = b""
        self._at: int | None = None
        self._without_meta = False
        self._group_length = -1
        self._group_end = -1
        self._meta: dict[int, bytes] = {}
        self._meta_done = False
        self._odd_meta = False
        self._transfer_syntax = ""
        self._implicit = False
        self._inflater: Inflater | None = None
        self._tokens: Tokenizer | None = None
        self._dataset_at = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises NotDicom, Truncated, LimitExceeded, DicomError."""
        self._length += len(chunk)
        if self._tokens is None:
            self._head = self._head + chunk if self._head else chunk
            if not self._begin(False):
                return
            chunk, self._head = self._head, b""
        self._push(chunk)

    @property
    def passable(self) -> int:
        """The number of next bytes that the reader does not need to see: pixels and other long values."""
        return 0 if self._tokens is None or self._inflater is not None else self._tokens.passable

    def pass_over(self, count: int) -> None:
        """Skip `count` bytes, at most as many as are passable; the content digest is not valid then."""
        assert self._tokens is not None
        self._length += count
        self._tokens.pass_over(count)

    def finish(self) -> ReadInstance:
        """Return the instance.

        Raises Truncated where the data set is not complete, DicomError where a UID is missing or wrong.
        """
        if self._tokens is None:
            self._begin(True)
            chunk, self._head = self._head, b""
            self._push(chunk)
        assert self._tokens is not None
        if self._inflater is not None:
            self._inflater.close()
        metadata = self._tokens.finish()
        if self.identity is None:
            missing = next(tag for tag in _UID_NAMES if tag not in self._tokens.collected)
            raise DicomError(f"{_UID_NAMES[missing]} is missing", tag=f"{missing:08X}")
        layout = self._layout(self._tokens)
        found = [ReadWarning("B007", remark.tag, remark.message) for remark in self._tokens.remarks]
        return ReadInstance(
            identity=self.identity,
            transfer_syntax=self._transfer_syntax,
            metadata=metadata,
            layout=layout,
            content_digest=self._tokens.digest.digest(),
            warnings=(*self._warnings, *found),
            outline=self._tokens.outline(),
        )

    @property
    def claimed_sop_class(self) -> str:
        """The Media Storage SOP Class UID (0002,0002) of the file meta; empty where it has not been read."""
        return self._meta_uid(2)

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax by (0002,0010) or the part's Content-Type; empty before it is settled."""
        return self._transfer_syntax

    @property
    def passing(self) -> bool:
        """Whether the next bytes are of a long value, such as pixels, and cost nothing to read."""
        return self._tokens is not None and self._inflater is None and self._tokens.passing

    @property
    def inflates(self) -> bool:
        """Whether a few bytes may become very many once they are inflated."""
        return self._inflater is not None

    @property
    def is_long(self) -> bool:
        """Whether `finish` takes too long for an event loop."""
        return self._tokens is not None and self._tokens.is_long

    # -- before the data set

    def _begin(self, ended: bool) -> bool:
        """Read preamble, file meta and first element; return False while more bytes are needed."""
        if self._at is None and not self._find_start(ended):
            return False
        if not self._meta_done and not self._read_meta(ended):
            return False
        return self._start_data_set(ended)

    def _find_start(self, ended: bool) -> bool:
        head = self._head
        if len(head) < 132 and not ended:
            return False
        if head[128:132] == b"DICM":
            self._at = 132
        elif head[:4] == b"DICM":
            self._at, self.prefix = 4, bytes(128)
            self._note_coercion("the preamble was missing")
        elif head[:2] == b"\2\0" and head[4:6] in CODED_VRS:
            self._at, self.prefix = 0, PREAMBLE
            self._note_coercion("the preamble was missing")
        else:
            self._at, self._without_meta, self._meta_done = 0, True, True
            self._check_bare(head)
        return True

    def _check_bare(self, head: bytes) -> None:
        """Raise NotDicom for a data set without file meta, unless its encoding is known."""
        explicit = head[:2] == b"\x08\0" and head[4:6] in CODED_VRS
        plausible = head[:2] in (b"\x08\0", b"\0\x08") and len(head) >= 8
        if not explicit and not (self._named and plausible):
            raise NotDicom("no DICM after a preamble of 128 bytes, and no data set whose encoding is known")
        self._note_coercion("the file meta information was missing")

    def _note_coercion(self, message: str) -> None:
        self._warnings.append(ReadWarning("B000", "", message))

    def _read_meta(self, ended: bool) -> bool:
        """Read group 0002, always little endian; return False while more bytes are needed.

        The group length is used only where nothing else tells where the group ends.
        """
        head = self._head
        assert self._at is not None
        while True:
            left = len(head) - self._at
            if left < 8 and not ended:
                return False
            if left < 8 or head[self._at : self._at + 2] != b"\2\0" or self._at == self._group_end:
                break
            element = _SHORT(head, self._at + 2)[0]
            begin, length = self._meta_header(head, self._at)
            if length > self._limits.value:
                raise LimitExceeded(f"(0002,{element:04X}) of {length} bytes is beyond {self._limits.value}")
            if begin + length > len(head):
                if ended:
                    raise Truncated(f"the file meta ends within (0002,{element:04X}) at byte {self._at}")
                return False
            self._meta.setdefault(element, head[begin : begin + length])
            self._at = begin + length
            if element == 0 and length == 4:
                # Only deflated bytes can look like one more element of the group.
                self._group_length = self._at + int(_LONG(head, begin)[0])
            if element == 0x10 and self._meta_uid(0x10) == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
                self._group_end = self._group_length
        if not self._meta:
            raise DicomError(f"no file meta after DICM at byte {self._at}")
        self._meta_done = True
        return True

    def _meta_header(self, head: bytes, at: int) -> tuple[int, int]:
        vr = head[at + 4 : at + 6]
        if vr not in CODED_VRS:
            return at + 8, int(_LONG(head, at + 4)[0])
        if vr in (b"OB", b"UN", b"OW", b"UT", b"SQ"):
            length = int(_LONG(head, at + 8)[0]) if len(head) >= at + 12 else 0
            return at + 12, length
        return at + 8, int(_SHORT(head, at + 6)[0])

    def _meta_uid(self, element: int) -> str:
        return self._meta.get(element, b"").strip(b" \0").decode("latin-1")

    def _start_data_set(self, ended: bool) -> bool:
        assert self._at is not None
        declared = self._meta_uid(0x10) or self._named or ""
        if not declared and self._without_meta:
            declared = uids.EXPLICIT_VR_LITTLE_ENDIAN
        if not declared:
            raise DicomError("the file meta names no Transfer Syntax", tag=tags.TRANSFER_SYNTAX_UID)
        self._transfer_syntax = declared
        first = self._head[self._at : self._at + 8]
        if declared == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            self._inflater = Inflater(self._limits)
            mode, offset = EXPLICIT_LE, 0
        elif len(first) < 8 and not ended:
            return False
        else:
            mode, offset = self._settle(first), self._at
        self._dataset_at = self._at
        encapsulated = declared not in _NATIVE
        self._tokens = Tokenizer(
            mode, offset, self._version, self._limits, strings=self._strings, encapsulated=encapsulated
        )
        self._head = self._head[self._at :]
        return True

    def _settle(self, first: bytes) -> Mode:
        """Return the real encoding, which the first element shows (PS3.5 7.1, A.1 to A.3)."""
        declared = self._transfer_syntax
        big = declared == uids.EXPLICIT_VR_BIG_ENDIAN
        if len(first) == 8:
            big = self._really_big(first, big)
        explicit = first[4:6] in CODED_VRS if len(first) == 8 else declared != uids.IMPLICIT_VR_LITTLE_ENDIAN
        self._implicit = not explicit
        really = (
            uids.EXPLICIT_VR_BIG_ENDIAN
            if big
            else uids.EXPLICIT_VR_LITTLE_ENDIAN
            if explicit
            else uids.IMPLICIT_VR_LITTLE_ENDIAN
        )
        if self._without_meta and declared in _NATIVE and (explicit or not big):
            self._transfer_syntax = really
        elif explicit == (declared == uids.IMPLICIT_VR_LITTLE_ENDIAN) or big != (
            declared == uids.EXPLICIT_VR_BIG_ENDIAN
        ):
            self._note_finding(
                tags.TRANSFER_SYNTAX_UID, "the data set is not encoded as its Transfer Syntax says"
            )
        return (EXPLICIT if explicit else IMPLICIT)[big]

    def _really_big(self, first: bytes, declared: bool) -> bool:
        """Return whether the bytes are big endian.

        The first group number is small, so that one of its two bytes is zero.
        """
        if first[0] and not first[1]:
            return False
        return True if first[1] and not first[0] else declared

    def _note_finding(self, tag: str, message: str) -> None:
        self._warnings.append(ReadWarning("B007", tag, message))

    # -- the data set

    def _push(self, chunk: bytes) -> None:
        assert self._tokens is not None
        if self._inflater is None:
            self._tokens.feed(chunk)
        else:
            for piece in self._inflater.feed(chunk):
                self._tokens.feed(piece)
        if self.identity is None:
            self._identify()

    def _identify(self) -> None:
        assert self._tokens is not None
        collected = self._tokens.collected
        if not collected.keys() >= elements.UIDS:
            return
        study, series, instance, sop_class = [self._uid(tag, collected[tag]) for tag in _UID_NAMES]
        self.identity = Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class)
        for element, uid in ((2, sop_class), (3, instance)):
            if self._meta.get(element) is not None and self._meta_uid(element) != uid:
                self._note_finding(f"0002{element:04X}", "the file meta names another UID than the data set")
            self._odd_meta |= not self._without_meta and self._meta_uid(element) != uid
        if self._without_meta:
            self.prefix = file_meta(self.identity, self._transfer_syntax)

    def _uid(self, tag: int, raw: bytes) -> str:
        """Return a UID that can stand in a path. Raises DicomError for other values.

        Any digits and dots are accepted, with a warning where PS3.5 9.1 is broken.
        """
        value = raw.rstrip(b"\0 ")
        if len(value) <= 64 and b" " not in raw and _CONFORMING.fullmatch(value):
            return value.decode("ascii")
        name, key = _UID_NAMES[tag], f"{tag:08X}"
        if not value:
            raise DicomError(f"{name} is empty", tag=key)
        if len(value) > 64:
            raise DicomError(f"{name} has {len(value)} characters, more than 64", tag=key)
        if not _TAKEN.fullmatch(value):
            raise DicomError(f"{name} holds other characters than digits and dots", tag=key)
        if value in (b".", b".."):
            # HTTP clients remove such path segments before they send a request (RFC 3986 5.2.4).
            raise DicomError(f"{name} is '{value.decode()}', which no URL can name", tag=key)
        if not _CONFORMING.fullmatch(value):
            self._note_finding(key, f"{name} breaks the rules of PS3.5 9.1")
        else:
            self._note_finding(key, f"{name} is padded with a space")
        return value.decode("ascii")

    # -- layout

    def _layout(self, tokens: Tokenizer) -> InstanceLayout:
        shift = len(self.prefix)
        moved = 0 if self._inflater is not None else shift
        kind = (
            tokens.collected.get(tagnumbers.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, b"")
            .strip(b" \0")
            .decode("latin-1")
            or None
        )
        document = tags.ENCAPSULATED_DOCUMENT
        pixels = self._pixels(tokens, tokens.pixels, moved) if tokens.pixels is not None else None
        bulk = tokens.bulk
        if moved or document in bulk:
            bulk = {
                path: BulkValue(
                    value.vr, value.offset + moved, value.length, kind if path == document else None
                )
                for path, value in bulk.items()
            }
        return InstanceLayout(
            transfer_syntax=self._transfer_syntax,
            implicit=self._implicit,
            big_endian=tokens.big_endian,
            inflated=self._inflater is not None,
            dataset_offset=self._dataset_at + shift,
            length=self._length + shift,
            pixels=pixels,
            bulk=bulk,
            odd_meta=self._odd_meta,
        )

    def _pixels(self, tokens: Tokenizer, pixels: Pixels, moved: int) -> PixelLayout:
        collected = tokens.collected
        element = PixelElement(
            pixels.tag,
            pixels.vr,
            pixels.offset,
            pixels.length,
            pixels.scanner,
            collected.get(tagnumbers.EXTENDED_OFFSET_TABLE, b""),
            collected.get(tagnumbers.EXTENDED_OFFSET_TABLE_LENGTHS, b""),
        )
        if pixels.scanner is not None:
            self._recognise(pixels.scanner, tokens.big_endian)
        image = self._image_pixel(tokens, pixels.tag)
        frames = self._frames(collected.get(tagnumbers.NUMBER_OF_FRAMES, b""))
        layout = pixel_layout(element, image, frames, self._transfer_syntax)
        if moved:
            starts = array("Q", [start + moved for start in layout.starts])
            layout = replace(layout, offset=layout.offset + moved, starts=starts)
        tag = f"{pixels.tag:08X}"
        if pixels.scanner is None and self._wants_fragments():
            layout = replace(layout, frames=0, problem="native pixel data under a compressed transfer syntax")
        if pixels.scanner is not None and self._transfer_syntax in _NATIVE:
            layout = replace(layout, frames=0, problem="fragments under a native transfer syntax")
        if layout.problem and pixels.length and not is_video(self._transfer_syntax):
            self._note_finding(tag, layout.problem)
        elif not layout.problem and layout.frames < layout.declared_frames:
            self._note_finding(
                tag, f"{layout.declared_frames} frames are declared and {layout.frames} are there"
            )
        elif pixels.scanner is not None and len(layout.starts) < len(pixels.scanner.starts):
            self._note_finding(
                tag, f"{layout.declared_frames} frames are declared and more are there, which are left out"
            )
        return layout

    def _recognise(self, scanner: FragmentScanner, big: bool) -> None:
        """Recognise the codestream of fragments under a native transfer syntax.

        Such a file had no file meta, or a wrong one. Only Explicit VR Little Endian data sets are changed:
        other encodings may not hold codestreams (PS3.5 A.4).
        """
        if self._transfer_syntax not in _NATIVE or self._implicit or big or self._inflater is not None:
            return
        found = recognise(scanner.head)
        if found:
            self._note_finding(
                tags.TRANSFER_SYNTAX_UID, f"the pixel data is compressed, as transfer syntax {found} has it"
            )
            self._transfer_syntax, self._odd_meta = found, True

    def _wants_fragments(self) -> bool:
        """Return whether the standard requires fragments; for private transfer syntaxes this is unknown."""
        declared = self._transfer_syntax
        return declared.startswith(uids.TRANSFER_SYNTAXES) and declared not in _NATIVE | _BY_REFERENCE

    def _image_pixel(self, tokens: Tokenizer, tag: int) -> ImagePixel:
        """Return the description of the pixels in `tag`.

        A missing Samples per Pixel is taken as 1 where the image is MONOCHROME.
        """
        image = read_image_pixel(tokens.collected, "big" if tokens.big_endian else "little", tag)
        if tagnumbers.SAMPLES_PER_PIXEL in tokens.collected or not image.photometric.startswith("MONOCHROME"):
            return image
        self._note_finding(
            tags.SAMPLES_PER_PIXEL, f"Samples per Pixel is missing, taken as 1 for {image.photometric}"
        )
        return replace(image, samples=1)

    def _frames(self, raw: bytes) -> int:
        text = raw.split(b"\\")[0].strip(b" \0")
        if not text:
            return 1
        if not text.removeprefix(b"+").isdigit() or len(text) > 12 or int(text) == 0:
            self._note_finding(tags.NUMBER_OF_FRAMES, "Number of Frames is no positive number, taken as 1")
            return 1
        return int(text)
