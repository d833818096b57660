"""Every row of the corpus: stored, stored with which warning, or refused with which reason; then read back.

`corpus_outcomes.csv` is the table; the reasons for its refusals are in the corpus's own findings: UIDs that are
absent, empty or no UIDs (A900), bytes that end early, are no DICOM or break PS3.5 (C000), SOP classes that are
no composite instances (0122). Frames are 404 where there are none or they cannot be told apart, 406 where no
codec decodes them. Video, which is lossy and cannot be decoded, stands for Explicit VR Little Endian (8.7.3.4).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.corpus import CORPUS, rows
from tests.live import serving
from tests.wire.corpus_run import Seen, tried

TABLE = Path(__file__).with_name("corpus_outcomes.csv")
LEAST_STORED = 225


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    with (
        serving(tmp_path_factory.mktemp("corpus")) as live,
        httpx.Client(base_url=live.root, timeout=60) as http,
    ):
        yield {row.name: tried(http, row) for row in rows()}


def expected() -> dict[str, list[str]]:
    with TABLE.open(newline="") as handle:
        return {line[0]: line for line in list(csv.reader(handle))[1:]}


def test_every_file_ends_as_the_table_says(seen: dict[str, Seen]) -> None:
    table = expected()
    if not CORPUS.is_dir():
        assert all(outcome.store.startswith("stored") for outcome in seen.values())
        return
    assert seen.keys() == table.keys()
    assert [s.line() for s in seen.values() if s.line() != table[s.name]] == []


def test_enough_is_stored_and_whatever_is_stored_can_be_had(seen: dict[str, Seen]) -> None:
    stored = [outcome for outcome in seen.values() if outcome.store.startswith("stored")]
    assert len(stored) >= (LEAST_STORED if CORPUS.is_dir() else len(seen))
    assert [s.name for s in stored if (s.metadata, s.instance) != ("200", "200")] == []
