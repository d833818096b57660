"""Advice on the differences that `verify` finds."""

from __future__ import annotations

from collections.abc import Collection

# In the order in which to act: kinds of difference, and a sentence where one of these was found.
_ADVICE: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"archive foreign"}),
        "store, journal and index are of different archives: stop, and give the index that belongs to this store",
    ),
    (
        frozenset({"journal damaged"}),
        "bring the journal's objects back from a backup of the store; keep a copy of the index until then, as it may "
        "be all that knows what they told. Where there is no backup, 'dicomweb-gateway reindex' journals again what the "
        "index holds, and with --accept-gaps goes on without the rest: orphans may be what the journal has lost, "
        "look at them before they are swept",
    ),
    (
        frozenset({"journal differs"}),
        "index and journal went different ways, as where an old index was restored and written to: run "
        "'dicomweb-gateway reindex', which follows the journal",
    ),
    (
        frozenset({"not in index"}),
        "run 'dicomweb-gateway reindex'; the embedded default brings what is missing in by itself when 'serve' starts",
    ),
    (
        frozenset({"not in journal", "unjournaled"}),
        "start 'dicomweb-gateway serve': it journals what the index holds and the journal's end does not; what "
        "the journal lacks before its end, or altogether, 'dicomweb-gateway reindex' journals again",
    ),
    (
        frozenset({"archive unnamed"}),
        "start 'dicomweb-gateway serve': it writes archive.json again, as index and journal agree on it",
    ),
    (
        frozenset({"object in trash", "mended"}),
        "run 'dicomweb-gateway reindex' (--headers will do): it brings objects back from the trash, and sees those "
        "that are whole again",
    ),
    (
        frozenset({"object missing", "object length", "object digest", "object unreadable"}),
        "bring these objects back from a backup of the store. Where there is none, run 'dicomweb-gateway reindex' (it "
        "marks them as damaged), then store the instances again from where they came",
    ),
    (frozenset({"object changed"}), "run 'dicomweb-gateway import --in-place' on the folder again"),
    (
        frozenset({"damaged"}),
        "store the damaged instances again from where they came; or bring their objects back from a backup, and run "
        "'dicomweb-gateway reindex'",
    ),
    (
        frozenset({"journal doubled"}),
        "nothing is lost with the journal's objects that others tell of; they may be taken away",
    ),
    (
        frozenset({"orphan", "in trash"}),
        "orphans and what is in the trash are no damage: 'dicomweb-gateway sweep' lists them",
    ),
    (frozenset({"stray"}), "strays are not the gateway's objects: it leaves them alone"),
)


def advice(kinds: Collection[str]) -> list[str]:
    """Return sentences for these kinds of difference, in the order in which to act."""
    return [sentence for about, sentence in _ADVICE if about.intersection(kinds)]
