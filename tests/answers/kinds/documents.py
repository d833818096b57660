"""Documents: reports, PDF, CDA, as HTML, text, XML and PDF (PS3.18 8.7.4)."""

from __future__ import annotations

from tests.answers.ask import Asks, get, head, related
from tests.answers.held import Held, study, uids

NAMES = (
    "reportsi.dcm",
    "test-SR.dcm",
    "sr_document.dcm",
    "kos_key_object_selection.dcm",
    "MarekLatin2.dcm",
    "gen-encapsulated-pdf.dcm",
    "gen-encapsulated-cda.dcm",
    "Issue137.dcm",
    "gen-ecg-12-lead.dcm",
    "rtplan.dcm",
)
MEDIA = ("text/html", "text/plain", "text/xml", "application/pdf", "*/*", "image/jpeg", "text/rtf", "text/*")


def asks(held: Held) -> Asks:
    """Each form of each document, by both services."""
    for name, path in held.some(*NAMES):
        one, series, instance = uids(path)
        query = f"requestType=WADO&studyUID={one}&seriesUID={series}&objectUID={instance}"
        for media in MEDIA:
            yield get(f"document {name} as {media}", f"{path}/rendered", media)
            yield get(f"document {name} by URI as {media}", f"/wado?{query}", media)
        yield get(f"document {name} in a part", f"{path}/rendered", related("text/html"))
        yield get(f"study of document {name}", f"{study(path)}/rendered", related("text/html"))
        yield get(f"document {name} in Latin", f"{path}/rendered", "text/html", accept_charset="iso-8859-1")
        yield get(f"document {name} in a set by name", f"{path}/rendered?charset=iso-8859-2", "text/plain")
        yield get(f"document {name} in no set", f"{path}/rendered", "text/plain", accept_charset="klingon")
        answer = yield head(f"head of document {name}", f"{path}/rendered", "text/html")
        tag = answer.header("etag")
        yield get(f"known document {name}", f"{path}/rendered", "text/html", if_none_match=tag or '"x"')
        yield get(f"a range of document {name}", f"{path}/rendered", "text/html", range="bytes=0-49")
        yield get(f"document {name} in a window", f"{path}/rendered?window=1,2,linear", "text/html")
