"""Schema migrations: small numbered steps that only go forward, recorded in `schema_version`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from gateway.errors import MigrationNeeded
from gateway.index.connection import Connection


@cache
def steps(dialect: str) -> tuple[tuple[str, ...], ...]:
    """Return the statements of each step, in order."""
    folder = files("gateway.index") / "migrations" / dialect
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(_statements(step.read_text()) for step in found)


def _statements(script: str) -> tuple[str, ...]:
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return tuple(s.strip() for s in "\n".join(lines).split(";") if s.strip())


async def prepare(db: Connection) -> None:
    await db.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, migrated BIGINT NOT NULL)"
    )


async def version(db: Connection) -> int:
    """Return how many steps were taken; the table `schema_version` must exist."""
    row = await db.first("SELECT COALESCE(MAX(version), 0) AS version FROM schema_version")
    assert row is not None
    return int(row["version"])


async def step(db: Connection, now: int) -> bool:
    """Take the next step in the current transaction; return False where there is none.

    Each step has its own transaction: an interrupted migration goes on where it was. Raises MigrationNeeded
    where the schema is newer than this program.
    """
    todo = steps(db.dialect.name)
    done = await version(db)
    if done > len(todo):
        raise MigrationNeeded(f"the index has schema {done}, newer than this program's {len(todo)}")
    if done == len(todo):
        return False
    for statement in todo[done]:
        await db.execute(statement)
    await db.execute("INSERT INTO schema_version VALUES (?, ?)", done + 1, now)
    return True


async def check(db: Connection) -> None:
    """Raise MigrationNeeded where the schema is not that of this program."""
    done, wanted = await version(db), len(steps(db.dialect.name))
    if done != wanted:
        raise missing(done, wanted)


def missing(done: int, wanted: int) -> MigrationNeeded:
    return MigrationNeeded(
        f"the index has schema {done}, this program wants {wanted}: run 'dicomweb-gateway migrate'"
    )
