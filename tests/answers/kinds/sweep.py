"""Every instance that is there, asked the same: a change that touches one kind of object only shows here."""

from __future__ import annotations

from tests.answers.ask import DICOM, JSON, OCTETS, Asks, get, related
from tests.answers.held import Held


def asks(held: Held) -> Asks:
    """Metadata, the file as it is, the first frame as it is and as pixels, a picture and a thumbnail of each."""
    for name, path in held.all():
        yield get(f"metadata of {name}", f"{path}/metadata", JSON)
        yield get(f"file of {name}", path, related(DICOM, "*"))
        yield get(f"frame of {name}", f"{path}/frames/1", f"{OCTETS}; transfer-syntax=*, */*;q=0.1")
        yield get(f"pixels of {name}", f"{path}/frames/1", related(OCTETS))
        yield get(f"picture of {name}", f"{path}/rendered?viewport=128,128", "image/png, */*;q=0.1")
        yield get(f"thumbnail of {name}", f"{path}/thumbnail", "image/jpeg")
