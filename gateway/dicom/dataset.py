"""Types of the DICOM JSON model (PS3.18 F.2): a data set is a mapping of tags to attributes.

What comes from outside is taken as such before it is proved: `jsonread` and `encode` refuse what is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict


class Attribute(TypedDict, total=False):
    """One attribute; at most one of `Value`, `InlineBinary` and `BulkDataURI` is there, without a value none."""

    vr: str
    # Texts, numbers, person names (objects of component groups), items (data sets), None for an empty value: the VR
    # tells which, and whoever reads them knows the VR.
    Value: list[Any]
    # Base64 of the little endian bytes.
    InlineBinary: str
    BulkDataURI: str


# Keys are tags as `tags` has them, 8 upper-case hex digits.
DataSet: TypeAlias = dict[str, Attribute]
ReadOnlyDataSet: TypeAlias = Mapping[str, Attribute]
