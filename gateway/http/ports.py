"""Protocols of the services that handlers are tested without, with the methods that handlers use.

The classes in gateway/services conform to them, which mypy checks where asgi.py puts both together; so
do those in tests/http/fakes.py. Rendering and de-identification are always used as they are, and need
no protocol.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from gateway.dicom.query.declaredkeys import Definition
from gateway.dicom.query.query import Path, Query
from gateway.index.base import (
    DescribedMetadata,
    ExtraKey,
    KeyFailure,
    Page,
    Scope,
    StoredInstance,
)
from gateway.model import ResourcePath, Source, VersionId
from gateway.services.bytestream import Body
from gateway.services.ingest.assemble import Assembled
from gateway.services.ingest.bulkparts import Bulk
from gateway.services.ingest.outcomes import NOTHING_BEFORE, Outcome, Provenance
from gateway.services.ingest.policy import Rule
from gateway.services.retrieve.framebodies import FrameBodies
from gateway.services.retrieve.frames import FrameSelection
from gateway.services.retrieve.layouts import StoredLayout


class SessionPort(Protocol):
    """Instances of one request, in order; see `IngestSession`."""

    async def take(
        self,
        body: AsyncIterator[bytes],
        *,
        named_transfer_syntax: str | None = None,
        before: Provenance = NOTHING_BEFORE,
    ) -> None: ...

    async def finish(self) -> list[Outcome]: ...


class IngestPort(Protocol):
    """Takes instances in; see `Ingest`."""

    def session(
        self, source: Source, *, study: str | None = None, rule: Rule | None = None
    ) -> SessionPort: ...

    def watch_body(self, body: AsyncIterator[bytes], peer: str) -> AsyncGenerator[bytes, None]: ...


class AssemblePort(Protocol):
    """Puts instances together from metadata and bulk data; see `Assemble`."""

    async def instance(self, model: dict[str, Any], bulk: Bulk) -> Assembled: ...


class RetrievePort(Protocol):
    """Gives instances, metadata, frames and values; see `Retrieve`."""

    async def version_set(self, scope: Scope, path: ResourcePath) -> str: ...

    async def sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]: ...

    async def describe(
        self, scope: Scope, path: ResourcePath, version_set: str | None = None
    ) -> DescribedMetadata: ...

    def pages(self, scope: Scope, versions: Sequence[VersionId]) -> AsyncGenerator[list[bytes], None]: ...

    async def find_layout(self, scope: Scope, stored: StoredInstance) -> StoredLayout: ...

    async def locate(self, scope: Scope, path: ResourcePath) -> StoredLayout: ...

    async def open_frame(self, selection: FrameSelection, *, target: str | None = None) -> Body: ...

    async def open_frames(self, selection: FrameSelection, *, target: str | None = None) -> FrameBodies: ...

    async def instance_bytes(self, scope: Scope, stored: StoredInstance, target: str | None) -> Body: ...

    async def is_short(self, scope: Scope, made: Sequence[StoredInstance]) -> bool: ...

    async def kind(self, located: StoredLayout, bulk_path: str) -> tuple[str, str | None]: ...

    async def value(self, scope: Scope, located: StoredLayout, bulk_path: str) -> Body: ...


class ZipFilesPort(Protocol):
    """Packs instances as a zip file; see `ZipFiles`."""

    def stream_zip(
        self, scope: Scope, stored: Sequence[StoredInstance], uid: str
    ) -> AsyncGenerator[bytes, None]: ...


class SearchPort(Protocol):
    """Finds the matches of a query; see `Search`."""

    async def search(self, scope: Scope, query: Query) -> Page: ...

    def pages(self, scope: Scope, query: Query, page: Page) -> AsyncGenerator[Sequence[bytes], None]: ...

    async def vrs(self) -> Mapping[Path, str]: ...


class RemovePort(Protocol):
    """Deletes; see `Remove`."""

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> object: ...


class KeysPort(Protocol):
    """Query keys beyond the built-in ones; see `QueryKeys`."""

    async def all(self) -> list[ExtraKey]: ...

    async def declare(self, definition: Definition, source: Source) -> tuple[ExtraKey, bool]: ...

    async def one(self, id: int) -> ExtraKey: ...

    async def drop(self, id: int, source: Source) -> None: ...

    async def failures(self, id: int, after: str, limit: int) -> list[KeyFailure]: ...


class ReadinessPort(Protocol):
    """Checks whether store and index can be used now; see `Readiness`."""

    async def check(self, scope: Scope) -> None: ...

    async def check_room(self, wanted: int = 0) -> None: ...
