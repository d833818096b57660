"""Index an archive where it lies: every object is read once, and the archive is never written to."""

from __future__ import annotations

import hashlib
import time

from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from gateway.errors import GatewayError
from gateway.index.base import NewVersion, ReceivedAgain, Refused
from gateway.model import Locator, RepeatPolicy, Source, VersionId
from gateway.services.commits import Commits
from gateway.services.ingest.outcomes import CANNOT_UNDERSTAND, Outcome, Rejected, refusal, rejection
from gateway.services.objectkeys import new_version
from gateway.store.base import Found, ObjectStore

# The store id of locators whose keys are places outside of the gateway's own store.
ELSEWHERE = "elsewhere"


class InPlace:
    """Takes instances in by reference."""

    def __init__(
        self,
        store: ObjectStore,
        commits: Commits,
        source: Source,
        *,
        policy: RepeatPolicy = RepeatPolicy.REFUSE,
    ) -> None:
        self._store = store
        self._commits = commits
        self._source = source
        self._policy = policy

    async def take(self, found: Found) -> Outcome:
        """Index one object; return its outcome. Index and journal are durable when this returns."""
        try:
            version = await self._read(found)
            verdict = await self._commits.admit(version)
            if isinstance(verdict, Refused):
                raise refusal(verdict)
        except Rejected as error:
            return Outcome(None, error.failure, error.detail, differing=error.differing)
        except GatewayError as error:
            why = rejection(error)
            return Outcome(None, why.failure, why.detail)
        return Outcome(version.identity, fresh=not isinstance(verdict, ReceivedAgain))

    async def _read(self, found: Found) -> NewVersion:
        id = new_version()
        reader, digest = Part10Reader(version=id), hashlib.sha256()
        async with self._store.read(found.key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
                reader.feed(chunk)
        read = reader.finish()
        if reader.prefix:
            raise Rejected(
                CANNOT_UNDERSTAND, "without preamble and file meta it cannot be served from where it lies"
            )
        return self._version(id, found, read, digest.digest())

    def _version(self, id: str, found: Found, read: ReadInstance, digest: bytes) -> NewVersion:
        metadata, outline = read.place_base()
        return NewVersion(
            version=VersionId(id),
            identity=read.identity,
            transfer_syntax=read.transfer_syntax,
            locator=Locator(ELSEWHERE, found.key, 0, found.length),
            file_digest=digest,
            content_digest=read.content_digest,
            received=time.time_ns() // 1000,
            metadata=metadata,
            outline=outline,
            layout=read.layout,
            source=self._source,
            policy=self._policy,
        )
