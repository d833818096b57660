"""Broken pictures, locations and UIDs in metadata: 4xx for each, never a 500, nothing stored (PS3.18 10.5.3)."""

from __future__ import annotations

import io
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tests.live import LiveServer
from tests.wire.studies.test_store_metadata import JSON, OCTETS, as_json, model, pixels, send, url

GREY = np.arange(2560, dtype="u2").reshape(40, 64).astype("u1")


def _gif() -> bytes:
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "GIF", save_all=True, append_images=[Image.fromarray(GREY[::-1])])
    return out.getvalue()


PICTURES = {
    "image/jpeg": bytes(imagecodecs.jpeg8_encode(GREY)),
    "image/jls": bytes(imagecodecs.jpegls_encode(GREY)),
    "image/jp2": bytes(imagecodecs.jpeg2k_encode(GREY)),
    "image/jxl": bytes(imagecodecs.jpegxl_encode(GREY)),
    "image/png": bytes(imagecodecs.png_encode(GREY)),
    "image/gif": _gif(),
}


def _refused(server: LiveServer, found: dict[str, Any], answer: httpx.Response) -> None:
    assert answer.status_code in (400, 409), answer.text
    assert httpx.get(server.root + url(found)).status_code in (400, 404)


@pytest.mark.parametrize("media", PICTURES)
def test_cut_picture(server: LiveServer, media: str) -> None:
    """Cut within the header at every second byte, which is before any pixel."""
    for end in range(0, 30, 2):
        found = model(t7FE00010=pixels())
        answer = send(server, JSON, as_json(found), (media, "pixels", PICTURES[media][:end]))
        _refused(server, found, answer)


# The scan says more components than its header has room for; a second picture ends within its header.
BROKEN = [
    ("image/jpeg", b"\xff\xd8\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xda\0\x03\xff"),
    *(("image/gif", PICTURES["image/gif"][:end]) for end in (2083, 2090, 2091, 2092)),
]


@pytest.mark.parametrize(("media", "data"), BROKEN)
def test_broken_picture(server: LiveServer, media: str, data: bytes) -> None:
    found = model(t7FE00010=pixels())
    _refused(server, found, send(server, JSON, as_json(found), (media, "pixels", data)))


def test_failure_that_cannot_repeat_what_was_sent(server: LiveServer) -> None:
    """A lone surrogate is JSON, and no UTF-8 (RFC 8259 8.2): the answer says so without it."""
    twice = b'[{"\\ud800":1,"\\ud800":1}]'
    answer = httpx.post(f"{server.root}/studies", content=twice, headers={"Content-Type": JSON})
    assert (answer.status_code, "twice" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("location", ["http://[", "//[::", "a\tb"])
def test_location_that_is_no_url(server: LiveServer, location: str) -> None:
    """Nobody has to read it as a URL: the same text on both sides is the same place, another one is none."""
    found = model(t00420011=pixels(location, "OB"))
    _refused(server, found, send(server, JSON, as_json(found), (OCTETS, "http://[::", b"ab")))
    _refused(server, found, send(server, JSON, as_json(found), (OCTETS, "other", b"ab")))


@pytest.mark.parametrize("uid", ["1.\ud800", "١.٢", "1.2\x003", "1.2/../3", {"a": 1}, 12, "1." * 4000])
def test_uid_that_is_none(server: LiveServer, uid: object) -> None:
    found = model()
    found["00080018"] = {"vr": "UI", "Value": [uid]}
    answer = send(server, JSON, as_json(found))
    assert answer.status_code in (400, 409), answer.text
    study = found["0020000D"]["Value"][0]
    assert httpx.get(f"{server.root}/studies/{study}").status_code == 404
