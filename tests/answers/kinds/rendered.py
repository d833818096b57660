"""Pictures, films, thumbnails, presentation states (PS3.18 8.3.5, 10.4.1.1.3)."""

from __future__ import annotations

from tests.answers.ask import Asks, get, head, related
from tests.answers.held import Held, series, study

MEDIA = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/jp2",
    "image/jph",
    "image/jxl",
    "*/*",
    "",
    "image/bmp",
)
PICTURES = (
    "CT_small.dcm",
    "SC_rgb_small_odd.dcm",
    "TestPattern_Palette.dcm",
    "MR_small_RLE.dcm",
    "JPEG-lossy.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "6154.dcm",
)
FILMS = ("gen-mf-byte-sc.dcm", "made-frame-windows.dcm", "mf.dcm", "gen-h264-102.dcm", "gen-mpeg2-100.dcm")
QUERIES = (
    "window=40,400,linear",
    "window=40,400,linear-exact",
    "window=500,1000,sigmoid",
    "window=40,400",
    "window=40,0,linear",
    "window=x,400,linear",
    "viewport=64,64",
    "viewport=300,100",
    "viewport=64,64,10,10,50,50",
    "viewport=64,64,,,50,50",
    "viewport=64,64,100,0,-50,50",
    "viewport=0,64",
    "viewport=64",
    "viewport=99999,99999",
    "quality=10",
    "quality=100",
    "quality=0",
    "quality=many",
    "annotation=patient",
    "annotation=technique",
    "annotation=patient,technique",
    "annotation=nonsense",
    "annotation=%22",
    "iccprofile=no",
    "iccprofile=yes",
    "iccprofile=srgb",
    "iccprofile=adobergb",
    "iccprofile=rommrgb",
    "iccprofile=displayp3",
    "iccprofile=cmyk",
    "window=40,400,linear&viewport=50,50&annotation=patient&quality=50",
    "viewport=64,64&viewport=32,32",
    "nosuch=1",
    "accept=image/png",
    "charset=utf-8",
)
STATES = (
    "PR000000.dcm",
    "gen-color-softcopy-pr.dcm",
    "prLUTs.dcm",
    "kos_key_object_selection.dcm",
    "rwvm.dcm",
)
OVERLAID = (
    "liver.dcm",
    "ovly_p01.dcm",
    "parametric_map_float.dcm",
    "rtdose.dcm",
    "vlut_04.dcm",
    "sm_image.dcm",
)


def asks(held: Held) -> Asks:
    """Each form and parameter of pictures, then films, levels and states."""
    for name, path in held.some(*PICTURES):
        for media in MEDIA:
            yield get(f"picture of {name} as {media}", f"{path}/rendered", media)
        yield get(f"thumbnail of {name} as PNG", f"{path}/thumbnail?viewport=40,40", "image/png")
    path = held.path("CT_small.dcm")
    for query in QUERIES:
        yield get(f"picture with {query}", f"{path}/rendered?{query}", "image/jpeg, image/png;q=0.9")
        yield get(f"PNG with {query}", f"{path}/rendered?{query}", "image/png")
        yield get(f"thumbnail with {query}", f"{path}/thumbnail?{query}", "image/jpeg")
    yield from _conditions(f"{path}/rendered")
    yield from _films(held)
    for name, path in held.some(*PICTURES[:2], "s1i1.dcm", "reportsi.dcm", "gen-mf-byte-sc.dcm"):
        yield from _levels(name, path)
    for name, path in held.some(*STATES, *OVERLAID):
        for media in ("image/png", "image/jpeg", "*/*"):
            yield get(f"what {name} shows, {media}", f"{path}/rendered?viewport=200,200", media)
        yield get(f"what {name} shows, windowed", f"{path}/rendered?window=40,400,linear", "image/png")
        yield get(f"what {name} shows, annotated", f"{path}/rendered?annotation=patient", "image/png")
        yield get(f"thumbnail of what {name} shows", f"{path}/thumbnail", "image/png")


def _conditions(path: str) -> Asks:
    answer = yield head("head of a picture", path, "image/jpeg")
    tag = answer.header("etag")
    yield get("a known picture", path, "image/jpeg", if_none_match=tag)
    yield get("a picture known in another form", path, "image/png", if_none_match=tag)
    yield get("a range of a picture", path, "image/jpeg", range="bytes=0-99")
    yield get("a range beyond a picture", path, "image/jpeg", range="bytes=99999999-")
    yield get("a range of a known picture", path, "image/jpeg", range="bytes=0-99", if_range=tag)
    yield get("one part of a picture", path, related("image/jpeg"))
    yield get("a picture as text", path, "text/plain")
    yield get("a picture as a film", path, "video/mp4")
    yield get("a picture as a file", path, "application/dicom")


def _films(held: Held) -> Asks:
    for name, path in held.some(*FILMS):
        for media in ("image/gif", "video/mp4", "video/mpeg", "video/H265", "image/png", "image/jpeg", "*/*"):
            yield get(f"film of {name} as {media}", f"{path}/rendered", media)
            yield get(f"film of {name} in parts of {media}", f"{path}/rendered", related(media))
        for numbers in ("1", "2", "1,3", "99", "x"):
            yield get(f"frames {numbers} of film {name}", f"{path}/frames/{numbers}/rendered", "image/png")
            yield get(
                f"frames {numbers} of film {name} in parts",
                f"{path}/frames/{numbers}/rendered",
                related("image/png"),
            )
            yield get(
                f"thumbnail of frames {numbers} of {name}", f"{path}/frames/{numbers}/thumbnail", "image/jpeg"
            )
        yield get(f"a small film of {name}", f"{path}/rendered?viewport=32,32", "image/gif")
        yield get(f"a range of a film of {name}", f"{path}/rendered", "video/mp4", range="bytes=0-99")


def _levels(name: str, path: str) -> Asks:
    for level, place in (("study", study(path)), ("series", series(path))):
        for media in ("image/png", related("image/png"), related("image/jpeg"), "*/*", "video/mp4"):
            yield get(f"{level} of {name} rendered, {media}", f"{place}/rendered?viewport=64,64", media)
        yield get(f"{level} of {name} as thumbnail", f"{place}/thumbnail", "image/jpeg")
        yield get(f"{level} of {name} as small thumbnail", f"{place}/thumbnail?viewport=20,20", "image/png")
