"""The building blocks of data sets: VRs, items and their delimiters (PS3.5 6.2, 7.1.2, 7.5)."""

from __future__ import annotations

from struct import Struct

from gateway.dicom import tagnumbers

ITEM, ITEM_END, SEQUENCE_END = (
    tagnumbers.ITEM,
    tagnumbers.ITEM_DELIMITATION_ITEM,
    tagnumbers.SEQUENCE_DELIMITATION_ITEM,
)
# The group of items and delimiters, which are no data elements.
ITEM_GROUP = 0xFFFE
# A length that says: up to the delimiter.
UNDEFINED = 0xFFFFFFFF
# The offset at which what ends by a delimiter is taken to end: behind every file.
OPEN = 1 << 62

# VRs with a length of 32 bits, in a header of 12 bytes; the others have 16 bits, in one of 8.
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_SHORT_VRS = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
VRS = LONG_VRS | frozenset(_SHORT_VRS.split())
# The same as they stand in a file.
CODED_LONG_VRS = frozenset(vr.encode() for vr in LONG_VRS)
CODED_VRS = frozenset(vr.encode() for vr in VRS)
# VRs whose values are padded with a space; UI and all that is binary have a NUL (PS3.5 6.2).
_TEXT_VRS = "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT"
SPACED_VRS = frozenset(_TEXT_VRS.split())

# Group, element and 32-bit length of a header that begins at an offset: an item's, or an implicit element's.
read_item_header = Struct("<HHI").unpack_from
