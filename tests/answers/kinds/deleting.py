"""DELETE at the three levels, what is told then, and how it comes back."""

from __future__ import annotations

from tests import build
from tests.answers.ask import DICOM, JSON, ROOT, Ask, Asks, fields, get, head, related, stored
from tests.answers.held import Held, series, study
from tests.answers.kinds.storing import BASE, named

HERE = f"{ROOT}/studies"
LIST = "/api/v1/deleted"
MEANT = fields("application/json", x_requested_with="answers")


def asks(held: Held) -> Asks:
    """Gone by level, seen from everywhere, restored, stored again."""
    one = f"{HERE}/{BASE}.1.200/series/{BASE}.2.200/instances/{BASE}.3.200"
    files = [
        build.part10(named(200)),
        build.part10(named(201, StudyInstanceUID=f"{BASE}.1.200", SeriesInstanceUID=f"{BASE}.2.200")),
        build.part10(named(202, StudyInstanceUID=f"{BASE}.1.200")),
    ]
    yield stored("a study to delete", HERE, *files)
    yield get("nothing deleted", LIST, "application/json")
    for level, place in (("instance", one), ("series", series(one)), ("study", study(one))):
        yield Ask(f"delete {level}", place, "DELETE")
        yield from _seen(f"after deleting {level}", one)
        yield Ask(f"delete {level} again", place, "DELETE")
        restoring = f"{LIST}{place.removeprefix(ROOT)}/restore"
        yield Ask(f"restore {level} without intent", restoring, "POST")
        yield Ask(f"restore {level} as HTML", restoring, "POST", fields("text/html", x_requested_with="x"))
        yield Ask(f"restore {level}", restoring, "POST", MEANT)
        yield Ask(f"restore {level} again", restoring, "POST", MEANT)
        yield from _seen(f"after restoring {level}", one)
    yield Ask("delete once more", one, "DELETE")
    yield stored("store what was deleted", HERE, files[0])
    yield from _seen("after storing it again", one)
    yield Ask("delete for good", study(one), "DELETE")
    yield stored(
        "store other content of what was deleted", HERE, build.part10(named(200, PatientName="Roe^Rae"))
    )
    for query in (
        "?limit=1",
        "?limit=x",
        "?after=x",
        f"?after={BASE}.1.1/{BASE}.2.1",
        "?study=x",
        "?study=1.2.3",
    ):
        yield get(f"deleted{query}", f"{LIST}{query}", "application/json")
    yield Ask("restore nothing", f"{LIST}/studies/1.2.3/restore", "POST", MEANT)


def _seen(when: str, one: str) -> Asks:
    yield get(f"deleted, {when}", f"{LIST}?study={BASE}.1.200", "application/json")
    yield get(f"search, {when}", f"{HERE}?StudyInstanceUID={BASE}.1.200&includefield=all", JSON)
    yield get(f"study metadata, {when}", f"{study(one)}/metadata", JSON)
    yield get(f"instances of the study, {when}", f"{study(one)}/instances", JSON)
    yield get(f"study, {when}", study(one), related(DICOM, "*"))
    yield get(f"instance, {when}", one, DICOM)
    yield get(f"picture, {when}", f"{one}/rendered", "image/png")
    yield head(f"head, {when}", f"{one}/metadata", JSON)
