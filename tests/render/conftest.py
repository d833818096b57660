"""The figures of the golden images, shown at the end."""

from __future__ import annotations

import pytest

LARGEST: dict[str, int] = {}


@pytest.fixture
def largest() -> dict[str, int]:
    """Name to the largest difference from dcmtk's picture."""
    return LARGEST


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LARGEST:
        name = max(LARGEST, key=lambda one: LARGEST[one])
        equal = sum(1 for difference in LARGEST.values() if difference == 0)
        terminalreporter.write_line(
            f"golden images: {len(LARGEST)} against dcmtk, {equal} equal, "
            f"largest difference {LARGEST[name]} of 255 ({name})"
        )
