"""Limits on the resources that a data set may use; beyond them LimitExceeded is raised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits on reading a data set, each by its cost in memory: a header must be readable within 300 MB.

    `elements` counts elements and items: each takes half a kilobyte once parsed. An enhanced multi-frame
    image has some 30 a frame. `value` limits one value in the metadata that may not go out by reference
    (PS3.5 6.2 allows 64 KiB, Implicit VR more), which is split and quoted at once; `table` limits an offset
    table. `metadata` limits all JSON text, which is twice in memory when it is put together; text there may
    be six times as long as in the data set.

    `inflated` limits a deflated data set, which may always grow to `inflation_floor` bytes, and beyond that
    to `inflation_ratio` times the bytes that have arrived.
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
    """The lengths in bytes beyond which values leave the metadata and become a BulkDataURI.

    `binary` holds for binary values and lists of numbers, `text` for texts.
    """

    binary: int = 1024
    text: int = 65536
    numbers_as_strings: bool = False


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Limits on DICOM JSON and XML to store, which are parsed as a whole.

    The objects are counted before they are built, or while they are. `objects` counts objects and arrays of
    JSON; an attribute takes two of them and half a kilobyte. `values` counts the values between its commas; a
    number takes a hundred bytes. `elements` counts elements of XML, also two for an attribute, of half a
    kilobyte each. `head` limits the bytes of one element's name and attributes, which are parsed at once.
    """

    objects: int = 500_000
    values: int = 1_500_000
    elements: int = 400_000
    head: int = 64 << 10


LIMITS = ReadLimits()
MODEL = ModelLimits()
BULK = BulkRules()
