"""What pydicom makes of a file, element by element, and how our metadata differs from it."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson
from gateway.dicom.layout import InstanceLayout
from gateway.dicom.part10 import Part10Reader, ReadInstance
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
