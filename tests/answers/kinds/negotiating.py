"""What all resources share: Accept, HEAD, OPTIONS, CORS, capabilities."""

from __future__ import annotations

from tests.answers.ask import JSON, ROOT, Ask, Asks, fields, get, head
from tests.answers.held import Held, series, study

ORIGIN = "https://viewer.example.org"
ACCEPTS = (
    "nonsense",
    "a/b/c",
    "application/dicom+json;q=2",
    "application/dicom+json;q=0",
    "application/dicom+json;q=0.5, */*;q=0",
    'multipart/related; type="application/dicom',
    "multipart/related",
    "multipart/related; type=application/dicom",
    "multipart/mixed",
    "application/*",
    "*",
    ",",
    "application/dicom; transfer-syntax=1.2.3.4",
    'multipart/related; type="application/dicom; transfer-syntax=*"',
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "application/zip, */*;q=0.5",
)


def asks(held: Held) -> Asks:
    """Every resource asked for what it does, what it has and what it has not."""
    path = held.path("CT_small.dcm")
    for name, place in _places(path).items():
        yield from _place(name, place)
    for accept in ACCEPTS:
        for name in ("studies", "instance", "metadata", "frames", "rendered"):
            yield get(f"{name} with Accept {accept}", _places(path)[name], accept)
    yield get("a host that is not ours", f"{ROOT}/studies", JSON, host="other.example.org")
    yield get(
        "forwarded by nobody", f"{ROOT}/studies?limit=1", JSON, forwarded="host=other.example.org;proto=https"
    )
    yield get("forwarded by X", f"{ROOT}/studies?limit=1", JSON, x_forwarded_host="other.example.org")


def _place(name: str, place: str) -> Asks:
    for accept in ("", "application/json", "application/vnd.sun.wadl+xml", "text/html"):
        answer = yield Ask(f"options of {name}, {accept}", place, "OPTIONS", fields(accept), fixed=True)
    known = fields("", if_none_match=answer.header("etag") or '"x"')
    yield Ask(f"known options of {name}", place, "OPTIONS", known, fixed=True)
    for origin in (ORIGIN, "https://evil.example.org"):
        asked = fields(
            "", origin=origin, access_control_request_method="GET", access_control_request_headers="accept"
        )
        yield Ask(f"preflight of {name} from {origin}", place, "OPTIONS", asked)
        yield get(f"{name} from {origin}", place, "image/bmp", origin=origin)
    yield head(f"head of {name}", place)
    for method in ("PUT", "PATCH", "TRACE", "BREW"):
        yield Ask(f"{method} of {name}", place, method, body=b"")
    yield get(f"{name} with a body that is not asked", place, "image/bmp", x_anything="1")


def _places(path: str) -> dict[str, str]:
    return {
        "root": "/",
        "service": ROOT,
        "studies": f"{ROOT}/studies",
        "series": f"{ROOT}/series",
        "study": study(path),
        "series of it": series(path),
        "instance": path,
        "metadata": f"{path}/metadata",
        "frames": f"{path}/frames/1",
        "rendered": f"{path}/rendered",
        "thumbnail": f"{path}/thumbnail",
        "bulkdata": f"{path}/bulkdata/7FE00010",
        "pixeldata": f"{path}/pixeldata",
        "wado": "/wado",
        "keys": "/api/v1/keys",
        "deleted": "/api/v1/deleted",
        "quarantine": "/api/v1/quarantine",
        "readyz": "/readyz",
    }
