"""Services that keep everything in memory, for the tests of the HTTP room alone.

They fit the ports of gateway/http/ports.py, which mypy holds, and follow the contracts of gateway/services to the letter
of what HTTP relies on; the real ones are driven over a real socket in tests/wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gateway.asgi import make_handlers
from gateway.dicom import uids
from gateway.dicom.encoding.layout import InstanceLayout, PixelLayout
from gateway.dicom.query.declaredkeys import Definition
from gateway.dicom.query.query import Path, Query
from gateway.errors import NotAcceptable, NotFound, StoreFull
from gateway.http.api.health import Ready
from gateway.http.api.keys import ApiKeys
from gateway.http.gate import Gate
from gateway.http.settings import HttpSettings
from gateway.http.studies.bulk import StudiesBulk
from gateway.http.studies.remove import StudiesRemove
from gateway.http.studies.retrieve import StudiesRetrieve
from gateway.http.studies.search import StudiesSearch
from gateway.http.studies.store import StudiesStore
from gateway.index.base import DescribedMetadata, ExtraKey, KeyFailure, Page, Scope, StoredInstance
from gateway.model import (
    Identity,
    InstanceUID,
    Locator,
    ResourcePath,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)
from gateway.services.bytestream import Body
from gateway.services.counters import Counters
from gateway.services.ingest.assemble import Assembled
from gateway.services.ingest.bulkparts import Bulk
from gateway.services.ingest.outcomes import NOTHING_BEFORE, Outcome, Provenance
from gateway.services.ingest.policy import Rule
from gateway.services.retrieve.framebodies import FrameBodies
from gateway.services.retrieve.frames import FrameSelection
from gateway.services.retrieve.layouts import StoredLayout
from tests import build

JLS = "1.2.840.10008.1.2.4.80"
MPEG = "1.2.840.10008.1.2.4.102"
PRIVATE = "1.2.3.4"


async def chunked(data: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), 7):
        yield data[start : start + 7]


def stored(number: int = 1, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN, size: int = 20) -> StoredInstance:
    identity = Identity(StudyUID("1.2"), SeriesUID("1.3"), InstanceUID(f"1.4.{number}"), "1.5")
    version = VersionId(f"{number:032x}")
    return StoredInstance(version, identity, syntax, Locator("s", "k", 0, size), b"", b"", 0)


def layout(syntax: str, pixels: PixelLayout | None) -> InstanceLayout:
    return InstanceLayout(
        transfer_syntax=syntax,
        implicit=False,
        big_endian=False,
        inflated=False,
        dataset_offset=0,
        length=20,
        pixels=pixels,
        bulk={},
    )


def pixels(*, encapsulated: bool) -> PixelLayout:
    """Nine frames of 7 bytes."""
    return build.pixel_layout(
        length=63,
        encapsulated=encapsulated,
        frames=9,
        declared_frames=9,
        rows=1,
        columns=7,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        frame_bits=56,
    )


@dataclass
class MemoryIngest:
    """`PART…` is stored, `WARN…` with a warning, anything else fails; `seen` holds what came."""

    seen: list[tuple[bytes, str | None]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    studies: list[str | None] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def session(self, source: Source, *, study: str | None = None, rule: Rule | None = None) -> MemorySession:
        self.sources.append(source)
        self.studies.append(study)
        return MemorySession(self)

    async def watch_body(self, body: AsyncIterator[bytes], peer: str) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            yield chunk


class MemorySession:
    def __init__(self, ingest: MemoryIngest) -> None:
        self._ingest = ingest
        self._outcomes: list[Outcome] = []

    async def take(
        self,
        body: AsyncIterator[bytes],
        *,
        named_transfer_syntax: str | None = None,
        before: Provenance = NOTHING_BEFORE,
    ) -> None:
        data = b"".join([chunk async for chunk in body])
        self._ingest.seen.append((data, named_transfer_syntax))
        self._ingest.taken.set()
        identity = stored(len(self._ingest.seen)).identity
        if data.startswith(b"WARN"):
            self._outcomes.append(Outcome(identity, warnings=(0xB007,), warning_details=("odd",)))
        elif data.startswith(b"PART"):
            self._outcomes.append(Outcome(identity))
        else:
            self._outcomes.append(Outcome(None, 0xC000, "not DICOM"))

    async def finish(self) -> list[Outcome]:
        self._ingest.over.set()
        return self._outcomes


class MemoryAssemble:
    """Puts nothing together: what is stored from metadata is asked of the real one, in tests/wire."""

    async def instance(self, model: dict[str, Any], bulk: Bulk) -> Assembled:
        raise AssertionError("no test of HTTP alone stores metadata")


@dataclass
class MemoryRetrieve:
    """`syntaxes` are those of the instances 1.4.1, 1.4.2, …; bytes say what they stand for."""

    syntaxes: list[str] = field(default_factory=lambda: [uids.EXPLICIT_VR_LITTLE_ENDIAN])
    encapsulated: bool = False
    decodable: bool = True
    rows: list[bytes] = field(default_factory=lambda: [b'{"00081190":{"vr":"UR","Value":["\0/x"]}}'])
    bulk_type: str = "application/octet-stream"
    opened: list[tuple[str, str | None]] = field(default_factory=list)

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        return "versions"

    async def sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        if path.study != "1.2":
            raise NotFound("no such study")
        every = [stored(n, syntax) for n, syntax in enumerate(self.syntaxes, 1)]
        return [one for one in every if path.instance in (None, one.identity.instance)], 0

    async def is_short(self, scope: Scope, made: Sequence[StoredInstance]) -> bool:
        return False

    async def instance_bytes(self, scope: Scope, stored: StoredInstance, target: str | None) -> Body:
        instance = stored.identity.instance
        self.opened.append((instance, target))
        data = (f"{instance} as {target}" if target else "stored" + instance).encode()
        data = data.ljust(stored.locator.length, b".") if target is None else data
        return Body("application/dicom", target or stored.transfer_syntax, len(data), chunked(data))

    async def describe(
        self, scope: Scope, path: ResourcePath, version_set: str | None = None
    ) -> DescribedMetadata:
        return DescribedMetadata(version_set or "versions", [], self.rows)

    async def pages(self, scope: Scope, versions: Sequence[VersionId]) -> AsyncGenerator[list[bytes], None]:
        yield self.rows

    async def find_layout(self, scope: Scope, stored: StoredInstance) -> StoredLayout:
        return await self.locate(scope, stored.identity.path)

    async def locate(self, scope: Scope, path: ResourcePath) -> StoredLayout:
        number = int((path.instance or "1.4.1").split(".")[-1])
        syntax = self.syntaxes[number - 1] if number <= len(self.syntaxes) else uids.EXPLICIT_VR_LITTLE_ENDIAN
        syntax = JLS if self.encapsulated else syntax
        framed = pixels(encapsulated=syntax != uids.EXPLICIT_VR_LITTLE_ENDIAN)
        return StoredLayout(stored(number, syntax), layout(syntax, framed))

    async def open_frame(self, selection: FrameSelection, *, target: str | None = None) -> Body:
        return await (await self.open_frames(selection, target=target)).take_only()

    async def open_frames(self, selection: FrameSelection, *, target: str | None = None) -> FrameBodies:
        decoded = target == uids.EXPLICIT_VR_LITTLE_ENDIAN and self.encapsulated
        if decoded and not self.decodable:
            raise NotAcceptable("cannot be decoded here")
        kind = b"native" if decoded or not self.encapsulated else b"stored"
        if target not in (None, uids.EXPLICIT_VR_LITTLE_ENDIAN):
            kind = b"coding"

        async def bodies() -> AsyncGenerator[Body, None]:
            for number in selection.numbers:
                yield Body("", None, 7, chunked(b"%s%d" % (kind, number)))

        return FrameBodies("", [7] * len(selection.numbers), bodies())

    async def kind(self, located: StoredLayout, bulk_path: str) -> tuple[str, str | None]:
        return self.bulk_type, uids.EXPLICIT_VR_LITTLE_ENDIAN if bulk_path == "7FE00010" else None

    async def value(self, scope: Scope, located: StoredLayout, bulk_path: str) -> Body:
        data = b"bulk " + bulk_path.encode()
        return Body(self.bulk_type, None, len(data), chunked(data))


@dataclass
class MemorySearch:
    page: Page = field(default_factory=lambda: Page([]))
    asked: list[Query] = field(default_factory=list)

    async def search(self, scope: Scope, query: Query) -> Page:
        self.asked.append(query)
        return self.page

    async def pages(self, scope: Scope, query: Query, page: Page) -> AsyncGenerator[Sequence[bytes], None]:
        """A row for each place of `rest`."""
        yield page.rows
        for place in page.rest:
            yield [page.rows[0].replace(b'"1.2"', b'"1.%d"' % place.study)]

    async def vrs(self) -> Mapping[Path, str]:
        return {}


class MemoryArchive:
    async def stream_zip(
        self, scope: Scope, stored: Sequence[StoredInstance], uid: str
    ) -> AsyncGenerator[bytes, None]:
        yield b"zip of %d" % len(stored)


class MemoryKeys:
    """No key was declared, and none is."""

    async def all(self) -> list[ExtraKey]:
        return []

    async def one(self, id: int) -> ExtraKey:
        raise NotFound("no such key")

    async def declare(self, definition: Definition, source: Source) -> tuple[ExtraKey, bool]:
        raise NotFound("no such key")

    async def drop(self, id: int, source: Source) -> None:
        raise NotFound("no such key")

    async def failures(self, id: int, after: str, limit: int) -> list[KeyFailure]:
        raise NotFound("no such key")


@dataclass
class MemoryRemove:
    removed: list[ResourcePath] = field(default_factory=list)

    async def remove(self, scope: Scope, path: ResourcePath, source: Source, reason: str = "") -> None:
        if path.study != "1.2":
            raise NotFound("no such study")
        self.removed.append(path)


@dataclass
class MemoryReadiness:
    """`free`: bytes there is room for."""

    free: int = 1 << 40

    async def check(self, scope: Scope) -> None: ...

    async def check_room(self, wanted: int = 0) -> None:
        if wanted > self.free:
            raise StoreFull("no room")


class Unreached:
    """Stands for a service that must not be used."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"{name} of a service was reached")


class UnreachedGateway:
    """A gateway none of whose services must be used."""

    def __getattr__(self, name: str) -> Unreached:
        return Unreached()


def make_unserved_handlers(settings: HttpSettings) -> tuple[object, ...]:
    """All handlers, over services that must not be used."""
    gateway: Any = UnreachedGateway()
    return make_handlers(gateway, settings)


def make_unserved_gate(settings: HttpSettings) -> Gate:
    """What answers as long as no service is needed; one that is reached is a 500."""
    return Gate(make_unserved_handlers(settings), settings, Counters())


@dataclass
class Rooms:
    ingest: MemoryIngest = field(default_factory=MemoryIngest)
    retrieve: MemoryRetrieve = field(default_factory=MemoryRetrieve)
    search: MemorySearch = field(default_factory=MemorySearch)
    remove: MemoryRemove = field(default_factory=MemoryRemove)
    readiness: MemoryReadiness = field(default_factory=MemoryReadiness)
    keys: MemoryKeys = field(default_factory=MemoryKeys)

    def application(self, settings: HttpSettings | None = None) -> Gate:
        settings = settings or HttpSettings()
        handlers = (
            *make_unserved_handlers(settings),  # of which these take the place
            ApiKeys(self.keys),
            Ready(self.readiness),
            StudiesBulk(self.retrieve),
            StudiesRemove(self.remove),
            StudiesRetrieve(self.retrieve, MemoryArchive()),
            StudiesSearch(self.search, settings.limits),
            StudiesStore(self.ingest, MemoryAssemble(), self.readiness, max_body=settings.max_body),
        )
        return Gate(handlers, settings, Counters())
