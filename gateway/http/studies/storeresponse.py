"""Write the Store Instances Response Module and the status that goes with it.

PS3.18 10.5.3, Annex I.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute, DataSet

if TYPE_CHECKING:
    from gateway.services.ingest.outcomes import Outcome


MOST_WARNINGS = 10  # clients and proxies limit the size of header fields


def store_status(outcomes: Sequence[Outcome]) -> int:
    """Return the status (Table 10.5.3-1): 200 where all is well, 409 where nothing is stored, else 202.

    202 means that some instances failed, were stored with warnings, or were set aside. It is 503 where
    nothing is stored because of our own failure, so that the client tries again.
    """
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    if len(failures) < len(outcomes):
        clean = not failures and not any(outcome.warnings or outcome.quarantined for outcome in outcomes)
        return 200 if clean else 202
    ours = all(code == 0x0110 or code >> 8 == 0xA7 for code in failures)
    return 503 if ours else 409


def store_response(outcomes: Sequence[Outcome], base: str) -> DataSet:
    """Return the module as one DICOM JSON object; empty sequences are left out."""
    stored = [o for o in outcomes if o.failure is None]
    failed = [o for o in outcomes if o.failure is not None and o.identity is not None]
    others = [o for o in outcomes if o.failure is not None and o.identity is None]
    dataset: DataSet = {tags.RETRIEVE_URL: _url(study_url(outcomes, base))}
    if failed:
        dataset[tags.FAILED_SOP_SEQUENCE] = _sequence([_make_failed_item(o) for o in failed])
    if stored:
        dataset[tags.REFERENCED_SOP_SEQUENCE] = _sequence([_make_stored_item(o, base) for o in stored])
    if others:
        dataset[tags.OTHER_FAILURES_SEQUENCE] = _sequence(
            [{tags.FAILURE_REASON: _number(o.failure or 0)} for o in others]
        )
    return dataset


def study_url(outcomes: Sequence[Outcome], base: str) -> str:
    """Return the URL of the one study that was stored into, '' where there is none or several (D-11)."""
    studies = {o.identity.study for o in outcomes if _is_there(o) and o.identity is not None}
    return f"{base}/studies/{studies.pop()}" if len(studies) == 1 else ""


def make_location(outcomes: Sequence[Outcome], base: str) -> str:
    """Return the value of `Location`: the study of the new instances, or `/studies` for several.

    '' where nothing new is stored.
    """
    if not any(_is_there(o) and o.fresh for o in outcomes):
        return ""
    return study_url(outcomes, base) or f"{base}/studies"


def store_warnings(outcomes: Sequence[Outcome], base: str) -> list[str]:
    """Return the first few values of `Warning`, such as `A700 <service>: Out of memory` (10.5.3.2)."""
    lines: dict[str, None] = {}
    for outcome in outcomes:
        code = outcome.failure if outcome.failure is not None else next(iter(outcome.warnings), 0)
        if not code and not outcome.detail:
            continue
        what = f"instance {outcome.identity.instance}: " if outcome.identity is not None else ""
        details = "; ".join(filter(None, (outcome.detail, *outcome.warning_details)))
        details = details or "stored with a warning"
        lines[f"{code:04X} {base}: {what}{details}"] = None
    return list(lines)[:MOST_WARNINGS]


def _is_there(outcome: Outcome) -> bool:
    """Return whether the instance can be retrieved."""
    return outcome.failure is None and not outcome.quarantined


def _make_stored_item(outcome: Outcome, base: str) -> DataSet:
    assert outcome.identity is not None
    item: DataSet = {
        **_reference(outcome),
        tags.RETRIEVE_URL: _url(base + outcome.identity.path.url() if _is_there(outcome) else ""),
    }
    if outcome.warnings:
        item[tags.WARNING_REASON] = _number(outcome.warnings[0])
    if outcome.original is not None:
        item[tags.ORIGINAL_ATTRIBUTES_SEQUENCE] = _sequence([dict(outcome.original)])
    return dict(sorted(item.items()))


def _make_failed_item(outcome: Outcome) -> DataSet:
    return {**_reference(outcome), tags.FAILURE_REASON: _number(outcome.failure or 0)}


def _reference(outcome: Outcome) -> DataSet:
    assert outcome.identity is not None
    return {
        tags.REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [outcome.identity.sop_class]},
        tags.REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [outcome.identity.instance]},
    }


def _url(url: str) -> Attribute:
    return {"vr": "UR", "Value": [url]} if url else {"vr": "UR"}


def _number(value: int) -> Attribute:
    return {"vr": "US", "Value": [value]}


def _sequence(items: Sequence[DataSet]) -> Attribute:
    return {"vr": "SQ", "Value": list(items)}
