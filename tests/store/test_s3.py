"""What only the S3 driver can get wrong: lost answers, dead and hanging servers, wrong buckets, long lists."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway.errors import BadParameter, ObjectExists, ObjectMissing, ShortRead, StoreError, StoreUnavailable
from gateway.model import Span
from gateway.store.filesystem import FilesystemStore
from gateway.store.open import open_store
from gateway.store.s3 import S3Store
from gateway.store.s3_upload import PART
from tests.servers import ACCESS, SECRET, S3Server, admin, moto, rclone, unfinished
from tests.store.contract import KEY, body, keys, whole

Head = tuple[str, str, bytes]
"""Method, target and the whole head of a request."""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto() as running:
        yield running


@pytest.fixture
def bucket(server: S3Server) -> Iterator[str]:
    name = f"b{uuid.uuid4().hex[:12]}"
    with admin(server) as client:
        client.create_bucket(Bucket=name)
        yield name
        assert unfinished(client, name) == []


def driver(bucket: str, endpoint: str, *, seconds: float = 10.0) -> S3Store:
    return S3Store(
        bucket,
        "some/prefix",
        endpoint=endpoint,
        access=ACCESS,
        secret=SECRET,
        region="us-east-1",
        seconds=seconds,
    )


@asynccontextmanager
async def opened(bucket: str, endpoint: str, *, seconds: float = 10.0) -> AsyncIterator[S3Store]:
    store = driver(bucket, endpoint, seconds=seconds)
    try:
        yield store
    finally:
        await store.close()


class Between:
    """Passes requests on to a server, one a connection; `meddle` may act before the answer goes back."""

    def __init__(self, server: S3Server) -> None:
        self._port = urlsplit(server.endpoint).port
        self.seen: list[str] = []
        self.meddle: Callable[[Head], Awaitable[bool | bytes]] | None = None
        """False: the answer is lost. Bytes: that is the answer."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        try:
            yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in raw.split(b"\r\n")[1:] if line)
            content = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            method, target, _ = raw.split(b"\r\n")[0].decode().split(" ", 2)
            self.seen.append(f"{method} {target}")
            answer = await self._asked(raw, content)
            meddled = True if self.meddle is None else await self.meddle((method, target, raw))
            if meddled:
                writer.write(meddled if isinstance(meddled, bytes) else answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _asked(self, raw: bytes, content: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(raw[:-2] + b"Connection: close\r\n\r\n" + content)
            answer = await reader.read(-1)
            head, separator, rest = answer.partition(b"\r\n\r\n")
            kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            return b"\r\n".join([*kept, b"Connection: close"]) + separator + rest
        finally:
            writer.close()


# -- answers that get lost ------------------------------------------------------------------------------


async def test_a_put_whose_answer_is_lost_is_known_as_its_own(server: S3Server, bucket: str) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put("a/first", body(b"x"))
        lost: list[str] = []

        async def lose_one(head: Head) -> bool:
            if head[0] == "PUT" and not lost:
                lost.append(head[1])
                return False
            return True

        between.meddle = lose_one
        assert (await store.put(KEY, body(b"mine"))).length == 4
        assert len(lost) == 1
        with pytest.raises(ObjectExists):
            await store.put(KEY, body(b"theirs"))
        assert await whole(store, KEY) == b"mine"


REASON = b"<Error><Code>NoSuchUpload</Code></Error>"
NO_SUCH_UPLOAD = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(REASON), REASON)
)


@pytest.mark.parametrize("repeated", [True, NO_SUCH_UPLOAD], ids=["answered again", "no such upload"])
async def test_a_completed_upload_whose_answer_is_lost_is_known_as_its_own(
    server: S3Server, bucket: str, repeated: bool | bytes
) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        lost: list[str] = []

        async def lose_one(head: Head) -> bool | bytes:
            if head[0] != "POST" or "uploadId=" not in head[1]:
                return True
            lost.append(head[1])
            return repeated if len(lost) > 1 else False

        between.meddle = lose_one
        assert (await store.put(KEY, body(b"x" * PART, b"y"))).length == PART + 1
        assert len(lost) == 2
        assert await whole(store, KEY, Span(PART - 1, PART + 1)) == b"xy"


async def test_a_read_is_tried_again(server: S3Server, bucket: str) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put(KEY, body(b"hello"))
        lost: list[str] = []

        async def lose_two(head: Head) -> bool:
            lost.append(head[1])
            return len(lost) > 2

        between.meddle = lose_two
        assert await whole(store, KEY, Span(0, 5)) == b"hello"


# -- cancelling while the server is at work ---------------------------------------------------------------


async def cancelled_at(between: Between, store: S3Store, step: Callable[[Head], bool], put: bytes) -> None:
    """Cancel a put once the server has done `step` and the driver has not heard of it."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(head: Head) -> bool:
        if step(head):
            reached.set()
            await go_on.wait()
        return True

    between.meddle = hold
    task = asyncio.create_task(store.put(KEY, body(put, b"end")))
    await asyncio.wait_for(reached.wait(), 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    between.meddle = None


@pytest.mark.parametrize("step", ["PUT", "uploads=", "partNumber=1", "POST ..uploadId="])
async def test_a_put_cancelled_in_flight_leaves_nothing(server: S3Server, bucket: str, step: str) -> None:
    method, _, query = step.rpartition(" ..")
    single = step == "PUT"
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put("a/first", body(b"x"))
        await cancelled_at(
            between,
            store,
            lambda head: head[0] == "PUT" if single else query in head[1] and method in {"", head[0]},
            b"x" if single else b"x" * PART,
        )
        assert await keys(store) == ["a/first"]


async def test_a_cancelled_put_of_a_taken_key_leaves_the_first_bytes(server: S3Server, bucket: str) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put(KEY, body(b"first"))
        await cancelled_at(between, store, lambda head: head[0] == "PUT", b"second")
        assert await whole(store, KEY) == b"first"


# -- servers that do not answer, or not for us -------------------------------------------------------------


def every_call(store: S3Store) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: whole(store, KEY),
        lambda: whole(store, KEY, Span(0, 1)),
        lambda: store.put(KEY, body(b"x")),
        lambda: store.put(KEY, body(b"x" * PART)),
        lambda: store.stat(KEY),
        lambda: store.delete(KEY),
        lambda: keys(store),
    ]


async def test_a_dead_server_is_unavailable_for_every_call() -> None:
    async with opened("images", "http://127.0.0.1:1", seconds=1.0) as store:
        outcomes = await asyncio.gather(*(call() for call in every_call(store)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}


async def test_a_hanging_server_is_unavailable_in_time() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    listener = await asyncio.start_server(hang, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    async with opened("images", endpoint, seconds=0.5) as store:
        outcomes = await asyncio.gather(*(call() for call in every_call(store)), return_exceptions=True)
    listener.close()
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert time.monotonic() - began < 10


async def test_an_upload_that_hangs_is_unavailable_in_time(server: S3Server, bucket: str) -> None:
    between = Between(server)
    let_go = asyncio.Event()

    async def hang(head: Head) -> bool:
        if "partNumber=" in head[1]:
            await let_go.wait()
        return True

    between.meddle = hang
    began = time.monotonic()
    async with between.running() as endpoint, opened(bucket, endpoint, seconds=1.0) as store:
        with pytest.raises(StoreUnavailable):
            await store.put(KEY, body(b"x" * PART))
        let_go.set()
    assert time.monotonic() - began < 10


async def test_a_missing_bucket_is_not_a_missing_object(server: S3Server) -> None:
    async with opened("no-such-bucket", server.endpoint) as store:
        for call in (
            lambda: whole(store, KEY),
            lambda: whole(store, KEY, Span(0, 1)),
            lambda: store.stat(KEY),
            lambda: store.put(KEY, body(b"x")),
            lambda: store.put(KEY, body(b"x" * PART)),
            lambda: store.delete(KEY),
            lambda: keys(store),
        ):
            with pytest.raises(StoreUnavailable, match="bucket"):
                await call()


async def test_refused_credentials_say_so_at_once(tmp_path: Path) -> None:
    with rclone(tmp_path / "r") as refusing:
        store = S3Store(
            "images", "", endpoint=refusing.endpoint, access=ACCESS, secret="wrong", region="us-east-1"
        )
        with pytest.raises(StoreUnavailable, match="credentials"):
            await store.stat(KEY)
        with pytest.raises(StoreUnavailable, match="credentials"):
            await store.put(KEY, body(b"x"))
        await store.close()


# -- what was learnt of the server ---------------------------------------------------------------------------


async def test_learning_about_conditions_leaves_no_object(server: S3Server, bucket: str) -> None:
    async with opened(bucket, server.endpoint) as store:
        await store.put(KEY, body(b"x"))
    with admin(server) as client:
        found = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert [entry["Key"] for entry in found] == [f"some/prefix/{KEY}"]


async def test_a_later_put_is_one_request_where_conditions_are_kept(server: S3Server, bucket: str) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put("a/1", body(b"x"))
        between.seen.clear()
        await store.put("a/2", body(b"x"))
    assert between.seen == [f"PUT /{bucket}/some/prefix/a/2"]


async def test_one_failure_does_not_give_up_the_quick_way_to_read(server: S3Server, bucket: str) -> None:
    between = Between(server)
    async with between.running() as endpoint, opened(bucket, endpoint) as store:
        await store.put(KEY, body(b"hello"))
        with pytest.raises(ShortRead):
            await whole(store, KEY, Span(7, 9))
        between.seen.clear()
        assert await whole(store, KEY, Span(1, 3)) == b"el"
        assert between.seen == [f"GET /{bucket}/some/prefix/{KEY}"]


# -- listing -------------------------------------------------------------------------------------------------


async def test_a_list_longer_than_a_page_is_whole_and_in_order(tmp_path: Path) -> None:
    names = sorted(f"{n % 7:02x}/{'b' if n % 2 else 'a-b'}/{n}" for n in range(2300))
    folder = tmp_path / "r" / "images" / "some" / "prefix"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b".")
    with rclone(tmp_path / "r") as running:
        async with opened("images", running.endpoint) as store:
            assert await keys(store) == names
            assert await keys(store, "01/") == [name for name in names if name.startswith("01/")]
            assert await keys(store, "01/a") == [name for name in names if name.startswith("01/a")]


async def test_neighbours_of_the_prefix_are_not_seen(server: S3Server, bucket: str) -> None:
    with admin(server) as client:
        for key in ("some/prefix2/a", "some/pre", "other", "some/prefix/a"):
            client.put_object(Bucket=bucket, Key=key, Body=b".")
    async with opened(bucket, server.endpoint) as store:
        assert await keys(store) == ["a"]


# -- what was written round the driver -------------------------------------------------------------------------


async def test_an_object_cut_behind_our_back_is_a_short_read(server: S3Server, bucket: str) -> None:
    async with opened(bucket, server.endpoint) as store:
        await store.put(KEY, body(b"hello"))
        with admin(server) as client:
            client.put_object(Bucket=bucket, Key=f"some/prefix/{KEY}", Body=b"he")
        with pytest.raises(ShortRead):
            async with store.read(KEY, Span(0, 5)):
                raise AssertionError("entered without its first bytes")


async def test_what_was_put_lies_under_prefix_and_key(server: S3Server, bucket: str) -> None:
    began = time.time()
    async with opened(bucket, server.endpoint) as store:
        stored = await store.put(KEY, body(b"hello"))
        assert abs(stored.modified - began) < 60
        with pytest.raises(ObjectMissing):
            await store.stat("ab/other")
    with admin(server) as client:
        got = client.get_object(Bucket=bucket, Key=f"some/prefix/{KEY}")
        assert got["Body"].read() == b"hello"


# -- opening by URL --------------------------------------------------------------------------------------------


async def test_opens_a_folder(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space")
    assert isinstance(store, FilesystemStore)
    await store.close()
    assert (tmp_path / "with space").is_dir()


async def test_opens_a_bucket_by_the_standard_variables(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    between = Between(server)
    heads: list[bytes] = []

    async def note(head: Head) -> bool:
        heads.append(head[2].lower())
        return True

    between.meddle = note
    async with between.running() as endpoint:
        store = open_store(f"s3://{bucket}/deep/er", endpoint=endpoint)
        await store.put(KEY, body(b"x"))
        await store.put("in/parts", body(b"x" * PART))
        await store.close()
    assert len(heads) >= 6
    assert all(b"x-amz-security-token: a-session" in head for head in heads)
    with admin(server) as client:
        assert client.head_object(Bucket=bucket, Key=f"deep/er/{KEY}")["ContentLength"] == 1


@pytest.mark.parametrize("url", ["", "images", "http://host/images", "s3:///images", "file:"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadParameter, match="store URL"):
        open_store(url)


def test_a_bucket_wants_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(BadParameter, match="AWS_ACCESS_KEY_ID"):
        open_store("s3://images/x")


async def test_a_body_that_raises_after_a_part_leaves_no_upload(server: S3Server, bucket: str) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * (PART + 1)
        raise ConnectionResetError

    async with opened(bucket, server.endpoint) as store:
        with pytest.raises(ConnectionResetError):
            await store.put(KEY, torn())
        assert await keys(store) == []


async def test_racing_uploads_in_parts_have_one_winner(server: S3Server, bucket: str) -> None:
    async with opened(bucket, server.endpoint) as store:
        puts = (store.put(KEY, body(bytes([n]) * PART, b"end")) for n in range(3))
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            "ObjectExists",
            "ObjectExists",
            "Stored",
        ]


async def test_other_keys_are_refused_by_every_call(server: S3Server, bucket: str) -> None:
    async with opened(bucket, server.endpoint) as store:
        for call in (store.stat, store.delete, lambda key: whole(store, key)):
            with pytest.raises(StoreError, match="no object key"):
                await call("../x")


# -- uploads that nobody ends ---------------------------------------------------------------------------


async def test_uploads_begun_long_ago_are_aborted(server: S3Server, bucket: str) -> None:
    """B17: left by `kill -9`, they cost money unseen. Those of others, and fresh ones, go on."""
    async with opened(bucket, server.endpoint) as store:
        with admin(server) as client:
            for key in ("some/prefix/aa/1/1.2/3.dcm", "elsewhere/a"):
                client.create_multipart_upload(Bucket=bucket, Key=key)
            (left,) = (u for u in _uploads(client, bucket) if u["Key"] == "elsewhere/a")
            begun = left["Initiated"].timestamp()  # moto says 2010 of all
            assert await store.tidy(begun - 60) == 0
            assert len(unfinished(client, bucket)) == 2
            assert await store.tidy(begun + 60) == 1
            assert unfinished(client, bucket) == ["elsewhere/a"]
            client.abort_multipart_upload(Bucket=bucket, Key=left["Key"], UploadId=left["UploadId"])


def _uploads(client: Any, bucket: str) -> list[Any]:
    return list(client.list_multipart_uploads(Bucket=bucket)["Uploads"])
