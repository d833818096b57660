"""What pydicom makes of a file, element by element, and how our metadata differs from it."""

from __future__ import annotations

import struct
import warnings
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.dicom.encoding.part10 import Part10Reader, ReadInstance
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement

VERSION = "0123456789abcdef0123456789abcdef"
_BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def read(data: bytes, *, chunk: int = 0, **options: Any) -> ReadInstance:
    """Ours, in chunks of `chunk` bytes, or whole."""
    reader = Part10Reader(version=VERSION, **options)
    step = chunk or len(data) or 1
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])
    return reader.finish()


def parsed(metadata: bytes) -> dict[str, Any]:
    """The JSON object, the place of the instance's URL left empty."""
    found: dict[str, Any] = orjson.loads(metadata.replace(b"\0", b""))
    return found


def stored(data: bytes, found: ReadInstance, prefix: bytes = b"") -> bytes:
    """The bytes that the layout's offsets count in."""
    whole = prefix + data
    if found.layout.inflated:
        return zlib.decompressobj(-15).decompress(whole[found.layout.dataset_offset :])
    return whole


def differences(data: bytes, *, force: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """Path, ours and pydicom's of every element that is not the same in both."""
    found = read(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(BytesIO(data), force=force)
        yield from _compare("", parsed(found.metadata), dataset, stored(data, found), found.layout)


def _compare(
    above: str, ours: dict[str, Any], theirs: Dataset, data: bytes, layout: InstanceLayout
) -> Iterator[tuple[str, Any, Any]]:
    tags = {f"{int(tag):08X}": tag for tag in theirs.keys() if _modelled(int(tag))}  # noqa: SIM118
    for key in sorted(tags.keys() | ours.keys()):
        path = above + key
        if key not in tags or key not in ours:
            yield path, ours.get(key), "absent" if key not in tags else "present"
            continue
        mine = ours[key]
        if "BulkDataURI" in mine:
            bulk = layout.bulk[path]
            raw = theirs.get_item(tags[key])
            expected = raw.value if isinstance(raw, RawDataElement) else None
            value = data[bulk.offset : bulk.offset + bulk.length]
            assert mine["BulkDataURI"] == f"/bulkdata/{path}?v={VERSION}"
            if expected is None:
                expected = theirs[tags[key]].value
            if expected not in (value, value.removesuffix(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))):
                yield path, value[:64], expected[:64] if isinstance(expected, bytes) else expected
            continue
        try:
            element = theirs[tags[key]]
            if element.VR == "SQ" and mine["vr"] == "SQ":
                yield from _items(path, mine, element.value, data, layout)
                continue
            other = element.to_json_dict(None, 1 << 62)
        except Exception as error:
            yield path, mine, type(error).__name__
            continue
        if layout.big_endian and "InlineBinary" in other:
            other["InlineBinary"] = _swapped(other["vr"], other["InlineBinary"])
        if not _same(mine, other):
            yield path, mine, other


def _items(
    path: str, mine: dict[str, Any], items: Any, data: bytes, layout: InstanceLayout
) -> Iterator[tuple[str, Any, Any]]:
    ours = mine.get("Value", [])
    if len(ours) != len(items):
        yield path, len(ours), len(items)
    for number, (item, other) in enumerate(zip(ours, items, strict=False), 1):
        yield from _compare(f"{path}/{number}/", item, other, data, layout)


def _modelled(tag: int) -> bool:
    group = tag >> 16
    return bool(tag & 0xFFFF) and not (group < 8 and not group & 1) and tag != 0xFFFCFFFC and group != 0xFFFE


def _swapped(vr: str, inline: str) -> str:
    """pydicom keeps the byte order of the file, PS3.18 F.2.7 wants little endian."""
    raw, size = b64decode(inline), {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}.get(vr, 1)
    return b64encode(b"".join(raw[at : at + size][::-1] for at in range(0, len(raw), size))).decode()


def _same(mine: dict[str, Any], other: dict[str, Any]) -> bool:
    if mine["vr"] != other["vr"] or ("InlineBinary" in mine) != ("InlineBinary" in other):
        return False
    if "InlineBinary" in mine:
        return bool(mine["InlineBinary"] == other["InlineBinary"])
    values, others = mine.get("Value", []), other.get("Value", [])
    return len(values) == len(others) and all(
        _same_value(mine["vr"], a, b) for a, b in zip(values, others, strict=True)
    )


def _same_value(vr: str, mine: Any, other: Any) -> bool:
    if mine is None or other is None:
        return mine == other or other in ("", {})
    if vr in ("DS", "IS", "FD", "SV", "UV"):
        return (
            mine == other or (not isinstance(mine, str) and float(mine) == float(other)) or str(other) == mine
        )
    if vr == "FL":
        return struct.pack("<f", mine) == struct.pack("<f", other)
    return bool(mine == other)


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """One Explicit VR Little Endian element; `length` lies about it, -1 is undefined."""
    size = len(value) if length is None else length & 0xFFFFFFFF
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in {*_BINARY, "SQ", "UC", "UR", "UT", "SV", "UV"}:
        return head + struct.pack("<HI", 0, size) + value
    return head + struct.pack("<H", size) + value


def item(value: bytes = b"", *, undefined: bool = False) -> bytes:
    """One item, with its delimiter where its length is undefined."""
    if undefined:
        return (
            struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + value + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        )
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
EXPLICIT = "1.2.840.10008.1.2.1"
UIDS = {0x00080016: b"1.2.840.10008.5.1.4.1.1.7\0", 0x00080018: b"1.2.3\0"}
PLACE = {0x0020000D: b"1.2\0", 0x0020000E: b"1.2.4\0"}


def meta(syntax: str = EXPLICIT) -> bytes:
    """Preamble and a file meta that names the transfer syntax alone."""
    uid = syntax.encode()
    return bytes(128) + b"DICM" + element(0x00020010, "UI", uid + b"\0" * (len(uid) % 2))


def dataset(*more: bytes) -> bytes:
    """A data set with the four UIDs, followed by `more`."""
    uids = {**UIDS, **PLACE}
    return b"".join(element(tag, "UI", value) for tag, value in uids.items()) + b"".join(more)
