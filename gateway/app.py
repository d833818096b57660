"""The one place where settings, drivers and services meet; asgi.py puts HTTP over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from gateway.dicom.query import declaredkeys
from gateway.errors import BadParameter, IndexUnavailable
from gateway.extras import Extra, require_for_setting
from gateway.index.base import Index
from gateway.model import RepeatPolicy
from gateway.render.pool import CodecPool
from gateway.services.admin.quarantine import Quarantine
from gateway.services.admin.querykeys import QueryKeys
from gateway.services.admin.reclaim import Reclaim
from gateway.services.admin.remove import Remove
from gateway.services.admin.sweep import Sweeper
from gateway.services.commits import Commits
from gateway.services.counters import Counters
from gateway.services.deidentify.anonymize import Anonymize, KeyFile
from gateway.services.freshness import Freshness
from gateway.services.ingest.assemble import Assemble
from gateway.services.ingest.ingest import Ingest
from gateway.services.ingest.policy import Policies
from gateway.services.ingest.slots import Slots
from gateway.services.journal.journal import Journal
from gateway.services.journal.segments import Segments
from gateway.services.readiness import Readiness
from gateway.services.recovery.startup import Startup
from gateway.services.render.documents import Documents
from gateway.services.render.presentationstates import States
from gateway.services.render.rendered import Rendered
from gateway.services.render.thumbnail import Thumbnails
from gateway.services.retrieve.obtainable import find_obstacle
from gateway.services.retrieve.retrieve import Retrieve
from gateway.services.retrieve.zipfiles import ZipFiles
from gateway.services.search import Search
from gateway.settings import Settings
from gateway.store.base import ObjectStore, Place
from gateway.store.inplace import WithPlaces
from gateway.store.open import open_place, open_store


async def open_index(url: str, *, search_seconds: float = 10.0) -> Index:
    """Open the driver for this URL: sqlite:///file or postgresql://….

    Raises IndexUnavailable, BadParameter.
    """
    if url.startswith("sqlite://"):
        from gateway.index.sqlite import SqliteIndex

        path = Path(url.removeprefix("sqlite://"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexUnavailable("the index's folder cannot be made") from error
        return await SqliteIndex.open(path, search_seconds=search_seconds)
    if url.startswith(("postgresql://", "postgres://")):
        require_for_setting(Extra.POSTGRES, "an index in postgresql://", parameter="index")
        from gateway.index.postgres import PostgresIndex

        return await PostgresIndex.open(url, search_seconds=search_seconds)
    raise BadParameter("index URL: want sqlite:///… or postgresql://…", parameter="index")


def _check_video_encoder(name: str) -> None:
    """Raise BadParameter where the encoder that the setting names is not at hand."""
    if not name:
        return
    require_for_setting(Extra.VIDEO, f"video_encoder '{name}'", parameter="video_encoder")
    from gateway.render.output.video import choose_encoder

    choose_encoder(name)


class Gateway:
    """The drivers and services of one process."""

    def __init__(
        self, settings: Settings, store: ObjectStore, index: Index, *, counters: Counters | None = None
    ) -> None:
        self.settings = settings
        self.store = store
        self.index = index
        self.journal = Journal(store)
        self.freshness = Freshness(index)
        self.commits = Commits(index, self.journal, self.freshness)
        self.policies = Policies.from_json(settings.store_rules, RepeatPolicy(settings.policy))
        self.ingest = Ingest(
            store, self.commits, policies=self.policies, slots=Slots(seats=settings.max_uploads)
        )
        self.pool = CodecPool()
        self.counters = counters or Counters()
        self.retrieve = Retrieve(
            store, index, self.freshness, self.pool, self.counters, verify=settings.verify_transcoding
        )
        self.search = Search(index, find_obstacle)
        self.assemble = Assemble(self.pool)
        self.zip_files = ZipFiles(self.retrieve, self.pool)
        self.rendered = Rendered(
            self.retrieve, self.freshness, self.pool, video_encoder=settings.video_encoder
        )
        key = KeyFile(settings.deidentification_key_file, make=settings.makes_deidentification_key)
        self.anonymous = Anonymize(self.retrieve, self.freshness, self.pool, key)
        self.documents = Documents(self.retrieve, self.rendered, self.pool)
        self.states = States(self.rendered)
        self.thumbnails = Thumbnails(self.retrieve, self.rendered, self.pool)
        self.remove = Remove(index, self.commits)
        self.quarantine = Quarantine(store, index, self.ingest, self.remove, self.policies.default)
        self.readiness = Readiness(store, index, settings.folders, settings.min_free << 20)
        self.segments = Segments(store, self.journal, index)
        self.reclaim = Reclaim(store, index, self.commits)
        self.keys = QueryKeys(index, self.commits)
        self.sweeper = Sweeper(store, index, self.journal, self.counters, undo_seconds=settings.undo_seconds)

    @classmethod
    async def open(
        cls, settings: Settings, *, check: bool = True, counters: Counters | None = None
    ) -> Gateway:
        """Open the drivers.

        The embedded index migrates itself; PostgreSQL must have been migrated before (MigrationNeeded).
        """
        Policies.from_json(settings.store_rules, RepeatPolicy(settings.policy))
        for text in settings.query_keys:
            declaredkeys.parse_definition(text)  # said before anything is opened
        _check_video_encoder(settings.video_encoder)
        endpoint = settings.s3_endpoint or None
        store = WithPlaces(
            open_store(settings.store_url, endpoint=endpoint), partial(open_place, endpoint=endpoint)
        )
        index = await open_index(settings.index_url, search_seconds=settings.search_seconds)
        if settings.index_url.startswith("sqlite://"):
            await index.migrate()
        elif check:
            await index.check_schema()
        return cls(settings, store, index, counters=counters)

    @asynccontextmanager
    async def place(self, url: str) -> AsyncIterator[Place]:
        """Open a folder or bucket with objects to index in place. Raises BadParameter."""
        place = open_place(url, endpoint=self.settings.s3_endpoint or None)
        try:
            yield place
        finally:
            await place.close()

    async def compare(
        self, *, rebuild: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Check that objects, journal and index belong to one archive, and that both know the same changes.

        Changes that the index lacks are replayed on the embedded default, and with `rebuild`. Raises
        ForeignArchive, IndexBehind, JournalDamaged.
        """
        is_embedded = self.settings.index_url.startswith("sqlite://")
        startup = Startup(self.store, self.index, self.journal)
        await startup.run(may_replay=is_embedded or rebuild, progress=progress)

    async def start(self, *, follow: bool = True) -> None:
        """Compare objects, journal and index, then take work. Raises ForeignArchive, IndexBehind."""
        await self.compare()
        self.commits.start()
        if follow:
            self.freshness.start()
            await self.keys.configure(self.settings.query_keys)
            self.keys.start()
            self.sweeper.start()
            self.reclaim.start(self.settings.undo_seconds)
            self.segments.start()

    async def close(self) -> None:
        """Close each part in order, even where others raise; raises the last of these exceptions."""
        async with AsyncExitStack() as last_first:
            for part in (self.store, self.index):
                last_first.push_async_callback(part.close)
            for own in (self.pool, self.zip_files, self.rendered):
                last_first.callback(own.close)
            for service in (self.retrieve, self.freshness, self.ingest, self.commits):
                last_first.push_async_callback(service.close)
            for loop in (self.reclaim, self.keys, self.segments, self.sweeper):
                last_first.push_async_callback(loop.close)
