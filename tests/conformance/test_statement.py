"""`dicomweb-gateway conformance` says what tests hold, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

from gateway.conformance.rows import counts, load_packaged
from gateway.http.resources import TABLE
from tests.conformance.table import PACKAGED, STATUS_AND_TYPE, Rows, find_thin, table

COMMAND = (sys.executable, "-m", "gateway.cli.main", "conformance")


def test_every_row_and_resource_is_in_the_statement() -> None:
    text = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    for name in table():
        assert f"\n| {name} |" in text
    for resource in TABLE:
        assert f"| {resource.template} |" in text


def test_the_rows_are_given_to_programs_too() -> None:
    done = subprocess.run((*COMMAND, "--format", "json"), capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    assert [row["row"] for row in rows] == list(table())
    assert all({"section", "level", "given", "expect", "tests"} <= row.keys() for row in rows)


def test_a_row_is_claimed_or_says_why_not() -> None:
    silent = [row.row for row in load_packaged() if not row.is_claimed and not row.not_claimed]
    both = [row.row for row in load_packaged() if row.is_claimed and row.not_claimed]
    assert silent == []
    assert both == []


def test_rows_that_the_standard_demands_are_claimed() -> None:
    shall, _ = counts(load_packaged())["M"], None
    assert shall[1] <= shall[0] // 20, f"{shall[1]} of {sum(shall)} demands are not claimed"


def test_no_claim_rests_on_a_status_and_a_type_alone() -> None:
    assert find_thin(PACKAGED.read_text(encoding="utf-8")) == []


def test_a_full_run_fails_where_a_test_of_content_is_gone() -> None:
    """As it would be after the removal of all tests of C-QP-10 but the one of its status."""
    run = Rows("check")
    run.passed = {row.row: set(row.tests) for row in load_packaged()}
    assert run._differences(run.made()) == ""
    run.passed["C-QP-10"] &= STATUS_AND_TYPE
    assert run.passed["C-QP-10"]
    assert run._differences(run.made()).endswith("not by a test of content: C-QP-10")
