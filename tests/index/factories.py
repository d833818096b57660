"""Versions to admit, made from a seed."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from typing import Any

import orjson
from gateway.dicom.encoding.layout import InstanceLayout
from gateway.index.base import NewVersion, Scope
from gateway.model import (
    Identity,
    InstanceUID,
    Locator,
    PartitionId,
    SeriesUID,
    Source,
    StudyUID,
    VersionId,
)

SCOPE = Scope()
LAYOUT = InstanceLayout("1.2.840.10008.1.2.1", False, False, False, 300, 1000, None, {})
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
NAMES = (
    "Müller^Jürgen",
    "Mueller^Jurgen",
    "O'Neil^Pat",
    "van der Berg^Jan",
    "Li^Wu",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
)


def attribute(vr: str, *values: Any) -> Any:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def person(name: str) -> Any:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False)
    return attribute("PN", {key: group for key, group in groups if group})


class Maker:
    """Versions from a seed: the same every time."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._count = seed << 20

    def version(
        self,
        study: str = "1.1",
        series: str = "1.1.1",
        instance: str | None = None,
        partition: int = 1,
        **given: Any,
    ) -> NewVersion:
        """`given` maps `t00100010`-like names to attributes."""
        self._count += 1
        uid = instance or f"{series}.{self._count}"
        tags = {
            "00080018": attribute("UI", uid),
            "00080016": attribute("UI", CT_CLASS),
            "0020000D": attribute("UI", study),
            "0020000E": attribute("UI", series),
            "00080060": attribute("CS", "CT"),
            "00200013": attribute("IS", self._count),
        } | {name[1:]: value for name, value in given.items()}
        # Not by orjson: it writes no number beyond 64 bits.
        metadata = json.dumps(dict(sorted(tags.items())), separators=(",", ":"), ensure_ascii=False).encode()
        version = VersionId(f"{self._count:032x}")
        return NewVersion(
            version=version,
            identity=Identity(StudyUID(study), SeriesUID(series), InstanceUID(uid), CT_CLASS),
            transfer_syntax="1.2.840.10008.1.2.1",
            locator=Locator("file", f"aa/1/{study}/{version}.dcm", 0, 1000),
            file_digest=hashlib.sha256(metadata).digest(),
            content_digest=hashlib.sha256(metadata).digest(),
            received=self._count,
            metadata=metadata,
            layout=LAYOUT,
            source=Source("stow", partition=PartitionId(partition)),
        )

    def archive(self, studies: int = 40) -> list[NewVersion]:
        """Many studies with all the keys that are searched."""
        r = self._random
        made = []
        for n in range(studies):
            shared = {
                "t00100010": person(r.choice(NAMES)),
                "t00100020": attribute("LO", f"P{n % 7}*[{n % 3}"),
                "t00080020": attribute("DA", f"2024{r.randint(1, 12):02}{r.randint(1, 28):02}"),
                "t00080030": attribute("TM", r.choice(("101500", "1015", "235959.5", "08"))),
                "t00081030": attribute("LO", r.choice(("Head CT", "head ct", "Knee"))),
            }
            if n % 5 == 0:
                shared["t00080050"] = attribute("SH", f"A{n}")
            for s in range(r.randint(1, 3)):
                item = {"00400009": attribute("SH", f"S{s}"), "00401001": attribute("SH", f"R{n % 4}")}
                keys = shared | {
                    "t00080060": attribute("CS", r.choice(("CT", "MR", "SR"))),
                    "t00200011": attribute("IS", s + 1),
                    "t00400275": attribute("SQ", item, {"00400009": attribute("SH", "other")}),
                }
                for _ in range(r.randint(1, 2)):
                    made.append(self.version(f"1.{n}", f"1.{n}.{s}", **keys))
        return made


def again(version: NewVersion, id: int, **changed: Any) -> NewVersion:
    """The same under another version id; the file is another where the content is."""
    if "content_digest" in changed:
        changed.setdefault("file_digest", changed["content_digest"])
    return replace(version, version=VersionId(f"{id:032x}"), **changed)


def uids(rows: Any, tag: str) -> list[str]:
    return [orjson.loads(row.replace(b"\0", b""))[tag]["Value"][0] for row in rows]


def parsed(row: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(row.replace(b"\0", b""))
    return found


def only(rows: Any) -> dict[str, Any]:
    """The one row there is."""
    (row,) = rows
    return parsed(row)
