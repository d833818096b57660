"""The level of each attribute (PS3.3 A.1.2, PS3.4 C.6): study with patient, series, or else instance."""

from __future__ import annotations

from gateway.dicom import tagnumbers
from gateway.model import Level

RANK = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}

# Patient, Patient Study, Imaging Service Request and Visit modules.
_STUDY_GROUPS = frozenset({0x0010, 0x0032, 0x0038})

# General Study, Clinical Trial Subject and Study modules, and the attributes of PS3.4 Table C.6-2.
_STUDY = frozenset(
    {
        tagnumbers.STUDY_DATE,
        tagnumbers.STUDY_TIME,
        tagnumbers.ACCESSION_NUMBER,
        tagnumbers.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
        tagnumbers.MODALITIES_IN_STUDY,
        tagnumbers.SOP_CLASSES_IN_STUDY,
        tagnumbers.ANATOMIC_REGIONS_IN_STUDY_CODE_SEQUENCE,
        tagnumbers.REFERRING_PHYSICIAN_NAME,
        tagnumbers.REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
        tagnumbers.CONSULTING_PHYSICIAN_NAME,
        tagnumbers.CONSULTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
        tagnumbers.STUDY_UPDATE_DATE_TIME,
        tagnumbers.STUDY_DESCRIPTION,
        tagnumbers.PROCEDURE_CODE_SEQUENCE,
        tagnumbers.PHYSICIANS_OF_RECORD,
        tagnumbers.PHYSICIANS_OF_RECORD_IDENTIFICATION_SEQUENCE,
        tagnumbers.NAME_OF_PHYSICIANS_READING_STUDY,
        tagnumbers.PHYSICIANS_READING_STUDY_IDENTIFICATION_SEQUENCE,
        tagnumbers.ADMITTING_DIAGNOSES_DESCRIPTION,
        tagnumbers.ADMITTING_DIAGNOSES_CODE_SEQUENCE,
        tagnumbers.REFERENCED_STUDY_SEQUENCE,
        tagnumbers.REFERENCED_PATIENT_SEQUENCE,
        tagnumbers.STUDY_INSTANCE_UID,
        tagnumbers.STUDY_ID,
        tagnumbers.OTHER_STUDY_NUMBERS,
        tagnumbers.NUMBER_OF_PATIENT_RELATED_STUDIES,
        tagnumbers.NUMBER_OF_PATIENT_RELATED_SERIES,
        tagnumbers.NUMBER_OF_PATIENT_RELATED_INSTANCES,
        tagnumbers.NUMBER_OF_STUDY_RELATED_SERIES,
        tagnumbers.NUMBER_OF_STUDY_RELATED_INSTANCES,
        tagnumbers.CLINICAL_TRIAL_SPONSOR_NAME,
        tagnumbers.CLINICAL_TRIAL_PROTOCOL_ID,
        tagnumbers.CLINICAL_TRIAL_PROTOCOL_NAME,
        tagnumbers.CLINICAL_TRIAL_SITE_ID,
        tagnumbers.CLINICAL_TRIAL_SITE_NAME,
        tagnumbers.CLINICAL_TRIAL_SUBJECT_ID,
        tagnumbers.CLINICAL_TRIAL_SUBJECT_READING_ID,
        tagnumbers.CLINICAL_TRIAL_TIME_POINT_ID,
        tagnumbers.CLINICAL_TRIAL_TIME_POINT_DESCRIPTION,
        tagnumbers.REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE,
    }
)

# General Series, General Equipment, Frame of Reference, Clinical Trial Series, and the request of the series.
_SERIES = frozenset(
    {
        tagnumbers.SERIES_DATE,
        tagnumbers.SERIES_TIME,
        tagnumbers.MODALITY,
        tagnumbers.PRESENTATION_INTENT_TYPE,
        tagnumbers.MANUFACTURER,
        tagnumbers.INSTITUTION_NAME,
        tagnumbers.INSTITUTION_ADDRESS,
        tagnumbers.INSTITUTION_CODE_SEQUENCE,
        tagnumbers.STATION_NAME,
        tagnumbers.SERIES_DESCRIPTION,
        tagnumbers.SERIES_DESCRIPTION_CODE_SEQUENCE,
        tagnumbers.INSTITUTIONAL_DEPARTMENT_NAME,
        tagnumbers.INSTITUTIONAL_DEPARTMENT_TYPE_CODE_SEQUENCE,
        tagnumbers.PERFORMING_PHYSICIAN_NAME,
        tagnumbers.PERFORMING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
        tagnumbers.OPERATORS_NAME,
        tagnumbers.OPERATOR_IDENTIFICATION_SEQUENCE,
        tagnumbers.MANUFACTURER_MODEL_NAME,
        tagnumbers.REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
        tagnumbers.RELATED_SERIES_SEQUENCE,
        tagnumbers.BODY_PART_EXAMINED,
        tagnumbers.DEVICE_SERIAL_NUMBER,
        tagnumbers.SOFTWARE_VERSIONS,
        tagnumbers.PROTOCOL_NAME,
        tagnumbers.PATIENT_POSITION,
        tagnumbers.SERIES_INSTANCE_UID,
        tagnumbers.SERIES_NUMBER,
        tagnumbers.FRAME_OF_REFERENCE_UID,
        tagnumbers.LATERALITY,
        tagnumbers.POSITION_REFERENCE_INDICATOR,
        tagnumbers.NUMBER_OF_SERIES_RELATED_INSTANCES,
        tagnumbers.SMALLEST_PIXEL_VALUE_IN_SERIES,
        tagnumbers.LARGEST_PIXEL_VALUE_IN_SERIES,
        tagnumbers.PERFORMED_PROCEDURE_STEP_START_DATE,
        tagnumbers.PERFORMED_PROCEDURE_STEP_START_TIME,
        tagnumbers.PERFORMED_PROCEDURE_STEP_END_DATE,
        tagnumbers.PERFORMED_PROCEDURE_STEP_END_TIME,
        tagnumbers.PERFORMED_PROCEDURE_STEP_ID,
        tagnumbers.PERFORMED_PROCEDURE_STEP_DESCRIPTION,
        tagnumbers.PERFORMED_PROTOCOL_CODE_SEQUENCE,
        tagnumbers.REQUEST_ATTRIBUTES_SEQUENCE,
        tagnumbers.COMMENTS_ON_THE_PERFORMED_PROCEDURE_STEP,
        tagnumbers.CLINICAL_TRIAL_COORDINATING_CENTER_NAME,
        tagnumbers.CLINICAL_TRIAL_SERIES_ID,
        tagnumbers.CLINICAL_TRIAL_SERIES_DESCRIPTION,
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
