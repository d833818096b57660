"""De-identification: the table, the patch over all corpus images, nested data sets, the pixel policy (PS3.15 E)."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pydicom
import pytest
from gateway.dicom import uids
from gateway.dicom.deidentify import pixels
from gateway.dicom.deidentify.patching import METHODS, make_deidentifying_patch
from gateway.dicom.deidentify.rules import AttributeAction, RulePlace, action
from gateway.dicom.deidentify.tables import basic, find_code, type_of
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoding.filemeta import file_meta
from gateway.dicom.model.encode import Octets, encode
from gateway.dicom.model.jsonread import datasets
from gateway.dicom.model.patch import apply_patch
from gateway.errors import GatewayError
from gateway.model import Identity, InstanceUID, SeriesUID, StudyUID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpus import Row, rows
from tests.dicom.oracle import read

CT, SC, US = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "7", "6.1"))
PET = "1.2.840.10008.5.1.4.1.1.128"
Model = dict[str, Any]


def mapped(uid: str) -> str:
    return f"2.25.{int(hashlib.sha256(uid.encode()).hexdigest()[:24], 16)}"


def anonymous(model: Mapping[str, Any]) -> Model:
    return apply_patch(model, make_deidentifying_patch(model, mapped, pixels=True))


def written(model: Mapping[str, Any]) -> bytes:
    """A file of the attributes; bulk data as zeros."""
    known = {tag: member for tag, member in model.items() if "0008" <= tag < "7FE0"}
    encoded = encode(known, lambda path, vr, uri: Octets(path, 8))
    uid = model.get("00080018", {}).get("Value", ["2.25.1"])[0]
    identity = Identity(StudyUID("2.25.2"), SeriesUID("2.25.3"), InstanceUID(uid), CT)
    body = b"".join(part if isinstance(part, bytes) else bytes(part.length) for part in encoded.segments)
    return file_meta(identity, uids.EXPLICIT_VR_LITTLE_ENDIAN) + body


def model_of(row: Row) -> Model | None:
    try:
        (model,) = datasets(read(row.read()).metadata.replace(b"\0", b""))
    except GatewayError:
        return None
    return model


# -- the table -----------------------------------------------------------------------------------------------


def test_the_table_is_that_of_2026c() -> None:
    counts = Counter(basic().values())
    assert sum(counts.values()) == 655
    assert counts == {
        **{"X": 415, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6},
        "X/Z/U*": 2,
    }


@pytest.mark.parametrize(
    ("tag", "vr", "sop_class", "wanted"),
    [
        ("00100010", "PN", CT, "Z"),
        ("00100020", "LO", CT, "Z"),
        ("00080018", "UI", CT, "U"),
        ("00080021", "DA", CT, "X"),
        ("00080021", "DA", PET, "D"),
        ("00080022", "DA", PET, "Z"),
        ("00080080", "LO", CT, "X"),
        ("00081140", "SQ", CT, "X"),
        ("00081140", "SQ", "1.2.840.10008.5.1.4.1.1.12.1", "K"),
        ("00100012", "LO", CT, "X"),
        ("00100033", "LO", CT, "X"),
        ("00290010", "LO", CT, "X"),
        ("00291010", "OB", CT, "X"),
        ("60003000", "OW", CT, "X"),
        ("60020022", "LO", CT, "X"),
        ("50000010", "US", CT, "X"),
        ("00081167", "UI", CT, "U"),
        ("00080016", "UI", CT, "K"),
        ("00080060", "CS", CT, "K"),
        ("00280010", "US", CT, "K"),
        ("00280010", "LO", CT, "X"),
        ("00080108", "LT", CT, "X"),
        ("0018FFFE", "LO", CT, "X"),
        ("0008041F", "DT", CT, "Z"),
        ("00402006", "SH", CT, "X"),
        ("00401006", "SH", CT, "X"),
        ("00181803", "SH", CT, "X"),
        ("0008041B", "OB", CT, "X"),
        ("00282000", "OB", CT, "K"),
        ("00283006", "OW", CT, "K"),
        ("00283006", "LT", CT, "X"),
        ("00080070", "SH", CT, "K"),
    ],
)
def test_actions(tag: str, vr: str, sop_class: str, wanted: str) -> None:
    assert action(tag, vr, RulePlace(sop_class)) == wanted


def test_types_by_place() -> None:
    assert type_of("00081140", "52009229", CT) == 2
    assert type_of("00080021", "", CT) == 3
    assert find_code("50120010") == find_code("60003000") == "X"


# -- nothing survives ----------------------------------------------------------------------------------------


def leaves(
    model: Mapping[str, Any], sop_class: str, within: str = ""
) -> Iterator[tuple[str, AttributeAction, str]]:
    """Every text with its tag and what is due to it, at every depth."""
    for tag, member in model.items():
        if tag >= "7FE0" or tag == "00080005":
            continue
        due = action(tag, str(member["vr"]), RulePlace(sop_class, within))
        for value in member.get("Value") or ():
            if member["vr"] == "SQ":
                inner = leaves(value or {}, sop_class, tag)
                yield from ((t, due if due is not AttributeAction.KEEP else d, text) for t, d, text in inner)
            elif isinstance(value, str):
                yield tag, due, value
            elif isinstance(value, dict):
                yield from ((tag, due, text) for text in value.values())


def identity(tag: str) -> bool:
    """Whether it says who, where or when; others describe what was done, which attributes that stay may repeat."""
    return tag[:4] in ("0010", "0032", "0038") or vr_of(int(tag, 16)) in ("PN", "UI", "DA", "DT", "TM", "AE")


def identifying(model: Mapping[str, Any]) -> set[str]:
    """The texts that must not be seen again."""
    every = list(leaves(model, model["00080016"]["Value"][0]))
    kept = [text for _, due, text in every if due is AttributeAction.KEEP]
    ours = ("ANONYMIZED", "dicomweb-gateway", "REMOVED", "19000101", "000000", "None", *METHODS)
    return {
        text.strip(" \0")
        for tag, due, text in every
        if due is not AttributeAction.KEEP
        and len(text) >= 4
        and not text.startswith("1.2.840.10008.")
        and not any(text in one for one in ours)
        and (identity(tag) or not any(text in one for one in kept))
    }


def survives(value: str, text: str) -> bool:
    """A number counts where it stands by itself: pseudonyms and measures have any digits within."""
    numeric = set(value) <= set("0123456789.")
    return bool(re.search(rf"(?<![0-9.]){re.escape(value)}(?![0-9.])", text)) if numeric else value in text


def is_image(row: Row) -> bool:
    """Also where its pixels keep it from being sent."""
    model = model_of(row)
    return model is not None and "only images" not in pixels.obstacle(model, uids.EXPLICIT_VR_LITTLE_ENDIAN)


IMAGES = [row for row in rows() if is_image(row)]


@pytest.mark.row("U-36")
@pytest.mark.parametrize("row", IMAGES, ids=lambda row: row.name)
def test_no_value_of_a_corpus_image_survives(row: Row) -> None:
    model = model_of(row)
    assert model is not None
    before = identifying(model)
    out = written(anonymous(model))
    text = out.decode("utf-8", "replace")
    assert sorted(value for value in before if survives(value, text)) == []
    ds = pydicom.dcmread(io.BytesIO(out))
    assert (ds.PatientIdentityRemoved, ds.LongitudinalTemporalInformationModified) == ("YES", "REMOVED")
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence][-2:] == ["113100", "113101"]
    assert ds.BurnedInAnnotation == "NO"
    assert not any(element.tag.is_private for element in ds.iterall())
    assert (
        ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == mapped(model["00080018"]["Value"][0])
    )


SECRET = "Zyxwvut"
_TEXT_TAGS = sorted(
    tag
    for tag, code in basic().items()
    if "X" not in tag and tag > "0008" and vr_of(int(tag, 16)) in ("LO", "SH", "PN", "LT", "ST", "UT", "UC")
)
_SEQUENCES = ["00081115", "00081199", "00089215", "52009229", "52009230", "0040A170", "00081140", "00400275"]


def _member(tag: str) -> Model:
    vr = vr_of(int(tag, 16))
    return {"vr": vr, "Value": [{"Alphabetic": SECRET} if vr == "PN" else SECRET]}


_LEAF = st.sampled_from(_TEXT_TAGS).map(lambda tag: {tag: _member(tag)})
_UIDS = st.sampled_from(["00081155", "0020000D", "0020000E", "00200052", "00080018", "00081167"]).map(
    lambda tag: {tag: {"vr": "UI", "Value": ["1.3.6.1.4.1.99999.7"]}}
)
_PRIVATE = st.just(
    {"00290010": {"vr": "LO", "Value": [SECRET]}, "00291001": {"vr": "UN", "InlineBinary": "WnlYd3Z1dA=="}}
)
_NEAR = st.sampled_from(["00080104", "00181210", "00080070"]).map(
    lambda tag: {tag: {"vr": "LO", "Value": [f"made for {SECRET.upper()}"]}}
)


def _merged(parts: list[Model]) -> Model:
    return dict(sorted({tag: member for part in parts for tag, member in part.items()}.items()))


_LEVEL = st.recursive(
    st.lists(_LEAF | _UIDS | _PRIVATE | _NEAR, max_size=6).map(_merged),
    lambda inner: st.lists(
        _LEAF
        | _UIDS
        | _NEAR
        | st.builds(
            lambda tag, items: {tag: {"vr": "SQ", "Value": items}},
            st.sampled_from(_SEQUENCES),
            st.lists(inner, max_size=3),
        ),
        max_size=5,
    ).map(_merged),
    max_leaves=12,
)


@pytest.mark.row("U-36")
@settings(max_examples=200, deadline=None)
@given(_LEVEL)
def test_nothing_survives_at_any_depth(model: Model) -> None:
    model = {
        **model,
        "00080016": {"vr": "UI", "Value": [CT]},
        "00080018": {"vr": "UI", "Value": ["1.3.6.1.4.1.99999.7"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": f"{SECRET}^X"}]},
    }
    out = written(anonymous(model))
    assert SECRET.lower().encode() not in out.lower()
    assert b"1.3.6.1.4.1.99999" not in out
    ds = pydicom.dcmread(io.BytesIO(out))
    assert not any(element.tag.is_private for element in ds.iterall())
    replaced = {
        element.value
        for element in ds.iterall()
        if element.VR == "UI" and element.tag.group != 2 and element.value and element.tag != 0x00080016
    }
    assert replaced == {mapped("1.3.6.1.4.1.99999.7")}


@pytest.mark.parametrize(
    ("name", "text", "stays"),
    [
        ("Roe^Al", "two letters are in too many words: al", True),
        ("Roe^Alan", "a row of alabaster", True),
        ("Roe^Alan", "for ALAN only", False),
        ("Roe^Alan", "Monroeville", True),
        ("Roesler^A", "see RÖSLER or roeslers notes", False),
        ("山田^太郎=", "山田さんの", False),
        ("X^Y", "X and Y", True),
    ],
)
def test_names_in_text_that_stays(name: str, text: str, stays: bool) -> None:
    model = {
        "00080070": {"vr": "LO", "Value": [text]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
    }
    assert ("Value" in anonymous(model)["00080070"]) is stays


def test_more_names_than_can_be_looked_for() -> None:
    model = {
        "00080070": {"vr": "LO", "Value": ["nobody"]},
        "00081070": {"vr": "PN", "Value": [{"Alphabetic": f"name{n}"} for n in range(5000)]},
    }
    assert anonymous(model)["00080070"] == {"vr": "LO"}


@pytest.mark.parametrize(
    ("tag", "vr", "value", "stays"),
    [
        ("00180050", "DS", "John Doe", False),
        ("00180050", "DS", "1.5", True),
        ("00200011", "IS", "Doe", False),
        ("00200011", "IS", 4711, True),
        ("00200011", "IS", 471147, False),
        ("00280008", "IS", 471147, True),
        ("00185100", "CS", "HFS", True),
        ("00185100", "CS", "O'Doe, John", False),
        ("00181210", "SH", "UID 1.2.3.4.5", False),
        ("00181210", "SH", "UID 1.2.3.4.55", True),
    ],
)
def test_numbers_codes_and_uids(tag: str, vr: str, value: object, stays: bool) -> None:
    model = {
        "00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]},
        "00100020": {"vr": "LO", "Value": ["471147"]},
        tag: {"vr": vr, "Value": [value]},
    }
    assert ("Value" in anonymous(model)[tag]) is stays


# -- what is said of it --------------------------------------------------------------------------------------


def test_registered_frames_of_reference_stay() -> None:
    well_known = "1.2.840.10008.1.4.1.1"
    model = {
        "00080018": {"vr": "UI", "Value": [well_known]},
        "00200052": {"vr": "UI", "Value": [well_known]},
    }
    out = anonymous(model)
    assert out["00200052"]["Value"] == [well_known]
    assert out["00080018"]["Value"] == [mapped(well_known)]


@pytest.mark.row("U-39")
def test_what_was_done_before_is_remembered() -> None:
    """The UID is replaced all the same: references from other instances of the study hold so."""
    codes = [
        {"00080100": {"vr": "SH", "Value": [code]}, "00080102": {"vr": "SH", "Value": ["DCM"]}}
        for code in ("113102", "113110")
    ]
    model = {
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
        "00120062": {"vr": "CS", "Value": ["YES"]},
        "00120063": {"vr": "LO", "Value": ["by hand"]},
        "00120064": {"vr": "SQ", "Value": codes},
    }
    out = anonymous(model)
    assert out["00120063"]["Value"] == ["by hand", *METHODS]
    codes_now = [item["00080100"]["Value"][0] for item in out["00120064"]["Value"]]
    assert codes_now == ["113102", "113100", "113101"]
    assert out["00080018"]["Value"] == [mapped("1.2.3")]


# -- pixels --------------------------------------------------------------------------------------------------


def image(sop_class: str, modality: str, **more: list[Any]) -> Model:
    tags = {"kind": "00080008", "burned": "00280301", "conversion": "00080064", "samples": "00280002"}
    model: Model = {
        "00080016": {"vr": "UI", "Value": [sop_class]},
        "00080060": {"vr": "CS", "Value": [modality]},
    }
    return model | {tags[name]: {"vr": "CS", "Value": values} for name, values in more.items()}


PRIMARY = ["ORIGINAL", "PRIMARY", "AXIAL"]


@pytest.mark.row("U-40")
@pytest.mark.parametrize(
    ("model", "why"),
    [
        (image(CT, "CT", kind=PRIMARY), ""),
        (image(CT, "CT", kind=PRIMARY, burned=["YES"]), "YES"),
        (image(CT, "CT", kind=["DERIVED", "SECONDARY"]), "primary"),
        (image(CT, "CT", kind=["DERIVED", "SECONDARY"], burned=["NO"]), ""),
        (image(CT, "CT", kind=["DERIVED", "SECONDARY", "SCREEN SAVE"], burned=["NO"]), "screen"),
        (image(CT, "CT"), "primary"),
        (image(CT, "CT", kind=PRIMARY, samples=[3]), "colours"),
        (image(CT, "OT", kind=PRIMARY), "modality"),
        (image(US, "US", kind=PRIMARY), "may have text"),
        (image(US, "US", kind=PRIMARY, burned=["NO"]), ""),
        (image(SC, "OT", kind=PRIMARY), "may have text"),
        (image(SC, "OT", burned=["NO"], conversion=["SYN"]), ""),
        (image(SC, "OT", burned=["NO"], conversion=["DF"]), "film"),
        (image("1.2.840.10008.5.1.4.1.1.77.1.6", "SM", kind=["ORIGINAL", "PRIMARY", "LABEL"]), "label"),
        (image("1.2.840.10008.5.1.4.1.1.88.11", "SR", burned=["NO"]), "only images"),
        (image("1.2.840.10008.5.1.4.1.1.104.1", "DOC", burned=["NO"]), "only images"),
        (image("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"), "only images"),
        (image("1.2.3.4", "CT", kind=PRIMARY, burned=["NO"]), "private"),
    ],
)
def test_who_may_have_text_burned_in(model: Model, why: str) -> None:
    found = pixels.obstacle(model, uids.EXPLICIT_VR_LITTLE_ENDIAN)
    assert why in found
    assert bool(why) == bool(found)


def test_overlays_in_pixels_and_video() -> None:
    model = image(CT, "CT", kind=PRIMARY)
    inside = {**model, "60000102": {"vr": "US", "Value": [12]}}
    assert "overlay" in pixels.obstacle(inside, uids.EXPLICIT_VR_LITTLE_ENDIAN)
    beside = {**inside, "60003000": {"vr": "OW", "BulkDataURI": "x"}}
    assert pixels.obstacle(beside, uids.EXPLICIT_VR_LITTLE_ENDIAN) == ""
    assert "video" in pixels.obstacle(model, "1.2.840.10008.1.2.4.102")
