"""Objects in an S3 bucket, below a prefix.

`obstore` moves the bytes. The first put shows whether the server honours `If-None-Match: *`: where it does
not (rclone), a HEAD comes before each put, which is enough for keys that hold a fresh UUID. Multipart uploads
have no condition that all servers know, so the HEAD comes before them everywhere. Where a ranged GET is
answered by 200 and Content-Range (rclone again), `minio` reads in a thread.

Each put marks its object (x-amz-meta-put), so that a put whose answer was lost can recognise its own object.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import obstore
from obstore.store import S3Store as Bucket

from gateway.errors import ObjectExists, ObjectMissing, ShortRead, StoreError, StoreUnavailable
from gateway.model import Span
from gateway.store.base import KEY, Stored
from gateway.store.s3_calls import RAISED, Blocking, NotPartial, failure, retry
from gateway.store.s3_upload import PART, Upload, pieces

R = TypeVar("R")
READ = 1 << 20
SECONDS = 30.0
# The largest object that one request of S3 copies, in bytes.
MOST_COPIED = 5 << 30


class S3Store:
    """A store in a bucket.

    `endpoint` is a URL such as http://127.0.0.1:9000, None for AWS; `seconds` bounds each request.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        access: str,
        secret: str,
        region: str,
        token: str | None = None,
        id: str = "s3",
        seconds: float = SECONDS,
    ) -> None:
        self.id = id
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._seconds = seconds
        where: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        where |= {"session_token": token} if token else {}

        def open_bucket(retries: int) -> Bucket:
            return Bucket(
                bucket,
                access_key_id=access,
                secret_access_key=secret,
                region=region,
                virtual_hosted_style_request=endpoint is None,
                client_options={"allow_http": True, "timeout": timedelta(seconds=seconds)},
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=seconds)},
                **where,
            )

        # A list is many requests in one call: only obstore itself can try one of them again.
        self._bucket, self._listing = open_bucket(0), open_bucket(3)
        self._blocking = Blocking(
            bucket,
            endpoint=endpoint,
            access=access,
            secret=secret,
            region=region,
            token=token,
            seconds=seconds,
        )
        self._conditional: bool | None = None
        self._learning = asyncio.Lock()
        self._ranged = True
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._undoing: set[asyncio.Task[None]] = set()

    # -- writing ----------------------------------------------------------------------------------------

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """Write a new object (see the port). A body below 8 MiB is one request, once the server is known."""
        path = self._path(key)
        held = bytearray()
        async for chunk in body:
            held += chunk
            if len(held) >= PART:
                async with self._turn(key):
                    return await self._put_parts(key, path, held, body)
        data = bytes(held)
        mark = uuid.uuid4().hex
        creating = asyncio.create_task(self._put_single(key, path, data, mark))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The request is on its way: its outcome has to be known before it can be undone.
            await self._undo(self._remove_created(creating, path))
            raise

    async def _put_single(self, key: str, path: str, data: bytes, mark: str) -> Stored:
        if self._conditional is None:
            async with self._learning:
                if self._conditional is None:
                    return await self._put_learning(key, path, data, mark)
        if self._conditional:
            return await self._create(key, path, data, mark)
        async with self._turn(key):
            await self._must_be_absent(key, path)
            return await self._create(key, path, data, mark)

    async def _put_learning(self, key: str, path: str, data: bytes, mark: str) -> Stored:
        """Put an absent object twice: a server that honours conditions refuses the second, equal put."""
        await self._must_be_absent(key, path)
        stored = await self._create(key, path, data, mark)
        try:
            await self.request(lambda: self._send(path, data, mark), key)
            self._conditional = False
        except ObjectExists:
            self._conditional = True
        except StoreError:
            pass  # the object was written; the next put tries again to learn
        return stored

    async def _create(self, key: str, path: str, data: bytes, mark: str) -> Stored:
        try:
            await self.request(lambda: self._send(path, data, mark), key)
        except ObjectExists:
            if not await self.is_marked(key, path, mark):
                raise
        except ObjectMissing as error:
            raise StoreUnavailable("the object store has no such bucket: make it, or name another") from error
        return Stored(key, len(data), time.time())

    def _send(self, path: str, data: bytes, mark: str) -> Awaitable[Any]:
        return obstore.put_async(
            self._bucket, path, data, mode="create", use_multipart=False, attributes={"put": mark}
        )

    async def _remove_created(self, creating: asyncio.Task[Stored], path: str) -> None:
        await asyncio.wait({creating})
        if not creating.cancelled() and creating.exception() is None:
            await self.request(lambda: obstore.delete_async(self._bucket, path), path)

    async def _put_parts(self, key: str, path: str, first: bytearray, rest: AsyncIterator[bytes]) -> Stored:
        """Write the object in parts, as they come; an upload that fails is removed whole."""
        await self._must_be_absent(key, path)
        upload = Upload(self._blocking, self, key, path)
        try:
            async for data in pieces(first, rest):
                await upload.send(data)
            await upload.complete()
        except BaseException:
            await self._undo(upload.revoke())
            raise
        return Stored(key, upload.length, time.time())

    def _turn(self, key: str) -> asyncio.Lock:
        """Return the lock of a key.

        Where the server has no conditions, this process makes its puts of one key one after another.
        """
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock

    async def _must_be_absent(self, key: str, path: str) -> None:
        with suppress(ObjectMissing):
            await self.request(lambda: obstore.head_async(self._bucket, path), key)
            raise ObjectExists(f"object {key} is there already")

    async def is_marked(self, key: str, path: str, mark: str) -> bool:
        try:
            found = await self.request(
                lambda: obstore.get_async(self._bucket, path, options={"head": True}), key
            )
        except ObjectMissing:
            return False
        return found.attributes.get("put") == mark

    async def delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(ObjectMissing):
            await self.request(lambda: obstore.delete_async(self._bucket, path), key)

    # -- reading ----------------------------------------------------------------------------------------

    def read_now(self, key: str, span: Span) -> bytes | None:
        return None

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        if span is None or len(span) == 0:
            # An empty span has no byte to read: only the length shows whether the object and the span exist.
            length = (await self.stat(key)).length
            start, stop = (0, length) if span is None else (span.start, span.stop)
            if stop > length:
                raise ShortRead(f"object {key} has {length} bytes, asked up to {stop}")
        else:
            start, stop = span.start, span.stop
        first = await self._range(key, start, min(stop, start + READ)) if stop > start else b""
        chunks = self._chunks(key, first, start + len(first), stop)
        try:
            yield chunks
        finally:
            await chunks.aclose()

    async def _chunks(self, key: str, first: bytes, at: int, stop: int) -> AsyncGenerator[bytes, None]:
        if first:
            yield first
        while at < stop:
            data = await self._range(key, at, min(stop, at + PART))
            yield data
            at += len(data)

    async def _range(self, key: str, start: int, stop: int) -> bytes:
        """Return exactly these bytes. Raises ObjectMissing, ShortRead."""
        path = self._path(key)
        data: bytes | None = None
        if self._ranged:
            try:
                data = bytes(
                    await self.request(
                        lambda: obstore.get_range_async(self._bucket, path, start=start, end=stop), key
                    )
                )
            except NotPartial:
                self._ranged = False
        if data is None:
            data = await self.request(lambda: self._blocking.range(path, start, stop), key)
        if len(data) != stop - start:
            raise ShortRead(f"object {key}: asked bytes {start} to {stop}, got {len(data)}")
        return data

    async def stat(self, key: str) -> Stored:
        path = self._path(key)
        try:
            found = await self.request(lambda: obstore.head_async(self._bucket, path), key)
        except ObjectMissing:
            # A HEAD has no body to say that the bucket itself is missing; that must not look
            # like a lost object.
            with suppress(NotPartial):
                await self.request(lambda: obstore.get_range_async(self._bucket, path, start=0, end=1), key)
            raise
        return Stored(key, found["size"], found["last_modified"].timestamp())

    async def move(self, key: str, to: str) -> None:
        """Copy the object within the store, compare the lengths, then delete the old one."""
        source, target = self._path(key), self._path(to)
        try:
            found = await self.stat(key)
        except ObjectMissing:
            await self.stat(to)  # an earlier try has moved it
            return
        with suppress(ObjectMissing):
            if not await self._alike(source, target, to):
                raise ObjectExists(f"object {to} is there already, and is another")
            await self.delete(key)
            return
        await self._copy(found, source, to, target)
        await self.delete(key)

    async def _copy(self, found: Stored, source: str, to: str, target: str) -> None:
        if found.length > MOST_COPIED:
            async with self.read(found.key) as chunks:
                await self.put(to, chunks)
        else:
            await self.request(lambda: obstore.copy_async(self._bucket, source, target), found.key)
        there = await self.stat(to)
        if there.length != found.length:
            raise StoreUnavailable(f"the object store copied {there.length} of {found.length} bytes")

    async def _alike(self, source: str, target: str, to: str) -> bool:
        """Return whether two objects are equal, by length and entity tag.

        The tag of an object put in parts (with a dash) says nothing about its bytes: then
        the length decides alone.
        """
        left = await self.request(lambda: obstore.head_async(self._bucket, source), source)
        right = await self.request(lambda: obstore.head_async(self._bucket, target), to)
        tags = left.get("e_tag") or "-", right.get("e_tag") or "-"
        return left["size"] == right["size"] and ("-" in "".join(tags) or tags[0] == tags[1])

    async def tidy(self, before: float) -> int:
        """Abort uploads in parts that were never completed: the server keeps and bills them for ever."""
        with suppress(ObjectMissing):  # rclone answers so for a bucket that never had an upload
            return await self.request(lambda: self._blocking.abort_begun_before(self._prefix, before), "")
        return 0

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stored]:
        # obstore's prefix ends at a slash; the rest behind the last one is compared here.
        folder = self._prefix + prefix.rpartition("/")[0]
        try:
            offset = self._prefix + after if after else None
            async for page in obstore.list(self._listing, folder or None, offset=offset):
                for found in sorted(page, key=lambda f: f["path"].encode()):
                    key = found["path"].removeprefix(self._prefix)
                    if key.startswith(prefix) and key > after:
                        yield Stored(key, found["size"], found["last_modified"].timestamp())
        except RAISED as error:
            meant = failure(error, prefix)
            if isinstance(meant, StoreUnavailable):
                raise meant from error
            raise StoreUnavailable("the object store does not answer") from error

    async def close(self) -> None:
        if self._undoing:
            await asyncio.wait(set(self._undoing))
        await self._blocking.close()

    # -- helpers ----------------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        if not KEY.match(key):
            raise StoreError(f"'{key}' is no object key")
        return self._prefix + key

    async def request(self, work: Callable[[], Awaitable[R]], key: str) -> R:
        return await retry(work, key, self._seconds)

    async def _undo(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` to its end, even when cancelled again; its failure does not hide the first exception."""

        async def run() -> None:
            with suppress(StoreError):
                await work

        task = asyncio.create_task(run())
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)
        await asyncio.shield(task)
