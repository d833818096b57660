"""Decide by rules of the site how to treat instances by their source; the first rule that matches counts.

A rule names sources (kind, peer, AE title, principal, partition; a property that it does not name may have
any value). It says what to do: `accept`, `coerce` (changes to attributes), `quarantine` or `reject`. It also
says what to do with other content under a known SOP Instance UID: `refuse`, `replace` or `keep-first`.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import orjson

from gateway.dicom import tags
from gateway.dicom.dataset import Attribute, ReadOnlyDataSet
from gateway.dicom.dictionary import tag_of, vr_of
from gateway.dicom.model.patch import AttributeChange, Patch
from gateway.errors import BadParameter, DicomError
from gateway.model import DEFAULT_PARTITION, RepeatPolicy, Source

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SETTING = "store_rules"
_MATCHING = frozenset({"source", "peer", "ae_title", "principal", "partition"})
_MEMBERS = _MATCHING | {"action", "reason", "repeat", "change"}
_EDIT = frozenset({"attribute", "value", "remove", "when", "vr"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_PATH = re.compile(r"[0-9A-Fa-f]{8}(?:/[1-9][0-9]{0,6}/[0-9A-Fa-f]{8})*\Z")
# UIDs that say which instance it is, and Original Attributes Sequence. No rule changes these.
_FIXED = frozenset(
    {
        tags.SOP_CLASS_UID,
        tags.SOP_INSTANCE_UID,
        tags.STUDY_INSTANCE_UID,
        tags.SERIES_INSTANCE_UID,
        tags.ORIGINAL_ATTRIBUTES_SEQUENCE,
    }
)


class Action(enum.Enum):
    """The treatment of an instance."""

    ACCEPT = "accept"
    COERCE = "coerce"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class When(enum.Enum):
    """The condition under which an edit changes an attribute."""

    ALWAYS = "always"
    EMPTY = "empty"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one attribute; with `member` None it is removed."""

    path: str
    member: Attribute | None
    when: When = When.ALWAYS

    def change(self, model: ReadOnlyDataSet) -> AttributeChange | None:
        """Return the change that this data set needs.

        None where the attribute has that value already, or `when` does not hold.
        """
        held = _find_member(model, self.path.split("/"))
        has_value = held is not None and bool(held.keys() & {"Value", "BulkDataURI", "InlineBinary"})
        due = {When.ALWAYS: True, When.EMPTY: not has_value, When.PRESENT: has_value}[self.when]
        if not due or held == self.member:
            return None
        return AttributeChange(self.path, self.member)


@dataclass(frozen=True, slots=True)
class Rule:
    """The treatment of instances; a rule that names no source matches every source."""

    action: Action = Action.ACCEPT
    repeat: RepeatPolicy = RepeatPolicy.REFUSE
    reason: str = ""
    edits: tuple[Edit, ...] = ()
    kinds: tuple[str, ...] = ()
    peers: tuple[Network, ...] = ()
    ae_titles: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()

    def matches(self, source: Source) -> bool:
        """Return whether the rule is for this source."""
        return (
            _one_of(source.kind, self.kinds)
            and _one_of(source.ae_title, self.ae_titles)
            and _one_of(source.principal, self.principals)
            and (not self.partitions or source.partition in self.partitions)
            and (not self.peers or _within(source.peer, self.peers))
        )

    def patch(self, model: ReadOnlyDataSet) -> Patch:
        """Return the changes of the rule to this data set. Raises DicomError where they cannot be made."""
        return Patch(tuple(c for edit in self.edits if (c := edit.change(model)) is not None))


class Policies:
    """The rules of a site, and the default where none matches."""

    def __init__(self, rules: Sequence[Rule] = (), repeat: RepeatPolicy = RepeatPolicy.REFUSE) -> None:
        self._rules = tuple(rules)
        self.default = Rule(repeat=repeat)

    def rule(self, source: Source) -> Rule:
        """Return the first rule that matches this source."""
        return next((rule for rule in self._rules if rule.matches(source)), self.default)

    @staticmethod
    def from_json(text: str, repeat: RepeatPolicy) -> Policies:
        """Return the rules of a JSON array of objects, the value of the setting `store_rules`.

        `repeat` counts where a rule does not give its own. Raises BadParameter naming the rule and what is
        wrong with it.
        """
        try:
            tables = orjson.loads(text) if text else []
        except orjson.JSONDecodeError as error:
            raise _wrong(f"it is no JSON: {error.msg}") from error
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise _wrong("want an array of tables, [[store_rules]] in TOML")
        return Policies([_rule(n, table, repeat) for n, table in enumerate(tables, 1)], repeat)


def _one_of(text: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _within(peer: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _find_member(model: ReadOnlyDataSet, parts: Sequence[str]) -> Attribute | None:
    found: Attribute | None = model.get(parts[0])
    if len(parts) == 1 or found is None:
        return found
    items, number = found.get("Value") or [], int(parts[1])
    return _find_member(items[number - 1] or {}, parts[2:]) if number <= len(items) else None


# -- reading the setting ------------------------------------------------------------------------------------


def _wrong(what: str) -> BadParameter:
    return BadParameter(f"{SETTING}: {what}", parameter=SETTING)


def _rule(number: int, table: Mapping[str, Any], repeat: RepeatPolicy) -> Rule:
    where = f"rule {number}"
    _check_known(where, table, _MEMBERS)
    action = _choice(where, table, "action", Action, Action.ACCEPT)
    edits = table.get("change", [])
    if not isinstance(edits, list):
        raise _wrong(f"{where}: change: want an array of tables")
    if bool(edits) != (action is Action.COERCE):
        raise _wrong(f"{where}: 'change' goes with the action 'coerce', and this with it")
    reason = table.get("reason", "")
    if not isinstance(reason, str) or (action is Action.REJECT and not reason):
        raise _wrong(f"{where}: reason: want text, which the sender is told")
    return Rule(
        action=action,
        repeat=_choice(where, table, "repeat", RepeatPolicy, repeat),
        reason=reason[:200],
        edits=tuple(_edit(f"{where}, change {n}", edit) for n, edit in enumerate(edits, 1)),
        kinds=_texts(where, table, "source"),
        peers=tuple(_network(where, text) for text in _texts(where, table, "peer")),
        ae_titles=_texts(where, table, "ae_title"),
        principals=_texts(where, table, "principal"),
        partitions=tuple(_partition(where, text) for text in _texts(where, table, "partition")),
    )


def _check_known(where: str, table: Any, members: frozenset[str]) -> None:
    unknown = sorted(set(table) - members) if isinstance(table, dict) else ["it"]
    if unknown:
        raise _wrong(f"{where}: '{unknown[0][:40]}' is none of {', '.join(sorted(members))}")


def _choice(where: str, table: Mapping[str, Any], name: str, kind: Any, default: Any) -> Any:
    if name not in table:
        return default
    try:
        return kind(table[name])
    except ValueError as error:
        names = ", ".join(str(one.value) for one in kind)
        raise _wrong(f"{where}: {name} '{str(table[name])[:40]}': want one of {names}") from error


def _texts(where: str, table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = table.get(name, [])
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(text, str) and text for text in found):
        raise _wrong(f"{where}: {name}: want text, or several")
    return tuple(found)


def _network(where: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise _wrong(
            f"{where}: peer '{text[:40]}': want an address or a network such as 10.0.0.0/8"
        ) from error


def _partition(where: str, text: str) -> int:
    if text != "default":
        raise _wrong(f"{where}: there is no partition '{text[:40]}'")
    return DEFAULT_PARTITION


def _edit(where: str, table: Any) -> Edit:
    _check_known(where, table, _EDIT)
    path = _path(where, table.get("attribute"))
    when = _choice(where, table, "when", When, When.ALWAYS)
    if ("value" in table) == (table.get("remove") is True):
        raise _wrong(f"{where}: want either a value, or remove = true")
    member = None if "value" not in table else _member(where, path, table["value"], table.get("vr", ""))
    try:
        change = AttributeChange(path, member)
    except DicomError as error:
        raise _wrong(f"{where}: {error.detail}") from error
    if change.path in _FIXED or change.tags[0] in _FIXED:
        raise _wrong(f"{where}: {path} says which instance it is, and is not changed")
    return Edit(path, member, when)


def _path(where: str, text: Any) -> str:
    """Return a path of tags and item numbers; `text` is a keyword, a tag or such a path."""
    tag = tag_of(text) if isinstance(text, str) else None
    if tag is not None:
        return f"{tag:08X}"
    if not isinstance(text, str) or not _PATH.match(text):
        raise _wrong(
            f"{where}: attribute '{str(text)[:40]}': want a keyword, a tag, or "
            f"{tags.REQUEST_ATTRIBUTES_SEQUENCE}/1/{tags.SCHEDULED_PROCEDURE_STEP_DESCRIPTION}"
        )
    return text.upper()


def _member(where: str, path: str, value: Any, given: Any) -> Attribute:
    values = value if isinstance(value, list) else [value]
    vr = given or vr_of(int(path[-8:], 16))
    if not isinstance(vr, str) or vr not in _TEXT | _NUMBERS:
        raise _wrong(
            f"{where}: values of VR '{str(vr)[:20]}' are not set by rules; want vr = \"LO\", for one"
        )
    wanted: tuple[type, ...] = (int, float) if vr in _NUMBERS else (str,)
    if not all(isinstance(one, wanted) and not isinstance(one, bool) for one in values):
        raise _wrong(f"{where}: value: want {'numbers' if vr in _NUMBERS else 'text'} for VR {vr}")
    values = [one for one in values if one != ""]
    if vr == "PN":
        names = ("Alphabetic", "Ideographic", "Phonetic")
        values = [{n: g for n, g in zip(names, one.split("="), strict=False) if g} for one in values]
    return {"vr": vr, "Value": values} if values else {"vr": vr}
