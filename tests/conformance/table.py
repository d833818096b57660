"""The table of rows and which tests hold them: a plugin that every run of the tests loads.

`--rows=check` (the full run) fails where a row that is claimed has no passing test, or one that is held is
not yet in what the statement is made from; `--rows=write` writes that.

Tests that hold rows are noted in `--rows-file`, so that a run of a part of them (`--corpus-only`) knows of the rest.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from gateway.conformance import rows as claims
from tests.reliance import ROOT, relies

TABLE = Path(__file__).parent / "rows.csv"
PACKAGED = Path(claims.__file__).with_name("rows.json")

# These compare a status or a media type, in tables of many rows: a claim needs a test of what an answer holds besides.
STATUS_AND_TYPE = {
    "tests/wire/message/test_common_rows.py::test_ends",
    "tests/wire/message/test_common_rows.py::test_strict_ends",
    "tests/wire/message/test_common_rows.py::test_types",
    "tests/wire/rendered/test_rendered.py::test_media_types",
}


def table() -> dict[str, dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as handle:
        return {entry["row"]: entry for entry in csv.DictReader(handle)}


def ids_of(item: pytest.Item) -> set[str]:
    return {str(name) for mark in item.iter_markers("row") for name in mark.args}


def _claims(text: str) -> set[tuple[str, ...]]:
    """What is said of each row, and whether it is claimed; which tests hold it may change with every test."""
    return {
        (row["row"], row["level"], row["given"], row["expect"], row["not_claimed"], str(bool(row["tests"])))
        for row in json.loads(text)
    }


def find_thin(text: str) -> list[str]:
    """Return the rows of such a file that are claimed by tests of a status and a type alone."""
    return [
        row["row"] for row in json.loads(text) if row["tests"] and STATUS_AND_TYPE.issuperset(row["tests"])
    ]


class Rows:
    """Gathers the passing tests of each row, wherever they ran."""

    def __init__(self, mode: str, notes: Path | None = None) -> None:
        self.mode = mode
        self.notes = notes
        self.passed: dict[str, set[str]] = {}
        self.failed: set[str] = set()
        self.message = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = table()
        for item in items:
            for name in sorted(ids_of(item)):
                if name not in known:
                    raise pytest.UsageError(f"{item.nodeid}: there is no row {name} in {TABLE.name}")
                item.user_properties.append(("row", name))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        names = [str(value) for key, value in report.user_properties if key == "row"]
        if report.failed:
            self.failed.update(names)
        elif report.when == "call" and report.passed:
            for name in names:
                self.passed.setdefault(name, set()).add(report.nodeid.split("[")[0])

    def made(self) -> str:
        return claims.dump(
            claims.ClaimedRow(
                row=entry["row"],
                section=entry["section"],
                level=entry["level"],
                given=entry["given"],
                expect=entry["expect"],
                tests=[] if entry["row"] in self.failed else sorted(self.passed.get(entry["row"], ())),
                not_claimed=entry["not_claimed"],
            )
            for entry in table().values()
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        if self.notes is not None:
            self._noted(session.config.getoption("--corpus-only"))
        if self.mode == "mark":
            return
        made = self.made()
        if self.mode == "write":
            PACKAGED.write_text(made, encoding="utf-8")
            return
        self.message = self._differences(made)
        if self.message and session.exitstatus == 0:
            session.exitstatus = 1

    def _noted(self, partly: bool) -> None:
        """Write which tests held rows; or, where only a part ran, take the other part's from what was written."""
        assert self.notes is not None
        if not partly:
            held = {name: sorted(tests) for name, tests in self.passed.items()}
            self.notes.write_text(
                json.dumps({"passed": held, "failed": sorted(self.failed)}), encoding="utf-8"
            )
            return
        before = json.loads(self.notes.read_text(encoding="utf-8"))
        self.failed.update(before["failed"])
        for name, tests in before["passed"].items():
            others = {test for test in tests if not relies(ROOT / test.partition("::")[0])}
            self.passed.setdefault(name, set()).update(others)

    def _differences(self, made: str) -> str:
        before, now = (_claims(text) for text in (PACKAGED.read_text(encoding="utf-8"), made))
        differing = sorted({row[0] for row in before ^ now})
        if not differing:
            thin = ", ".join(find_thin(made))
            return f"rows held by a status and a type alone, not by a test of content: {thin}" if thin else ""
        return f"rows held otherwise than {PACKAGED.name} says (make conformance): {', '.join(differing)}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.message:
            terminalreporter.write_line(self.message, red=True)
