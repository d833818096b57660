"""The Store Instances Response Module and its status (PS3.18 Annex I, Table 10.5.3-1)."""

from __future__ import annotations

import pytest
from gateway.dicom.dataset import Attribute
from gateway.http.studies.storeresponse import (
    make_location,
    store_response,
    store_status,
    store_warnings,
    study_url,
)
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from gateway.services.ingest.outcomes import Outcome

BASE = "http://h/dicom-web"


def identity(number: int = 1, study: str = "1.2") -> Identity:
    return Identity(StudyUID(study), SeriesUID("1.3"), InstanceUID(f"1.4.{number}"), "1.5")


STORED = Outcome(identity(1))
AGAIN = Outcome(identity(1), fresh=False)
WARNED = Outcome(identity(2), warnings=(0xB007, 0xB000), warning_details=("a UID is odd",))
REFUSED = Outcome(identity(3), failure=0x0111, detail="differing: PatientID", differing=("PatientID",))
UNKNOWN = Outcome(None, failure=0xC000, detail="not DICOM")
FULL = Outcome(identity(4), failure=0xA700, detail="the store is full")
BROKEN = Outcome(identity(5), failure=0x0110, detail="the store failed")


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([STORED], 200),
        ([AGAIN], 200),
        ([STORED, AGAIN], 200),
        ([WARNED], 202),  # D-10
        ([STORED, REFUSED], 202),
        ([STORED, UNKNOWN], 202),
        ([REFUSED], 409),
        ([UNKNOWN], 409),
        ([REFUSED, FULL], 409),
        ([FULL], 503),
        ([FULL, BROKEN], 503),
    ],
)
def test_status(outcomes: list[Outcome], status: int) -> None:
    assert store_status(outcomes) == status


@pytest.mark.row("S-93", "S-W-B007")
def test_all_three_sequences() -> None:
    got = store_response([STORED, WARNED, REFUSED, UNKNOWN], BASE)
    url = f"{BASE}/studies/1.2/series/1.3/instances"
    uid: Attribute = {"vr": "UI", "Value": ["1.5"]}
    assert got == {
        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2"]},
        "00081198": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": uid,
                    "00081155": {"vr": "UI", "Value": ["1.4.3"]},
                    "00081197": {"vr": "US", "Value": [273]},
                }
            ],
        },
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": uid,
                    "00081155": {"vr": "UI", "Value": ["1.4.1"]},
                    "00081190": {"vr": "UR", "Value": [f"{url}/1.4.1"]},
                },
                {
                    "00081150": uid,
                    "00081155": {"vr": "UI", "Value": ["1.4.2"]},
                    "00081190": {"vr": "UR", "Value": [f"{url}/1.4.2"]},
                    "00081196": {"vr": "US", "Value": [0xB007]},
                },
            ],
        },
        "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]},
    }
    assert list(got) == sorted(got)
    for item in got["00081199"]["Value"]:
        assert list(item) == sorted(item)


@pytest.mark.row("S-93")
def test_sequences_are_absent_where_there_is_nothing_to_say() -> None:
    assert set(store_response([STORED], BASE)) == {"00081190", "00081199"}
    assert set(store_response([REFUSED], BASE)) == {"00081190", "00081198"}
    assert store_response([REFUSED], BASE)["00081190"] == {"vr": "UR"}


@pytest.mark.row("S-91")
def test_the_study_url_and_the_location() -> None:
    other = Outcome(identity(9, study="1.9"))
    assert study_url([STORED, WARNED, REFUSED], BASE) == f"{BASE}/studies/1.2"
    assert study_url([STORED, other], BASE) == ""
    assert make_location([STORED], BASE) == f"{BASE}/studies/1.2"
    assert make_location([STORED, other], BASE) == f"{BASE}/studies"
    assert make_location([AGAIN], BASE) == ""
    assert make_location([REFUSED], BASE) == ""


@pytest.mark.row("S-92")
def test_reasons_go_into_warnings_the_first_few() -> None:
    assert store_warnings([STORED, WARNED, REFUSED, UNKNOWN], BASE) == [
        f"B007 {BASE}: instance 1.4.2: a UID is odd",
        f"0111 {BASE}: instance 1.4.3: differing: PatientID",
        f"C000 {BASE}: not DICOM",
    ]
    many = [Outcome(identity(n), failure=0x0111, detail="x") for n in range(50)]
    assert len(store_warnings(many, BASE)) == 10
