"""Random histories: after each of them every acknowledged instance is there or named as damaged, and nothing
that was refused or deleted is back.

`HISTORIES` in the environment is how many are made; `make test` makes a few, `make test-long` many.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from gateway.errors import GatewayError, StoreError
from gateway.model import RepeatPolicy
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.faults.world import INSTANCES, VARIANTS, Died, World

numbers = st.integers(0, INSTANCES - 1)
variants = st.integers(0, VARIANTS - 1)
policies = st.sampled_from([RepeatPolicy.REFUSE, RepeatPolicy.REPLACE])
calls = st.integers(1, 6)


class Histories(RuleBasedStateMachine):
    """What clients, crashes and careless people do to one archive."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="histories-"))
        self.world = World(self._folder)

    def teardown(self) -> None:
        self.world.close()
        shutil.rmtree(self._folder)

    @property
    def is_up(self) -> bool:
        return self.world.gateway is not None

    # -- processes --------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.world.run(self.world.start())

    @precondition(lambda self: not self.is_up)
    @rule()
    def start(self) -> None:
        self.world.run(self.world.start())
        self.world.run(self.world.check(settled=True))

    @precondition(lambda self: self.is_up)
    @rule()
    def stop(self) -> None:
        self.world.run(self.world.stop())

    @precondition(lambda self: self.is_up)
    @rule()
    def kill(self) -> None:
        self.world.run(self.world.vanish())

    # -- clients ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_up)
    @rule(number=numbers, variant=variants, policy=policies)
    def store(self, number: int, variant: int, policy: RepeatPolicy) -> None:
        self.world.run(self.world.store(number, variant, policy))
        self.world.run(self.world.check(settled=False))

    @precondition(lambda self: self.is_up)
    @rule(number=numbers, whole_study=st.booleans())
    def delete(self, number: int, whole_study: bool) -> None:
        self.world.run(self.world.delete(number, whole_study=whole_study))
        self.world.run(self.world.check(settled=False))

    @precondition(lambda self: self.is_up)
    @rule(number=numbers)
    def restore(self, number: int) -> None:
        self.world.run(self.world.restore(number))
        self.world.run(self.world.check(settled=False))

    # -- what fails, once or for good -------------------------------------------------------------------

    @precondition(lambda self: self.is_up)
    @rule(
        number=numbers, variant=variants, policy=policies, at=calls, after=st.booleans(), dies=st.booleans()
    )
    def store_with_a_fault(
        self, number: int, variant: int, policy: RepeatPolicy, at: int, after: bool, dies: bool
    ) -> None:
        self.world.fuse.set(at, after=after, dies=dies)
        self._until_it_dies(self.world.store(number, variant, policy))

    @precondition(lambda self: self.is_up)
    @rule(number=numbers, whole_study=st.booleans(), at=calls, after=st.booleans(), dies=st.booleans())
    def delete_with_a_fault(self, number: int, whole_study: bool, at: int, after: bool, dies: bool) -> None:
        self.world.fuse.set(at, after=after, dies=dies)
        self._until_it_dies(self.world.delete(number, whole_study=whole_study))

    @precondition(lambda self: self.is_up)
    @rule(at=calls, after=st.booleans(), dies=st.booleans())
    def sweep_with_a_fault(self, at: int, after: bool, dies: bool) -> None:
        self.world.fuse.set(at, after=after, dies=dies)
        self._until_it_dies(self.world.sweep())

    def _until_it_dies(self, work: object) -> None:
        try:
            self.world.run(work)  # type: ignore[arg-type]
        except (Died, TimeoutError):
            assert self.world.fuse.dead
        if self.world.fuse.dead:
            self.world.run(self.world.vanish())
        else:
            self.world.fuse.set(0, after=False, dies=False)
            self.world.run(self.world.check(settled=False))

    # -- keeping house ----------------------------------------------------------------------------------

    @precondition(lambda self: self.is_up)
    @rule()
    def sweep(self) -> None:
        self.world.run(self.world.sweep())
        self.world.run(self.world.check(settled=False))

    @rule()
    def reindex(self) -> None:
        self.world.run(self.world.reindex())
        if self.is_up:
            self.world.run(self.world.check(settled=True))

    # -- what befalls the index -------------------------------------------------------------------------

    @precondition(lambda self: not self.is_up)
    @rule()
    def lose_the_index(self) -> None:
        self.world.lose_index()

    @precondition(lambda self: not self.is_up)
    @rule()
    def empty_the_index(self) -> None:
        self.world.empty_index()

    @precondition(lambda self: not self.is_up)
    @rule()
    def back_up_the_index(self) -> None:
        self.world.back_up_index()

    @precondition(lambda self: not self.is_up)
    @rule()
    def restore_an_older_index(self) -> None:
        self.world.restore_index()

    # -- what befalls the store -------------------------------------------------------------------------

    @precondition(lambda self: not self.is_up)
    @rule(number=numbers, is_lost=st.booleans())
    def damage_an_object(self, number: int, is_lost: bool) -> None:
        self.world.damage_object(number, is_lost=is_lost)

    @precondition(lambda self: not self.is_up)
    @rule(seed=st.integers(0, 1000), how=st.sampled_from(["lost", "emptied", "cut", "flipped"]))
    def damage_the_journal_without_an_index(self, seed: int, how: str) -> None:
        """A start that needs what was damaged refuses by name; with the file back in place it goes on."""
        mended = self.world.damage_journal(random.Random(seed), how)
        if mended is None:
            return
        self.world.lose_index()
        refusal: GatewayError | None = None
        try:
            self.world.run(self.world.start())
            # Only what the end of the journal lacked can go unnoticed: nothing is left that tells of it.
            assert mended.is_last
            assert how == "lost"
            self.world.run(self.world.vanish())
        except GatewayError as error:
            refusal = error
        assert refusal is None or (isinstance(refusal, StoreError) and "journal" in refusal.detail), refusal
        self.world.lose_index()
        mended.mend()


def run(histories: int, steps: int, *, shrinks: bool = True) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            derandomize="HISTORIES_SEED" not in os.environ,
            phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            database=None,
        ),
    )


def test_some_histories() -> None:
    run(int(os.environ.get("HISTORIES", "30")), 25)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_histories() -> None:
    run(int(os.environ.get("HISTORIES", "300")), 60)
