"""(0008,3002) lists what can be had without loss, neither more nor less; (0002,0010) is given where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from gateway.dicom import uids
from gateway.render.codecs.transcodetargets import LOSSLESS_TARGETS
from tests.wire.transfer import BE, DEFLATED, DICOM, IMPLICIT, Archive

# Codestreams that are none: what their attributes promise cannot be kept.
BROKEN = {"jpx", "jpx any"}


def found(archive: Archive, name: str, more: str = "") -> dict[str, Any]:
    answer = archive.http.get("/instances", params={"SOPInstanceUID": archive.datasets[name].SOPInstanceUID})
    assert answer.status_code == 200
    if more:
        url = (
            f"{archive.paths[name].rpartition('/')[0]}?SOPInstanceUID={archive.datasets[name].SOPInstanceUID}"
        )
        answer = archive.http.get(url + more)
    (row,) = answer.json()
    one: dict[str, Any] = row
    return one


def listed(row: dict[str, Any]) -> list[str]:
    values: list[str] = row["00083002"]["Value"]
    return values


def test_what_is_listed_is_served_and_nothing_else(archive: Archive) -> None:
    for name, ds in archive.datasets.items():
        stored = str(ds.file_meta.TransferSyntaxUID)
        every = dict.fromkeys(
            (stored, uids.EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED, *LOSSLESS_TARGETS, IMPLICIT, BE)
        )
        if name in BROKEN:
            assert listed(found(archive, name))[0] == stored
            continue
        served = [
            syntax
            for syntax in every
            if archive.get(name, f"{DICOM}; transfer-syntax={syntax}").status_code == 200
        ]
        assert listed(found(archive, name)) == served, name


def test_no_form_of_answer_lists_less(archive: Archive) -> None:
    plain = listed(found(archive, "ct"))
    assert len(plain) > 8
    for more in ("&includefield=all", "&includefield=BitsStored", "&SamplesPerPixel=1"):
        assert listed(found(archive, "ct", more)) == plain, more


@pytest.mark.parametrize("field", ["00020010", "TransferSyntaxUID"])
def test_the_stored_transfer_syntax_is_given_when_asked_for(archive: Archive, field: str) -> None:
    for name in ("ct", "implicit", "big endian", "deflated", "video", "report"):
        row = found(archive, name, f"&includefield={field}")
        stored = str(archive.datasets[name].file_meta.TransferSyntaxUID)
        assert row["00020010"] == {"vr": "UI", "Value": [stored]}
        assert "00020010" not in found(archive, name, "&includefield=all")
    answer = archive.http.get(f"/studies?includefield={field}")
    assert answer.status_code == 200
    assert "00020010" not in answer.text
