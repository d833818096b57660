"""How much a data set may ask of us; beyond it is LimitExceeded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What is refused beyond, each for what it costs in memory: a header is to be read within 300 MB.

    `elements` counts elements and items: parsed, each is half a kilobyte. An enhanced multi-frame image has some
    30 a frame. `value` bounds one value in the metadata that may not go out by reference (PS3.5 6.2 has 64 KiB,
    Implicit VR more), which is split and quoted at once; `table` an offset table. `metadata` bounds all JSON text,
    which is twice in memory when it is put together; text may be six times as long there as in the data set.

    `inflated` is of a deflated data set, which may grow to `inflation_floor` bytes whatever its size, and beyond that
    to `inflation_ratio` times what has arrived.
    """

    depth: int = 64
    elements: int = 500_000
    value: int = 128 << 10
    table: int = 16 << 20
    metadata: int = 64 << 20
    inflated: int = 16 << 30
    inflation_ratio: int = 200
    inflation_floor: int = 16 << 20
    warnings: int = 64


@dataclass(frozen=True, slots=True)
class BulkRules:
    """Longer values leave the metadata for a BulkDataURI: `binary` and number lists, `text` (bytes)."""

    binary: int = 1024
    text: int = 65536
    numbers_as_strings: bool = False


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Of DICOM JSON and XML that are stored, parsed as a whole: counted before, or while, anything is built.

    `objects` counts objects and arrays of JSON, of which an attribute takes two and half a kilobyte; `values` what lies
    between its commas, a number of a hundred bytes. `elements` counts elements of XML, also two for an attribute, of
    half a kilobyte each. `head` bounds the bytes of one element's name and attributes, which are parsed at once.
    """

    objects: int = 500_000
    values: int = 1_500_000
    elements: int = 400_000
    head: int = 64 << 10


LIMITS = ReadLimits()
MODEL = ModelLimits()
BULK = BulkRules()
