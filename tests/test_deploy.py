"""What is given for running it: files that name what there is."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from gateway.server.stop import CLOSING_SECONDS
from gateway.settings import Settings, load, seconds

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"


def test_the_example_of_settings_is_taken() -> None:
    shown = tomllib.loads((DEPLOY / "gateway.toml").read_text())
    assert load({}, {}, DEPLOY / "gateway.toml").min_free == shown["min_free"]


def test_the_bounds_described_are_those_of_the_settings() -> None:
    known = {field.name: field.default for field in fields(Settings)}
    rows = re.findall(
        r"^\| (`.*?`) \| (.*?) \|", (DEPLOY / "README.md").read_text().split("## Bounds")[1], re.M
    )
    assert len(rows) == 8
    for names, defaults in rows:
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True):
            assert str(known[name.strip("`")]) == default


def test_the_unit_waits_as_long_as_the_server_may_take() -> None:
    unit = (DEPLOY / "dicomweb-gateway.service").read_text()
    wait = int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0])
    assert wait > seconds("stop_timeout", Settings().stop_timeout) + CLOSING_SECONDS
    assert "LimitNOFILE=65536" in unit
