"""An archive that is stored into, killed, robbed of its index and damaged, beside a model of what it must still hold."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from gateway.app import Gateway
from gateway.errors import Conflict, GatewayError, Gone, IndexUnavailable, NotFound, StoreUnavailable
from gateway.index.base import Scope, StoredInstance
from gateway.model import InstanceUID, RepeatPolicy, ResourcePath, SeriesUID, Source, StudyUID
from gateway.services.admin.sweep import Sweeper
from gateway.services.ingest.policy import Action, Rule
from gateway.services.recovery.reindex import Reindex
from gateway.settings import Settings
from tests import build

R = TypeVar("R")
SCOPE = Scope()
INSTANCES = 6
VARIANTS = 3
ABSENT = "absent"
DELETED = "deleted"
UNREADABLE = "unreadable"
# Calls that change something: where a process may die.
CHANGING = frozenset(
    {
        *("put", "delete", "move", "admit", "remove", "restore", "reclaim", "take_back", "mark_journaled"),
        *("replay", "adopt", "take_lease"),
    }
)


class Died(BaseException):
    """The process is no more: nobody in it may catch this as a failure."""


@dataclass(slots=True)
class Fuse:
    """Counts the changing calls of one process; at the n-th it fails once, or the process dies."""

    left: int = 0
    after: bool = False
    dies: bool = False
    dead: bool = False
    blown: bool = False

    def set(self, at: int, *, after: bool, dies: bool) -> None:
        self.left, self.after, self.dies, self.blown = at, after, dies, False


class Fused:
    """A driver whose changing calls go through the fuse."""

    def __init__(self, driver: Any, fuse: Fuse, error: Callable[[], GatewayError]) -> None:
        self._driver = driver
        self._fuse = fuse
        self._error = error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in CHANGING:
            return found

        async def call(*given: Any, **named: Any) -> Any:
            fuse = self._fuse
            if fuse.dead:
                raise Died
            if not fuse.left or fuse.left > 1:
                fuse.left = max(fuse.left - 1, 0)
                return await found(*given, **named)
            fuse.left, fuse.blown = 0, True
            if fuse.after:
                await found(*given, **named)
            if fuse.dies:
                fuse.dead = True
                raise Died
            raise self._error()

        return call


def study_of(number: int) -> str:
    """Two studies, of three instances each."""
    return f"1.2.826.0.1.3680043.10.1.{1 + number % 2}"


def path_of(number: int, *, whole_study: bool = False) -> ResourcePath:
    study = StudyUID(study_of(number))
    if whole_study:
        return ResourcePath(study)
    return ResourcePath(study, SeriesUID(f"{study}.1"), InstanceUID(f"{study}.1.{number + 1}"))


@cache
def file_of(number: int, variant: int) -> bytes:
    study = study_of(number)
    return build.instance(
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        SOPInstanceUID=f"{study}.1.{number + 1}",
        InstanceNumber=number,
        PatientID="HISTORY",
        ImageComments=f"variant {variant}",
    )


@dataclass(slots=True)
class Model:
    """What each instance may be by what was answered: absent, deleted, or of a variant."""

    may: dict[int, set[str | int]] = field(
        default_factory=lambda: {number: {ABSENT} for number in range(INSTANCES)}
    )
    was: dict[int, set[str | int]] = field(
        default_factory=lambda: {number: set() for number in range(INSTANCES)}
    )
    """What a restoration may bring back."""
    damaged: set[str] = field(default_factory=set)
    """Keys of objects that were tampered with: these may fail, and nothing else."""

    def is_now(self, number: int, state: str | int) -> None:
        self.may[number] = {state}

    def may_be(self, number: int, *states: str | int) -> None:
        self.may[number] |= set(states)

    def settle(self, seen: dict[int, str | int]) -> None:
        """What was seen after an answer that everything before is journaled is what there is."""
        for number, state in seen.items():
            self.may[number] = {state}


@dataclass(frozen=True, slots=True)
class Mended:
    """A damaged journal object, and what it was."""

    file: Path
    data: bytes
    key: str
    is_last: bool

    def mend(self) -> None:
        self.file.write_bytes(self.data)


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


class World:
    """A folder, an index beside it, and at most one process that serves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data=str(folder / "data"))
        self.fuse = Fuse()
        self.gateway: Gateway | None = None
        self.model = Model()
        self.loop = asyncio.new_event_loop()
        self._drivers: tuple[Any, Any] | None = None

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        async def bounded() -> R:
            async with asyncio.timeout(60):
                return await work

        return self.loop.run_until_complete(bounded())

    # -- processes --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises what a start refuses with."""
        self.fuse = Fuse()
        gateway = await Gateway.open(self.settings)
        store, index = gateway.store, gateway.index
        self._drivers = store, index
        fused = Gateway(
            self.settings,
            Fused(store, self.fuse, lambda: StoreUnavailable("the store is away")),
            Fused(index, self.fuse, lambda: IndexUnavailable("the index is away")),
        )
        gateway.pool.close()
        self.gateway = fused
        try:
            await fused.start(follow=False)
        except BaseException:
            await self.vanish()
            raise

    async def stop(self) -> None:
        assert self.gateway is not None
        gateway, self.gateway = self.gateway, None
        await gateway.close()

    async def vanish(self) -> None:
        """End as `kill -9` does: nothing more is written."""
        gateway, self.gateway = self.gateway, None
        self.fuse.dead = True
        assert gateway is not None
        assert self._drivers is not None
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        with suppress(BaseException):
            await asyncio.gather(*others, return_exceptions=True)
        gateway.pool.close()
        store, index = self._drivers
        await index.close()
        await store.close()

    # -- what clients do --------------------------------------------------------------------------------

    async def store(self, number: int, variant: int, policy: RepeatPolicy) -> None:
        assert self.gateway is not None
        model, before = self.model, set(self.model.may[number])
        model.may_be(number, variant)
        rule = Rule(Action.ACCEPT, repeat=policy)
        session = self.gateway.ingest.session(Source("stow"), rule=rule)
        await session.take(one(file_of(number, variant)))
        [outcome] = await session.finish()
        if outcome.failure is None:
            model.is_now(number, variant)
        elif not self.fuse.blown:
            model.may[number] = before
            assert policy is RepeatPolicy.REFUSE
            assert before & (set(range(VARIANTS)) - {variant}), f"{number} was refused: {outcome.detail}"

    async def delete(self, number: int, *, whole_study: bool) -> None:
        assert self.gateway is not None
        touched = [
            n for n in range(INSTANCES) if n == number or (whole_study and study_of(n) == study_of(number))
        ]
        before = {n: set(self.model.may[n]) for n in touched}
        for n in touched:
            if before[n] != {ABSENT}:
                self.model.may_be(n, DELETED)
                self.model.was[n] = (before[n] - {ABSENT, DELETED}) | set(
                    self.model.was[n] if DELETED in before[n] else set()
                )
        try:
            await self.gateway.remove.remove(SCOPE, path_of(number, whole_study=whole_study), Source("test"))
        except (NotFound, Gone):
            assert all(states & {ABSENT, DELETED} for states in before.values())
            self.model.may.update(before)
        except GatewayError:
            assert self.fuse.blown, "a deletion failed though nothing else did"
        else:
            for n in touched:
                if before[n] - {ABSENT}:
                    self.model.may[n] = {DELETED, *(before[n] & {ABSENT})}

    async def restore(self, number: int) -> None:
        """Bring back what was deleted last; of which variant it is, the next look tells."""
        assert self.gateway is not None
        before = set(self.model.may[number])
        try:
            await self.gateway.remove.restore(SCOPE, path_of(number), Source("test"))
        except (NotFound, Gone, Conflict):
            assert before != {DELETED} or self.model.was[number] <= {ABSENT}, (
                "what was deleted cannot be restored"
            )
        else:
            assert DELETED in before
            self.model.may[number] = set(self.model.was[number])

    async def reindex(self) -> None:
        """As the command does, beside who serves, if anybody does."""
        gateway = await Gateway.open(self.settings)
        try:
            await Reindex(gateway.store, gateway.index).run()
        finally:
            await gateway.close()

    async def sweep(self) -> None:
        assert self.gateway is not None
        gateway = self.gateway
        sweeper = Sweeper(
            *(gateway.store, gateway.index, gateway.journal, gateway.counters), undo_seconds=0.0, grace=0.0
        )
        with suppress(GatewayError):
            await sweeper.run(confirmed=True)

    # -- what is there ----------------------------------------------------------------------------------

    async def look(self) -> dict[int, str | int]:
        return {number: await self._state(number) for number in range(INSTANCES)}

    async def _state(self, number: int) -> str | int:
        assert self.gateway is not None
        try:
            [stored] = await self.gateway.index.instances(SCOPE, path_of(number))
        except Gone:
            return DELETED
        except NotFound:
            return ABSENT
        data = await self._bytes(stored)
        for variant in range(VARIANTS):
            if data == file_of(number, variant):
                return variant
        assert stored.locator.key in self.model.damaged, (
            f"{stored.locator.key} of instance {number} is not what was stored"
        )
        return UNREADABLE

    async def _bytes(self, stored: StoredInstance) -> bytes:
        assert self.gateway is not None
        try:
            async with self.gateway.store.read(stored.locator.key) as chunks:
                return b"".join([chunk async for chunk in chunks])
        except GatewayError:
            return b""

    async def check(self, *, settled: bool) -> None:
        """Everything is as the model allows."""
        seen = await self.look()
        for number, state in seen.items():
            allowed = self.model.may[number]
            if state in allowed or (state == UNREADABLE and allowed - {ABSENT, DELETED}):
                continue
            raise AssertionError(f"instance {number} is {state}, may be {allowed}: {self.model}")
        if settled:
            self.model.settle({n: s for n, s in seen.items() if s != UNREADABLE})

    # -- what befalls a disk ----------------------------------------------------------------------------

    @property
    def index_files(self) -> list[Path]:
        return sorted((self.folder / "data").glob("index*"))

    def lose_index(self) -> None:
        for file in self.index_files:
            file.unlink()

    def back_up_index(self) -> None:
        kept = self.folder / "backup"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for file in self.index_files:
            shutil.copy2(file, kept / file.name, follow_symlinks=False)

    def empty_index(self) -> None:
        """A file of no bytes, as a full disk or a careless copy leaves it."""
        self.lose_index()
        (self.folder / "data" / "index.sqlite").touch()

    def restore_index(self) -> bool:
        kept = self.folder / "backup"
        if not kept.is_dir():
            return False
        self.lose_index()
        for file in kept.iterdir():
            shutil.copy2(file, self.folder / "data" / file.name, follow_symlinks=False)
        return True

    def damage_object(self, number: int, *, is_lost: bool) -> None:
        """Flip a bit in every object of an instance, or take it away."""
        for file in sorted((self.objects / "").rglob("*.dcm")):
            data = file.read_bytes()
            if "trash" in file.parts or not any(data == file_of(number, v) for v in range(VARIANTS)):
                continue
            self.model.damaged.add(str(file.relative_to(self.objects)))
            if is_lost:
                file.unlink()
            else:
                file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    @property
    def objects(self) -> Path:
        return self.folder / "data" / "objects"

    def damage_journal(self, random: Random, how: str) -> Mended | None:
        """Damage one journal object; None where there is none."""
        files = sorted(f for f in (self.objects / "journal").rglob("*") if f.is_file())
        if not files:
            return None
        file = random.choice(files)
        data = file.read_bytes()
        if how == "lost":
            file.unlink()
        elif how == "emptied":
            file.write_bytes(b"")
        elif how == "cut":
            file.write_bytes(data[: random.randrange(1, len(data))])
        else:
            at = random.randrange(len(data))
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :])
        return Mended(file, data, str(file.relative_to(self.objects)), is_last=file == files[-1])

    def close(self) -> None:
        if self.gateway is not None:
            self.run(self.vanish())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
