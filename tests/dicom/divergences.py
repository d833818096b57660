"""Where our metadata differs from pydicom's, and why; anything else is a failure of `test_corpus_json`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Divergence:
    """One reason, and the paths of the elements it explains in each file."""

    clause: str
    reason: str
    paths: dict[str, tuple[str, ...]]


DIVERGENCES = (
    Divergence(
        "PS3.18 F.2.3, RFC 8259 6",
        "DS and IS that JSON's number grammar cannot spell stay strings; pydicom makes them numbers",
        {
            "charsets/ISO_IR13.dcm": ("00200037", "00280030"),
            "fragments/invalid_compression.dcm": ("00181120", "00200032"),
            "modality-ct-mr/1.dcm": ("00200037", "00281053"),
            "modality-ct-mr/2.dcm": ("00200037", "00281053"),
            "modality-seg-map-other/wave_dfl.dcm": (
                "00200011",
                "00200013",
                "54000100/1/003A0200/1/003A0220",
                "54000100/1/003A0200/2/003A0220",
                "54000100/1/003A0200/3/003A0220",
                "54000100/1/003A0200/4/003A0220",
                "54000100/1/003A0200/5/003A0220",
                "54000100/1/003A0200/6/003A0220",
                "54000100/1/003A0200/7/003A0220",
                "54000100/1/003A0200/8/003A0220",
                "54000100/1/003A0200/9/003A0220",
                "54000100/1/003A0200/10/003A0220",
                "54000100/1/003A0200/11/003A0220",
                "54000100/1/003A0200/12/003A0220",
            ),
            "modality-sr-ko-pr/prLUTs.dcm": ("00200011", "00200013"),
            "pixels/mlut_18.dcm": ("00200013",),
            "pixels/ovly_p01.dcm": ("00200011", "00200013"),
            "pixels/vlut_04.dcm": ("00200011", "00200013"),
            "structure/gen-every-vr.dcm": ("00200013",),
            "ts-j2k/will-jxl.dcm": ("00200011", "00200013"),
            "ts-jpeg/JPEGProcess2_4.dcm": ("00281050", "00281051"),
        },
    ),
    Divergence(
        "PS3.18 F.2.3",
        "DS or IS that is no number is given as it stands; pydicom raises and loses the instance",
        {
            "malformed/GH195.dcm": ("00091105",),
            "malformed/badVR.dcm": ("00280008",),
            "malformed/gen-bad-ds.dcm": ("00281050",),
            "malformed/xa_minimal.dcm": ("00181150", "00181151"),
        },
    ),
    Divergence(
        "PS3.3 C.12.1.1.2, PS3.5 6.1.2.5",
        "pydicom leaves the escape sequence of ISO 2022 IR 58 in the text",
        {
            "charsets/chrGB2312.dcm": ("00100010",),
            "charsets/gen-iso2022-ir58-multivalue.dcm": ("00081030", "00100010"),
        },
    ),
    Divergence(
        "PS3.5 6.1.2.1 (JIS X 0201)",
        "5CH and 7EH are yen sign and overline in ISO_IR 13; pydicom decodes them as ASCII",
        {
            "charsets/gen-ir13-yen-0x5c.dcm": ("00104000",),
        },
    ),
    Divergence(
        "PS3.18 F.2.2",
        "only non-empty component groups are present; pydicom writes empty ones",
        {
            "charsets/gen-pn-empty-groups.dcm": ("00100010", "00101001"),
        },
    ),
    Divergence(
        "PS3.5 7.1",
        "of two elements with one tag the first counts; pydicom takes the last",
        {
            "malformed/gen-tags-out-of-order.dcm": ("00080060",),
        },
    ),
    Divergence(
        "PS3.5 6.2",
        "spaces around a code string are not significant; pydicom leaves them within multiple values",
        {
            "packages/pydicom/693_J2KI.dcm": ("00080008",),
            "packages/pydicom/SC_rgb_gdcm_KY.dcm": ("00080008",),
        },
    ),
    Divergence(
        "PS3.5 6.2",
        "a VR that does not exist is read as UN; pydicom raises",
        {
            "malformed/gen-unknown-vr.dcm": ("00081030",),
        },
    ),
    Divergence(
        "PS3.5 6.2",
        "a value that is no whole number of its VR leaves the VR alone; pydicom raises",
        {
            "malformed/gen-us-one-byte.dcm": ("00280103",),
        },
    ),
    Divergence(
        "PS3.5 A.1",
        "Curve Data is OW in Implicit VR; pydicom leaves 'OB or OW', which is no VR",
        {
            "modality-rt/RI6XDosiGap.dcm": ("50003000",),
        },
    ),
    Divergence(
        "PS3.5 7.1.2",
        "a VR of two spaces has a length of two bytes; pydicom takes it for implicit VR and loses the rest",
        {
            "structure/GH179A.dcm": (
                "00280120",
                "00281050",
                "00281051",
                "00281052",
                "00281053",
                "00281054",
                "00400275",
                "00400301",
                "0040030E",
                "00400310",
            ),
        },
    ),
)

# pydicom cannot read these at all, we can.
UNREADABLE = {
    "malformed/ExplVR_LitEndNoMeta.dcm": "no file meta; the first element proves Explicit VR LE",
    "malformed/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": "wrong order of bytes sought",
}
