"""De-identify instances for `anonymize=yes` (PS3.18 9.4.1.2.1): which may be sent, and how they are written.

Nothing of the stored file is sent except the pixels. The data set is encoded from the patched model, so that
nothing the model does not know, such as a second element with the same tag, preamble or padding, can get out.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.dicom import uids
from gateway.dicom.dataset import DataSet
from gateway.dicom.deidentify import pixels as clean
from gateway.dicom.deidentify.codestreams import cleanable
from gateway.dicom.deidentify.patching import make_deidentifying_patch
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.model.encode import Encoded, Octets, encode
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.patch import apply_patch
from gateway.errors import DicomError, Forbidden
from gateway.index.base import Scope
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from gateway.render.pool import CodecPool
from gateway.services.bytestream import Body
from gateway.services.deidentify.pseudonyms import Pseudonyms, key_of
from gateway.services.freshness import Freshness, StudyCache
from gateway.services.render.rendertarget import RenderTarget
from gateway.services.retrieve.aroundpixels import Instead
from gateway.services.retrieve.retrieve import Retrieve

# Part of every entity tag: raise it when the same instance would be written differently.
RULES = "1"
# Bytes of the attributes before the pixels, with LUTs, palettes and profiles.
HEAD_AT_MOST = 64 << 20
OBSTACLES_AT_MOST = 10_000
# A JPEG recompressed as JPEG XL contains the whole JPEG file, with its comments.
_WHOLE_FILES = (
    {uids.JPEG_BASELINE_8_BIT, uids.JPEG_XL_JPEG_RECOMPRESSION},
    {uids.JPEG_XL_JPEG_RECOMPRESSION},
)
_NUMBERS = re.compile(rb"[0-9eE+. \0\\-]*")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where the key for pseudonyms is; with `make`, it is created if it is missing."""

    path: Path | None
    make: bool = False


class Anonymize:
    """De-identification of instances when they are sent."""

    def __init__(self, retrieve: Retrieve, freshness: Freshness, pool: CodecPool, key: KeyFile) -> None:
        self._retrieve = retrieve
        self._pool = pool
        self._key = key
        self._pseudonyms: Pseudonyms | None = None
        self._obstacles: StudyCache[str] = freshness.watch(StudyCache(OBSTACLES_AT_MOST))

    async def pseudonyms(self) -> Pseudonyms:
        """Return the pseudonyms.

        Raises Forbidden where there is no key, StoreError where it cannot be read.
        """
        if self._pseudonyms is None:
            if self._key.path is None:
                raise _make_refusal("no key for pseudonyms is set up here (deidentification_key)")
            key = await asyncio.to_thread(key_of, self._key.path, make=self._key.make)
            self._pseudonyms = Pseudonyms(key)
        return self._pseudonyms

    async def check(self, scope: Scope, subject: RenderTarget) -> None:
        """Raise Forbidden, saying why, where the instance cannot be sent de-identified."""
        key = (scope.fingerprint, subject.version)
        found = self._obstacles.get(key)
        if found is None:
            found = await self._pool.run(
                _obstacle, await self._retrieve.read_row(scope, subject.located.stored), subject
            )
            self._obstacles.put(key, found, study=subject.path.study)
        if found:
            raise _make_refusal(found, subject.path.instance)

    def target(self, subject: RenderTarget, target: str | None) -> str:
        """Return the transfer syntax to send in, where the request wants `target` (None: as stored).

        Raises Forbidden.
        """
        layout = subject.located.layout
        encapsulated = layout.pixels is not None and layout.pixels.encapsulated
        held = layout.transfer_syntax
        if target is None:
            target = (
                held
                if encapsulated or held == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
                else uids.EXPLICIT_VR_LITTLE_ENDIAN
            )
        opaque = (target == held and not cleanable(held)) or {target, held} in _WHOLE_FILES
        if encapsulated and opaque:
            raise _make_refusal(
                f"frames in transfer syntax {target} may carry text that is not taken out; "
                f"ask for {uids.EXPLICIT_VR_LITTLE_ENDIAN}",
                subject.path.instance,
            )
        return target

    async def instance(self, scope: Scope, subject: RenderTarget, target: str) -> Body:
        """Return a de-identified PS3.10 file. Raises Forbidden, NotAcceptable, CodecError, StoreError."""
        await self.check(scope, subject)
        pseudonyms = await self.pseudonyms()
        row = await self._retrieve.read_row(scope, subject.located.stored)
        try:
            encoded = await self._pool.run(_encode, row, pseudonyms, subject.located.layout)
        except DicomError as error:
            where = f" ({error.tag})" if error.tag else ""
            raise _make_refusal(
                f"its attributes cannot be written anew{where}", subject.path.instance
            ) from error
        head = await self._join(scope, subject, encoded)
        return await self._retrieve.rewrite(
            subject.located, target, Instead(_identity(subject, pseudonyms), head)
        )

    async def _join(self, scope: Scope, subject: RenderTarget, encoded: Encoded) -> bytes:
        if encoded.length > HEAD_AT_MOST:
            raise _make_refusal(f"its attributes are longer than {HEAD_AT_MOST} bytes", subject.path.instance)
        parts: list[bytes] = []
        for segment in encoded.segments:
            if isinstance(segment, Octets):
                parts.append(await self._bulk(scope, subject, str(segment.source)))
            else:
                parts.append(segment)
        return b"".join(parts)

    async def _bulk(self, scope: Scope, subject: RenderTarget, where: str) -> bytes:
        """Return a long value. Raises Forbidden where a DS or IS value holds text that is not a number."""
        body = await self._retrieve.value(scope, subject.located, where)
        data = b"".join([chunk async for chunk in body.chunks])
        vr = subject.located.layout.bulk[where].vr
        if vr in ("DS", "IS") and not _NUMBERS.fullmatch(data):
            raise _make_refusal(f"{where} holds text where numbers were due", subject.path.instance)
        return data


def _make_refusal(why: str, instance: str | None = None) -> Forbidden:
    return Forbidden(
        f"anonymize: nothing is sent, since {why}",
        parameter="anonymize",
        uid=instance,
        expected="an instance that can be de-identified, or no anonymize",
    )


def _model(row: bytes) -> DataSet:
    (model,) = datasets(row.replace(b"\0", b""))
    return model


def _obstacle(row: bytes, subject: RenderTarget) -> str:
    layout = subject.located.layout
    if layout.pixels is not None and (
        layout.pixels.problem or layout.pixels.frames < layout.pixels.declared_frames
    ):
        return "its frames cannot be told apart"
    if layout.pixels is not None and layout.pixels.encapsulated and (layout.implicit or layout.big_endian):
        return "its encapsulated pixel data is not in explicit little endian"
    return clean.obstacle(_model(row), layout.transfer_syntax)


def _encode(row: bytes, pseudonyms: Pseudonyms, layout: InstanceLayout) -> Encoded:
    """Encode all elements before group 7FE0, without group 0002. Raises DicomError."""

    def bulk(path: str, vr: str, uri: str) -> Octets:
        where = uri.partition("/bulkdata/")[2].partition("?")[0]
        value = layout.bulk.get(where)
        if value is None:
            raise DicomError(f"{path}: its value is not there", tag=path)
        return Octets(where, value.length)

    model = _model(row)
    model = apply_patch(
        model, make_deidentifying_patch(model, pseudonyms.uid, pixels=layout.pixels is not None)
    )
    return encode({tag: member for tag, member in model.items() if "0008" <= tag < "7FE0"}, bulk)


def _identity(subject: RenderTarget, pseudonyms: Pseudonyms) -> Identity:
    old = subject.located.stored.identity
    return Identity(
        StudyUID(pseudonyms.uid(old.study)),
        SeriesUID(pseudonyms.uid(old.series)),
        InstanceUID(pseudonyms.uid(old.instance)),
        old.sop_class,
    )
