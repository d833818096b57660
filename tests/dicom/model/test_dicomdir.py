"""A directory holds on to nothing but what it says of an instance."""

from __future__ import annotations

from gateway.dicom import uids
from gateway.dicom.dataset import DataSet
from gateway.dicom.model.dicomdir import DirectoryEntry, dicomdir, pick_record_keys
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID

MODEL: DataSet = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]},
    "00100020": {"vr": "LO", "Value": ["P1"]},
    "00200013": {"vr": "IS", "Value": [7]},
    "52009230": {"vr": "SQ", "Value": [{}] * 1000},
    "7FE00010": {"vr": "OW", "BulkDataURI": "/x"},
}


def test_what_is_listed_makes_the_same_directory() -> None:
    identity = Identity(StudyUID("1.2"), SeriesUID("1.3"), InstanceUID("1.4"), "1.2.840.10008.5.1.4.1.1.7")
    made = [
        dicomdir(
            [DirectoryEntry(("DICOM", "A"), identity, uids.EXPLICIT_VR_LITTLE_ENDIAN, model)], "DICOM", "1.5"
        )
        for model in (MODEL, pick_record_keys(MODEL))
    ]
    assert made[0] == made[1]
    assert pick_record_keys(MODEL).keys() == MODEL.keys() - {"52009230"}
