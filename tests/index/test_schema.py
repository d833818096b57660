"""Migrations, what the schema holds though no route shows it, and databases that do not answer."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path

import pytest
from gateway.dicom.query.query import Equals, Match, OneOf, Query, Range, Wildcard
from gateway.errors import IndexUnavailable, MigrationNeeded
from gateway.index import migrating, searching
from gateway.index.connection import Connection
from gateway.index.driver import SqlIndex
from gateway.index.postgres import PostgresIndex
from gateway.index.sqlite import SqliteIndex
from gateway.index.sqlite_connection import SqliteConnection
from gateway.model import Level
from tests.index.conftest import Open, new_database
from tests.index.factories import SCOPE, Maker, attribute, person


async def value(index: SqlIndex, sql: str) -> object:
    async def work(db: Connection) -> object:
        row = await db.first(sql)
        return row["found"] if row is not None else None

    return await index._query(work)


async def test_without_tables_a_migration_is_asked_for(open_index: Open) -> None:
    index = await open_index()
    with pytest.raises(MigrationNeeded, match="dicomweb-gateway migrate"):
        await index.check_schema()
    await index.migrate()
    await index.check_schema()


async def test_migrating_at_once_is_migrating_once(open_index: Open) -> None:
    drivers = [await open_index() for _ in range(3)]
    await asyncio.gather(*(driver.migrate() for driver in drivers))
    steps = len(migrating.steps("sqlite"))
    assert await value(drivers[0], "SELECT COUNT(*) AS found FROM schema_version") == steps


async def test_a_newer_schema_is_left_alone(open_index: Open) -> None:
    index = await open_index()
    await index.migrate()

    async def newer(db: Connection) -> None:
        await db.execute("INSERT INTO schema_version VALUES (999, 0)")

    await index._commit(newer)
    for ask in (index.check_schema, index.migrate):
        with pytest.raises(MigrationNeeded):
            await ask()


async def test_a_step_that_fails_leaves_nothing(open_index: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is one transaction, so that it can be taken again."""
    index = await open_index()
    await index.migrate()
    there = {name: migrating.steps(name) for name in ("sqlite", "postgres")}
    broken = ("CREATE TABLE half (id INTEGER)", "INSERT INTO nowhere VALUES (1)")
    whole = ("CREATE TABLE half (id INTEGER)",)
    monkeypatch.setattr(migrating, "steps", lambda name: (*there[name], broken))
    with pytest.raises(Exception, match="index"):
        await index.migrate()
    monkeypatch.setattr(migrating, "steps", lambda name: (*there[name], whole))
    await index.migrate()
    assert await value(index, "SELECT MAX(version) AS found FROM schema_version") == len(there["sqlite"]) + 1


async def test_both_schemas_have_the_same_tables(tmp_path: Path) -> None:
    def made(dialect: str) -> dict[str, int]:
        statements = [s for step in migrating.steps(dialect) for s in step if s.startswith("CREATE TABLE")]
        return {s.split()[2]: s.count(" NOT NULL") for s in statements}

    sqlite, postgres = made("sqlite"), made("postgres")
    assert sqlite.keys() == postgres.keys()
    # n-grams are two columns in the one and two tables in the other.
    assert {t: n - (t in ("study", "series")) for t, n in postgres.items()} == sqlite


async def test_hashes_are_kept(index: SqlIndex) -> None:
    patient = {"t00100020": attribute("LO", "P1"), "t00100021": attribute("LO", "H")}
    await index.admit([Maker().version("1.1", "1.1.1", "1.1.1.9", **patient)])
    for table, uid in (("study", "1.1"), ("series", "1.1.1"), ("instance", "1.1.1.9")):
        kept = await value(index, f"SELECT uid_hash AS found FROM {table}")
        assert isinstance(kept, bytes)
        bits = int.from_bytes(kept, "big") >> 6
        assert bits == int.from_bytes(hashlib.sha256(uid.encode()).digest(), "big") >> (256 - 122)
        assert len(kept) == 16
    kept = await value(index, "SELECT patient_hash AS found FROM study")
    assert isinstance(kept, bytes)
    assert kept[:15] == hashlib.sha256(b"H\\P1").digest()[:15]


async def test_text_compares_bytewise(index: SqlIndex) -> None:
    maker = Maker()
    for value in ("a", "B", "ä", "Z", "_", "𠮷", "～"):
        await index.admit([maker.version(f"1.{maker._count}", t00100020=attribute("LO", value))])

    async def ordered(db: Connection) -> list[str]:
        return [
            row["patient_id"] for row in await db.fetch("SELECT patient_id FROM study ORDER BY patient_id")
        ]

    assert await index._query(ordered) == ["B", "Z", "_", "a", "ä", "～", "𠮷"]


async def test_postgres_uses_its_index_for_ngrams(postgres: str) -> None:
    async with new_database(postgres) as uri:
        index = await PostgresIndex.open(uri)
        await index.migrate()
        maker = Maker()
        await index.admit(
            [maker.version(f"1.{n}", f"1.{n}.1", t00100010=person(f"Name{n}^Any")) for n in range(1000)]
        )
        await index._pool.execute("VACUUM (ANALYZE) study")
        plan = await index._pool.fetch(
            "EXPLAIN SELECT st.id FROM study st WHERE st.grams @> ARRAY['p777'] AND st.patient_name LIKE '%777%'"
        )
        assert "study_by_gram" in " ".join(row[0] for row in plan)
        page = await index.search(
            SCOPE, Query(Level.STUDY, matches=(Wildcard((0x00100010,), "PN", "*777*"),))
        )
        assert len(page.rows) == 1
        await index.close()


async def test_a_server_that_does_not_answer(postgres: str) -> None:
    with pytest.raises(IndexUnavailable):
        await PostgresIndex.open("postgresql://nobody@127.0.0.1:1/none")
    async with new_database(postgres) as uri:
        index = await PostgresIndex.open(uri)
        await index.migrate()
        tail = index.tail()
        await anext(tail)
        await index._pool.expire_connections()
        admin = await PostgresIndex.open(postgres)
        name = uri.split("?")[0].rpartition("/")[2]
        stopped = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await admin._pool.execute(stopped, name)

        async def told() -> None:
            for _ in range(3):
                await anext(tail)

        with pytest.raises(IndexUnavailable):
            await told()
        assert (await index.counts())[Level.STUDY] == 0, "the pool connects anew"
        await admin.close()
        await index.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    index = await SqliteIndex.open(tmp_path / "no" / "folder" / "index.sqlite")
    with pytest.raises(IndexUnavailable):
        await index.migrate()
    await index.close()


async def test_a_file_of_before_the_first_release_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.sqlite") as old:
        old.execute("PRAGMA user_version = 1")
    old.close()
    index = await SqliteIndex.open(tmp_path / "index.sqlite")
    with pytest.raises(MigrationNeeded, match="reindex"):
        await index.migrate()
    await index.close()


@pytest.mark.parametrize(
    ("level", "match", "planned"),
    [
        (Level.STUDY, None, "study_by_date"),
        (Level.SERIES, None, "study_by_date"),
        (Level.INSTANCE, None, "study_by_date"),
        (Level.STUDY, Range((0x00080020,), "DA", "20240101", "20240131"), "study_by_date"),
        (Level.STUDY, Equals((0x00100020,), "LO", "P"), "study_by_patient_id"),
        (Level.STUDY, Equals((0x00080050,), "SH", "A"), "study_by_accession"),
        (Level.STUDY, Equals((0x00100010,), "PN", "Ab"), "study_gram"),
        (Level.STUDY, OneOf((0x0020000D,), "UI", ("1.1", "1.2")), "sqlite_autoindex_study_1"),
        (Level.SERIES, Equals((0x0020000E,), "UI", "1.1"), "series_by_uid"),
        (Level.INSTANCE, Equals((0x00080018,), "UI", "1.1"), "sqlite_autoindex_instance_1"),
        (Level.INSTANCE, Equals((0x00100020,), "LO", "P"), "study_by_patient_id"),
        (Level.STUDY, Wildcard((0x00100010,), "PN", "*erg*"), "study_gram"),
    ],
)
async def test_sqlite_plans_by_the_key(
    tmp_path: Path, level: Level, match: Match | None, planned: str
) -> None:
    """It keeps no statistics: without a hint it goes through all studies in order rather than sort a few."""
    index = await SqliteIndex.open(tmp_path / "index.sqlite")
    await index.migrate()
    await index.close()
    seen: list[str] = []
    db = sqlite3.connect(tmp_path / "index.sqlite")
    db.row_factory = sqlite3.Row
    db.set_trace_callback(seen.append)
    await searching.search(
        SqliteConnection(db), SCOPE, Query(level, matches=() if match is None else (match,))
    )
    db.set_trace_callback(None)
    (listing,) = (sql for sql in seen if "OFFSET" in sql)
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {listing}")]
    db.close()
    assert any(planned in line for line in plan), plan
    if match is None or isinstance(match, Range):
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan
