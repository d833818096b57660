"""A small archive whose answers are known: five studies, seven series, eight instances."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from tests import build

# Study, series and instance UIDs are short, so that tables of answers can be read: 2.1, 2.1.1, 2.1.1.1.
IMAGE: dict[str, Any] = {"Rows": 2, "Columns": 2, "PixelData": bytes(8)}
CHARACTERS = "ISO_IR 192"


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def requests(*pairs: tuple[str, str]) -> list[Dataset]:
    return [item(ScheduledProcedureStepID=step, RequestedProcedureID=procedure) for step, procedure in pairs]


def references(*pairs: tuple[str, str]) -> list[Dataset]:
    return [item(ReferencedSOPClassUID=cls, ReferencedSOPInstanceUID=uid) for cls, uid in pairs]


def private(ds: Dataset, block: int, creator: str, value: str) -> None:
    """(0023,xx01) of a creator."""
    ds.add_new((0x0023, block), "LO", creator)
    ds.add_new((0x0023, block << 8 | 0x01), "LO", value)


FIRST: dict[str, Any] = {
    "StudyInstanceUID": "2.1",
    "StudyDate": "20060705",
    "StudyTime": "093000",
    "PatientName": "Smith^John",
    "PatientID": "P-1",
    "AccessionNumber": "A,1",
    "StudyID": "S1",
    "StudyDescription": "Head",
    "ReferringPhysicianName": "Müller^Jürgen",
}
SECOND = FIRST | {
    "StudyInstanceUID": "2.2",
    "StudyTime": "223000",
    "PatientName": "SMITHERS^Zoe",
    "PatientID": "P-2",
    "AccessionNumber": "A2",
    "StudyID": "S2",
}
THIRD: dict[str, Any] = {
    "StudyInstanceUID": "2.3",
    "StudyDate": "20060707",
    "StudyTime": "175900",
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "PatientID": "P-3",
    "PatientSex": None,
    "AccessionNumber": "",
    "StudyID": "S3",
}
FOURTH: dict[str, Any] = {
    "StudyInstanceUID": "2.4",
    "StudyDate": "20060707",
    "StudyTime": "181500",
    "TimezoneOffsetFromUTC": "-0500",
    "PatientName": "O'Neil^Pat",
    "PatientID": "P-4",
    "AccessionNumber": '""x',
    "StudyID": "S4",
}
FIFTH: dict[str, Any] = {
    "StudyInstanceUID": "2.5",
    "StudyDate": None,
    "StudyTime": None,
    "PatientName": "Doe^Jane",
    "PatientID": "Q-5",
    "AccessionNumber": "A5",
    "StudyID": "S5",
    "MedicalAlerts": ["a", "b", "c"],
    "OtherPatientNames": ["Miller^X", "Meyer^Y"],
}


def one(study: dict[str, Any], series: int, instance: int, **attributes: Any) -> Dataset:
    uid = study["StudyInstanceUID"]
    return build.dataset(
        **study
        | IMAGE
        | {
            "SpecificCharacterSet": CHARACTERS,
            "SeriesInstanceUID": f"{uid}.{series}",
            "SOPInstanceUID": f"{uid}.{series}.{instance}",
            "SeriesNumber": series,
            "InstanceNumber": instance,
        }
        | attributes
    )


def datasets() -> list[Dataset]:
    series: dict[str, Any] = {
        "RequestAttributesSequence": requests(("X1", "R1"), ("X2", "R2")),
        "PerformedProcedureStepStartDate": "20060705",
        "PerformedProcedureStepStartTime": "0935",
        "SeriesDescription": "Axial",
    }
    made = [
        one(FIRST, 1, 1, **series, AcquisitionDateTime="20240131110000"),
        one(
            *(FIRST, 1, 2),
            **series,
            ReferencedImageSequence=references((build.CT_IMAGE, "3.1"), (build.SECONDARY_CAPTURE, "3.2")),
        ),
        one(FIRST, 2, 1, Modality="PT", SOPClassUID=build.SECONDARY_CAPTURE),
        one(SECOND, 7, 1),
        one(THIRD, 1, 1, Modality="MR"),
        one(FOURTH, 1, 1, AcquisitionDateTime="20240131120000"),
        one(FIFTH, 1, 1, AcquisitionDateTime="20240131120000+0200", SliceThickness="2.50"),
        one(FIFTH, 3, 1, Modality="SR", SeriesNumber=None, InstanceNumber=None),
    ]
    private(made[5], 0x10, "Other", "red")
    private(made[5], 0x12, "Acme 1.0", "blue")
    private(made[6], 0x11, "Acme 1.0", "red")
    return made


def files() -> list[bytes]:
    return [build.part10(ds) for ds in datasets()]
