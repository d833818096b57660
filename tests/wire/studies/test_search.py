"""QIDO-RS row by row (PS3.18 8.3.4, 10.6; PS3.4 C.2.2.2), over the wire, on both indexes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydicom.uid import ImplicitVRLittleEndian
from tests import build
from tests.deployments import PLACES, Place
from tests.live import multipart
from tests.wire.studies import search_archive

STUDIES = ["2.4", "2.3", "2.2", "2.1", "2.5"]  # dates and times downwards, without one last
SERIES = ["2.4.1", "2.3.1", "2.2.7", "2.1.1", "2.1.2", "2.5.1", "2.5.3"]
INSTANCES = ["2.4.1.1", "2.3.1.1", "2.2.7.1", "2.1.1.1", "2.1.1.2", "2.1.2.1", "2.5.1.1", "2.5.3.1"]
UID = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PLACES[request.param](tmp_path_factory.mktemp("search")) as there:
        yield there


@pytest.fixture(scope="module")
def web(place: Place) -> Iterator[httpx.Client]:
    with place.serving() as live, httpx.Client(base_url=live.root, timeout=60) as client:
        body, media = multipart(search_archive.files())
        answer = client.post("/studies", content=body, headers={"Content-Type": media})
        assert answer.status_code == 200, answer.text
        yield client


@pytest.fixture(scope="module")
def strict(place: Place, web: httpx.Client) -> Iterator[httpx.Client]:
    """A second server on the same archive, set otherwise."""
    environment = {
        "GATEWAY_STRICT": "true",
        "GATEWAY_MAX_MATCHES": "6",
        "GATEWAY_MAX_LIMIT": "3",
        "GATEWAY_UNSUPPORTED_MATCHING": "fuzzymatching,emptyvaluematching,multiplevaluematching",
    }
    set_otherwise = replace(place, environment={**place.environment, **environment})
    with set_otherwise.serving() as live, httpx.Client(base_url=live.root, timeout=60) as client:
        yield client


def uids(answer: httpx.Response) -> list[str]:
    """Of what was found, in order."""
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, answer.text
    tag = UID[answer.url.path.rpartition("/")[2]]
    return [row[tag]["Value"][0] for row in answer.json()]


def table(**cases: list[tuple[str, list[str]]]) -> list[Any]:
    """(URL, what is found) by row; `Q_20` is Q-20."""
    return [
        pytest.param(url, found, marks=pytest.mark.row(row.replace("_", "-")), id=f"{row}-{url}")
        for row, several in cases.items()
        for url, found in several
    ]


REQUEST = "RequestAttributesSequence"
STEP, PROCEDURE = f"{REQUEST}.ScheduledProcedureStepID", f"{REQUEST}.RequestedProcedureID"

MATCHES = table(
    Q_1=[("/studies", STUDIES), ("/studies?StudyID=S3", ["2.3"])],
    Q_2=[("/studies/2.1/series", ["2.1.1", "2.1.2"]), ("/studies/2.1/series?Modality=PT", ["2.1.2"])],
    Q_3=[
        ("/studies/2.1/series/2.1.1/instances", ["2.1.1.1", "2.1.1.2"]),
        ("/studies/2.1/series/2.1.1/instances?InstanceNumber=2", ["2.1.1.2"]),
    ],
    Q_4=[
        ("/studies/2.1/instances", ["2.1.1.1", "2.1.1.2", "2.1.2.1"]),
        ("/studies/2.1/instances?Modality=CT&InstanceNumber=1", ["2.1.1.1"]),
    ],
    Q_5=[("/series", SERIES), ("/series?PatientID=P-1&Modality=CT", ["2.1.1"])],
    Q_6=[
        ("/instances", INSTANCES),
        ("/instances?PatientID=P-1&Modality=CT&InstanceNumber=1", ["2.1.1.1"]),
    ],
    Q_10=[("/studies", STUDIES), ("/series", SERIES), ("/instances", INSTANCES)],
    Q_12=[
        ("/studies?PatientID=P-1", ["2.1"]),
        ("/series?PatientName=Yamada*", ["2.3.1"]),
        ("/instances?PatientID=P-2", ["2.2.7.1"]),
    ],
    Q_13=[
        ("/studies/9.9/series", []),
        ("/studies/9.9/instances", []),
        ("/studies/9.9/series/9.9.1/instances", []),
    ],
    Q_20=[
        *(("/studies?00100020=P-1", ["2.1"]), ("/studies?PatientID=P-1", ["2.1"])),
        (f"/series?{STEP}=X1", ["2.1.1"]),
        ("/series?00400275.00400009=X1", ["2.1.1"]),
        ("/series?00400275.ScheduledProcedureStepID=X1", ["2.1.1"]),
        ("/series?RequestAttributesSequence.00400009=X1", ["2.1.1"]),
    ],
    Q_22=[
        ("/studies?StudyInstanceUID=2.1,2.3,9.9", ["2.3", "2.1"]),
        ("/instances?SOPInstanceUID=2.1.1.2,2.5.1.1", ["2.1.1.2", "2.5.1.1"]),
        (f"/instances?SOPClassUID={build.SECONDARY_CAPTURE},9.9", ["2.1.2.1"]),
    ],
    Q_24=[("/studies?AccessionNumber=A%2C1", ["2.1"])],
    Q_25=[("/studies?StudyInstanceUID=2.1%5C2.3", ["2.3", "2.1"])],
    Q_27=[
        ("/instances?00230010=Acme%201.0&00231001=red", ["2.5.1.1"]),
        ("/instances?00230012=Acme%201.0&00231201=red", ["2.5.1.1"]),
        ("/instances?00230010=Acme%201.0&00231001=*", INSTANCES),
        ("/instances?00230010=Acme%201.0&00231001=b*", ["2.4.1.1"]),
        ("/instances?00230010=Nobody&00231001=red", []),
    ],
    Q_28=[("/instances?PixelData=x&PatientID=P-2", ["2.2.7.1"]), ("/studies?PatientPhoto=x", STUDIES)],
    Q_29=[("/studies?PatientNam=x", STUDIES)],
    Q_31=[
        ("/studies?00080005=ISO_IR%20100", STUDIES),
        ("/studies?SpecificCharacterSet=ISO_IR%20100&PatientName=%E5%B1%B1%E7%94%B0*", ["2.3"]),
        ("/studies?ReferringPhysicianName=M%C3%BCller*&StudyID=S1", ["2.1"]),
    ],
    Q_32=[
        ("/studies?StudyDate=20060708", []),
        ("/studies?StudyDate=20060708&TimezoneOffsetFromUTC=%2B0100", ["2.4"]),
        ("/studies?StudyDate=20060707&00080201=+0100", ["2.3"]),
        ("/studies?StudyTime=0015&TimezoneOffsetFromUTC=+0100", ["2.4"]),
        ("/studies?StudyDate=20060708-&StudyTime=0010-&TimezoneOffsetFromUTC=+0100", ["2.4"]),
        ("/instances?AcquisitionDateTime=2024013111&TimezoneOffsetFromUTC=+0100", ["2.5.1.1"]),
    ],
    Q_40=[
        *(("/studies?PatientID=p-1", []), ("/studies?StudyID=S2", ["2.2"]), ("/studies?StudyID=S", [])),
        ("/series?Modality=ct", []),
    ],
    Q_41=[
        ("/studies?PatientName=smith^john", ["2.1"]),
        ("/studies?ReferringPhysicianName=muller^jurgen&StudyID=S1", ["2.1"]),
    ],
    Q_42=[
        ("/series?SeriesNumber=7", ["2.2.7"]),
        *(("/series?SeriesNumber=007", ["2.2.7"]), ("/series?SeriesNumber=%2B7", ["2.2.7"])),
        ("/instances?SliceThickness=2.5", ["2.5.1.1"]),
    ],
    Q_43=[
        *(("/studies?StudyTime=2230", ["2.2"]), ("/studies?StudyTime=22", ["2.2"])),
        ("/studies?StudyTime=223000.000000", ["2.2"]),
        ("/series?PerformedProcedureStepStartTime=093500", ["2.1.1"]),
        ("/instances?AcquisitionDateTime=2024013111", ["2.1.1.1"]),
    ],
    Q_44=[
        ("/instances?AcquisitionDateTime=20240131100000%2B0000", ["2.5.1.1"]),
        ("/instances?AcquisitionDateTime=20240131100000+0000", ["2.5.1.1"]),
    ],
    Q_45=[
        ("/series?SeriesInstanceUID=2.1.2,2.3.1,2.3.1", ["2.3.1", "2.1.2"]),
        ("/studies/2.1/series/2.1.1/instances?SOPInstanceUID=2.1.1.2,9", ["2.1.1.2"]),
    ],
    Q_47=[
        ("/studies?PatientID=P-?", ["2.4", "2.3", "2.2", "2.1"]),
        *(("/studies?PatientID=P-?*?", []), ("/studies?PatientID=p*", [])),
        ("/studies?PatientName=SMITH*", ["2.2", "2.1"]),
        ("/series?Modality=?T", ["2.4.1", "2.2.7", "2.1.1", "2.1.2", "2.5.1"]),
        ("/studies?ModalitiesInStudy=?R", ["2.3", "2.5"]),
        ("/studies?StudyDescription=H*d", ["2.2", "2.1"]),
        ("/series?SeriesDescription=*xia*", ["2.1.1"]),
    ],
    Q_48=[
        *(("/studies?AccessionNumber=*", STUDIES), ("/studies?StudyDescription=*", STUDIES)),
        ("/series?SeriesDescription=**", SERIES),
    ],
    Q_50=[
        ("/studies?PatientName=%3D山田^太郎", ["2.3"]),
        ("/studies?PatientName=山田*", ["2.3"]),
        ("/studies?PatientName=yamada*=*太郎", ["2.3"]),
        ("/studies?PatientName=smith*=山田*", []),
    ],
    Q_51=[
        ("/studies?StudyDate=20060705-20060707", ["2.4", "2.3", "2.2", "2.1"]),
        ("/studies?StudyDate=-20060706", ["2.2", "2.1"]),
        ("/studies?StudyDate=20060706-", ["2.4", "2.3"]),
        ("/series?PerformedProcedureStepStartDate=20060705-20060705", ["2.1.1"]),
    ],
    Q_52=[
        ("/studies?StudyTime=1000-1800", ["2.3"]),
        ("/studies?StudyTime=-0930", ["2.1"]),
        ("/studies?StudyTime=1815-", ["2.4", "2.2"]),
        ("/series?PerformedProcedureStepStartTime=0930-0935", ["2.1.1"]),
    ],
    Q_53=[
        ("/instances?AcquisitionDateTime=20240131160000%2B0000-20240131180000%2B0000", ["2.4.1.1"]),
        ("/instances?AcquisitionDateTime=20240131110000-0500-20240131120000-0500", ["2.4.1.1"]),
        ("/instances?AcquisitionDateTime=-20240131103000", ["2.5.1.1"]),
        ("/instances?AcquisitionDateTime=20240131103000-", ["2.4.1.1", "2.1.1.1"]),
    ],
    Q_56=[
        ("/studies?StudyDate=20060705-20060707&StudyTime=1000-1800", ["2.3", "2.2"]),
        ("/studies?StudyDate=20060705-&StudyTime=1000-", ["2.4", "2.3", "2.2"]),
        ("/studies?StudyDate=-20060707&StudyTime=-1800", ["2.3", "2.2", "2.1"]),
        (
            "/series?PerformedProcedureStepStartDate=20060704-20060705&PerformedProcedureStepStartTime=1000-0934",
            [],
        ),
        ("/studies?StudyDate=20060705-20060707&StudyTime=1000-0500", ["2.2"]),
    ],
    Q_58=[
        (f"/series?{STEP}=X1&{PROCEDURE}=R1", ["2.1.1"]),
        (f"/series?{STEP}=X1&{PROCEDURE}=R2", []),
        (f"/studies/2.1/series?{STEP}=X*&{PROCEDURE}=R?", ["2.1.1"]),
        (
            f"/instances?00081140.00081150={build.CT_IMAGE}&00081140.00081155=3.1",
            ["2.1.1.2"],
        ),
        (f"/instances?00081140.00081150={build.CT_IMAGE}&00081140.00081155=3.2", []),
    ],
    Q_61=[
        ("/studies?PatientSex=%22%22&emptyvaluematching=true", ["2.3"]),
        ("/studies?AccessionNumber=%22%22&emptyvaluematching=true", ["2.3"]),
        ("/studies?StudyDate=%22%22&emptyvaluematching=true", ["2.5"]),
        ("/series?SeriesDescription=%22%22&PatientID=P-1&emptyvaluematching=true", ["2.1.2"]),
        ("/instances?AcquisitionDateTime=%22%22&PatientID=P-1&emptyvaluematching=true", ["2.1.1.2", "2.1.2.1"]),
    ],
    Q_62=[
        ("/studies?AccessionNumber=%22%22", []),
        ("/studies?AccessionNumber=%22%22&emptyvaluematching=false", []),
    ],
    Q_63=[
        ("/studies?AccessionNumber=%22%22*&emptyvaluematching=true", ["2.4"]),
        ("/studies?AccessionNumber=%22%22*", ["2.4"]),
    ],
    Q_64=[
        ("/studies?MedicalAlerts=c,a&multiplevaluematching=true", ["2.5"]),
        ("/studies?MedicalAlerts=a,z&multiplevaluematching=true", []),
        ("/studies?OtherPatientNames=Meyer^Y,Miller^X&multiplevaluematching=true", ["2.5"]),
    ],
    Q_65=[
        ("/studies?ModalitiesInStudy=CT,PT&multiplevaluematching=true", ["2.1"]),
        ("/studies?ModalitiesInStudy=CT%5CPT&multiplevaluematching=true", ["2.1"]),
        ("/studies?ModalitiesInStudy=CT,PT", ["2.4", "2.2", "2.1", "2.5"]),
    ],
    Q_66=[
        ("/studies?PatientName=john%20smith&fuzzymatching=true", ["2.1"]),
        ("/studies?PatientName=oneill&fuzzymatching=true", ["2.4"]),
        ("/studies?ReferringPhysicianName=mueller&StudyID=S1&fuzzymatching=true", ["2.1"]),
        ("/studies?PatientName=nobody&fuzzymatching=true", []),
    ],
    Q_81=[
        ("/studies?limit=2&offset=1", ["2.3", "2.2"]),
        ("/series?limit=3&offset=5", ["2.5.1", "2.5.3"]),
        ("/studies/2.1/instances?limit=1&offset=2", ["2.1.2.1"]),
    ],
    Q_83=[("/studies?limit=1", ["2.4"])],
    Q_85=[("/studies?limit=0", []), ("/studies?offset=5", []), ("/studies?offset=99999999999999", [])],
    Q_101=[("/studies?PatientID=nobody", []), ("/instances?PatientID=nobody", [])],
)  # fmt: skip


@pytest.mark.parametrize(("url", "found"), MATCHES)
def test_what_is_found(web: httpx.Client, url: str, found: list[str]) -> None:
    assert uids(web.get(url)) == found


REFUSED = {
    "Q-21": ["PatientID=1&PatientID=2", "PatientID=1&00100020=1"],
    "Q-23": ["AccessionNumber=A,1", "PatientID=a,b"],
    "Q-26": ["00231001=red", "00231001=red&00230011=Acme%201.0"],
    "Q-30": [
        *("StudyDate=2013-05-09", "SeriesNumber=x", "StudyInstanceUID=abc", "StudyTime=25"),
        *("StudyDate=20240230", "SOPClassUID=1.2.a"),
    ],
    "Q-44": ["AcquisitionDateTime=20240131120000-0500"],
    "Q-49": ["StudyDate=2006*", "StudyInstanceUID=2.*", "SeriesNumber=*7", "StudyTime=?", "PatientAge=0*"],
    "Q-54": [
        *("StudyDate=20060707-20060705", "StudyTime=1800-1000"),
        "StudyDate=20060705-20060705&StudyTime=1800-1000",
    ],
    "Q-55": ["SeriesNumber=1-5", "InstanceNumber=1-", "SliceThickness=1-2"],
    "Q-62": ["StudyDate=%22%22"],
    "Q-73": [
        f"{name}={value}"
        for name in ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
        for value in ("TRUE", "1", "yes", "")
    ],
    "Q-77": ["includefield=00231001"],
    "Q-82": ["limit=-1", "limit=x", "limit=", "offset=-1", "offset=1.5", "offset="],
}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(query, marks=pytest.mark.row(row), id=f"{row}-{query}")
        for row, several in REFUSED.items()
        for query in several
    ],
)
def test_what_is_refused(web: httpx.Client, query: str) -> None:
    answer = web.get(f"/instances?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] in query
    assert answer.json()["expected"]


def warnings(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("warning")


def remark(web: httpx.Client, text: str) -> str:
    return f"299 {str(web.base_url).rstrip('/')}: {text}"


@pytest.mark.parametrize(
    ("url", "names"),
    [
        pytest.param("/studies?SeriesNumber=1&Rows=2", "SeriesNumber, Rows", marks=pytest.mark.row("Q-11")),
        pytest.param("/studies/2.1/series?PatientID=x", "PatientID", marks=pytest.mark.row("Q-11")),
        pytest.param(
            "/studies/2.1/series/2.1.1/instances?Modality=MR", "Modality", marks=pytest.mark.row("Q-11")
        ),
        pytest.param("/instances?PixelData=x", "PixelData", marks=pytest.mark.row("Q-28")),
        pytest.param("/studies?PatientNam=x", "PatientNam", marks=pytest.mark.row("Q-29")),
        pytest.param("/studies?00080005=x", "00080005", marks=pytest.mark.row("Q-31")),
        pytest.param(
            "/studies?includefield=Nonsense", "includefield Nonsense", marks=pytest.mark.row("Q-79")
        ),
    ],
)
def test_what_is_ignored_is_named(web: httpx.Client, url: str, names: str) -> None:
    path = url.partition("?")[0]
    answer = web.get(url)
    assert uids(answer) == uids(web.get(path))
    text = f"The following parameters are not supported and were ignored: {names}"
    assert warnings(answer) == [remark(web, text)]


@pytest.mark.row("Q-11", "Q-76")
@pytest.mark.parametrize(
    "url",
    [
        "/studies?SeriesNumber=1",
        "/studies/2.1/series?PatientID=P-1",
        "/studies/2.1/series/2.1.1/instances?Modality=CT",
        "/studies?includefield=all,PatientSex",
    ],
)
def test_strict(strict: httpx.Client, url: str) -> None:
    answer = strict.get(url)
    assert answer.status_code == 400
    assert answer.json()["expected"]


SAID = {
    "fuzzymatching": "Only literal matching has been performed.",
    "emptyvaluematching": "Empty Value Matching has not been performed.",
    "multiplevaluematching": "Multiple Value Matching has not been performed.",
}


@pytest.mark.parametrize(
    ("name", "query", "found"),
    [
        pytest.param("fuzzymatching", "PatientName=oneill", [], marks=pytest.mark.row("Q-70")),
        pytest.param("fuzzymatching", "PatientName=smith^john", ["2.1"], marks=pytest.mark.row("Q-70")),
        pytest.param("emptyvaluematching", "PatientSex=%22%22", [], marks=pytest.mark.row("Q-71")),
        pytest.param(
            "multiplevaluematching", "ModalitiesInStudy=MR,SR", ["2.3", "2.5"], marks=pytest.mark.row("Q-72")
        ),
    ],
)
def test_kinds_of_matching_that_are_not_supported(
    strict: httpx.Client, name: str, query: str, found: list[str]
) -> None:
    answer = strict.get(f"/studies?{query}&{name}=true")
    assert uids(answer) == found
    assert warnings(answer) == [remark(strict, f"The {name} parameter is not supported. {SAID[name]}")]
    assert warnings(strict.get(f"/studies?StudyID=S1&{name}=false")) == []


@pytest.mark.row("Q-91")
def test_too_broad_a_search(strict: httpx.Client) -> None:
    answer = strict.get("/instances")
    assert answer.status_code == 413
    assert "6 results" in answer.json()["detail"]
    assert uids(strict.get("/instances?Modality=CT")) == ["2.4.1.1", "2.2.7.1", "2.1.1.1"]


@pytest.mark.row("Q-84")
def test_the_server_maximum(strict: httpx.Client, web: httpx.Client) -> None:
    for query in ("", "?limit=100"):
        answer = strict.get(f"/studies{query}")
        assert uids(answer) == STUDIES[:3]
        assert warnings(answer) == [remark(strict, "There are 2 additional results that can be requested")]
    assert uids(web.get("/studies?limit=999999")) == STUDIES


# -- control parameters ------------------------------------------------------------------------------------


@pytest.mark.row("Q-86", "Q-87", "Q-88")
def test_what_remains(web: httpx.Client) -> None:
    answer = web.get("/studies?limit=2")
    assert warnings(answer) == [remark(web, "There are 3 additional results that can be requested")]
    assert warnings(web.get("/studies?limit=5")) == []


@pytest.mark.row("Q-85")
def test_no_results_shown_and_some_left(web: httpx.Client) -> None:
    answer = web.get("/studies?limit=0")
    assert answer.status_code == 204
    assert warnings(answer) == [remark(web, "There are 5 additional results that can be requested")]


@pytest.mark.row("Q-89")
def test_several_warnings_are_several_fields(web: httpx.Client) -> None:
    answer = web.get("/studies?limit=2&PatientNam=x")
    assert len(warnings(answer)) == 2
    assert all(text.startswith("299 ") for text in warnings(answer))


@pytest.mark.row("Q-90")
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances", "/studies/2.1/instances"])
def test_pages_by_offset_and_by_cursor(web: httpx.Client, path: str) -> None:
    whole = uids(web.get(path))
    assert whole == uids(web.get(path))
    by_offset = [uids(web.get(f"{path}?limit=2&offset={n}")) for n in range(0, len(whole), 2)]
    assert [uid for page in by_offset for uid in page] == whole
    by_cursor, url = list[list[str]](), f"{path}?limit=2&includefield=StudyDescription"
    while url:
        answer = web.get(url)
        by_cursor.append(uids(answer))
        url = answer.links.get("next", {}).get("url", "")
    assert by_cursor == by_offset


def test_cursors_stay_where_they_are_while_others_store(web: httpx.Client) -> None:
    first = web.get("/studies?limit=2&PatientID=*")
    late = search_archive.FIRST | {"StudyInstanceUID": "2.0.9", "StudyDate": "20300101", "PatientID": "late"}
    body, media = multipart([build.part10(search_archive.one(late, 1, 1))])
    assert web.post("/studies", content=body, headers={"Content-Type": media}).status_code == 200
    try:
        assert uids(web.get(first.links["next"]["url"])) == STUDIES[2:4]
        assert uids(web.get("/studies?limit=2&offset=2")) == STUDIES[1:3]
    finally:
        assert web.delete("/studies/2.0.9").status_code == 204


@pytest.mark.parametrize("cut", [0, 1, 9])
@pytest.mark.parametrize("more", ["", "Z", "0", "%20", "é", "&offset=1", "&cursor=x", "&StudyID=S1"])
def test_cursors_of_another_search_are_refused(web: httpx.Client, cut: int, more: str) -> None:
    url = web.get("/studies?limit=2").links["next"]["url"]
    wrong = url[: len(url) - cut] + more
    answer = web.get(wrong)
    assert (answer.status_code == 200) is (wrong == url)
    if wrong != url:
        assert answer.status_code == 400
        assert answer.json()["parameter"] == "cursor"


# -- what is shown -----------------------------------------------------------------------------------------


def only(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()
    return dict(row)


STUDY_SHOWN = {
    *("00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020", "00100030"),
    *("00100040", "00200010", "00201206", "00201208", "0020000D", "00080056", "00081190"),
}
SERIES_SHOWN = {"00080060", "00200011", "00201209", "00081190", "0020000E", "0020000D"}
SERIES_KNOWN = {"0008103E", "00400244", "00400245", "00400275"}
INSTANCE_SHOWN = {
    *("00080016", "00080018", "00080056", "00081190", "00083002", "0020000D", "0020000E", "00200013"),
    *("00280010", "00280011", "00280100"),
}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("/studies?StudyID=S1", STUDY_SHOWN, marks=pytest.mark.row("Q-110")),
        pytest.param("/studies?StudyID=S4", STUDY_SHOWN | {"00080201"}, marks=pytest.mark.row("Q-110")),
        pytest.param("/studies/2.1/series?SeriesNumber=1", SERIES_SHOWN | SERIES_KNOWN),
        pytest.param(
            "/series?SeriesInstanceUID=2.1.1",
            STUDY_SHOWN | SERIES_SHOWN | SERIES_KNOWN,
            marks=pytest.mark.row("Q-111"),
        ),
        pytest.param(
            "/instances?SOPInstanceUID=2.1.1.2",
            STUDY_SHOWN | SERIES_SHOWN | SERIES_KNOWN | INSTANCE_SHOWN,
            marks=pytest.mark.row("Q-112"),
        ),
        pytest.param(
            "/studies/2.1/instances?SOPInstanceUID=2.1.1.2",
            SERIES_SHOWN | SERIES_KNOWN | INSTANCE_SHOWN,
            marks=pytest.mark.row("Q-113"),
        ),
        pytest.param(
            "/studies/2.1/series/2.1.1/instances?InstanceNumber=2",
            INSTANCE_SHOWN,
            marks=pytest.mark.row("Q-114"),
        ),
    ],
)
def test_what_is_shown(web: httpx.Client, url: str, shown: set[str]) -> None:
    assert set(only(web.get(url))) == shown


@pytest.mark.row("Q-110")
def test_required_attributes_without_a_value_are_empty(web: httpx.Client) -> None:
    study = only(web.get("/studies?StudyID=S3"))
    assert (study["00080050"], study["00100040"]) == ({"vr": "SH"}, {"vr": "CS"})
    assert study["00080090"] == {"vr": "PN"}
    assert only(web.get("/studies?StudyID=S5"))["00080020"] == {"vr": "DA"}
    assert only(web.get("/series?Modality=SR"))["00200011"] == {"vr": "IS"}
    assert only(web.get("/instances?Modality=SR"))["00200013"] == {"vr": "IS"}


@pytest.mark.row("Q-114")
@pytest.mark.parametrize("path", ["/series", "/studies/2.1/series", "/instances", "/studies/2.1/instances"])
def test_unique_keys_of_the_levels_above(web: httpx.Client, path: str) -> None:
    for row in web.get(path).json():
        assert row["0020000E"]["Value"][0].startswith(row["0020000D"]["Value"][0] + ".")


@pytest.mark.row("Q-120")
def test_counts_and_sets(web: httpx.Client) -> None:
    row = only(web.get("/studies?StudyID=S1&includefield=SOPClassesInStudy,00201209"))
    assert (row["00201206"]["Value"], row["00201208"]["Value"]) == ([2], [3])
    assert row["00080061"]["Value"] == ["CT", "PT"]
    assert sorted(row["00080062"]["Value"]) == sorted([build.CT_IMAGE, build.SECONDARY_CAPTURE])
    series = web.get("/studies/2.1/series").json()
    assert [one["00201209"]["Value"] for one in series] == [[2], [1]]


@pytest.mark.row("Q-119")
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
def test_availability(web: httpx.Client, path: str) -> None:
    assert {row["00080056"]["Value"][0] for row in web.get(path).json()} == {"ONLINE"}


@pytest.mark.row("Q-121")
@pytest.mark.parametrize(
    "url", ["/studies?StudyID=S1", "/series?SeriesInstanceUID=2.1.1", "/instances?SOPInstanceUID=2.1.1.2"]
)
def test_retrieve_urls_work(web: httpx.Client, url: str) -> None:
    attribute = only(web.get(url))["00081190"]
    assert attribute["vr"] == "UR"
    (address,) = attribute["Value"]
    assert address.startswith(f"{str(web.base_url).rstrip('/')}/studies/")
    assert web.get(address).status_code == 200


@pytest.mark.row("Q-122", "Q-123")
@pytest.mark.parametrize(
    "url",
    [
        "/studies?includefield=all",
        "/series?includefield=all",
        "/instances?includefield=all",
        "/instances?PatientID=P-1&00081140.00081155=3.1&includefield=00080005",
    ],
)
def test_results_are_in_order_and_name_no_character_set(web: httpx.Client, url: str) -> None:
    for row in json.loads(web.get(url).text):
        assert list(row) == sorted(row)
        assert "00080005" not in row


@pytest.mark.row("Q-118")
def test_keys_are_echoed_as_stored(web: httpx.Client) -> None:
    row = only(web.get("/studies?PatientName=smith^john&StudyDescription=H*&PatientBirthDate="))
    assert row["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Smith^John"}]}
    assert row["00081030"] == {"vr": "LO", "Value": ["Head"]}
    instance = only(web.get("/instances?SliceThickness=2.5"))
    assert instance["00180050"]["vr"] == "DS"
    assert float(instance["00180050"]["Value"][0]) == 2.5


@pytest.mark.row("Q-46")
def test_a_key_without_a_value_asks_for_the_attribute(web: httpx.Client) -> None:
    found = web.get("/studies?StudyDescription=&PatientName=").json()
    assert [row["0020000D"]["Value"][0] for row in found] == STUDIES
    assert [row["00081030"].get("Value") for row in found] == [None, None, ["Head"], ["Head"], None]


@pytest.mark.row("Q-59")
def test_only_matching_items_with_what_was_asked_for(web: httpx.Client) -> None:
    (step,) = only(web.get(f"/series?{STEP}=X2"))["00400275"]["Value"]
    assert step == {"00400009": {"vr": "SH", "Value": ["X2"]}, "00401001": {"vr": "SH", "Value": ["R2"]}}
    (image,) = only(web.get("/instances?00081140.00081155=3.2"))["00081140"]["Value"]
    assert image == {"00081155": {"vr": "UI", "Value": ["3.2"]}}
    asked = "/instances?00081140.00081155=3.2&includefield=00081140.ReferencedSOPClassUID"
    (image,) = only(web.get(asked))["00081140"]["Value"]
    assert set(image) == {"00081150", "00081155"}


@pytest.mark.row("Q-60")
@pytest.mark.parametrize("query", ["MedicalAlerts=b", "MedicalAlerts=?", "OtherPatientNames=meyer*"])
def test_one_of_several_values(web: httpx.Client, query: str) -> None:
    row = only(web.get(f"/studies?{query}&includefield=00102000"))
    assert row["00102000"]["Value"] == ["a", "b", "c"]
    assert uids(web.get("/studies?MedicalAlerts=d")) == []


@pytest.mark.row("Q-74")
@pytest.mark.parametrize(
    "query",
    [
        "includefield=StudyDescription,00101040,00400275.00400009",
        "includefield=StudyDescription&includefield=00101040&includefield=00400275.00400009",
        "includefield=00081030%2CPatientAddress,RequestAttributesSequence.ScheduledProcedureStepID",
    ],
)
def test_includefield_in_all_its_forms(web: httpx.Client, query: str) -> None:
    row = only(web.get(f"/series?SeriesInstanceUID=2.1.1&{query}"))
    assert row["00081030"]["Value"] == ["Head"]
    assert row["00101040"] == {"vr": "LO"}
    assert [one["00400009"]["Value"] for one in row["00400275"]["Value"]] == [["X1"], ["X2"]]


@pytest.mark.row("Q-75")
def test_includefield_all(web: httpx.Client) -> None:
    study = only(web.get("/studies?StudyID=S5&includefield=all"))
    assert set(study) >= {"00102000", "00101001", "00080062"}
    assert "00200011" not in study
    series = only(web.get("/studies/2.1/series?SeriesNumber=1&includefield=all"))
    assert "0008103E" in series
    assert "00280010" not in series
    instance = only(web.get("/studies/2.1/series/2.1.1/instances?InstanceNumber=2&includefield=all"))
    assert set(instance) >= {"00280101", "00081140", "7FE00010"}


@pytest.mark.row("Q-76")
def test_includefield_all_beside_others(web: httpx.Client) -> None:
    assert (
        web.get("/studies?includefield=all,PatientSex").json() == web.get("/studies?includefield=all").json()
    )


@pytest.mark.row("Q-77")
def test_a_private_includefield_comes_with_its_creator(web: httpx.Client) -> None:
    found = web.get("/instances?00230010=Acme%201.0&includefield=00231001").json()
    shown = {
        row["00080018"]["Value"][0]: {t: row[t]["Value"] for t in row if t.startswith("0023")}
        for row in found
    }
    assert shown["2.5.1.1"] == {"00230011": ["Acme 1.0"], "00231101": ["red"]}
    assert shown["2.4.1.1"] == {"00230012": ["Acme 1.0"], "00231201": ["blue"]}
    assert [uid for uid, tags in shown.items() if tags] == ["2.4.1.1", "2.5.1.1"]


@pytest.mark.row("Q-78")
def test_an_includefield_that_is_a_sequence_comes_whole(web: httpx.Client) -> None:
    row = only(web.get("/instances?SOPInstanceUID=2.1.1.2&includefield=ReferencedImageSequence"))
    assert [set(one) for one in row["00081140"]["Value"]] == [{"00081150", "00081155"}] * 2


@pytest.mark.row("Q-80")
def test_includefield_of_a_match_key(web: httpx.Client) -> None:
    answer = web.get("/studies?PatientID=P-1&includefield=PatientID")
    assert uids(answer) == ["2.1"]
    assert answer.text.count('"00100020"') == 1


_STUDY, _SERIES = "/studies?StudyID=S1", "/studies/2.1/series?SeriesNumber=1"
_INSTANCE = "/studies/2.1/series/2.1.1/instances?InstanceNumber=2"


@pytest.mark.parametrize(
    ("url", "tag", "is_shown"),
    [
        pytest.param(_STUDY, "0008103E", False, marks=pytest.mark.row("Q-115")),
        pytest.param(_STUDY, "00280010", False, marks=pytest.mark.row("Q-115")),
        pytest.param(_SERIES, "00081030", True, marks=pytest.mark.row("Q-116")),
        pytest.param(_SERIES, "00100010", True, marks=pytest.mark.row("Q-116")),
        pytest.param(_SERIES, "00280010", False, marks=pytest.mark.row("Q-116")),
        pytest.param(_INSTANCE, "00100010", True, marks=pytest.mark.row("Q-117")),
        pytest.param(_INSTANCE, "0008103E", True, marks=pytest.mark.row("Q-117")),
        pytest.param(_INSTANCE, "00280101", True, marks=pytest.mark.row("Q-117")),
    ],
)
def test_includefield_by_level(web: httpx.Client, url: str, tag: str, is_shown: bool) -> None:
    assert ("Value" in only(web.get(f"{url}&includefield={tag}")).get(tag, {})) is is_shown


# -- forms -------------------------------------------------------------------------------------------------

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        pytest.param("application/dicom+json", "", "application/dicom+json", marks=pytest.mark.row("Q-95")),
        pytest.param("*/*", "", "application/dicom+json", marks=pytest.mark.row("Q-95")),
        pytest.param(XML, "", "multipart/related", marks=pytest.mark.row("Q-96")),
        pytest.param("application/json", "", "application/dicom+json", marks=pytest.mark.row("Q-97")),
        pytest.param(
            "*/*", "?accept=application/dicom+json", "application/dicom+json", marks=pytest.mark.row("Q-99")
        ),
    ],
)
def test_media_types(web: httpx.Client, accept: str, query: str, media: str) -> None:
    answer = web.get(f"/studies{query}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media
    if media.startswith("multipart"):
        assert answer.content.count(b"<NativeDicomModel") == len(STUDIES)
    else:
        assert len(answer.json()) == len(STUDIES)


@pytest.mark.row("Q-98")
@pytest.mark.parametrize("accept", ["text/html", "image/png", 'multipart/related; type="image/jpeg"'])
def test_media_types_that_are_not_offered(web: httpx.Client, accept: str) -> None:
    assert web.get("/studies", headers={"Accept": accept}).status_code == 406


@pytest.mark.row("Q-100")
def test_results_have_no_location_of_their_own(web: httpx.Client) -> None:
    assert "content-location" not in web.get("/studies").headers


@pytest.mark.row("Q-14")
def test_other_encodings_of_an_image_are_not_listed_beside_it(web: httpx.Client) -> None:
    ds = search_archive.one(search_archive.THIRD, 1, 1, Modality="MR")
    body, media = multipart([build.part10(ds, ImplicitVRLittleEndian)])
    web.post("/studies", content=body, headers={"Content-Type": media})
    assert uids(web.get("/instances?SOPInstanceUID=2.3.1.1")) == ["2.3.1.1"]
    assert only(web.get("/studies?StudyID=S3"))["00201208"]["Value"] == [1]


def test_requests_are_data(web: httpx.Client) -> None:
    """Whatever is in a value is compared, not run."""
    for text in ("'; DROP TABLE study; --", "%25", "_", "P-[1]", "\\", "x" * 5000):
        assert uids(web.get("/studies", params={"PatientID": text})) == []


NAMES = (
    *("PatientName", "00100020", "StudyDate", "StudyTime", "AcquisitionDateTime", "SeriesNumber", "Modality"),
    *(
        "ModalitiesInStudy",
        "StudyInstanceUID",
        "SOPClassUID",
        "00400275.00400009",
        "00400275",
        "00081140.00081155",
    ),
    *("00230010", "00231001", "00400275.00231001", "00080201", "PixelData", "Rows", "PatientAge", "00280009"),
    *("includefield", "limit", "offset", "cursor", "count", "fuzzymatching", "emptyvaluematching"),
    *(
        "multiplevaluematching",
        "Nonsense",
        "",
        ".",
        "00100010.",
        "7FE00010.00100010",
        "00081140.00081140.00081155",
    ),
    *(
        "StudyInstanceUID.PatientID",
        "charset",
        "00000002",
        "FFFEE000",
        "00200052",
        "00280010",
        "00081199",
        "0040A730",
    ),
)
VALUES = (
    *(
        "",
        "*",
        "?",
        "**",
        "a*",
        "%22%22",
        "-",
        "20240131",
        "20240131-",
        "-20240131-",
        "2024-01-31",
        "1015",
        "10-0930",
    ),
    *(
        "20240131101500.1+0100",
        "-0500",
        "+0100",
        "20240131-0500-20240201-0500",
        "1",
        "-1",
        "007",
        "1e999",
        "nan",
    ),
    *(
        "99999999999999999999",
        "1.2",
        "1.2,1.3",
        "CT,MR",
        "CT%5CMR",
        "=",
        "==",
        "a=b=c=d",
        "%00",
        "%0A",
        "%E5%B1%B1",
    ),
    *(
        "\u5c71",
        "%FF",
        "%",
        "a%2Cb",
        "true",
        "false",
        "all",
        "Acme%201.0",
        "x" * 3000,
        "00231001",
        "00000101",
        "0000",
    ),
)


@pytest.mark.row("Q-30")
def test_no_query_makes_the_server_fail(web: httpx.Client) -> None:
    r, seen = random.Random(4), set[int]()
    for _ in range(500):
        path = r.choice(
            ["/studies", "/series", "/instances", "/studies/2.1/series", "/studies/2.1/instances"]
        )
        query = "&".join(f"{r.choice(NAMES)}={r.choice(VALUES)}" for _ in range(r.randint(1, 3)))
        answer = web.get(f"{path}?{query}")
        seen.add(answer.status_code)
        assert answer.status_code in (200, 204, 400, 406), f"{path}?{query}: {answer.text}"
        if answer.status_code == 400:
            assert answer.json()["parameter"] is not None, query
    assert seen >= {200, 204, 400}
