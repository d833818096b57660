"""Objects in an S3 bucket, below a prefix.

`obstore` moves the bytes. Whether the server honours `If-None-Match: *` is tried once: where it does not
(rclone), a HEAD comes before each put, which is enough for keys that hold a fresh UUID. Multipart uploads have
no condition that all servers know, so the HEAD comes before them everywhere. Where a ranged GET is answered by
200 and Content-Range (rclone again), `minio` reads in a thread.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import minio
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store as Bucket

from gateway.errors import ObjectExists, ObjectMissing, ShortRead, StoreError, StoreFull, StoreUnavailable
from gateway.model import Span
from gateway.store.base import KEY, Stored

R = TypeVar("R")
PART = 8 << 20
READ = 1 << 20
TRIES = 4
SECONDS = 30


class S3Store:
    """Credentials and region as obstore and minio are given them; `endpoint` such as http://127.0.0.1:9000."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        access: str,
        secret: str,
        region: str,
        id: str = "s3",
    ) -> None:
        self.id = id
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._bucket_name = bucket
        where: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        self._bucket = Bucket(
            bucket,
            access_key_id=access,
            secret_access_key=secret,
            region=region,
            virtual_hosted_style_request=endpoint is None,
            client_options={"allow_http": True, "timeout": timedelta(seconds=SECONDS)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=SECONDS)},
            **where,
        )
        host = urlsplit(endpoint) if endpoint else None
        self._minio = minio.Minio(
            host.netloc if host else "s3.amazonaws.com",
            access_key=access,
            secret_key=secret,
            region=region,
            secure=host is None or host.scheme == "https",
        )
        self._conditional: bool | None = None
        self._ranged = True
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # -- writing ----------------------------------------------------------------------------------------

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        path = self._path(key)
        held = bytearray()
        async for chunk in body:
            held += chunk
            if len(held) >= PART:
                return await self._put_parts(key, path, bytes(held), body)
        data = bytes(held)
        if not await self._is_conditional():
            async with self._turn(key):
                await self._must_be_absent(key, path)
                return await self._create(key, path, data)
        return await self._create(key, path, data)

    def _turn(self, key: str) -> asyncio.Lock:
        """Puts of one key by this process come one after another where the server has no conditions."""
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock

    async def _create(self, key: str, path: str, data: bytes) -> Stored:
        try:
            await self._tried(
                lambda: obstore.put_async(self._bucket, path, data, mode="create", use_multipart=False)
            )
        except (AlreadyExistsError, FileExistsError) as error:
            raise ObjectExists(f"object {key} is there already") from error
        return Stored(key, len(data), 0.0)

    async def _put_parts(self, key: str, path: str, first: bytes, rest: AsyncIterator[bytes]) -> Stored:
        """Streamed in parts; a body that raises aborts the upload, of which nothing is then seen."""
        await self._must_be_absent(key, path)
        upload = await asyncio.to_thread(self._minio._create_multipart_upload, self._bucket_name, path, {})
        try:
            parts: list[minio.datatypes.Part] = []
            length = 0
            async for data in _pieces(first, rest):
                length += len(data)
                parts.append(await asyncio.to_thread(self._part, path, upload, len(parts) + 1, data))
            await asyncio.to_thread(
                self._minio._complete_multipart_upload, self._bucket_name, path, upload, parts
            )
        except BaseException as error:
            await asyncio.shield(
                asyncio.to_thread(self._minio._abort_multipart_upload, self._bucket_name, path, upload)
            )
            if isinstance(error, minio.error.MinioException):
                raise StoreUnavailable("the object store failed during an upload") from error
            raise
        return Stored(key, length, 0.0)

    def _part(self, path: str, upload: str, number: int, data: bytes) -> minio.datatypes.Part:
        tag = self._minio._upload_part(self._bucket_name, path, data, {}, upload, number)
        return minio.datatypes.Part(number, tag)

    async def _is_conditional(self) -> bool:
        """Whether a second create under the same key is refused; tried once."""
        if self._conditional is None:
            probe = self._path(f"probe/{uuid.uuid4().hex}")
            await self._tried(
                lambda: obstore.put_async(self._bucket, probe, b"", mode="create", use_multipart=False)
            )
            try:
                await self._tried(
                    lambda: obstore.put_async(self._bucket, probe, b"", mode="create", use_multipart=False)
                )
                self._conditional = False
            except (AlreadyExistsError, FileExistsError):
                self._conditional = True
            await self._tried(lambda: obstore.delete_async(self._bucket, probe))
        return self._conditional

    async def _must_be_absent(self, key: str, path: str) -> None:
        try:
            await self._tried(lambda: obstore.head_async(self._bucket, path))
        except ObjectMissing:
            return
        raise ObjectExists(f"object {key} is there already")

    async def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            await self._tried(lambda: obstore.delete_async(self._bucket, path))
        except ObjectMissing:
            return

    # -- reading ----------------------------------------------------------------------------------------

    def read_now(self, key: str, span: Span) -> bytes | None:
        return None

    @asynccontextmanager
    async def read(self, key: str, span: Span | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        stored = await self.stat(key) if span is None or len(span) == 0 else None
        start, stop = (
            (0, stored.length) if span is None and stored else (span.start, span.stop) if span else (0, 0)
        )
        if span is not None and len(span) == 0:
            start, stop = span.start, span.start
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
        """Exactly these bytes. Raises ObjectMissing, ShortRead."""
        path = self._path(key)
        data = b""
        if self._ranged:
            try:
                data = bytes(
                    await self._tried(
                        lambda: obstore.get_range_async(self._bucket, path, start=start, end=stop)
                    )
                )
            except StoreUnavailable:
                length = (await self.stat(key)).length
                if start >= length:
                    raise ShortRead(f"object {key} has {length} bytes, asked from {start}") from None
                data = await asyncio.to_thread(self._by_minio, path, start, stop)
                self._ranged = False
        else:
            data = await asyncio.to_thread(self._by_minio, path, start, stop)
        if len(data) != stop - start:
            raise ShortRead(f"object {key}: asked bytes {start} to {stop}, got {len(data)}")
        return data

    def _by_minio(self, path: str, start: int, stop: int) -> bytes:
        try:
            answer = self._minio.get_object(self._bucket_name, path, offset=start, length=stop - start)
        except minio.error.S3Error as error:
            if error.code == "NoSuchKey":
                raise ObjectMissing("no such object") from error
            if error.code == "InvalidRange":
                raise ShortRead("asked beyond the end of the object") from error
            raise StoreUnavailable("the object store failed") from error
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    async def stat(self, key: str) -> Stored:
        path = self._path(key)
        found = await self._tried(lambda: obstore.head_async(self._bucket, path))
        return Stored(key, found["size"], found["last_modified"].timestamp())

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        # obstore's prefix ends at a slash; what is behind the last one is compared here.
        folder = self._prefix + prefix.rpartition("/")[0]
        async for page in obstore.list(self._bucket, folder or None):
            for found in sorted(page, key=lambda f: f["path"].encode()):
                key = found["path"].removeprefix(self._prefix)
                if key.startswith(prefix):
                    yield Stored(key, found["size"], found["last_modified"].timestamp())

    async def close(self) -> None:
        return None

    # -- inside -----------------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        if not KEY.match(key):
            raise StoreError(f"'{key}' is no object key")
        return self._prefix + key

    async def _tried(self, work: Callable[[], Awaitable[R]]) -> R:
        """With a few more tries where it may help; the client's errors become ours."""
        for attempt in range(TRIES):
            try:
                return await work()
            except (NotFoundError, FileNotFoundError) as error:
                raise ObjectMissing("no such object") from error
            except (AlreadyExistsError, FileExistsError):
                raise
            except (BaseError, OSError) as error:
                if "StorageFull" in str(error) or "QuotaExceeded" in str(error):
                    raise StoreFull("the object store has no room left") from error
                if attempt == TRIES - 1 or "416" in str(error) or "NotSupported" in type(error).__name__:
                    raise StoreUnavailable("the object store failed") from error
            await asyncio.sleep(random.uniform(0.5, 1.5) * 0.1 * 2**attempt)  # spreads retries
        raise StoreUnavailable("the object store failed")


async def _pieces(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Parts of at least 8 MiB, but for the last."""
    held = bytearray(first)
    while len(held) >= PART:
        yield bytes(held[:PART])
        del held[:PART]
    async for chunk in rest:
        held += chunk
        while len(held) >= PART:
            yield bytes(held[:PART])
            del held[:PART]
    if held:
        yield bytes(held)
