"""What a live gateway makes of a file: stored or not, and whether what was stored can be had."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

import httpx
from tests.corpus import Row
from tests.live import multipart

JSON = {"Accept": "application/dicom+json"}


@dataclass(frozen=True, slots=True)
class Seen:
    """`store` is 'stored', 'stored B007' and the like, or a Failure Reason such as 'C000'.

    `instance` is the status of the instance as stored, `native` that in Explicit VR Little Endian, `frames`
    those of every frame as stored ('200' where all are), `decoded` those of the first frame decoded.
    """

    name: str
    store: str
    metadata: str = ""
    instance: str = ""
    native: str = ""
    frames: str = ""
    decoded: str = ""

    def line(self) -> list[str]:
        return [str(field) for field in astuple(self)]


def tried(http: httpx.Client, row: Row) -> Seen:
    """Store the file, look at everything, delete it again."""
    body, content_type = multipart([row.read()])
    answer = http.post("/studies", content=body, headers={"Content-Type": content_type, **JSON})
    assert answer.status_code in {200, 202, 409}, f"{row.name}: {answer.status_code} {answer.text}"
    response = answer.json()
    if "00081199" not in response:
        failed = (response.get("00081198") or response["0008119A"])["Value"][0]
        return Seen(row.name, f"{failed['00081197']['Value'][0]:04X}")
    (item,) = response["00081199"]["Value"]
    warning = item.get("00081196")
    path = item["00081190"]["Value"][0]
    stored = f"stored {warning['Value'][0]:04X}" if warning else "stored"
    try:
        return Seen(row.name, stored, *_read(http, path))
    finally:
        assert http.delete(path).status_code == 204


def _read(http: httpx.Client, path: str) -> tuple[str, str, str, str, str]:
    metadata = http.get(f"{path}/metadata", headers=JSON)
    xml = http.get(f"{path}/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    assert xml.status_code == metadata.status_code
    (dataset,) = metadata.json()
    instance = http.get(
        path, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    )
    native = http.get(path, headers={"Accept": "application/dicom"})
    frames, decoded = _frames(http, path, dataset)
    return str(metadata.status_code), str(instance.status_code), str(native.status_code), frames, decoded


def _frames(http: httpx.Client, path: str, dataset: dict[str, dict[str, list[object]]]) -> tuple[str, str]:
    declared = dataset.get("00280008", {}).get("Value", [1])[0]
    count = int(str(declared)) if re.fullmatch(r"[0-9]+", str(declared)) else 1
    stored = {"Accept": "application/octet-stream; transfer-syntax=*, */*;q=0.1"}
    statuses = sorted(
        {http.get(f"{path}/frames/{n}", headers=stored).status_code for n in range(1, min(count, 40) + 1)}
    )
    decoded = http.get(
        f"{path}/frames/1", headers={"Accept": 'multipart/related; type="application/octet-stream"'}
    )
    return " ".join(map(str, statuses)), str(decoded.status_code)
