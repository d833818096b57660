"""How much a data set may ask of us; beyond it is LimitExceeded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """`value` bounds one value in the metadata, `metadata` all JSON text, `inflated` a deflated data set.

    A deflated data set may grow to `inflation_floor` bytes whatever its size, and beyond that to
    `inflation_ratio` times what has arrived.
    """

    depth: int = 64
    elements: int = 1_000_000
    value: int = 16 << 20
    metadata: int = 256 << 20
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


LIMITS = ReadLimits()
BULK = BulkRules()
