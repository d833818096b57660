"""The journal's bytes, format 2: a block is a header line and the lines of contiguous revisions that it vouches for.

A log object is one block; a segment is blocks, word for word, one after another. Format 1 was the lines alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import orjson

from gateway.errors import StoreError
from gateway.index.base import Change
from gateway.model import Identity, InstanceUID, Locator, PartitionId, SeriesUID, Source, StudyUID, VersionId

FORMAT = 2
MOST_ROWS = 1000
"""Of a block; a larger batch becomes several."""
TAKEN_OVER = "format-1"
"""Stands for the writer of blocks made of objects of format 1, which may have gaps between their revisions."""
_MOST_HEADER = 4096

Flaw: TypeAlias = Literal["empty", "truncated", "altered", "foreign"]


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says of itself. `before` is SHA-256 of the writer's block before, empty for its first."""

    archive: str
    writer: str
    sequence: int
    before: str
    first: int
    last: int
    length: int
    """Of the lines, in bytes."""

    def line(self, digest: str) -> bytes:
        """As bytes; `digest` is SHA-256 of this line with an empty digest, and of the lines that follow."""
        said = {
            **{"format": FORMAT, "archive": self.archive, "writer": self.writer, "sequence": self.sequence},
            **{"before": self.before, "first": self.first, "last": self.last, "length": self.length},
            "sha256": digest,
        }
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is whole: `digest` is that of all its bytes."""

    header: Header
    changes: Sequence[Change]
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """A block that is not; `changes` are the lines that are whole where the rest was cut off."""

    flaw: Flaw
    changes: Sequence[Change] = ()


def pack_block(archive: str, writer: str, sequence: int, before: str, changes: Sequence[Change]) -> bytes:
    """A block of contiguous changes."""
    lines = b"".join(map(to_line, changes))
    header = Header(
        *(archive, writer, sequence, before, changes[0].revision, changes[-1].revision, len(lines))
    )
    return header.line(_digest(header, lines)) + lines


def _digest(header: Header, lines: bytes) -> str:
    return hashlib.sha256(header.line("") + lines).hexdigest()


def header_of(line: bytes) -> tuple[Header, str] | None:
    """The header and its digest, None where the line is none, or not in the words that we would use."""
    try:
        said = orjson.loads(line)
        if not isinstance(said, dict) or said.pop("format") != FORMAT:
            return None
        digest = str(said.pop("sha256"))
        header = Header(**said)
        numbers = (header.sequence, header.first, header.last, header.length)
        if not all(isinstance(n, int) and n >= 0 for n in numbers) or header.line(digest) != line:
            return None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return header, digest


def headers(body: bytes) -> Iterator[tuple[Header, int]]:
    """Headers and where their blocks begin, as far as they can be followed; nothing is checked."""
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + _MOST_HEADER) + 1
        found = header_of(body[at:end]) if end else None
        if found is None:
            return
        yield found[0], at
        at = end + found[0].length


def blocks(body: bytes) -> Iterator[Block | Broken]:
    """What an object of format 2 holds; after a header that cannot be read nothing more."""
    if not body:
        yield Broken("empty")
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + _MOST_HEADER) + 1
        if not end:
            yield Broken("truncated" if at or body.startswith(b'{"format":2') else "foreign")
            return
        found = header_of(body[at:end])
        if found is None:
            yield Broken("altered" if body.startswith(b'{"format":2') else "foreign")
            return
        stop = end + found[0].length
        yield _block(found, body[at:stop], body[end:stop])
        at = stop


def _block(found: tuple[Header, str], data: bytes, lines: bytes) -> Block | Broken:
    header, digest = found
    if len(lines) < header.length:
        return Broken("truncated", _whole_lines(lines, header.first))
    if _digest(header, lines) != digest:
        return Broken("altered")
    try:
        changes = [from_line(line) for line in lines.splitlines()]
    except StoreError:
        return Broken("altered")
    revisions = [change.revision for change in changes]
    if revisions != list(range(header.first, header.last + 1)):
        return Broken("altered")
    return Block(header, changes, data)


def _whole_lines(lines: bytes, first: int) -> list[Change]:
    """Of what was cut off; each has its place, so that nothing can have gone before it."""
    kept: list[Change] = []
    for line in lines.splitlines(keepends=True):
        try:
            change = from_line(line)
        except StoreError:
            break
        if not line.endswith(b"\n") or change.revision != first + len(kept):
            break
        kept.append(change)
    return kept


def lines_of(body: bytes) -> Sequence[Change] | Broken:
    """What an object of format 1 tells."""
    if not body:
        return Broken("empty")
    kept: list[Change] = []
    for line in body.splitlines(keepends=True):
        try:
            kept.append(from_line(line))
        except StoreError:
            if not kept and not line.startswith(b'{"revision":'):
                return Broken("foreign")
            return Broken("altered") if line.endswith(b"\n") else Broken("truncated", kept)
    if not body.endswith(b"\n"):
        return Broken("truncated", kept)
    if any(one.revision >= other.revision for one, other in pairwise(kept)):
        return Broken("altered")
    return kept


def to_line(change: Change) -> bytes:
    """One change as a line of JSON."""
    locator = change.locator
    identity = change.identity
    source = change.source
    return orjson.dumps(
        {
            "revision": change.revision,
            "time": change.time,
            "kind": change.kind,
            "partition": change.partition,
            "uids": [identity.study, identity.series, identity.instance, identity.sop_class],
            "before": change.version_before,
            "after": change.version_after,
            "source": [source.kind, source.peer, source.ae_title, source.principal],
            "reason": change.reason,
            "locator": [locator.store, locator.key, locator.offset, locator.length] if locator else None,
            "file_digest": change.file_digest.hex(),
            "content_digest": change.content_digest.hex(),
            "transfer_syntax": change.transfer_syntax,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def from_line(line: bytes) -> Change:
    """The change a line tells of. Raises StoreError when the line is not one of ours."""
    try:
        return _change(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError("the journal has a line that is not one of ours") from error


def _change(entry: dict[str, Any]) -> Change:
    study, series, instance, sop_class = entry["uids"]
    kind, peer, ae_title, principal = entry["source"]
    partition = PartitionId(entry["partition"])
    return Change(
        revision=entry["revision"],
        time=entry["time"],
        kind=entry["kind"],
        partition=partition,
        identity=Identity(StudyUID(study), SeriesUID(series), InstanceUID(instance), sop_class),
        version_before=VersionId(entry["before"]) if entry["before"] else None,
        version_after=VersionId(entry["after"]) if entry["after"] else None,
        source=Source(kind, peer, ae_title, principal, partition),
        reason=entry["reason"],
        locator=Locator(*entry["locator"]) if entry["locator"] else None,
        file_digest=bytes.fromhex(entry["file_digest"]),
        content_digest=bytes.fromhex(entry["content_digest"]),
        transfer_syntax=entry["transfer_syntax"],
    )
