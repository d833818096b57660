"""The papers name files and folders that exist: what moves takes them along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "deploy").glob("*.md"), *(ROOT / "gateway").glob("**/*.md")])
# In backticks, with a slash in it or one of our endings; no URL, no option, no pattern.
QUOTED = re.compile(r"`([A-Za-z0-9_.][\w./-]*(?:/|\.(?:py|md|csv|json|toml|lock)))`")
# Written by the program where it runs.
MADE = {"archive.json", "index.sqlite", "trash/", "journal/", "av.libs/", "deidentification.key"}
# Where a paper of the package may count from.
BASES = (ROOT, ROOT / "gateway", ROOT / "deploy", ROOT / "tests")


def named(paper: Path) -> Iterator[str]:
    for name in QUOTED.findall(paper.read_text(encoding="utf-8")):
        if name not in MADE and not name.startswith(("..", ".venv", ".data")):
            yield name


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_what_a_paper_names_is_there(paper: Path) -> None:
    bases = (paper.parent, *BASES)
    assert [name for name in named(paper) if not any((base / name).exists() for base in bases)] == []


def test_the_papers_name_something() -> None:
    assert sum(len(list(named(paper))) for paper in PAPERS) > 50


def test_every_decision_has_its_number_and_is_held() -> None:
    """A decision says its number in its heading, what was given up, and which tests hold it."""
    decisions = sorted((ROOT / "gateway" / "decisions").glob("*.md"))
    assert len(decisions) >= 11
    for decision in decisions:
        text = decision.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(decision.name[:4])}. "), decision.name
        for part in ("**Context.**", "**Decision", "**Given up", "**Held by**"):
            assert part in text, f"{decision.name} has no {part}"


def test_the_top_of_the_repository_stays_small() -> None:
    """A newcomer sees at once where to begin."""
    allowed = {
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md"),
        *("deploy", "gateway", "openapi", "pyproject.toml", "requirements.lock", "tests"),
        *("build", "dist"),
    }
    there = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith((".", "__"))}
    assert {name for name in there if not name.endswith(".egg-info")} <= allowed
