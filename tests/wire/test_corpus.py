"""Every row of the corpus: stored, stored with which warning, or refused with which reason; then read back.

`portable_outcomes.csv` is the table of what every machine has, `corpus_outcomes.csv` of what only the corpus has.
The reasons for refusals are in the corpus's own findings: UIDs that are absent, empty or no UIDs (A900), bytes that
end early, are no DICOM or break PS3.5 (C000), SOP classes that are no composite instances (0122). Frames are 404
where there are none or they cannot be told apart, 406 where no codec decodes them. Video, which is lossy and cannot
be decoded, stands for Explicit VR Little Endian (8.7.3.4).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.corpus import portable, rows, there
from tests.live import serving
from tests.wire.corpus_run import Seen, tried

PORTABLE, CORPUS = (Path(__file__).with_name(f"{which}_outcomes.csv") for which in ("portable", "corpus"))
LEAST_STORED, LEAST_STORED_OF_ALL = 190, 265


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    with (
        serving(tmp_path_factory.mktemp("corpus")) as live,
        httpx.Client(base_url=live.root, timeout=60) as http,
    ):
        yield {row.name: tried(http, row) for row in rows()}


def expected(table: Path) -> dict[str, list[str]]:
    with table.open(newline="", encoding="utf-8") as handle:
        return {line[0]: line for line in list(csv.reader(handle))[1:]}


def test_every_file_ends_as_the_table_says(seen: dict[str, Seen]) -> None:
    table = expected(PORTABLE)
    assert table.keys() == {row.name for row in portable()}
    if there():
        table |= expected(CORPUS)
    assert seen.keys() == table.keys()
    assert [s.line() for s in seen.values() if s.line() != table[s.name]] == []


def test_enough_is_stored_and_whatever_is_stored_can_be_had(seen: dict[str, Seen]) -> None:
    stored = [outcome for outcome in seen.values() if outcome.store.startswith("stored")]
    assert len(stored) >= (LEAST_STORED_OF_ALL if there() else LEAST_STORED)
    assert [s.name for s in stored if (s.metadata, s.instance) != ("200", "200")] == []
