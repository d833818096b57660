"""What we give as metadata and bulk data can be stored again as that: every file of the corpus, in JSON and in XML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway.dicom.model.multipart import MultipartParser, PartBegin, PartData
from gateway.dicom.model.nativexml import to_xml
from gateway.http.negotiation.media import COMPRESSED, JSON, OCTETS, XML
from pydicom.uid import generate_uid
from tests.corpus import rows
from tests.live import multipart

# What these are said to be is not what they are: refused, or come back as what they are.
OTHERWISE = {
    # Codestreams that cannot be decoded are given as they are stored, and cannot describe themselves.
    "fragments/JPEG2000-embedded-sequence-delimiter.dcm": "(0028,0011) is 256 in the metadata",
    "fragments/invalid_compression.dcm": "no JPEG codestream",
    "malformed/gen-unknown-vr.dcm": "00081030",  # UN of a known tag is read as what PS3.6 says
    "modality-vl-wsi/sample-op.dcm": "C122",  # lossless by its transfer syntax, baseline by its codestream
    "modality-vl-wsi/test_slide_coordinates.dcm": "JPEG process SOF2",  # progressive, which is retired
    "modality-xray/jpeg8bit.dcm": "00282110, 00282112, 00282114",  # lossy, which it did not say
}
NATIVE = frozenset(f"1.2.840.10008.1.2{last}" for last in ("", ".1", ".2", ".1.99"))


def references(model: dict[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    for tag, member in model.items():
        if "BulkDataURI" in member:
            yield within + tag, member["BulkDataURI"]
        elif member["vr"] == "SQ":
            for number, item in enumerate(member.get("Value", ()), 1):
                yield from references(item, f"{within}{tag}/{number}/")


def bodies(answer: httpx.Response) -> list[bytes]:
    boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"')
    found: list[bytearray] = []
    parser = MultipartParser(boundary)
    for event in parser.feed(answer.content):
        if isinstance(event, PartBegin):
            found.append(bytearray())
        elif isinstance(event, PartData):
            found[-1] += event.data
    return [bytes(body) for body in found]


def bulk_of(http: httpx.Client, model: dict[str, Any], syntax: str) -> list[tuple[str, str, bytes]] | None:
    """Content-Type, Content-Location and octets of each part; None where Pixel Data cannot be had as it is stored."""
    parts = []
    for path, uri in references(model):
        if path == "7FE00010" and syntax not in NATIVE:
            media = COMPRESSED.get(syntax, OCTETS)
            answer = http.get(
                uri, headers={"Accept": f'multipart/related; type="{media}"; transfer-syntax={syntax}'}
            )
            if answer.status_code != 200 or media == OCTETS:
                return None
            parts += [(f"{media}; transfer-syntax={syntax}", uri, body) for body in bodies(answer)]
            continue
        answer = http.get(uri, headers={"Accept": OCTETS})
        assert answer.status_code == 200, uri
        parts.append((OCTETS, uri, answer.content))
    return parts


def message(root: str, document: bytes, parts: list[tuple[str, str, bytes]]) -> tuple[bytes, dict[str, str]]:
    boundary = "again-and-again-20cb9ffe"
    body = bytearray()
    for media, location, data in [(root, "", document), *parts]:
        where = f"Content-Location: {location}\r\n" if location else ""
        body += f"--{boundary}\r\nContent-Type: {media}\r\n{where}\r\n".encode() + data + b"\r\n"
    content_type = f'multipart/related; type="{root}"; boundary={boundary}'
    return bytes(body) + f"--{boundary}--".encode(), {"Content-Type": content_type, "Accept": JSON}


def metadata(http: httpx.Client, path: str) -> dict[str, Any]:
    text = http.get(f"{path}/metadata", headers={"Accept": JSON}).content
    (model,) = json.loads(text, parse_float=str)
    return dict(model)


def bare(model: dict[str, Any]) -> dict[str, Any]:
    """Without what differs by design: character sets, places, private blocks, the UID."""
    found: dict[str, Any] = {}
    for tag, member in model.items():
        if tag in ("00080005", "00080018", "04000561"):
            continue
        if "BulkDataURI" in member:
            found[tag] = "by reference"
        elif member["vr"] == "SQ":
            found[tag] = {**member, "Value": [bare(item) for item in member.get("Value", ())]}
        else:
            found[tag] = {key: member[key] for key in member if key != "vr"}
    return found


@pytest.mark.row("S-21", "S-22", "S-41", "S-47", "S-48", "S-50", "S-56", "S-58", "R-B-8", "R-B-11", "J-65")
@pytest.mark.parametrize("root", [JSON, XML])
def test_whatever_is_given_can_be_stored_again(http: httpx.Client, root: str) -> None:
    tried, wrong = 0, dict[str, str]()
    for row in rows() if root == JSON else rows()[::4]:
        data = row.read()
        if not row.transfer_syntax or len(data) > 4 << 20:
            continue
        body, content_type = multipart([data])
        answer = http.post("/studies", content=body, headers={"Content-Type": content_type, "Accept": JSON})
        if "00081199" not in answer.json():
            continue
        path = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        model = metadata(http, path)
        parts = bulk_of(http, model, row.transfer_syntax)
        if parts is None:
            continue
        text = http.get(f"{path}/metadata", headers={"Accept": JSON}).content
        uid = generate_uid()
        given = json.loads(text)[0]
        given["00080018"]["Value"] = [uid]
        document = to_xml(given) if root == XML else b"[" + _with_uid(text, uid) + b"]"
        body, headers = message(root, document, parts)
        answer = http.post("/studies", content=body, headers=headers)
        if "00081199" not in answer.json():
            wrong[row.name] = answer.headers.get("warning", answer.text)[:300]
            continue
        again = metadata(http, answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0])
        one, other = bare(model), bare(again)
        if root == JSON and one != other:
            wrong[row.name] = ", ".join(
                sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
            )
        tried += 1
    wrong = {name: what for name, what in wrong.items() if OTHERWISE.get(name, "nothing") not in what}
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert tried > (130 if root == JSON else 30)


def _with_uid(text: bytes, uid: str) -> bytes:
    """The object of the array, its digits as they are."""
    (model,) = json.loads(text)
    old = f'"00080018":{{"vr":"UI","Value":["{model["00080018"]["Value"][0]}"]}}'.encode()
    assert old in text
    return text.replace(old, f'"00080018":{{"vr":"UI","Value":["{uid}"]}}'.encode()).strip()[1:-1]
