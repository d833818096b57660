"""Retrieve instances, metadata, frames and bulk data, without HTTP (PS3.18 10.4).

Each request takes an index row (cached), spans of bytes, and ranged reads of the object.
"""

from __future__ import annotations

from gateway.index.base import Index
from gateway.render.pool import CodecPool
from gateway.services.counters import Counters
from gateway.services.freshness import Freshness
from gateway.services.inflight import InFlight
from gateway.services.retrieve.bulkdata import BulkData
from gateway.services.retrieve.encodedframes import EncodedFrames
from gateway.services.retrieve.frames import Frames
from gateway.services.retrieve.instancefiles import InstanceFiles
from gateway.services.retrieve.layouts import Layouts
from gateway.services.retrieve.listing import Listing
from gateway.services.retrieve.metadata import Metadata
from gateway.services.retrieve.nativeframes import NativeFrames
from gateway.services.retrieve.objectbytes import ObjectBytes
from gateway.services.retrieve.transcode import Transcode
from gateway.store.base import ObjectStore


class Retrieve:
    """The functions of retrieval. Each attribute is a method of the class that does the work."""

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        freshness: Freshness,
        pool: CodecPool,
        counters: Counters | None = None,
        *,
        verify: bool = True,
        inflight: InFlight | None = None,
    ) -> None:
        self.inflight = inflight or InFlight()
        counters = counters or Counters()
        objects = ObjectBytes(store, self.inflight)
        listing = Listing(index)
        layouts = Layouts(index, freshness)
        metadata = Metadata(index, freshness, self.inflight)
        native = NativeFrames(objects, freshness, pool)
        encoded = EncodedFrames(objects, native, freshness, pool, counters, verify=verify)
        frames = Frames(objects, native, encoded, self.inflight)
        transcode = Transcode(objects, frames, pool, self.inflight)
        files = InstanceFiles(objects, layouts, transcode, pool, counters, verify=verify)
        bulk = BulkData(objects, listing, frames)

        # The instances below a path.
        self.version_set = listing.find_version_set
        self.instances = listing.list_instances
        self.sound = listing.list_sound
        self.list_versions = listing.list_versions
        # Metadata.
        self.describe = metadata.describe
        self.pages = metadata.pages
        self.metadata = metadata.read_all
        self.read_row = listing.read_row
        # Where the values of one instance are.
        self.locate = layouts.locate
        self.find_layout = layouts.find
        # Frames of a `StoredLayout`.
        self.open_frame = frames.open_one
        self.open_frames = frames.open
        self.read_native_frame = native.read_one
        # Instances as files.
        self.instance_bytes = files.open
        self.rewrite = files.open_instead
        self.is_short = files.is_short
        # Values by reference.
        self.kind = bulk.find_kind
        self.value = bulk.open
        self.value_bytes = objects.read_span
        # Wait for the work in the background.
        self.close = layouts.close
