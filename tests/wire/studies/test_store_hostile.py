"""Metadata that is anything but metadata: right 4xx, never a 500, nothing stored (PS3.18 10.5.3)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from gateway.dicom.encoding.structure import CODED_VRS as KNOWN
from gateway.dicom.model.nativexml import NAMESPACE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.live import LiveServer

JSON, XML = "application/dicom+json", "application/dicom+xml"
UIDS = ("00080016", "00080018", "0020000D", "0020000E")
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["1.2.3", "BulkDataURI", "☃", "a\r\nb: c", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*UIDS, "vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "7FE00010", "00420011"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
VRS = st.sampled_from([*sorted(vr.decode() for vr in KNOWN), "XX"])
MEMBERS = st.fixed_dictionaries(
    {"vr": VRS}, optional={"Value": ANYTHING, "InlineBinary": ANYTHING, "BulkDataURI": ANYTHING}
)
MODELS = st.dictionaries(
    st.sampled_from(
        [*UIDS, "00080005", "00100010", "00280008", "00280010", "00420012", "7FE00010", "00081140"]
    ),
    MEMBERS | ANYTHING,
    max_size=8,
)


def sent(server: LiveServer, media: str, document: bytes, *, multipart: bool) -> httpx.Response:
    headers = {"Content-Type": media, "Accept": JSON}
    if multipart:
        headers["Content-Type"] = f'multipart/related; type="{media}"; boundary=b'
        document = f"--b\r\nContent-Type: {media}\r\n\r\n".encode() + document
        document += b"\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Location: 1.2.3\r\n\r\n\xff\xd8\r\n--b--"
    return httpx.post(f"{server.root}/studies", content=document, headers=headers, timeout=30)


@pytest.mark.row("S-57", "S-82", "S-83")
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=MODELS | ANYTHING, whole=st.booleans(), multipart=st.booleans())
def test_any_json(server: LiveServer, model: Any, whole: bool, multipart: bool) -> None:
    if whole and isinstance(model, dict):
        uids = {tag: {"vr": "UI", "Value": ["1.2.3"]} for tag in UIDS}
        model = {**uids, **{tag: member for tag, member in model.items() if tag not in UIDS[2:]}}
    text = json.dumps([model]).encode()
    answer = sent(server, JSON, text, multipart=multipart)
    assert answer.status_code in (200, 202, 400, 409, 413), (answer.status_code, text)


ELEMENTS = st.recursive(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=10).map(
        lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
    ),
    lambda inner: st.builds(
        lambda name, tag, vr, number, content: (
            f'<{name} tag="{tag}" vr="{vr}" number="{number}" uri="x">{"".join(content)}</{name}>'
        ),
        st.sampled_from(
            [
                "DicomAttribute",
                "Value",
                "Item",
                "PersonName",
                "Alphabetic",
                "BulkData",
                "InlineBinary",
                "FamilyName",
            ]
        ),
        st.sampled_from([*UIDS, "7FE00010", "00091001", "x", ""]),
        VRS,
        st.sampled_from(["1", "2", "x", "-1", ""]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=10,
)


@pytest.mark.row("S-82", "X-24")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.lists(ELEMENTS, max_size=5), multipart=st.booleans())
def test_any_xml(server: LiveServer, content: list[str], multipart: bool) -> None:
    document = f'<NativeDicomModel xmlns="{NAMESPACE}">{"".join(content)}</NativeDicomModel>'.encode()
    answer = sent(server, XML, document, multipart=multipart)
    assert answer.status_code in (200, 202, 400, 409, 413), (answer.status_code, document)


@pytest.mark.row("J-54", "X-24")
def test_deep_documents(server: LiveServer) -> None:
    for depth in (100, 400, 3000, 100_000):
        deep = b'{"00081140":{"vr":"SQ","Value":[' * depth + b"]}}" * depth
        assert sent(server, JSON, deep, multipart=False).status_code in (400, 409)
    item = b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">'
    for depth in (100, 3000, 30_000):
        deep = item * depth + b"</Item></DicomAttribute>" * depth
        answer = sent(server, XML, b"<NativeDicomModel>" + deep + b"</NativeDicomModel>", multipart=False)
        assert answer.status_code in (400, 409)


def test_more_metadata_than_is_parsed_at_once(server: LiveServer) -> None:
    body = b"[" + b" " * (33 << 20) + b"]"
    answer = httpx.post(f"{server.root}/studies", content=body, headers={"Content-Type": JSON}, timeout=60)
    assert (answer.status_code, "32 MiB" in answer.json()["detail"]) == (413, True)
