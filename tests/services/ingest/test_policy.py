"""Rules for sources: which one counts, what they may say, and what they change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gateway.dicom.dataset import DataSet
from gateway.errors import BadParameter
from gateway.model import PartitionId, RepeatPolicy, Source
from gateway.services.ingest.policy import Action, Policies
from gateway.settings import load

REJECT = {"action": "reject", "reason": "no"}
NAME = {"attribute": "InstitutionName", "value": "St. Mary"}


def policies(*rules: dict[str, Any]) -> Policies:
    return Policies.from_json(json.dumps(rules), RepeatPolicy.REFUSE)


def coerce(**edit: Any) -> dict[str, Any]:
    return {"action": "coerce", "change": [edit]}


@pytest.mark.parametrize(
    ("matcher", "source", "matches"),
    [
        ({}, Source("dimse"), True),
        ({"source": "stow"}, Source("stow"), True),
        ({"source": ["stow", "import"]}, Source("import"), True),
        ({"source": "stow"}, Source("import"), False),
        ({"peer": "10.1.0.0/16"}, Source("stow", "10.1.2.3"), True),
        ({"peer": "10.1.2.3"}, Source("stow", "10.1.2.3"), True),
        ({"peer": "10.1.0.0/16"}, Source("stow", "10.2.0.1"), False),
        ({"peer": "10.1.0.0/16"}, Source("import"), False),
        ({"peer": ["fd00::/8", "10.0.0.0/8"]}, Source("stow", "fd00::1"), True),
        ({"ae_title": "CT_*"}, Source("dimse", ae_title="CT_1"), True),
        ({"ae_title": "CT_*"}, Source("dimse", ae_title="ct_1"), False),
        ({"principal": "anonymous"}, Source("stow"), True),
        ({"principal": "alice"}, Source("stow"), False),
        ({"partition": "default"}, Source("stow"), True),
        ({"partition": "default"}, Source("stow", partition=PartitionId(2)), False),
        ({"source": "dimse", "ae_title": "CT_*"}, Source("stow", ae_title="CT_1"), False),
    ],
)
def test_a_rule_is_for_its_sources(matcher: dict[str, Any], source: Source, matches: bool) -> None:
    wanted = Action.REJECT if matches else Action.ACCEPT
    assert policies({**matcher, **REJECT}).rule(source).action is wanted


def test_the_first_rule_that_matches_counts() -> None:
    found = policies({"source": "import", "repeat": "replace"}, REJECT)
    assert found.rule(Source("import")).repeat is RepeatPolicy.REPLACE
    assert found.rule(Source("stow")).action is Action.REJECT


def test_where_a_rule_says_nothing_of_repeats_the_setting_holds() -> None:
    found = Policies.from_json('[{"source": "import"}]', RepeatPolicy.KEEP_FIRST)
    assert {found.rule(Source(kind)).repeat for kind in ("import", "stow")} == {RepeatPolicy.KEEP_FIRST}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("{", "no JSON"),
        ("{}", "array of tables"),
        ("[1]", "array of tables"),
        ([{"colour": "red"}], "rule 1: 'colour' is none of action"),
        ([{}, {"action": "burn"}], "rule 2: action 'burn': want one of accept, coerce, quarantine, reject"),
        ([{"repeat": "often"}], "want one of refuse, replace, keep-first"),
        ([{"action": "reject"}], "reason"),
        ([{"peer": "ten"}], "peer 'ten': want an address"),
        ([{"peer": 10}], "peer: want text"),
        ([{"source": [""]}], "source: want text"),
        ([{"partition": "attic"}], "no partition 'attic'"),
        ([{"action": "coerce"}], "'change' goes with the action 'coerce'"),
        ([{"change": [NAME]}], "'change' goes with the action 'coerce'"),
        ([{"action": "coerce", "change": NAME}], "change: want an array"),
        ([coerce(attribute="NoSuchThing", value="x")], "want a keyword, a tag"),
        ([coerce(attribute="InstitutionName")], "either a value, or remove"),
        ([coerce(attribute="InstitutionName", value="x", remove=True)], "either a value, or remove"),
        ([coerce(attribute="InstitutionName", value=5)], "want text for VR LO"),
        ([coerce(attribute="SeriesNumber", value="x")], "want numbers for VR IS"),
        ([coerce(attribute="00091001", value="x")], "want vr"),
        ([coerce(attribute="InstitutionName", value="x", when="later")], "always, empty, present"),
        ([coerce(attribute="PixelData", remove=True)], "nothing that a header patch may change"),
        ([coerce(attribute="TransferSyntaxUID", value="1.2")], "nothing that a header patch may change"),
        ([coerce(attribute="StudyInstanceUID", value="1.2")], "is not changed"),
        ([coerce(attribute="OriginalAttributesSequence", remove=True)], "is not changed"),
        ([coerce(attribute="InstitutionName", text="x")], "change 1: 'text' is none of"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(rules: Any, said: str) -> None:
    text = rules if isinstance(rules, str) else json.dumps(rules)
    with pytest.raises(BadParameter) as error:
        Policies.from_json(text, RepeatPolicy.REFUSE)
    assert said in error.value.detail
    assert error.value.parameter == "store_rules"


HELD: DataSet = {
    "00080080": {"vr": "LO", "Value": ["Old"]},
    "00100020": {"vr": "LO"},
    "00400275": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["step"]}}]},
}


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ({"attribute": "InstitutionName", "value": "New"}, {"vr": "LO", "Value": ["New"]}),
        ({"attribute": "00080080", "value": "New", "when": "empty"}, "nothing"),
        ({"attribute": "00080080", "value": "New", "when": "present"}, {"vr": "LO", "Value": ["New"]}),
        ({"attribute": "00080080", "value": "Old"}, "nothing"),
        ({"attribute": "InstitutionName", "remove": True}, None),
        ({"attribute": "IssuerOfPatientID", "remove": True}, "nothing"),
        ({"attribute": "IssuerOfPatientID", "value": "X", "when": "present"}, "nothing"),
        ({"attribute": "PatientID", "value": "P", "when": "empty"}, {"vr": "LO", "Value": ["P"]}),
        ({"attribute": "PatientID", "value": ""}, "nothing"),
        ({"attribute": "00400275/1/00400007", "value": "new"}, {"vr": "LO", "Value": ["new"]}),
        (
            {"attribute": "PatientName", "value": "Doe=道"},
            {"vr": "PN", "Value": [{"Alphabetic": "Doe", "Ideographic": "道"}]},
        ),
        ({"attribute": "ImageType", "value": ["A", "B"]}, {"vr": "CS", "Value": ["A", "B"]}),
        ({"attribute": "SeriesNumber", "value": 7}, {"vr": "IS", "Value": [7]}),
        ({"attribute": "00091001", "vr": "SH", "value": "x"}, {"vr": "SH", "Value": ["x"]}),
    ],
)
def test_what_an_edit_changes(edit: dict[str, Any], changed: Any) -> None:
    patch = policies(coerce(**edit)).rule(Source("stow")).patch(HELD)
    assert [change.member for change in patch.changes] == ([] if changed == "nothing" else [changed])


def test_rules_are_tables_of_the_config_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
policy = "keep-first"

[[store_rules]]
source = "stow"
peer = ["10.0.0.0/8"]
action = "coerce"
  [[store_rules.change]]
  attribute = "InstitutionName"
  value = "St. Mary"

[[store_rules]]
action = "reject"
reason = "only our own senders"
"""
    )
    settings = load({}, {}, file)
    found = Policies.from_json(settings.store_rules, RepeatPolicy(settings.policy))
    assert found.rule(Source("stow", "10.1.1.1")).action is Action.COERCE
    assert found.rule(Source("stow", "10.1.1.1")).repeat is RepeatPolicy.KEEP_FIRST
    assert found.rule(Source("import")).action is Action.REJECT
    assert load({}, settings.environment()) == settings, "worker processes read the same"
