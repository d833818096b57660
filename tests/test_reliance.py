"""The second run of `.ci/run` leaves out only what cannot tell whether the corpus is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.reliance import ROOT, relies

TESTS = ROOT / "tests"


def test_imports_tell_who_relies_on_the_corpus() -> None:
    assert relies(TESTS / "wire" / "test_corpus.py")
    assert relies(TESTS / "render" / "test_golden.py"), "by tests/render/picture.py"
    assert relies(TESTS / "render" / "objects" / "test_segmentation.py")
    assert not relies(TESTS / "test_imports.py")
    assert not relies(TESTS / "store" / "test_contract.py")


def test_nobody_else_looks_for_the_corpus() -> None:
    """Neither by its variable nor by its folder; what starts Ceph lies beside it and is no test file."""
    said = re.compile(r"GATEWAY_TEST_CORPUS|shared.{1,5}corpus")
    found = {file for file in TESTS.rglob("*.py") if said.search(file.read_text(encoding="utf-8"))}
    assert found == {TESTS / "corpus.py", Path(__file__)}
