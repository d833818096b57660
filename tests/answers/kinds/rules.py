"""The site's rules for who sends what, by the address that it is sent from, and the quarantine."""

from __future__ import annotations

from dataclasses import replace

from tests import build
from tests.answers.ask import DICOM, JSON, ROOT, Ask, Asks, fields, get, stored
from tests.answers.held import Held
from tests.answers.kinds.storing import BASE, named

COERCED, ASIDE, REJECTED, REPLACING, KEEPING = (f"127.0.0.{n}" for n in range(2, 7))
RULES = [
    {
        "peer": COERCED,
        "action": "coerce",
        "change": [
            {"attribute": "InstitutionName", "value": "St. Mary's"},
            {"attribute": "IssuerOfPatientID", "value": "MARY", "when": "empty"},
            {"attribute": "OperatorsName", "remove": True},
        ],
    },
    {"peer": ASIDE, "action": "quarantine", "reason": "a new modality is on trial"},
    {"peer": REJECTED, "action": "reject", "reason": "this sender is retired"},
    {"peer": REPLACING, "repeat": "replace"},
    {"peer": KEEPING, "repeat": "keep-first"},
]
HERE = f"{ROOT}/studies"
LIST = "/api/v1/quarantine"
MEANT = fields("application/json", x_requested_with="answers")


def asks(held: Held) -> Asks:
    """Each rule, and what becomes of what was set aside."""
    for number, peer in enumerate((COERCED, ASIDE, ASIDE, REJECTED, REPLACING, KEEPING), 100):
        yield _sent(f"sent by {peer}, {number}", peer, number)
    for peer, number in ((REPLACING, 104), (KEEPING, 105), (COERCED, 100), (ASIDE, 101)):
        yield _sent(f"sent otherwise by {peer}", peer, number, PatientName="Roe^Rae", PixelData=bytes(128))
    for number in (100, 101, 103, 104, 105):
        yield get(f"metadata of {number}", f"{_path(number)}/metadata", JSON)
        yield get(f"file of {number}", _path(number), f"{DICOM}; transfer-syntax=*")
    for query in ("", "?limit=1", "?offset=1", "?limit=x", "?limit=0"):
        yield get(f"quarantine{query}", f"{LIST}{query}", "application/json")
    yield get("quarantine as HTML", LIST, "text/html")
    aside, other = (f"{LIST}{_path(n).removeprefix(ROOT)}" for n in (101, 102))
    yield Ask("release without intent", f"{aside}/release", "POST", fields(JSON))
    yield Ask("release", f"{aside}/release", "POST", MEANT)
    yield Ask("release again", f"{aside}/release", "POST", MEANT)
    yield Ask("discard without intent", other, "DELETE")
    yield Ask("discard", other, "DELETE", MEANT)
    yield Ask("discard again", other, "DELETE", MEANT)
    yield Ask("release of nothing", f"{LIST}/studies/1.2.3/release", "POST", MEANT)
    yield get("quarantine at last", LIST, "application/json")
    yield get("what was released", f"{_path(101)}/metadata", JSON)
    yield get("what was discarded", f"{_path(102)}/metadata", JSON)


def _sent(name: str, peer: str, number: int, **attributes: object) -> Ask:
    given = {"InstitutionName": "Elsewhere", "OperatorsName": "Op^One", **attributes}
    return replace(stored(name, HERE, build.part10(named(number, **given))), peer=peer)


def _path(number: int) -> str:
    return f"{HERE}/{BASE}.1.{number}/series/{BASE}.2.{number}/instances/{BASE}.3.{number}"
