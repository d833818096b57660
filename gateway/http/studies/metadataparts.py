"""Collect metadata and bulk data of a store request until its instances can be put together.

PS3.18 10.5.1.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from gateway.dicom.dataset import DataSet, ReadOnlyDataSet
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.nativexmlread import dataset
from gateway.errors import BadRequest, CodecError, DicomError, GatewayError, TooLarge
from gateway.http.negotiation.media import JSON, OCTETS, XML, MediaType, parse_media_type
from gateway.http.ports import AssemblePort, SessionPort
from gateway.http.studies.parts import Parts
from gateway.services.ingest.assemble import identity_of, references
from gateway.services.ingest.bulkparts import Bulk
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND, Outcome, Rejected
from gateway.services.ingest.spool import Spooled

S = TypeVar("S")
T = TypeVar("T")

# Bytes of metadata of all instances of a request together: the parsed metadata is in memory.
MOST_METADATA = 32 << 20
# Bytes. Longer documents are parsed in a thread.
AT_ONCE = 64 << 10


class MetadataParts:
    """The instances of one request. `base` is the URL that relative locations are resolved against."""

    def __init__(self, assemble: AssemblePort, base: str) -> None:
        self._assemble = assemble
        self._models: list[DataSet] = []
        self._bulk = Bulk(base)
        self._wanted: set[str] = set()
        self._json = 0
        self._metadata = 0
        self.refused: list[Outcome] = []

    async def read(self, parts: Parts, root: MediaType) -> None:
        """Read every part, in order. Raises BadRequest, DicomError, TooLarge."""
        async for headers in parts:
            text = headers.get("content-type", "")
            media = parse_media_type(text) if text else (root if parts.count == 1 else MediaType(OCTETS))
            if media is None:
                raise BadRequest(f"part {parts.count}: '{text[:100]}' is no content type")
            if media.essence in (JSON, XML):
                await self.metadata(media.essence, parts.body())
            else:
                await self._bulk_part(media, headers.get("content-location", ""), parts)
        if not parts.count:
            raise BadRequest("the multipart body has no parts")

    async def metadata(self, media: str, body: AsyncIterator[bytes]) -> None:
        """Read one metadata part: JSON has all instances, XML one.

        Raises BadRequest, DicomError, TooLarge.
        """
        held = bytearray()
        async for chunk in body:
            held += chunk
            self._metadata += len(chunk)
            if self._metadata > MOST_METADATA:
                raise TooLarge(
                    f"metadata of more than {MOST_METADATA >> 20} MiB; send large values as bulk data"
                )
        if not held:
            raise BadRequest("the metadata is empty; want data sets")
        if media == JSON:
            self._json += 1
            if self._json > 1:
                raise BadRequest("a second part of DICOM JSON: want one, with an array of all data sets")
            found = await self._aside(datasets, bytes(held), len(held))
        else:
            found = [await self._aside(dataset, bytes(held), len(held))]
        self._models += found
        self._wanted |= await self._aside(self._find_named, found, len(held))

    def _find_named(self, models: Sequence[ReadOnlyDataSet]) -> set[str]:
        return {self._bulk.name(uri) for model in models for uri in references(model)}

    async def _aside(self, work: Callable[[S], T], what: S, size: int) -> T:
        """Run `work` in a thread, or directly where there are few bytes."""
        return work(what) if size < AT_ONCE else await asyncio.to_thread(work, what)

    async def _bulk_part(self, media: MediaType, location: str, parts: Parts) -> None:
        if not self._models:
            raise BadRequest("bulk data before its metadata: want the metadata first (PS3.18 8.6.1.2)")
        name = self._bulk.name(location) if location else ""
        if not location or not ({name, name.rpartition("/frames/")[0]} & self._wanted):
            async for _ in parts.body():
                pass
            what = f"'{location[:100]}'" if location else "no Content-Location"
            detail = f"part {parts.count}: {what}, which no metadata before it refers to"
            self.refused.append(Outcome(None, CANNOT_UNDERSTAND, detail))
            return
        syntax = media.get("transfer-syntax")
        part = Spooled(self._bulk.spool, media.essence.replace("video/h265", "video/H265"), syntax, location)
        self._bulk.add(part)
        await part.fill(parts.body())

    async def store(self, session: SessionPort) -> None:
        """Put each instance together and pass it to ingest; a failed one fails alone."""
        for model in self._models:
            try:
                made = await self._assemble.instance(model, self._bulk)
            except Rejected as error:
                self._refuse(model, error.failure, error.detail)
            except (DicomError, CodecError) as error:
                self._refuse(model, CANNOT_UNDERSTAND, error.detail)
            else:
                await session.take(made.chunks(), before=made.before)

    def _refuse(self, model: DataSet, failure: int, detail: str) -> None:
        try:
            identity = identity_of(model)
        except (Rejected, GatewayError):
            identity = None
        self.refused.append(Outcome(identity, failure, detail))

    def close(self) -> None:
        """Delete the temporary files."""
        self._bulk.close()
