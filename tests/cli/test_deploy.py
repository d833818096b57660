"""The examples in deploy/ are true: their settings exist."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.model import RepeatPolicy, Source
from gateway.services.ingest.policy import Action, Policies
from gateway.settings import PREFIX, load

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_example_of_settings_can_be_read() -> None:
    settings = load({}, {}, DEPLOY / "gateway.toml")
    assert settings.store_url == "s3://images/archive"
    assert settings.trusted_proxy == ("127.0.0.0/8",)
    policies = Policies.from_json(settings.store_rules, RepeatPolicy(settings.policy))
    peers = ("10.1.2.3", "10.2.0.8", "10.3.0.9", "10.4.0.1")
    assert [policies.rule(Source("stow", peer=peer)).action for peer in peers] == [
        Action.COERCE,
        Action.QUARANTINE,
        Action.REJECT,
        Action.ACCEPT,
    ]


def test_the_unit_names_variables_that_exist() -> None:
    unit = (DEPLOY / "dicomweb-gateway.service").read_text()
    named = re.findall(rf"Environment={PREFIX}([A-Z_]+)=(\S+)", unit)
    assert named
    load({}, {PREFIX + name: value for name, value in named})
