"""The level of each attribute (PS3.3 A.1.2, PS3.4 C.6): study with patient, series, or else instance."""

from __future__ import annotations

from gateway.model import Level

RANK = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}

# Patient, Patient Study, Imaging Service Request and Visit modules.
_STUDY_GROUPS = frozenset({0x0010, 0x0032, 0x0038})

# General Study, Clinical Trial Subject and Study modules, and the attributes of PS3.4 Table C.6-2.
_STUDY = frozenset(
    {
        *(0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080061, 0x00080062, 0x00080063, 0x00080090),
        *(0x00080096, 0x0008009C, 0x0008009D, 0x0008041F, 0x00081030, 0x00081032, 0x00081048, 0x00081049),
        *(0x00081060, 0x00081062, 0x00081080, 0x00081084, 0x00081110, 0x00081120, 0x0020000D, 0x00200010),
        *(0x00201070, 0x00201200, 0x00201202, 0x00201204, 0x00201206, 0x00201208, 0x00120010, 0x00120020),
        *(0x00120021, 0x00120030, 0x00120031, 0x00120040, 0x00120042, 0x00120050, 0x00120051, 0x00401012),
    }
)

# General Series, General Equipment, Frame of Reference, Clinical Trial Series, and the request of the series.
_SERIES = frozenset(
    {
        *(0x00080021, 0x00080031, 0x00080060, 0x00080068, 0x00080070, 0x00080080, 0x00080081, 0x00080082),
        *(0x00081010, 0x0008103E, 0x0008103F, 0x00081040, 0x00081041, 0x00081050, 0x00081052, 0x00081070),
        *(0x00081072, 0x00081090, 0x00081111, 0x00081250, 0x00180015, 0x00181000, 0x00181020, 0x00181030),
        *(0x00185100, 0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00201040, 0x00201209, 0x00280108),
        *(0x00280109, 0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400260),
        *(0x00400275, 0x00400280, 0x00120060, 0x00120071, 0x00120072),
    }
)

# The same tags and groups as text of DICOM JSON, for code that sorts whole data sets.
STUDY_TAGS = frozenset(f"{tag:08X}" for tag in _STUDY)
SERIES_TAGS = frozenset(f"{tag:08X}" for tag in _SERIES)
STUDY_GROUPS = frozenset(f"{group:04X}" for group in _STUDY_GROUPS)


def level_of(tag: int) -> Level:
    """Return the highest level at which the attribute may be a search key."""
    if tag in _STUDY or tag >> 16 in _STUDY_GROUPS:
        return Level.STUDY
    return Level.SERIES if tag in _SERIES else Level.INSTANCE
