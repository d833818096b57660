"""Failures of S3 clients as failures of ours; and the calls made by `minio`, in threads with time-outs."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

import certifi
import minio
import urllib3
from minio.datatypes import ListMultipartUploadsResult, Part
from minio.error import MinioException, S3Error
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from gateway.errors import ObjectExists, ObjectMissing, ShortRead, StoreFull, StoreUnavailable

R = TypeVar("R")
TRIES = 4
THREADS = 16
RAISED = (BaseError, OSError, MinioException, urllib3.exceptions.HTTPError)
# obstore's and minio's ServerError | minio's InvalidResponseError, which it raises for text/xml (rclone).
_STATUS = re.compile(r"(?:status code:?|Response code:) (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_PASSING = {408, 409, 425, 429}


# Error codes of servers that have no uploads, or keep no list of them.
NO_UPLOADS = {"NoSuchUpload", "NotImplemented", "MethodNotAllowed"}


class NotPartial(Exception):
    """Raised where a ranged GET was answered by 200: `obstore` does not take that, `minio` does."""


class Passing(Exception):
    """Stands for a failure that may not happen again at the next try."""


def failure(error: Exception, key: str) -> Exception:
    """Return the failure of ours that `error` means, or Passing, or NotPartial.

    Addresses appear in the cause only.
    """
    text = str(error)
    status, code = _read_error(error, text)
    if "NotPartial" in text:
        return NotPartial()
    if code == "NoSuchBucket":
        return StoreUnavailable("the object store has no such bucket: make it, or name another")
    if isinstance(error, NotFoundError | FileNotFoundError) or status == 404:
        return ObjectMissing(f"no object {key}")
    if isinstance(error, AlreadyExistsError | FileExistsError) or status == 412:
        return ObjectExists(f"object {key} is there already")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError) or code in _REFUSED:
        return StoreUnavailable("the object store refused the credentials")
    if status == 416:
        return ShortRead(f"object {key} is shorter than the span that was asked")
    if status == 507 or code in _FULL:
        return StoreFull("the object store has no room left")
    if status is not None and 400 <= status < 500 and status not in _PASSING:
        return StoreUnavailable(f"the object store refused the request with status {status}")
    return Passing()


def _read_error(error: Exception, text: str) -> tuple[int | None, str | None]:
    """Return HTTP status and S3 error code, as far as the client gives them."""
    if isinstance(error, S3Error):
        return error.response.status, error.code
    status, code = _STATUS.search(text), _CODE.search(text)
    return int(status[1]) if status else None, code[1] if code else None


async def retry(work: Callable[[], Awaitable[R]], key: str, seconds: float) -> R:
    """Await `work`, with more tries where these may help; none begins after twice `seconds`."""
    loop = asyncio.get_running_loop()
    last = loop.time() + 2 * seconds
    for attempt in range(TRIES):
        try:
            return await work()
        except RAISED as error:
            meant = failure(error, key)
            wait = random.uniform(0.5, 1.5) * 0.1 * 2**attempt  # spreads the clients that failed together
            if not isinstance(meant, Passing):
                raise meant from error
            if attempt == TRIES - 1 or loop.time() + wait > last:
                raise StoreUnavailable("the object store does not answer") from error
        await asyncio.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _last_id(page: ListMultipartUploadsResult) -> str | None:
    """Return where the next page begins: this version of `minio` has no name for it."""
    return page.uploads[-1].upload_id if page.uploads else None


class Blocking:
    """The calls for which `minio` is used, each in a thread."""

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None,
        access: str,
        secret: str,
        region: str,
        token: str | None,
        seconds: float,
    ) -> None:
        where = urlsplit(endpoint or "https://s3.amazonaws.com")
        self._bucket = bucket
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
            retries=False,  # `retry` does that, for all calls alike
            maxsize=THREADS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )
        self._client = minio.Minio(
            where.netloc,
            access_key=access,
            secret_key=secret,
            session_token=token,
            region=region,
            secure=where.scheme == "https",
            http_client=self._pool,
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    async def range(self, path: str, start: int, stop: int) -> bytes:
        """Return these bytes, or as many of them as there are."""
        return await self._run(lambda: self._range(path, start, stop))

    def _range(self, path: str, start: int, stop: int) -> bytes:
        answer = self._client.get_object(self._bucket, path, offset=start, length=stop - start)
        try:
            if start and answer.status != 206 and "Content-Range" not in answer.headers:
                raise StoreUnavailable("the object store does not answer ranges")
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    async def begin(self, path: str, mark: str) -> str:
        """Begin an upload in parts, for an object with the mark `mark`; return its id."""
        headers: dict[str, str | list[str] | tuple[str]] = {"x-amz-meta-put": mark}
        return await self._run(lambda: self._client._create_multipart_upload(self._bucket, path, headers))

    async def part(self, path: str, upload: str, number: int, data: bytes) -> Part:
        return await self._run(
            lambda: Part(number, self._client._upload_part(self._bucket, path, data, None, upload, number))
        )

    async def complete(self, path: str, upload: str, parts: list[Part]) -> None:
        await self._run(lambda: self._client._complete_multipart_upload(self._bucket, path, upload, parts))

    async def abort(self, path: str, upload: str) -> None:
        await self._run(lambda: self._client._abort_multipart_upload(self._bucket, path, upload))

    async def abort_begun_before(self, prefix: str, before: float) -> int:
        """Abort uploads in parts below `prefix` that were begun before this time; return how many."""
        return await self._run(lambda: self._abort_begun_before(prefix, before))

    def _abort_begun_before(self, prefix: str, before: float) -> int:
        count, marker, id_marker = 0, None, None
        while True:
            try:
                page = self._client._list_multipart_uploads(
                    self._bucket, prefix=prefix, key_marker=marker, upload_id_marker=id_marker
                )
            except S3Error as error:
                if error.code in NO_UPLOADS:
                    return count
                raise
            for upload in page.uploads:
                begun = upload.initiated_time
                if begun is not None and upload.upload_id and begun.timestamp() < before:
                    self._client._abort_multipart_upload(self._bucket, upload.object_name, upload.upload_id)
                    count += 1
            marker, id_marker = page.next_key_marker, _last_id(page)
            if not page.is_truncated or not marker:
                return count

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._pool.clear()

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
