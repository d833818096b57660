"""The journal tells every change, or says by name what it cannot tell; nothing is overwritten, ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from gateway.errors import JournalDamaged, JournalForked, StoreError
from gateway.index.base import Change
from gateway.model import (
    DEFAULT_PARTITION,
    Identity,
    InstanceUID,
    Locator,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)
from gateway.services.journal.format import to_line
from gateway.services.journal.journal import Journal
from gateway.services.journal.problems import Problem
from gateway.services.journal.segments import Segments
from gateway.services.objectkeys import log_key, old_key
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.memory import Memory

ARCHIVE = "a" * 32


def change(revision: int, *, salt: int = 0, kind: str = "store") -> Change:
    version = VersionId(f"{salt << 64 | revision:032x}")
    return Change(
        revision=revision,
        time=1_700_000_000_000_000 + revision,
        kind=kind,
        partition=DEFAULT_PARTITION,
        identity=Identity(StudyUID("1.2"), SeriesUID("1.2.3"), InstanceUID(f"1.2.3.{revision}"), "1.9"),
        version_before=None,
        version_after=version,
        source=Source("stow"),
        locator=Locator("memory", f"ab/1/1.2/{version}.dcm", 0, 9),
        file_digest=b"1" * 32,
        content_digest=b"2" * 32,
        transfer_syntax="1.2.840.10008.1.2.1",
    )


def changes(first: int, last: int, *, salt: int = 0) -> list[Change]:
    return [change(revision, salt=salt) for revision in range(first, last + 1)]


def opened(store: Memory, archive: str = ARCHIVE, *, is_idle: bool = False) -> Journal:
    journal = Journal(store)
    journal.archive = archive
    if not is_idle:
        journal.note_comparison()
    return journal


async def told(store: Memory, after: int = 0, *, accept_gaps: bool = False) -> list[Change]:
    journal = opened(store)
    return [c async for page in journal.changes(after, accept_gaps=accept_gaps) for c in page]


async def problems(store: Memory, after: int = 0) -> list[Problem]:
    return [problem async for problem in opened(store).problems(after)]


def old_object(lines: Sequence[Change], tail: int) -> tuple[str, bytes]:
    """As the code before format 2 wrote it."""
    return f"{old_key(lines[0].revision)}-{tail:032x}.jsonl", b"".join(map(to_line, lines))


# -- writing ------------------------------------------------------------------------------------------------


async def test_what_is_written_is_told_once_and_in_order() -> None:
    store = Memory()
    one, other = opened(store), opened(store)
    await other.write(changes(4, 5))
    await one.write(changes(1, 3))
    await one.write(changes(6, 9))
    assert await told(store) == changes(1, 9)
    assert await told(store, 5) == changes(6, 9)
    assert await problems(store) == []


async def test_a_second_write_of_the_same_is_harmless_however_it_is_grouped() -> None:
    store = Memory()
    await opened(store).write(changes(1, 3))
    await opened(store).write(changes(1, 5))
    await opened(store).write(changes(2, 7))
    await opened(store).write(changes(1, 7))
    assert await told(store) == changes(1, 7)
    assert await problems(store) == []


async def test_a_large_batch_becomes_several_objects() -> None:
    store = Memory()
    await opened(store).write(changes(1, 2500))
    assert list(store.objects) == [log_key(1), log_key(1001), log_key(2001)]
    assert await told(store, 2400) == changes(2401, 2500)


async def test_another_index_is_told_apart_at_its_first_batch() -> None:
    store = Memory()
    await opened(store).write(changes(1, 3))
    before = dict(store.objects)
    with pytest.raises(JournalForked, match="revision 1"):
        await opened(store).write(changes(1, 2, salt=7))
    with pytest.raises(JournalForked, match="revision 3"):
        await opened(store, is_idle=True).write([change(3, salt=7)])
    assert store.objects == before


async def test_who_was_idle_finds_what_another_wrote_though_it_is_a_segment() -> None:
    store = Memory()
    one = opened(store)
    await one.write(changes(1, 3))
    for revision in range(4, 8):
        await one.write([change(revision)])
    assert await Segments(store, one).compact(least=2) == 1
    assert log_key(4) not in store.objects
    with pytest.raises(JournalForked, match="revision 4"):
        await opened(store, is_idle=True).write([change(4, salt=7)])


async def test_a_writer_whose_put_had_no_answer_goes_on() -> None:
    for after in (False, True):
        store = Memory()
        journal = opened(store)
        await journal.write(changes(1, 2))
        store.crash_at, store.after = 2, after
        with pytest.raises(StoreError):
            await journal.write(changes(3, 4))
        await journal.write(changes(3, 6))
        await journal.write(changes(7, 7))
        assert await told(store) == changes(1, 7)
        assert await problems(store) == []


# -- damage -------------------------------------------------------------------------------------------------


def small() -> Memory:
    """Five objects of two changes each."""
    store = Memory()

    async def fill() -> None:
        journal = opened(store)
        for first in range(1, 11, 2):
            await journal.write(changes(first, first + 1))

    asyncio.run(fill())
    return store


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES = {
    "missing": lambda objects: objects.pop(log_key(5)),
    "empty": lambda objects: objects.update({log_key(5): b""}),
    "truncated": lambda objects: objects.update({log_key(5): objects[log_key(5)][:-5]}),
    "altered": lambda objects: objects.update({log_key(5): flipped(objects[log_key(5)], 900)}),
    "foreign": lambda objects: objects.update({log_key(5): b"no journal\n" * 9}),
    "header": lambda objects: objects.update({log_key(5): flipped(objects[log_key(5)], 30)}),
    "misplaced": lambda objects: objects.update({log_key(5): objects[log_key(7)]}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named_with_its_revisions(damage: str) -> None:
    store = small()
    DAMAGES[damage](store.objects)

    async def check() -> None:
        with pytest.raises(JournalDamaged) as raised:
            await told(store)
        (problem,) = await problems(store)
        kind = {"header": "altered", "misplaced": "foreign"}.get(damage, damage)
        first = 6 if damage == "truncated" else 5
        assert (problem.kind, problem.first, problem.last) == (kind, first, 6)
        assert raised.value.detail == problem.sentence
        if damage != "missing":
            assert problem.key == log_key(5)
        kept = await told(store, accept_gaps=True)
        assert kept == [c for c in changes(1, 10) if not first <= c.revision <= 6]
        assert await told(store, 6) == changes(7, 10)

    asyncio.run(check())


def test_a_journal_of_another_archive_is_foreign() -> None:
    store, other = small(), Memory()

    async def check() -> None:
        await opened(other, "b" * 32).write(changes(5, 6))
        store.objects[log_key(5)] = other.objects[log_key(5)]
        (problem,) = await problems(store)
        assert (problem.kind, problem.key) == ("foreign", log_key(5))

    asyncio.run(check())


def test_an_object_written_anew_breaks_the_chain() -> None:
    """Whole in itself and of the right archive, yet not what was there when its successor was written."""
    store = small()

    async def check() -> None:
        written = store.objects.pop(log_key(5))
        one = opened(store)
        one._writer, one._sequence, one._before = _place(written)
        await one.write(changes(5, 6, salt=3))
        (problem,) = await problems(store)
        assert (problem.kind, problem.key) == ("chain", log_key(7))
        with pytest.raises(JournalDamaged, match="same process"):
            await told(store)

    asyncio.run(check())


def _place(block: bytes) -> tuple[VersionId, int, str]:
    header = orjson.loads(block.split(b"\n", 1)[0])
    return VersionId(header["writer"]), header["sequence"], header["before"]


def test_two_histories_in_one_journal_are_named() -> None:
    store, other = small(), Memory()

    async def check() -> None:
        await opened(other).write(changes(2, 3, salt=3))
        store.objects[log_key(2)] = other.objects[log_key(2)]
        found = await problems(store)
        assert [(p.kind, p.key) for p in found] == [("forked", log_key(2)), ("forked", log_key(3))]
        with pytest.raises(JournalDamaged, match="two indexes"):
            await told(store)

    asyncio.run(check())


@pytest.mark.parametrize(
    "key", ["journal/readme", "journal/log/x.jsonl", "journal/segments/1.jsonl", "journal/z"]
)
def test_what_is_none_of_the_journals_is_named(key: str) -> None:
    store = small()
    store.objects[key] = b"hello"

    async def check() -> None:
        assert [p.key for p in await problems(store)] == [key]
        with pytest.raises(JournalDamaged, match=key):
            await told(store)
        assert await told(store, accept_gaps=True) == changes(1, 10)

    asyncio.run(check())


def test_damage_of_what_others_tell_too_is_named_and_loses_nothing() -> None:
    store = small()

    async def check() -> None:
        await opened(store).write(changes(4, 7))
        store.objects[log_key(5)] = b""
        (problem,) = await problems(store)
        assert (problem.key, problem.is_loss) == (log_key(5), False)
        assert await told(store) == changes(1, 10)

    asyncio.run(check())


# -- any history --------------------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.integers(1, 4)),
        st.tuples(st.just("again"), st.integers(1, 30), st.integers(1, 8)),
        st.tuples(st.just("compact"), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("crash"), st.integers(1, 3), st.booleans()),
    ),
    min_size=1,
    max_size=25,
)


async def grown(plan: Sequence[tuple[str, int, int]], store: Memory) -> int:
    """Write as `plan` has it, with crashes; the last revision that was acknowledged."""
    writers = [opened(store) for _ in range(3)]
    last = 0
    for step, one, other in plan:
        try:
            if step == "write":
                await writers[one].write(changes(last + 1, last + other))
                last += other
            elif step == "again" and one <= last:
                await opened(store, is_idle=one % 2 == 0).write(changes(one, min(last, one + other)))
            elif step == "compact":
                await Segments(store, writers[0]).compact(quiet=-1, least=one)
            elif step == "crash":
                store.crash_at, store.after = store.calls + one, bool(other)
        except StoreError:
            writers = [opened(store) for _ in range(3)]
    store.crash_at = 0
    return last


@settings(max_examples=150)
@given(plan=steps)
def test_no_history_loses_or_doubts_a_change(plan: list[tuple[str, int, int]]) -> None:
    async def check() -> None:
        store = Memory()
        last = await grown(plan, store)
        found = await told(store)
        assert found[:last] == changes(1, last)
        assert [c.revision for c in found] == list(range(1, len(found) + 1))
        assert await problems(store) == []

    asyncio.run(check())


@settings(max_examples=200)
@given(
    plan=steps,
    seed=st.integers(0, 1 << 30),
    kind=st.sampled_from(["delete", "cut", "flip", "foreign", "swap"]),
)
def test_any_damage_loses_nothing_or_is_named(plan: list[tuple[str, int, int]], seed: int, kind: str) -> None:
    async def check() -> None:
        store, r = Memory(), random.Random(seed)
        await grown(plan, store)
        whole = await told(store)
        if not store.objects:
            return
        key = r.choice(sorted(store.objects))
        data = store.objects[key]
        if kind == "delete":
            del store.objects[key]
        elif kind == "cut":
            store.objects[key] = data[: r.randrange(len(data))]
        elif kind == "flip":
            store.objects[key] = flipped(data, r.randrange(len(data)))
        elif kind == "swap":
            store.objects[key] = store.objects[r.choice(sorted(store.objects))]
        else:
            store.objects[key] = bytes(r.randrange(256) for _ in range(50))
        named = await problems(store)
        kept = await told(store, accept_gaps=True)
        assert [c for c in whole if c in kept] == kept, "nothing is invented or out of order"
        try:
            assert await told(store) == kept
        except JournalDamaged:
            assert any(p.is_loss for p in named)
        else:
            # Only an index can miss what was at the very end (services/recovery/startup.py compares).
            assert kept == whole or (kind == "delete" and kept == whole[: len(kept)])
        if kind != "delete" and data != store.objects[key]:
            assert named

    asyncio.run(check())


# -- segments -----------------------------------------------------------------------------------------------


async def test_segments_hold_the_log_word_for_word() -> None:
    store = Memory()
    journal = opened(store)
    for first in range(1, 11, 2):
        await journal.write(changes(first, first + 1))
    log = [store.objects[key] for key in sorted(store.objects)]
    assert await Segments(store, journal).compact(least=2) == 1
    (key, last) = sorted(store.objects, reverse=True)
    assert key == "journal/segments/0000000000000001-0000000000000008.jsonl"
    assert store.objects[key] == b"".join(log[:4])
    assert last == log_key(9), "the last log object stays"
    assert await told(store) == changes(1, 10)
    assert await told(store, 5) == changes(6, 10)
    assert await problems(store) == []


async def test_nothing_is_compacted_before_it_is_quiet() -> None:
    store = Memory()
    journal = opened(store)
    for revision in range(1, 9):
        await journal.write([change(revision)])
    before = dict(store.objects)
    assert await Segments(store, journal).compact(least=9) == 0
    assert store.objects == before


async def test_what_is_damaged_is_left_where_it_lies() -> None:
    store = Memory()
    journal = opened(store)
    for revision in range(1, 9):
        await journal.write([change(revision)])
    store.objects[log_key(4)] = flipped(store.objects[log_key(4)], 500)
    await Segments(store, journal).compact(least=2)
    assert sorted(store.objects)[:5] == [log_key(n) for n in range(4, 9)]
    (problem,) = await problems(store)
    assert (problem.key, problem.first, problem.last) == (log_key(4), 4, 4)


async def test_what_is_damaged_of_format_1_is_read_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    store = Memory(dict(old_object(changes(n, n), n) for n in range(1, 7)))
    key, body = old_object(changes(4, 4), 4)
    store.objects[key] = body[:-9]
    segments = Segments(store, opened(store))
    assert await segments.compact() == 0
    assert (store.reads > 0, caplog.text.count("are damaged")) == (True, 1)
    store.reads = 0
    assert await segments.compact() == 0
    assert (store.reads, caplog.text.count("are damaged")) == (0, 1)
    store.objects[key] = body
    assert await segments.compact() == 1
    assert await told(store) == changes(1, 6)


async def test_what_is_whole_of_format_1_is_looked_at_once_before_it_is_taken_over() -> None:
    store = Memory(dict(old_object(changes(n, n), n) for n in range(1, 7)))
    assert await Segments(store, opened(store)).compact() == 1
    assert store.reads == 6 + 6 + 1, "looked at, read for the segment, and the segment read back"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_call_of_compaction_is_harmless(after: bool, old: bool) -> None:
    at = 1
    while True:
        store = Memory()
        journal = opened(store)
        if old:
            store.objects.update(old_object(changes(n, n), n) for n in range(1, 7))
        for revision in range(7 if old else 1, 13):
            await journal.write([change(revision)])
        store.crash_at, store.after = store.calls + at, after
        crashed = False
        try:
            await Segments(store, journal).compact(least=2)
        except StoreError:
            crashed = True
        assert await told(store) == changes(1, 12), at
        assert await problems(store) == []
        await Segments(store, journal).compact(least=2)
        assert await told(store) == changes(1, 12), at
        assert sum(key.startswith("journal/log/") for key in store.objects) <= 2
        if not crashed:
            break
        at += 1
    assert at > 8


async def test_two_who_compact_at_once_do_no_harm() -> None:
    store = Memory()
    journal = opened(store)
    for revision in range(1, 30):
        await journal.write([change(revision)])
    await asyncio.gather(
        *(Segments(store, opened(store)).compact(least=2) for _ in range(2)), return_exceptions=True
    )
    assert await told(store) == changes(1, 29)
    assert await problems(store) == []


async def test_a_reader_follows_what_becomes_a_segment_meanwhile() -> None:
    store = Memory()
    journal = opened(store)
    for revision in range(1, 60):
        await journal.write([change(revision)])
    seen: list[Change] = []
    async for page in opened(store).changes():
        seen += page
        if len(seen) == 3:
            await Segments(store, journal).compact(least=2)
    assert seen == changes(1, 59)


# -- format 1 -----------------------------------------------------------------------------------------------


async def test_objects_of_format_1_are_read_and_become_segments() -> None:
    store = Memory(
        dict([old_object(changes(1, 3), 1), old_object(changes(2, 4), 2), old_object(changes(7, 9), 3)])
    )
    kept = changes(1, 4) + changes(7, 9)
    assert await told(store) == kept, "PostgreSQL left gaps where a transaction was rolled back"
    await opened(store).write(changes(10, 12))
    assert await told(store) == kept + changes(10, 12)
    assert await told(store, 8) == changes(9, 12)
    await Segments(store, opened(store)).compact()
    assert sorted(store.objects) == [log_key(10), "journal/segments/0000000000000001-0000000000000009.jsonl"]
    assert await told(store) == kept + changes(10, 12)
    assert await problems(store) == []


@pytest.mark.parametrize("flaw", ["empty", "truncated", "altered", "foreign"])
async def test_damage_of_format_1_is_named(flaw: str) -> None:
    objects = dict(old_object([change(n), change(n + 1)], n) for n in (1, 3, 5))
    key = old_object([change(3)], 3)[0]
    body = objects[key]
    objects[key] = {
        "empty": b"",
        "truncated": body[:-9],
        "foreign": b"hello\n",
        "altered": body[:40] + b"#" + body[41:],
    }[flaw]
    store = Memory(objects)
    (problem,) = await problems(store)
    assert (problem.kind, problem.key, problem.last) == (flaw, key, 4)
    with pytest.raises(JournalDamaged, match=key):
        await told(store)
    await Segments(store, opened(store)).compact()
    assert set(objects) <= set(store.objects), "left as it is"


async def test_revisions_that_an_index_gave_twice_are_all_there() -> None:
    """The index was lost, and what came after counted from 1 again (the code before format 2 let it)."""
    first, second = changes(1, 9), changes(1, 4, salt=5)
    lines = [
        old_object(first[:5], 1),
        old_object(first[5:], 2),
        old_object(second[:2], 3),
        old_object(second[2:], 4),
    ]
    store = Memory(dict(lines))
    numbered = [replace(c, revision=9 + n) for n, c in enumerate(second, 1)]
    assert await told(store) == first + numbered
    assert await told(store, 10) == numbered[1:]
    await opened(store).write(changes(14, 15))
    assert await told(store) == first + numbered + changes(14, 15)
    assert await problems(store) == []
