"""Coerce an instance by a rule: change attributes and record the original values in the instance.

PS3.18 10.5.2, PS3.3 C.12.1.1.9. The bytes are streamed once more; pixel data stays as it is encoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.dicom import uids
from gateway.dicom.dataset import ReadOnlyDataSet
from gateway.dicom.dictionary import name_of
from gateway.dicom.encoding.filemeta import IMPLEMENTATION_VERSION_NAME, file_meta
from gateway.dicom.encoding.inflate import Inflater
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.encoding.rewrite import Rewriter
from gateway.dicom.limits import LIMITS
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.patch import Modification, Patch, original_attributes, remember_originals
from gateway.dicom.model.patchbytes import Patcher
from gateway.errors import DicomError
from gateway.index.base import NewVersion
from gateway.model import Source, Span
from gateway.services.bytestream import join, map_chunks, only, read_span
from gateway.services.ingest.policy import Rule
from gateway.store.base import ObjectStore

# Transfer syntaxes that change: uncompressed ones become Explicit VR Little Endian; JPIP Referenced Deflate
# becomes JPIP Referenced.
_PLAIN = {
    uids.IMPLICIT_VR_LITTLE_ENDIAN: uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.EXPLICIT_VR_BIG_ENDIAN: uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.JPIP_REFERENCED_DEFLATE: uids.JPIP_REFERENCED,
}


@dataclass(frozen=True, slots=True)
class Coerced:
    """The file with its changes; `original` is the item of Original Attributes Sequence that was added."""

    chunks: AsyncGenerator[bytes, None]
    changed: tuple[str, ...]
    original: ReadOnlyDataSet


async def coerce(store: ObjectStore, version: NewVersion, rule: Rule) -> Coerced | None:
    """Return a stored instance with the changes of the rule; None where the rule changes nothing.

    Raises DicomError where the rule cannot be applied; StoreError while the chunks are read.
    """
    (model,) = await asyncio.to_thread(datasets, version.metadata.replace(b"\0", b""))
    patch = rule.patch(model)
    if not patch.changes:
        return None
    layout = version.layout
    encapsulated = layout.pixels is not None and layout.pixels.encapsulated
    if encapsulated and (layout.implicit or layout.big_endian):
        raise DicomError("it cannot be coerced: its encapsulated pixel data is not in explicit little endian")
    how = Modification(datetime.now(UTC), IMPLEMENTATION_VERSION_NAME, "COERCE", _sender(version.source))
    original = original_attributes(model, patch, how)
    patcher = Patcher(model, Patch((*patch.changes, *remember_originals(model, original))))
    syntax = _PLAIN.get(layout.transfer_syntax, layout.transfer_syntax)
    meta = file_meta(version.identity, syntax)
    chunks = join([only(meta), map_chunks(_data_set(store, version), patcher)])
    names = dict.fromkeys(name_of(int(change.tags[0], 16)) for change in patch.changes)
    return Coerced(chunks, tuple(names), original)


def _sender(source: Source) -> str:
    return (source.ae_title or source.peer or source.kind)[:64]


async def _data_set(store: ObjectStore, version: NewVersion) -> AsyncGenerator[bytes, None]:
    """Stream the data set in Explicit VR Little Endian, without group 0002."""
    layout, locator = version.layout, version.locator
    begin = locator.offset + layout.dataset_offset
    chunks = read_span(store, locator.key, Span(begin, locator.offset + locator.length))
    if layout.inflated:
        chunks = _inflate(chunks)
    if layout.implicit or layout.big_endian:
        chunks = _rewrite(chunks, version, layout)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


async def _inflate(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    inflater = Inflater(LIMITS)
    async with aclosing(chunks):
        async for chunk in chunks:
            for piece in inflater.feed(chunk):
                yield piece


async def _rewrite(
    chunks: AsyncGenerator[bytes, None], version: NewVersion, layout: InstanceLayout
) -> AsyncGenerator[bytes, None]:
    skip = len(file_meta(version.identity, uids.EXPLICIT_VR_LITTLE_ENDIAN))
    async with aclosing(map_chunks(chunks, Rewriter(version.identity, layout))) as rewritten:
        async for chunk in rewritten:
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))
