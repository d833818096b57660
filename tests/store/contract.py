"""What every object store must do (gateway/store/base.py)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from gateway.errors import ObjectExists, ObjectMissing, ShortRead, StoreError
from gateway.model import Span
from gateway.store.base import ObjectStore

KEY = "ab/1/1.2.3/0123.dcm"


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def torn(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    raise ConnectionResetError


async def whole(store: ObjectStore, key: str, span: Span | None = None) -> bytes:
    async with store.read(key, span) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [stored.key async for stored in store.list(prefix)]


class ObjectStoreContract:
    """Bound to a driver by a `store` fixture."""

    async def test_what_was_put_is_read_whole_and_in_spans(self, store: ObjectStore) -> None:
        stored = await store.put(KEY, body(b"hello ", b"world"))
        assert (stored.key, stored.length) == (KEY, 11)
        assert await whole(store, KEY) == b"hello world"
        assert await whole(store, KEY, Span(6, 11)) == b"world"
        assert await whole(store, KEY, Span(10, 11)) == b"d"
        assert await whole(store, KEY, Span(3, 3)) == b""
        assert (await store.stat(KEY)).length == 11

    async def test_a_span_past_the_end_is_a_short_read(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"hello"))
        for span in (Span(3, 6), Span(5, 6), Span(7, 9), Span(9, 9)):
            with pytest.raises(ShortRead):
                await whole(store, KEY, span)

    async def test_what_is_missing_says_so_before_the_first_byte(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectMissing):
            async with store.read(KEY):
                pass
        with pytest.raises(ObjectMissing):
            await store.stat(KEY)
        assert store.read_now(KEY, Span(0, 1)) is None

    async def test_what_went_missing_says_so_for_a_span(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"hello"))
        assert await whole(store, KEY, Span(1, 3)) == b"el"
        await store.delete(KEY)
        with pytest.raises(ObjectMissing):
            async with store.read(KEY, Span(1, 3)):
                pass

    async def test_a_key_is_written_once(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"first"))
        with pytest.raises(ObjectExists):
            await store.put(KEY, body(b"second"))
        assert await whole(store, KEY) == b"first"

    @pytest.mark.parametrize("chunks", [0, 3, 9])
    async def test_a_torn_put_leaves_nothing(self, store: ObjectStore, chunks: int) -> None:
        with pytest.raises(ConnectionResetError):
            await store.put(KEY, torn(*[b"x" * (1 << 20)] * chunks))
        assert await keys(store) == []
        await store.put(KEY, body(b"whole"))
        assert await whole(store, KEY) == b"whole"

    @pytest.mark.parametrize("mebibytes", [2, 9])
    async def test_a_cancelled_put_leaves_nothing(self, store: ObjectStore, mebibytes: int) -> None:
        taken = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"x" * (mebibytes << 20)
            taken.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(store.put(KEY, endless()))
        await taken.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await keys(store) == []

    async def test_fifty_puts_at_once(self, store: ObjectStore) -> None:
        names = [f"{n:02x}/1/1.2.{n}/{n}.dcm" for n in range(50)]
        await asyncio.gather(*(store.put(name, body(name.encode())) for name in names))
        assert await keys(store) == sorted(names)
        assert [await whole(store, name) for name in names] == [name.encode() for name in names]

    async def test_racing_for_one_key_has_one_winner(self, store: ObjectStore) -> None:
        await store.put("another/key", body(b"x"))  # what there is to learn of a server is learnt
        puts = (store.put(KEY, body(bytes([n]))) for n in range(8))
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
        assert all(isinstance(o, ObjectExists) for o in outcomes if isinstance(o, BaseException))

    async def test_lists_in_bytewise_order_by_prefix(self, store: ObjectStore) -> None:
        for name in ("b/1", "a/2", "a/10", "a-b/1", "journal/0"):
            await store.put(name, body(b"."))
        assert await keys(store) == ["a-b/1", "a/10", "a/2", "b/1", "journal/0"]
        assert await keys(store, "a/") == ["a/10", "a/2"]
        assert await keys(store, "jour") == ["journal/0"]

    async def test_lists_what_is_above_a_key(self, store: ObjectStore) -> None:
        for name in ("b/1", "a/2", "a/10", "a-b/1", "journal/0", "journal/log/1", "journal/log/3"):
            await store.put(name, body(b"."))

        async def above(prefix: str, after: str) -> list[str]:
            return [stored.key async for stored in store.list(prefix, after)]

        assert await above("", "a/10") == ["a/2", "b/1", "journal/0", "journal/log/1", "journal/log/3"]
        assert await above("a", "a-b/0") == ["a-b/1", "a/10", "a/2"]
        assert await above("journal/log/", "journal/log/1") == ["journal/log/3"]
        assert await above("journal/log/", "journal/log/2") == ["journal/log/3"]
        assert await above("journal/", "journal/1") == ["journal/log/1", "journal/log/3"]
        assert await above("a/", "z") == []

    async def test_delete_is_idempotent(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"x"))
        await store.delete(KEY)
        await store.delete(KEY)
        assert await keys(store) == []

    async def test_a_moved_object_has_its_other_key_alone(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"hello ", b"world"))
        await store.move(KEY, f"trash/20260101/{KEY}")
        assert await keys(store) == [f"trash/20260101/{KEY}"]
        assert await whole(store, f"trash/20260101/{KEY}") == b"hello world"
        await store.move(KEY, f"trash/20260101/{KEY}")  # as after an answer that was lost
        await store.move(f"trash/20260101/{KEY}", KEY)
        assert await keys(store) == [KEY]

    async def test_what_is_under_neither_key_cannot_be_moved(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectMissing):
            await store.move(KEY, f"trash/{KEY}")
        assert await keys(store) == []

    async def test_nothing_is_moved_over_another(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"one"))
        await store.put("b/1", body(b"two"))
        with pytest.raises(ObjectExists):
            await store.move(KEY, "b/1")
        assert await keys(store) == [KEY, "b/1"]
        assert await whole(store, "b/1") == b"two"

    async def test_a_large_object_moves_whole(self, store: ObjectStore) -> None:
        large = [bytes([n % 251]) * 99_991 for n in range(200)]
        await store.put(KEY, body(*large))
        await store.move(KEY, "b/1")
        assert await keys(store) == ["b/1"]
        assert await whole(store, "b/1") == b"".join(large)

    async def test_there_may_be_nothing_to_tidy(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"x"))
        assert await store.tidy(time.time() + 60) == 0
        assert await keys(store) == [KEY]

    async def test_empty_and_large_objects(self, store: ObjectStore) -> None:
        await store.put("e/1", body())
        assert await whole(store, "e/1") == b""
        large = [bytes([n % 251]) * 99_991 for n in range(200)]
        await store.put("l/1", body(*large))
        assert await whole(store, "l/1") == b"".join(large)

    @pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "A", "a b", "a/."])
    async def test_other_keys_are_refused(self, store: ObjectStore, key: str) -> None:
        calls = (store.put(key, body(b"x")), store.stat(key), store.delete(key), whole(store, key))
        for call in calls:
            with pytest.raises(StoreError, match="no object key"):
                await call
        assert store.read_now(key, Span(0, 1)) is None

    async def test_what_is_read_at_once_is_the_span_or_nothing(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"hello world"))
        assert store.read_now(KEY, Span(6, 11)) in {b"world", None}
        assert store.read_now(KEY, Span(3, 3)) in {b"", None}
        assert store.read_now(KEY, Span(6, 12)) is None

    async def test_a_reader_may_leave_early(self, store: ObjectStore) -> None:
        await store.put(KEY, body(b"x" * (3 << 20)))
        async with store.read(KEY) as chunks:
            assert (await anext(chunks)).startswith(b"x")
        assert len(await whole(store, KEY)) == 3 << 20
