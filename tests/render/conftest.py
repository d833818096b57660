"""The figures of the golden images, shown at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def largest() -> Iterator[dict[str, int]]:
    """Name to the largest difference from dcmtk's picture."""
    found: dict[str, int] = {}
    yield found
    if found:
        name = max(found, key=lambda one: found[one])
        exact = sum(1 for difference in found.values() if difference == 0)
        line = f"golden images: {len(found)} against dcmtk, {exact} equal, largest difference {found[name]} ({name})"
        print(line, file=sys.__stderr__)
