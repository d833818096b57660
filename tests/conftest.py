"""What every run of the tests loads."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from tests.conformance.table import Rows

# Machines are shared: how long generating or one example takes says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", choices=("mark", "check", "write"), default="mark", help="what to do with rows held"
    )


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption("--rows")
    config.pluginmanager.register(Rows(mode), "conformance-rows")
