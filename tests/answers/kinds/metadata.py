"""Metadata at the three levels, in JSON and XML (PS3.18 10.4.3.3.2)."""

from __future__ import annotations

from tests.answers.ask import JSON, XML, Asks, get, head, related
from tests.answers.held import Held, series, study

NAMES = (
    "CT_small.dcm",
    "s1i1.dcm",
    "gen-dup-a.dcm",
    "emri_small.dcm",
    "gen-every-vr.dcm",
    "gen-hostile-strings.dcm",
    "gen-private-two-blocks-orphan.dcm",
    "gen-huge-text.dcm",
    "chrH31.dcm",
    "chrRuss.dcm",
    "gen-utf8-astral-rtl-nfd.dcm",
    "gen-nested-40-deep.dcm",
    "test-SR.dcm",
    "image_dfl.dcm",
    "MR_small_bigendian.dcm",
)


def asks(held: Held) -> Asks:
    """Each level in each form, conditions and codings."""
    for name, path in held.some(*NAMES):
        levels = {"study": study(path), "series": series(path), "instance": path}
        for level, place in levels.items():
            yield get(f"{level} metadata of {name}, multipart XML", f"{place}/metadata", related(XML))
            if level != "instance":
                yield get(f"{level} metadata of {name}", f"{place}/metadata", JSON)
            yield get(f"{level} metadata of {name}, gzip", f"{place}/metadata", JSON, accept_encoding="gzip")
        yield get(f"one XML of {name}", f"{path}/metadata", XML)
        yield get(f"XML of {name} in Latin", f"{path}/metadata", XML, accept_charset="iso-8859-1")
    path = held.path("CT_small.dcm")
    yield from _conditions(path)
    yield get("XML of a study as one", f"{study(path)}/metadata", XML)
    yield get("metadata as pictures", f"{path}/metadata", "image/png")
    yield get("metadata as JSON", f"{path}/metadata", "application/json")
    yield get("metadata in zstd", f"{path}/metadata", JSON, accept_encoding="zstd")
    yield get("metadata in UTF-16", f"{path}/metadata", XML, accept_charset="utf-16")
    yield get("metadata by parameter", f"{path}/metadata?accept=application/dicom%2Bxml", JSON)
    yield get("metadata with a parameter too many", f"{path}/metadata?includefield=all", JSON)


def _conditions(path: str) -> Asks:
    for accept in (JSON, XML, related(XML)):
        first = yield head(f"head of metadata, {accept}", f"{path}/metadata", accept)
        tag = first.header("etag")
        yield get(f"known metadata, {accept}", f"{path}/metadata", accept, if_none_match=tag)
        yield get(f"known weakly, {accept}", f"{path}/metadata", accept, if_none_match=f'"x", W/{tag}')
        yield get(f"known as JSON, {accept}", f"{path}/metadata", JSON, if_none_match=tag)
    yield get("any metadata known", f"{path}/metadata", JSON, if_none_match="*")
