"""The URI service: objects, pictures, without who they are of (PS3.18 9)."""

from __future__ import annotations

from tests.answers.ask import ROOT, Asks, get, head
from tests.answers.held import Held, uids

QUERIES = (
    "",
    "contentType=application/dicom",
    "contentType=application/dicom&transferSyntax=*",
    "contentType=application/dicom&transferSyntax=1.2.840.10008.1.2.4.80",
    "contentType=application/dicom&transferSyntax=1.2.840.10008.1.2",
    "contentType=application/dicom&transferSyntax=1.2.3",
    "contentType=application/dicom&transferSyntax=x",
    "contentType=application/dicom&anonymize=yes",
    "contentType=application/dicom&anonymize=yes&transferSyntax=1.2.840.10008.1.2.4.80",
    "contentType=application/dicom&windowCenter=1&windowWidth=2",
    "contentType=application/dicom&rows=20",
    "contentType=image/jpeg",
    "contentType=image/png",
    "contentType=image/gif",
    "contentType=image/jp2",
    "contentType=image/jxl",
    "contentType=video/mp4",
    "contentType=text/html",
    "contentType=image/png,image/jpeg",
    "contentType=image/png&anonymize=yes",
    "contentType=image/png&anonymize=no",
    "contentType=image/png&anonymize=yes&annotation=patient",
    "contentType=image/png&rows=20",
    "contentType=image/png&columns=20",
    "contentType=image/png&rows=30&columns=20",
    "contentType=image/png&rows=x",
    "contentType=image/png&region=0,0,0.5,0.5",
    "contentType=image/png&region=0,0,2,2",
    "contentType=image/png&region=0.2,0.2,0.8,0.8&rows=40",
    "contentType=image/png&windowCenter=40&windowWidth=400",
    "contentType=image/png&windowCenter=40",
    "contentType=image/png&windowCenter=a&windowWidth=400",
    "contentType=image/png&frameNumber=1",
    "contentType=image/png&frameNumber=2",
    "contentType=image/png&frameNumber=0",
    "contentType=image/png&annotation=patient",
    "contentType=image/png&imageAnnotation=technique",
    "contentType=image/png&annotation=patient&imageAnnotation=technique",
    "contentType=image/jpeg&imageQuality=5",
    "contentType=image/jpeg&imageQuality=500",
    "contentType=image/png&presentationUID=1.2.3&presentationSeriesUID=1.2.4",
    "contentType=image/png&presentationUID=1.2.3",
    "contentType=*/*",
    "contentType=nonsense",
    "contentType=image/png,application/dicom",
    "contentType=image/png;transfer-syntax=1.2",
    "charset=utf-8",
    "viewport=1,1",
)
ANONYMOUS = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_small_odd.dcm",
    "emri_small.dcm",
    "examples_rgb_color.dcm",
    "reportsi.dcm",
    "gen-encapsulated-pdf.dcm",
    "gen-mf-byte-sc.dcm",
    "gen-every-vr.dcm",
    "gen-private-two-blocks-orphan.dcm",
    "chrH31.dcm",
    "ovly_p01.dcm",
    "liver.dcm",
    "rtplan.dcm",
    "gen-h264-102.dcm",
)


def asks(held: Held) -> Asks:
    """Each parameter of a picture and of an object of several frames, then what is missing."""
    for name, path in held.some("CT_small.dcm", "gen-mf-byte-sc.dcm"):
        for query in QUERIES:
            yield get(f"{name} by URI, {query}", f"/wado?{_query(path)}&{query}")
    for name, path in held.some(*ANONYMOUS):
        for media in ("application/dicom", "image/png"):
            query = f"{_query(path)}&contentType={media}&anonymize=yes"
            yield get(f"{name} without whose, {media}", f"/wado?{query}")
    yield from _states(held)
    yield from _odd(held.path("CT_small.dcm"))


def _states(held: Held) -> Asks:
    """An image through the presentation state of its study."""
    for _, image in held.some("CR000000.dcm"):
        for _, state in held.some("PR000000.dcm"):
            _, series, instance = uids(state)
            through = f"{_query(image)}&presentationUID={instance}&presentationSeriesUID={series}"
            for query in ("", "&contentType=image/png", "&rows=50", "&frameNumber=1", "&region=0,0,0.5,0.5"):
                yield get(f"through a state{query}", f"/wado?{through}{query}")


def _odd(path: str) -> Asks:
    query = _query(path)
    study, series, instance = uids(path)
    yield get("by URI below the service", f"{ROOT}/wado?{query}", "image/png")
    yield get("by URI without a word", "/wado")
    yield get("by URI of another type", f"/wado?{query.replace('WADO', 'wado')}")
    yield get("by URI twice", f"/wado?{query}&studyUID={study}")
    yield get("by URI without study", f"/wado?requestType=WADO&seriesUID={series}&objectUID={instance}")
    yield get("by URI in another study", f"/wado?{query.replace(study, '1.2.3')}")
    yield get("by URI of no UID", f"/wado?{query.replace(instance, 'x')}")
    for accept in (
        "image/png",
        "image/jpeg;q=0.1, image/png",
        "text/plain",
        "application/dicom",
        "*/*",
        "nonsense",
    ):
        yield get(f"by URI with Accept {accept}", f"/wado?{query}", accept)
    answer = yield head("head by URI", f"/wado?{query}&contentType=application/dicom")
    tag = answer.header("etag")
    yield get("known by URI", f"/wado?{query}&contentType=application/dicom", if_none_match=tag)
    yield get("a range by URI", f"/wado?{query}&contentType=application/dicom", range="bytes=10-19")


def _query(path: str) -> str:
    study, series, instance = uids(path)
    return f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
