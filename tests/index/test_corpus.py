"""Real files, odd ones among them: both drivers take the same and answer byte for byte alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.dicom.encoding.part10 import Part10Reader
from gateway.dicom.query.query import Query
from gateway.errors import DicomError
from gateway.index.base import Admitted, NewVersion, Refused, Verdict
from gateway.model import Level, ResourcePath, Source, VersionId
from tests.corpus import Row, rows
from tests.index.conftest import opening
from tests.index.factories import SCOPE, Maker


def read(number: int, row: Row) -> NewVersion | None:
    """As ingest would offer it; None where the reader refuses the file."""
    version = VersionId(f"{number:032x}")
    reader = Part10Reader(version=version)
    try:
        reader.feed(row.read())
        found = reader.finish()
    except DicomError:
        return None
    url = found.identity.path.url().encode()
    return replace(
        Maker().version(),
        version=version,
        identity=found.identity,
        transfer_syntax=found.transfer_syntax,
        content_digest=found.content_digest,
        metadata=found.metadata.replace(b"\0", b"\0" + url),
        layout=found.layout,
    )


def outcome(verdict: Verdict) -> object:
    return verdict if isinstance(verdict, Refused) else type(verdict)


async def test_the_corpus(tmp_path: Path, postgres: str) -> None:
    offered = [new for new in (read(n, row) for n, row in enumerate(rows())) if new is not None]
    async with (
        opening("sqlite", tmp_path, lambda: postgres) as file,
        opening("postgres", tmp_path, lambda: postgres) as server,
    ):
        drivers = [await file(), await server()]
        outcomes = []
        for driver in drivers:
            await driver.migrate()
            batches = [offered[start : start + 30] for start in range(0, len(offered), 30)]
            outcomes.append([outcome(v) for batch in batches for v in await driver.admit(batch)])
        assert outcomes[0] == outcomes[1]
        taken = [new for new, seen in zip(offered, outcomes[0], strict=True) if seen is Admitted]
        for level in Level:
            for include_all in (False, True):
                query = Query(level, include_all=include_all, limit=5000, count=True)
                pages = [await driver.search(SCOPE, query) for driver in drivers]
                assert pages[0] == pages[1]
        assert len(pages[0].rows) == len(taken) > 4
        for driver in drivers:
            for new in taken:
                assert (await driver.layout(SCOPE, new.identity.path))[1] == new.layout
            assert await driver.metadata(SCOPE, taken[0].identity.path) == [taken[0].metadata]
            for study in {new.identity.study for new in taken}:
                await driver.remove(SCOPE, ResourcePath(study), Source("stow"), "")
            assert (await driver.counts())[Level.INSTANCE] == 0
