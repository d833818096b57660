"""Whatever the attributes say, a picture or a failure of ours comes out, and soon."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from gateway.errors import GatewayError
from gateway.render.attributes import Attributes
from gateway.render.pipeline import render_frame
from gateway.render.rendering import Presentation, Rendering, Viewport
from tests.render.picture import source

NAMES = [
    "CT_small.dcm", "vlut_04.dcm", "mlut_18.dcm", "ovly_p01.dcm", "OutOfBoundsOverlay.dcm", "gdcm-US-ALOKA-16.dcm",
    "eCT_Supplemental.dcm", "emri_small.dcm", "sm_image.dcm", "SC_ybr_full_422_uncompressed.dcm", "TestPattern_Palette.dcm",
]  # fmt: skip
JUNK: list[Any] = [
    None, "", "x", "\\", -1, 0, 1, 0.5, 65535, 65536, 1 << 31, -(1 << 31), 1 << 64, 1e308, -1e308, 1e-320, [], {}, True,
    "NaN", "1e999", {"Alphabetic": 3}, {"00283002": {"vr": "US", "Value": [0, -5, 99]}},
]  # fmt: skip
READ = [
    "00280002", "00280004", "00280006", "00280010", "00280011", "00280034", "00280100", "00280101", "00280102",
    "00280103", "00280120", "00280121", "00281050", "00281051", "00281052", "00281053", "00281056", "00281101",
    "00281201", "00281221", "00283000", "00283010", "20500010", "20500020", "52009229", "52009230", "60000010",
    "60000011", "60000015", "60000050", "60000051", "60000102", "60003000", "00181600", "00181602", "00181604",
    "00181610", "00181612", "00181620", "00181622", "00181623", "00282000", "00480105", "00089205", "00080016",
    "00100010", "00100030", "00080020", "00201041", "00280008", "7FE00008",
]  # fmt: skip
SHAPES = ["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP"]


def spoilt(members: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """With a few attributes replaced by what has no business there."""
    out = dict(members)
    for tag in chance.sample(READ, 4):
        values = [chance.choice(JUNK) for _ in range(chance.choice([0, 1, 2, 3, 4, 9]))]
        if tag == "00181600":
            values = chance.sample(SHAPES, 2)
        vr = chance.choice([str(members.get(tag, {}).get("vr", "US")), "US", "SS", "OW", "SQ", "DS"])
        out[tag] = chance.choice(
            [{"vr": vr, "Value": values}, {"vr": vr}, {"vr": vr, "InlineBinary": "AQIDBAUG"}, values]
        )
    return out


@pytest.mark.parametrize("name", NAMES)
def test_spoilt_attributes_break_nothing(name: str) -> None:
    found, chance = source(name), random.Random(name)
    native, bulk = found.native(), found.bulk()
    asked = [
        Rendering(),
        Rendering(viewport=Viewport(64, 64)),
        Rendering(icc="srgb", annotation=frozenset({"patient", "technique"})),
    ]
    begin = time.monotonic()
    made = 0
    for n in range(60):
        attributes = Attributes(spoilt(dict(found.metadata), chance), bulk)
        how = asked[n % 3]
        if n % 5 == 0:
            how = Rendering(
                presentation=Presentation(attributes, attributes, attributes, attributes, attributes)
            )
        try:
            render_frame(native, attributes, 1, how)
            made += 1
        except GatewayError:
            continue
    assert made > 5
    assert time.monotonic() - begin < 60
