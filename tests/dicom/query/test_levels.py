"""The level of an attribute (PS3.4 C.6, PS3.18 Table 10.6.1-5)."""

from __future__ import annotations

import pytest
from gateway.dicom.dictionary import tag_of
from gateway.dicom.query.levels import SERIES_TAGS, STUDY_GROUPS, STUDY_TAGS, level_of
from gateway.model import Level

REQUIRED = {
    Level.STUDY: "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName "
    "PatientID StudyInstanceUID StudyID StudyDescription PatientBirthDate PatientSex IssuerOfPatientID "
    "NumberOfStudyRelatedInstances SOPClassesInStudy PatientAge",
    Level.SERIES: "Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime RequestAttributesSequence SeriesDescription InstitutionName "
    "BodyPartExamined ProtocolName StationName Manufacturer ManufacturerModelName FrameOfReferenceUID",
    Level.INSTANCE: "SOPClassUID SOPInstanceUID InstanceNumber AcquisitionDateTime Rows PixelData",
}


@pytest.mark.parametrize(
    ("keyword", "level"), [(keyword, level) for level, names in REQUIRED.items() for keyword in names.split()]
)
def test_levels(keyword: str, level: Level) -> None:
    tag = tag_of(keyword)
    assert tag is not None
    assert level_of(tag) is level
    text = f"{tag:08X}"
    assert (text in STUDY_TAGS or text[:4] in STUDY_GROUPS) is (level is Level.STUDY)
    assert (text in SERIES_TAGS) is (level is Level.SERIES)


def test_no_attribute_is_of_two_levels() -> None:
    assert not STUDY_TAGS & SERIES_TAGS
    assert not {tag for tag in SERIES_TAGS if tag[:4] in STUDY_GROUPS}
