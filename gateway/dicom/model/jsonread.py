"""Read DICOM JSON strictly (PS3.18 F.2, F.3): violations are refused, numbers keep their digits."""

from __future__ import annotations

import json
import math
from typing import Any

from gateway.dicom.dataset import DataSet
from gateway.dicom.limits import LIMITS, MODEL
from gateway.errors import DicomError, LimitExceeded

_GROUPS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})


class Number(float):
    """A JSON number with its digits as written: `0.50` is not `0.5` in a DS."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Number:
        found = super().__new__(cls, text)
        found.text = text
        return found


def datasets(data: bytes) -> list[DataSet]:
    """Return the data sets of a store request: an array of objects, or one object (PS3.18 F.2.1).

    Raises DicomError where it is not DICOM JSON, LimitExceeded where it is nested too deeply or has too many
    pieces. Pieces are counted before any object is built.
    """
    _check_pieces(data)
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DicomError(f"the JSON is not UTF-8: byte {error.start} of {len(data)}") from error
    try:
        model = json.loads(
            text, object_pairs_hook=_members, parse_float=Number, parse_int=_whole, parse_constant=_no_number
        )
    except RecursionError as error:
        raise LimitExceeded("the JSON is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise DicomError(
            f"the JSON is malformed at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    found = model if isinstance(model, list) else [model]
    if not found or not all(isinstance(dataset, dict) for dataset in found):
        raise DicomError("want a JSON array of data sets, each an object (PS3.18 F.2.1)")
    return [_normal(dataset, 0) for dataset in found]


def _check_pieces(data: bytes) -> None:
    """Raise LimitExceeded where there are too many objects or values.

    Brackets and commas within strings are told apart only where the simple count is above a limit.
    """
    if data.count(b"{") + data.count(b"[") <= MODEL.objects and data.count(b",") <= MODEL.values:
        return
    objects = values = at = 0
    while at < len(data):
        begin = data.find(b'"', at)
        end = begin if begin >= 0 else len(data)
        objects += data.count(b"{", at, end) + data.count(b"[", at, end)
        values += data.count(b",", at, end)
        if objects > MODEL.objects or values > MODEL.values:
            raise LimitExceeded(
                f"the JSON has more than {MODEL.objects} objects and arrays, or {MODEL.values} values; "
                "send it in several requests"
            )
        at = _behind_string(data, begin) if begin >= 0 else len(data)


def _behind_string(data: bytes, begin: int) -> int:
    """Return where the string that begins at `begin` ends.

    A quote after an odd number of backslashes does not end it.
    """
    at = begin
    while (at := data.find(b'"', at + 1)) >= 0:
        before = at
        while data[before - 1] == 0x5C:
            before -= 1
        if (at - before) % 2 == 0:
            return at + 1
    return len(data)


def _normal(dataset: DataSet, depth: int) -> DataSet:
    """Return the data set with tags in upper case at every level (J-12). Raises DicomError, LimitExceeded."""
    if depth > LIMITS.depth:
        raise LimitExceeded(f"sequences nested deeper than {LIMITS.depth}")
    found: DataSet = {}
    for name, member in dataset.items():
        key = name.upper() if len(name) == 8 else name
        if key in found:
            raise DicomError(f"a data set has {key} twice (PS3.18 F.3.1)", tag=key)
        if isinstance(member, dict) and not isinstance(member.get("vr", ""), str | None):
            raise DicomError(f"{key}: the vr is no string", tag=key)
        found[key] = _normal_member(member, depth + 1)
    return found


def _normal_member(member: Any, depth: int) -> Any:
    values = member.get("Value") if isinstance(member, dict) else None
    if not isinstance(values, list) or member.get("vr") not in ("SQ", None):
        return member
    items = [_normal(v, depth) if isinstance(v, dict) and not v.keys() & _GROUPS else v for v in values]
    return {**member, "Value": items}


def _members(pairs: list[tuple[str, Any]]) -> DataSet:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DicomError(f"a JSON object has the member '{twice[:40]}' twice (PS3.18 F.3.1)")
    return members


def _whole(text: str) -> int:
    if len(text) > 40:
        raise DicomError(f"a JSON number has {len(text)} digits")
    return int(text)


def _no_number(text: str) -> float:
    raise DicomError(f"{text} is no JSON number; not finite values go as strings or by BulkDataURI")


def finite(value: object) -> float | None:
    """Return a number, or the number that is not finite in a string; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity", "inf", "-inf"}:
        return float(value.replace("Infinity", "inf"))
    return None


def is_integral(value: float) -> bool:
    return math.isfinite(value) and value == int(value)
