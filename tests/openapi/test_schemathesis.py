"""schemathesis asks a live server all that the description allows, and much that it does not."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydicom.uid import RLELossless
from tests import build
from tests.live import LiveServer, multipart, serving

COMMAND = Path(sys.executable).with_name("schemathesis")
# Not asked: the standard has what is unknown ignored, and a string may be no date, which a schema cannot say.
EXCLUDED = "negative_data_rejection,positive_data_acceptance"
UNKNOWN = "1.2.3.4"


def archive(server: LiveServer) -> dict[str, list[str]]:
    """Two studies to read, compressed and not, and one to delete; what the path parameters may be."""
    kept = build.dataset(NumberOfFrames=2, Rows=8, Columns=8, PixelData=bytes(range(256)))
    coded = build.dataset(StudyInstanceUID=kept.StudyInstanceUID, SeriesInstanceUID=kept.SeriesInstanceUID)
    doomed = build.dataset()
    build.part10(coded)
    coded.compress(RLELossless, generate_instance_uid=False)
    body, content_type = multipart(
        [build.part10(kept), build.part10(coded, RLELossless), build.part10(doomed)]
    )
    answer = httpx.post(f"{server.root}/studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    key = httpx.post(f"{server.base}/api/v1/keys", json={"key": "00181030"})
    assert key.status_code == 201, key.text
    return {
        "Accept-Encoding": ["gzip", "identity", "gzip;q=0.5, *;q=0.1"],  # zstd it could not read
        "requestType": ["WADO"],
        "studyUID": [kept.StudyInstanceUID],
        "seriesUID": [kept.SeriesInstanceUID],
        "objectUID": [kept.SOPInstanceUID, coded.SOPInstanceUID, UNKNOWN],
        "study": [kept.StudyInstanceUID, UNKNOWN],
        "series": [kept.SeriesInstanceUID, UNKNOWN],
        "instance": [kept.SOPInstanceUID, coded.SOPInstanceUID, UNKNOWN],
        "frames": ["1", "2", "1,2", "99"],
        "path": ["7FE00010", "00100010"],
        "doomed study": [doomed.StudyInstanceUID, UNKNOWN],
        "doomed series": [doomed.SeriesInstanceUID, UNKNOWN],
        "doomed instance": [doomed.SOPInstanceUID, UNKNOWN],
        "id": [str(key.json()["id"]), "999"],
    }


def narrowed(description: dict[str, Any], known: dict[str, list[str]], *, optionless: bool) -> dict[str, Any]:
    """The description with the path parameters of what is there: else nearly all would be 404."""
    made = copy.deepcopy(description)
    for path, item in made["paths"].items():
        if optionless or path.startswith("/api/"):
            del item["options"]  # it speaks of the place, whether or not something is there
        if "delete" in item:
            item["delete"]["parameters"] = [_one_of(p, known, "doomed ") for p in item.get("parameters", ())]
        if "parameters" in item:
            item["parameters"] = [_one_of(p, known) for p in item["parameters"]]
        for operation in [item[method] for method in ("get", "post") if "parameters" in item.get(method, {})]:
            operation["parameters"] = [_one_of(p, known) for p in operation["parameters"]]
    return made


def _one_of(parameter: dict[str, Any], known: dict[str, list[str]], prefix: str = "") -> dict[str, Any]:
    values = known.get(prefix + parameter["name"], known.get(parameter["name"]))
    return parameter if values is None else {**parameter, "schema": {"type": "string", "enum": values}}


def hammer(server: LiveServer, folder: Path, *options: str, seconds: int, optionless: bool = False) -> int:
    """Run it; the number of cases. Fails where it found something, with what it says."""
    description = httpx.get(f"{server.base}/openapi.json").json()
    file = folder / "openapi.json"
    file.write_bytes(orjson.dumps(narrowed(description, archive(server), optionless=optionless)))
    command = [str(COMMAND), "run", str(file), "--url", server.base, "--exclude-checks", EXCLUDED]
    command += ["--warnings", "off", "--no-color", "--continue-on-failure", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    found = re.search(r"(\d+) generated", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert httpx.get(f"{server.base}/readyz").status_code == 200
    return int(found[1])


@pytest.mark.parametrize(("strict", "examples"), [(False, 6), (True, 2)], ids=["lenient", "strict"])
def test_a_round(tmp_path: Path, capsys: pytest.CaptureFixture[str], strict: bool, examples: int) -> None:
    with serving(tmp_path / "data", *(["--strict"] if strict else [])) as server:
        options = ["--phases", "fuzzing", "--max-examples", str(examples), "--seed", "18", "--no-shrink"]
        cases = hammer(server, tmp_path, *options, seconds=110)
    with capsys.disabled():
        print(f"\nschemathesis, {'strict' if strict else 'lenient'}: {cases} cases")
    assert cases > 40 * examples


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_many_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path / "data") as server:
        options = ["--max-examples", "300", "--max-time"]
        cases = hammer(
            server, tmp_path, "--phases", "examples,coverage,fuzzing", *options, "900", seconds=3500
        )
    with serving(tmp_path / "other") as server:
        cases += hammer(
            server, tmp_path, "--phases", "stateful", *options, "600", seconds=1500, optionless=True
        )
    with capsys.disabled():
        print(f"\nschemathesis: {cases} cases")
    assert cases > 5000
