"""What every run of the tests loads."""

from __future__ import annotations

import pytest
from tests.conformance.table import Rows


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", choices=("mark", "check", "write"), default="mark", help="what to do with rows held"
    )


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption("--rows")
    config.pluginmanager.register(Rows(mode), "conformance-rows")
