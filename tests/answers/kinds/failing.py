"""Paths that are not there, and names that are none."""

from __future__ import annotations

from tests.answers.ask import JSON, ROOT, Ask, Asks, fields, get
from tests.answers.held import Held, series, study

PATHS = (
    "/nowhere",
    "/studies",
    "/dicomweb/studies",
    "/rs/studies",
    f"{ROOT}/nowhere",
    f"{ROOT}/studies/1.2.3",
    f"{ROOT}/studies/1.2.3/metadata",
    f"{ROOT}/studies/1.2.3/nowhere",
    f"{ROOT}/studies/x",
    f"{ROOT}/studies/x/metadata",
    f"{ROOT}/studies/1..2",
    f"{ROOT}/studies/01.2",
    f"{ROOT}/studies/{'1.' * 32}1",
    f"{ROOT}/studies/1.2%2F3",
    f"{ROOT}/studies/%0A",
    f"{ROOT}/studies/%FF/metadata",
    f"{ROOT}//studies",
    f"{ROOT}/studies//metadata",
    f"{ROOT}/studies/../studies",
    f"{ROOT}/STUDIES",
    f"{ROOT}/studies/1.2.3/series/1.2.4",
    f"{ROOT}/studies/1.2.3/series/x/instances/1",
    f"{ROOT}/studies/1.2.3/series/1.2.4/instances/1.2.5",
    f"{ROOT}/studies/1.2.3/series/1.2.4/instances/1.2.5/frames/1",
    f"{ROOT}/studies/1.2.3/series/1.2.4/instances/1.2.5/rendered",
    f"{ROOT}/studies/1.2.3/series/1.2.4/instances/1.2.5/bulkdata/7FE00010",
    f"{ROOT}/workitems",
    "/api/v1",
    "/api/v1/keys/x",
    "/api/v1/keys/999",
    "/api/v1/keys/999/failures",
    "/api/v2/keys",
    "/metrics/x",
    "/openapi.json/",
    "/readyz/",
)
ACCEPTS = (JSON, "text/html", "text/plain", "application/problem+json", "image/png", "")


def asks(held: Held) -> Asks:
    """Each path, and some failures in each form that they are written in."""
    for path in PATHS:
        yield get(f"failing {path}", path, JSON)
    for accept in ACCEPTS:
        yield get(f"no study, as {accept}", f"{ROOT}/studies/1.2.3/metadata", accept)
        yield get(f"no path, as {accept}", "/nowhere", accept)
        yield get(f"no UID, as {accept}", f"{ROOT}/studies/x%3Cb%3E/metadata", accept)
    path = held.path("CT_small.dcm")
    other = held.path("gen-dup-a.dcm")
    yield get("an instance in another study", study(other) + path[len(study(path)) :], JSON)
    yield get("an instance in another series", series(other) + path[len(series(path)) :], JSON)
    yield get("a long path", f"{ROOT}/studies?PatientName={'x' * 61500}", JSON)
    yield Ask("a POST without a body", f"{ROOT}/studies", "POST", fields(JSON))
    yield Ask("a DELETE of all", f"{ROOT}/studies", "DELETE", fields(JSON))
    yield Ask("a DELETE of nothing", f"{ROOT}/studies/1.2.3", "DELETE", fields(JSON))
    yield Ask("a DELETE of no UID", f"{ROOT}/studies/x", "DELETE", fields(JSON))
