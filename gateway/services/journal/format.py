"""The bytes of the journal, format 2: a block is a header line and the lines of contiguous revisions.

A log object is one block; a segment is blocks, word for word, one after another. Format 1
was the lines alone.
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
"""The most changes of a block; a larger batch becomes several blocks."""
TAKEN_OVER = "format-1"
"""The writer named in blocks made from objects of format 1, which may have gaps between revisions."""
_MOST_HEADER = 4096

Flaw: TypeAlias = Literal["empty", "truncated", "altered", "foreign"]


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The header of a block.

    `before` is SHA-256 of the block before by the same writer, empty for its first one.
    """

    archive: str
    writer: str
    sequence: int
    before: str
    first: int
    last: int
    length: int
    """Length of the lines, in bytes."""

    def line(self, digest: str) -> bytes:
        """Return the header as a line of JSON.

        `digest` is SHA-256 of this line with an empty digest, followed by the lines of the block.
        """
        said = {
            **{"format": FORMAT, "archive": self.archive, "writer": self.writer, "sequence": self.sequence},
            **{"before": self.before, "first": self.first, "last": self.last, "length": self.length},
            "sha256": digest,
        }
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is whole: `digest` is SHA-256 of all its bytes."""

    header: BlockHeader
    changes: Sequence[Change]
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """A damaged block; where it was cut off, `changes` are the lines that are still whole."""

    flaw: Flaw
    changes: Sequence[Change] = ()


def pack_block(archive: str, writer: str, sequence: int, before: str, changes: Sequence[Change]) -> bytes:
    """Return the bytes of a block of contiguous changes."""
    lines = b"".join(map(to_line, changes))
    header = BlockHeader(
        *(archive, writer, sequence, before, changes[0].revision, changes[-1].revision, len(lines))
    )
    return header.line(_digest(header, lines)) + lines


def _digest(header: BlockHeader, lines: bytes) -> str:
    return hashlib.sha256(header.line("") + lines).hexdigest()


def header_of(line: bytes) -> tuple[BlockHeader, str] | None:
    """Return the header and its digest, None where the line is no header or not exactly as we write it."""
    try:
        said = orjson.loads(line)
        if not isinstance(said, dict) or said.pop("format") != FORMAT:
            return None
        digest = str(said.pop("sha256"))
        header = BlockHeader(**said)
        numbers = (header.sequence, header.first, header.last, header.length)
        if not all(isinstance(n, int) and n >= 0 for n in numbers) or header.line(digest) != line:
            return None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return header, digest


def headers(body: bytes) -> Iterator[tuple[BlockHeader, int]]:
    """Yield headers and the offsets of their blocks, as far as they can be followed; nothing is checked."""
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + _MOST_HEADER) + 1
        found = header_of(body[at:end]) if end else None
        if found is None:
            return
        yield found[0], at
        at = end + found[0].length


def blocks(body: bytes) -> Iterator[Block | Broken]:
    """Yield the blocks of an object of format 2; after an unreadable header there are no more."""
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


def _block(found: tuple[BlockHeader, str], data: bytes, lines: bytes) -> Block | Broken:
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
    """Return the whole lines of a block that was cut off.

    Their revisions must be contiguous from `first`, so that no line before them can be missing.
    """
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
    """Return the changes of an object of format 1."""
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
    """Return a change as a line of JSON."""
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
    """Return the change of a line. Raises StoreError when the line is not one of ours."""
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
