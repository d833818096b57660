"""What is ours beside the standard: query keys, health, metrics, the description, the pages."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import replace

from tests.answers.ask import JSON, ROOT, Answer, Ask, Asks, fields, get, head, post
from tests.answers.held import Held

KEYS = "/api/v1/keys"
MEANT = fields("application/json", x_requested_with="answers")
MEDIA = "application/json"
SECONDS_TO_INDEX = 3.0
BAD = {
    "no JSON": b"{",
    "no object": b"[]",
    "nothing": b"",
    "no key": b"{}",
    "another member": b'{"key": "00181030", "x": 1}',
    "no attribute": b'{"key": "nonsense"}',
    "no VR": b'{"key": "00181030", "vr": "x"}',
    "another VR": b'{"key": "00181030", "vr": "DS"}',
    "a private attribute of no VR": b'{"key": "00231001[Acme 1.0]"}',
    "pixels": b'{"key": "7FE00010"}',
    "what is one already": b'{"key": "PatientName"}',
}


def asks(held: Held) -> Asks:
    """Keys declared, searched with, dropped; then everything that is no DICOM."""
    yield get("keys at first", KEYS, MEDIA)
    for name, body in BAD.items():
        yield replace(post(f"a key that is {name}", KEYS, body, MEDIA, MEDIA), racing=True)
    yield post("a key of another type", KEYS, b"x", "text/plain", MEDIA, x_requested_with="answers")
    place = yield from _declared({"key": "ProtocolName"})
    yield from _declared({"key": "00231001[Acme 1.0]", "vr": "DS"})
    yield get("keys as HTML", KEYS, "text/html")
    yield get("search with a key", f"{ROOT}/series?ProtocolName=*&includefield=ProtocolName", JSON)
    yield get("search with a private key", f"{ROOT}/instances?00231001=1&limit=2", JSON)
    yield get("failures of a key", f"{place}/failures", MEDIA)
    yield get("failures of a key, bad limit", f"{place}/failures?limit=x", MEDIA)
    yield Ask("drop a key without intent", place, "DELETE")
    yield Ask("drop a key", place, "DELETE", MEANT)
    yield Ask("drop a key again", place, "DELETE", MEANT)
    yield get("keys at last", KEYS, MEDIA)
    yield from _about()


def _declared(key: dict[str, str]) -> Generator[Ask, Answer, str]:
    """Once what it is asked by is indexed; how far that is in between depends on the machine."""
    named = key["key"]
    ask = post(f"declare {named}", KEYS, json.dumps(key).encode(), MEDIA, MEDIA)
    answer = yield replace(ask, racing=True)
    place = answer.header("location").partition("8080")[2]
    # Asked for once only, or the number of requests would depend on the machine as well.
    time.sleep(SECONDS_TO_INDEX)
    yield get(f"the key {named}", place, MEDIA)
    yield post(f"declare {named} again", KEYS, json.dumps(key).encode(), MEDIA, MEDIA)
    return place


def _about() -> Asks:
    answer = yield Ask("description", "/openapi.json", headers=fields(MEDIA), fixed=True)
    tag = answer.header("etag")
    for coding in ("gzip", "zstd"):
        asked = fields(MEDIA, accept_encoding=coding)
        yield Ask(f"description in {coding}", "/openapi.json", headers=asked, fixed=True)
    yield Ask("known description", "/openapi.json", headers=fields(MEDIA, if_none_match=tag), fixed=True)
    for path in ("/", ROOT, f"{ROOT}/", "/livez", "/readyz"):
        for accept in ("", "text/html", "text/plain", "application/json"):
            yield get(f"{path} as {accept}", path, accept)
        yield head(f"head of {path}", path)
    yield get("metrics", "/metrics")
    yield get("metrics as JSON", "/metrics", "application/json")
