"""Services that keep everything in memory, for the tests of the HTTP room alone.

They follow the contracts of gateway/services to the letter of what HTTP relies on; the real ones are driven
over a
real socket in tests/wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.dicom.encoding.layout import InstanceLayout, PixelLayout
from gateway.dicom.query.query import Query
from gateway.errors import NotAcceptable, NotFound, StoreFull
from gateway.http.gate import HttpSettings, Services, build
from gateway.index.base import Described, Page, Scope, StoredInstance
from gateway.model import (
    EXPLICIT_VR_LE,
    Identity,
    InstanceUID,
    Locator,
    ResourcePath,
    SeriesUID,
    Source,
    Span,
    StudyUID,
    VersionId,
)
from gateway.services.bytestream import Body
from gateway.services.ingest.outcomes import Outcome
from gateway.services.retrieve.framebodies import FrameBodies
from gateway.services.retrieve.frames import FrameSelection
from gateway.services.retrieve.layouts import StoredLayout

JLS = "1.2.840.10008.1.2.4.80"
MPEG = "1.2.840.10008.1.2.4.102"
PRIVATE = "1.2.3.4"
# Nine small frames.
PIXELS = PixelLayout(
    tag=0x7FE00010,
    vr="OW",
    offset=0,
    length=63,
    encapsulated=False,
    frames=9,
    declared_frames=9,
    rows=1,
    columns=1,
    samples=1,
    bits_allocated=16,
    bits_stored=16,
    high_bit=15,
    pixel_representation=0,
    photometric="MONOCHROME2",
    planar=0,
    frame_bits=16,
)


async def chunked(data: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), 7):
        yield data[start : start + 7]


def stored(number: int = 1, syntax: str = EXPLICIT_VR_LE, size: int = 20) -> StoredInstance:
    identity = Identity(StudyUID("1.2"), SeriesUID("1.3"), InstanceUID(f"1.4.{number}"), "1.5")
    version = VersionId(f"{number:032x}")
    return StoredInstance(version, identity, syntax, Locator("s", "k", 0, size), b"", b"", 0)


@dataclass
class MemoryIngest:
    """`PART…` is stored, `WARN…` with a warning, anything else fails; `seen` holds what came."""

    seen: list[tuple[bytes, str | None]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    studies: list[str | None] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def session(self, source: Source, *, study: str | None = None) -> MemorySession:
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

    async def take(self, body: AsyncIterator[bytes], *, named_transfer_syntax: str | None = None) -> None:
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


@dataclass
class MemoryRetrieve:
    """`syntaxes` are those of the instances 1.4.1, 1.4.2, …; bytes say what they stand for."""

    syntaxes: list[str] = field(default_factory=lambda: [EXPLICIT_VR_LE])
    encapsulated: bool = False
    decodable: bool = True
    rows: list[bytes] = field(default_factory=lambda: [b'{"00081190":{"vr":"UR","Value":["\0/x"]}}'])
    bulk_type: str = "application/octet-stream"
    opened: list[tuple[str, str | None]] = field(default_factory=list)

    async def version_set(self, scope: Scope, path: ResourcePath) -> str:
        return "versions"

    async def instances(self, scope: Scope, path: ResourcePath) -> list[StoredInstance]:
        if path.study != "1.2":
            raise NotFound("no such study")
        every = [stored(n, syntax) for n, syntax in enumerate(self.syntaxes, 1)]
        return [one for one in every if path.instance in (None, one.identity.instance)]

    async def sound(self, scope: Scope, path: ResourcePath) -> tuple[list[StoredInstance], int]:
        return await self.instances(scope, path), 0

    async def is_short(self, scope: Scope, made: list[StoredInstance]) -> bool:
        return False

    async def instance_bytes(
        self, scope: Scope, one: StoredInstance, target: str | None, span: Span | None = None
    ) -> Body:
        self.opened.append((one.identity.instance, target))
        data = (
            f"{one.identity.instance} as {target}" if target else "stored" + one.identity.instance
        ).encode()
        data = data.ljust(one.locator.length, b".") if target is None else data
        return Body("application/dicom", target or one.transfer_syntax, len(data), chunked(data))

    async def metadata(self, scope: Scope, path: ResourcePath) -> list[bytes]:
        return self.rows

    async def describe(self, scope: Scope, path: ResourcePath, version_set: str) -> Described:
        return Described(version_set, [], self.rows)

    async def find_layout(self, scope: Scope, one: StoredInstance) -> StoredLayout:
        return await self.locate(scope, one.identity.path)

    async def locate(self, scope: Scope, path: ResourcePath) -> StoredLayout:
        number = int((path.instance or "1.4.1").split(".")[-1])
        syntax = self.syntaxes[number - 1] if number <= len(self.syntaxes) else EXPLICIT_VR_LE
        syntax = JLS if self.encapsulated else syntax
        pixels = replace(PIXELS, encapsulated=syntax != EXPLICIT_VR_LE)
        layout = InstanceLayout(syntax, False, False, False, 0, 0, pixels, {})
        return StoredLayout(stored(number, syntax), layout)

    async def open_frame(self, selection: FrameSelection, *, target: str | None = None) -> Body:
        return await (await self.open_frames(selection, target=target)).take_only()

    async def open_frames(self, selection: FrameSelection, *, target: str | None = None) -> FrameBodies:
        decoded = target == EXPLICIT_VR_LE and self.encapsulated
        if decoded and not self.decodable:
            raise NotAcceptable("cannot be decoded here")
        kind = b"native" if decoded or not self.encapsulated else b"stored"
        if target not in (None, EXPLICIT_VR_LE):
            kind = b"coding"

        async def bodies() -> AsyncGenerator[Body, None]:
            for number in selection.numbers:
                yield Body("", None, 7, chunked(b"%s%d" % (kind, number)))

        return FrameBodies("", [7] * len(selection.numbers), bodies())

    async def kind(self, located: StoredLayout, bulk_path: str) -> tuple[str, str | None]:
        return self.bulk_type, EXPLICIT_VR_LE if bulk_path == "7FE00010" else None

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


@dataclass
class Rooms:
    ingest: MemoryIngest = field(default_factory=MemoryIngest)
    retrieve: MemoryRetrieve = field(default_factory=MemoryRetrieve)
    search: MemorySearch = field(default_factory=MemorySearch)
    remove: MemoryRemove = field(default_factory=MemoryRemove)
    readiness: MemoryReadiness = field(default_factory=MemoryReadiness)

    def application(self, settings: HttpSettings | None = None) -> Any:
        services = Services()
        services.bind(ingest=self.ingest, retrieve=self.retrieve, search=self.search, remove=self.remove)  # type: ignore[arg-type]
        services.readiness = self.readiness  # type: ignore[assignment]
        return build(services, settings or HttpSettings())
