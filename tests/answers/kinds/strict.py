"""What a strict gateway refuses, and a lenient one overlooks."""

from __future__ import annotations

from tests.answers.ask import DICOM, JSON, OCTETS, ROOT, XML, Asks, get, related
from tests.answers.held import Held, study
from tests.answers.kinds import search, uri

PREFIX = "1.2.840.10008.1.2"


def asks(held: Held) -> Asks:
    """The same searches and pictures, and each resource without an Accept field."""
    for query in (*search.STUDIES, *search.BAD):
        yield get(f"search ?{query}", f"{ROOT}/studies?{query}", JSON)
    for query in search.SERIES:
        yield get(f"search series ?{query}", f"{ROOT}/series?{query}", JSON)
    yield from uri.asks(held)
    for name, path in held.all():
        for below in (
            "",
            "/metadata",
            "/frames/1",
            "/rendered",
            "/thumbnail",
            "/bulkdata/7FE00010",
            "/pixeldata",
        ):
            yield get(f"{name}{below} without Accept", f"{path}{below}")
            yield get(f"{name}{below} as anything", f"{path}{below}", "*/*")
        yield get(f"{name} as JSON", f"{path}/metadata", JSON)
        yield get(f"{name} as XML", f"{study(path)}/metadata", related(XML))
        yield get(f"{name} as stored", path, related(DICOM, "*"))
        yield get(f"{name} native", path, f"{DICOM}; transfer-syntax={PREFIX}.1")
        yield get(f"{name} as octets", f"{path}/frames/1", related(OCTETS))
        yield get(f"{name} as PNG", f"{path}/rendered?viewport=64,64", "image/png")
        yield get(f"{name} with a parameter too many", f"{path}/rendered?nosuch=1", "image/png")
