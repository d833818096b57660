"""What every run of the tests loads."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pydicom.data import download
from tests.blocking.watch import SESSION, WATCHED, is_watched, take_notes
from tests.conformance.table import Rows
from tests.reliance import relies

# Machines are shared: how long generating or one example takes says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# What is on loopback is asked directly, whatever proxy the machine has for the rest.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"

# Where servers that tests start note calls that would make their event loop wait.
_NOTES = tempfile.TemporaryDirectory(prefix="gateway-blocking-")

# Of one package, whichever of its commands a test wants.
_PACKAGES = re.compile(r".*(Debian's [a-z0-9-]+) .*")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", choices=("mark", "check", "write"), default="mark", help="what to do with rows held"
    )

    parser.addoption(
        "--rows-file", type=Path, help="where the tests that held rows are noted, or with --corpus-only read"
    )
    parser.addoption(
        "--blocking",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fail tests in which an event loop waits for disk, network or sleep; by default, those of "
        f"{', '.join(WATCHED)}",
    )
    parser.addoption(
        "--corpus-only",
        action="store_true",
        help="only tests of modules that import tests.corpus, by whatever way: the others go as they do without it",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--corpus-only"):
        return
    kept = [item for item in items if relies(Path(item.path))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line for each thing that is not there how many tests were skipped for want of it."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(
        _PACKAGES.sub(r"\1 is not installed", str(report.longrepr[2]).removeprefix("Skipped: "))
        for report in reports
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption("--rows")
    config.pluginmanager.register(Rows(mode, config.getoption("--rows-file")), "conformance-rows")
    download.download_with_progress = _refused
    blocking = config.getoption("--blocking")
    if blocking is False:
        return
    SESSION.install()
    if blocking:
        os.environ["GATEWAY_TEST_BLOCKING"] = _NOTES.name
        folders = (str(Path(__file__).parent / "blocking"), os.environ.get("PYTHONPATH", ""))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test in which a loop had to wait, here or with `--blocking` in a server that a test started."""
    yield
    found = SESSION.take() + take_notes(Path(_NOTES.name))
    if request.config.getoption("--blocking") or is_watched(request.path):
        assert not found, "\n".join(dict.fromkeys(found))


def _refused(url: str, *_: object) -> None:
    raise AssertionError(f"a test wants {url}: take what is installed")
