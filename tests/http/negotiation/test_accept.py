"""Negotiation as a table: one row per sentence of PS3.18 8.3.3, 8.7, and per Accept that a real client
sends.
"""

from __future__ import annotations

import pytest
from gateway.errors import BadParameter, NotAcceptable
from gateway.http.negotiation.accept import Accept, Offer, json_offers
from gateway.http.negotiation.offers import bulk_offers, frame_offers, instance_offers

ELE = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
LOSSLESS = "1.2.840.10008.1.2.4.70"
JLS = "1.2.840.10008.1.2.4.80"
NEAR = "1.2.840.10008.1.2.4.81"
RLE = "1.2.840.10008.1.2.5"
J2K = "1.2.840.10008.1.2.4.90"

NONE = None  # 406


def chosen(offers: list[Offer], header: str | None, parameter: str | None = None) -> str | None:
    accept = Accept.parse(header, parameter)
    if accept.rank(offers):
        return str(accept.choose(offers))
    with pytest.raises(NotAcceptable) as raised:
        accept.choose(offers)
    assert raised.value.available == tuple(dict.fromkeys(map(str, offers)))
    return None


def multipart(media: str, syntax: str) -> str:
    return f'multipart/related; type="{media}"; transfer-syntax={syntax}'


MULTI_ELE = multipart("application/dicom", ELE)
MULTI_JLS = multipart("application/dicom", JLS)


@pytest.mark.parametrize(
    ("stored", "header", "expected"),
    [
        # nothing asked, or anything: as stored (issue; D-1)
        (JLS, None, MULTI_JLS),
        (JLS, "", MULTI_JLS),
        (JLS, "*/*", MULTI_JLS),
        (IMPLICIT, "*/*", MULTI_ELE),
        (JLS, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", MULTI_JLS),
        # no transfer syntax named: Explicit VR Little Endian (C-TS-2)
        (JLS, "application/dicom", f"application/dicom; transfer-syntax={ELE}"),
        (JLS, 'multipart/related; type="application/dicom"', MULTI_ELE),
        (JLS, "multipart/related; type=application/dicom", MULTI_ELE),
        (JLS, "multipart/related", MULTI_ELE),
        (DEFLATED, 'multipart/related; type="application/dicom"', MULTI_ELE),
        # `*`: as stored (C-TS-6), the two that are never sent rewritten (C-TS-1)
        (JLS, 'multipart/related; type="application/dicom"; transfer-syntax=*', MULTI_JLS),
        (JLS, 'multipart/related; transfer-syntax="*"; type=application/dicom', MULTI_JLS),
        (JLS, "application/dicom; transfer-syntax=*", f"application/dicom; transfer-syntax={JLS}"),
        (IMPLICIT, "application/dicom; transfer-syntax=*", f"application/dicom; transfer-syntax={ELE}"),
        (JLS, 'multipart/related; type="*/*"', MULTI_JLS),
        (JLS, 'multipart/related; type="application/*"', MULTI_JLS),
        (JLS, 'multipart/*; type="application/dicom"; transfer-syntax=*', MULTI_JLS),
        # by name; quoted or not is the same (C-TS-8)
        (JLS, f"application/dicom; transfer-syntax={JLS}", f"application/dicom; transfer-syntax={JLS}"),
        (JLS, f'application/dicom; transfer-syntax="{JLS}"', f"application/dicom; transfer-syntax={JLS}"),
        (JLS, f'multipart/related; type="application/dicom; transfer-syntax={JLS}"', MULTI_JLS),
        (JLS, f"application/dicom; transfer-syntax={ELE}", f"application/dicom; transfer-syntax={ELE}"),
        (JLS, f"application/dicom; transfer-syntax={J2K}", NONE),
        (JLS, f"application/dicom; transfer-syntax={IMPLICIT}", NONE),
        # several of the same type are candidates by q (C-SEL-3)
        (
            JLS,
            f"application/dicom; transfer-syntax={J2K}, application/dicom; transfer-syntax={ELE}; q=0.5",
            f"application/dicom; transfer-syntax={ELE}",
        ),
        (
            JLS,
            f"application/dicom; transfer-syntax={ELE};q=0.5, application/dicom; transfer-syntax={JLS};q=0.9",
            f"application/dicom; transfer-syntax={JLS}",
        ),
        # a tie goes to what is stored
        (
            JLS,
            f"application/dicom; transfer-syntax={ELE}, application/dicom; transfer-syntax={JLS}",
            f"application/dicom; transfer-syntax={JLS}",
        ),
        # two values in one range: the range is left out (C-TS-7)
        (JLS, f"application/dicom; transfer-syntax={ELE}; transfer-syntax={JLS}", NONE),
        # other types
        (JLS, "image/jls", NONE),
        (JLS, "application/dicom+json", NONE),
        (JLS, "image/*", NONE),
        (JLS, 'multipart/related; type="application/octet-stream"', NONE),
    ],
)
def test_instance(stored: str, header: str | None, expected: str | None) -> None:
    assert chosen(instance_offers(stored, single=True), header) == expected


def test_a_bare_body_is_not_offered_for_several_instances() -> None:
    assert chosen(instance_offers(ELE, single=False), "application/dicom") is None
    assert chosen(instance_offers(ELE, single=False), "application/dicom, */*;q=0.1") == MULTI_ELE


OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("stored", "header", "expected"),
    [
        # native
        (None, None, multipart(OCTETS, ELE)),
        (None, 'multipart/related; type="application/octet-stream"', multipart(OCTETS, ELE)),
        (None, "multipart/related; type=application/octet-stream; transfer-syntax=*", multipart(OCTETS, ELE)),
        (None, 'multipart/related; type="*/*"', multipart(OCTETS, ELE)),
        (None, f'multipart/related; type="{OCTETS}"; transfer-syntax={ELE}', multipart(OCTETS, ELE)),
        (None, OCTETS, f"{OCTETS}; transfer-syntax={ELE}"),
        (None, 'multipart/related; type="image/jpeg"', NONE),
        (None, "application/dicom", NONE),
        # compressed: decoded unless the stored form is asked for
        (JLS, None, multipart(OCTETS, ELE)),
        (JLS, "*/*", multipart(OCTETS, ELE)),
        (JLS, 'multipart/related; type="application/octet-stream"', multipart(OCTETS, ELE)),
        (JLS, OCTETS, f"{OCTETS}; transfer-syntax={ELE}"),
        (JLS, f'multipart/related; type="{OCTETS}"; transfer-syntax={ELE}', multipart(OCTETS, ELE)),
        # OHIF: as stored, under the codestream's own type
        (
            JLS,
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            multipart("image/jls", JLS),
        ),
        (JLS, f"multipart/related; type={OCTETS}; transfer-syntax={JLS}", multipart("image/jls", JLS)),
        # Python's dicomweb-client
        (JLS, 'multipart/related; type="*/*"', multipart("image/jls", JLS)),
        # by type, with and without its transfer syntax
        (JLS, 'multipart/related; type="image/jls"', multipart("image/jls", JLS)),
        (JLS, 'multipart/related; type="image/x-jls"', multipart("image/jls", JLS)),
        (JLS, f'multipart/related; type="image/jls"; transfer-syntax={JLS}', multipart("image/jls", JLS)),
        (JLS, f'multipart/related; type="image/jls"; transfer-syntax={NEAR}', NONE),
        (NEAR, 'multipart/related; type="image/jls"', multipart("image/jls", NEAR)),
        (JPEG, 'multipart/related; type="image/jpeg"', multipart("image/jpeg", JPEG)),
        (JPEG, f'multipart/related; type="image/jpeg"; transfer-syntax={LOSSLESS}', NONE),
        (RLE, 'multipart/related; type="image/x-dicom-rle"', multipart("image/dicom-rle", RLE)),
        (JLS, 'multipart/related; type="image/*"', multipart("image/jls", JLS)),
        (JLS, "image/jls", f"image/jls; transfer-syntax={JLS}"),
        (JLS, "image/*", f"image/jls; transfer-syntax={JLS}"),
        (JLS, 'multipart/related; type="image/jp2"', NONE),
        # Slim and others list what they take with the syntaxes
        (
            J2K,
            'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80, '
            'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90, '
            'multipart/related; type="application/octet-stream"; transfer-syntax=*',
            multipart("image/jp2", J2K),
        ),
        # a codestream of a syntax that has no type
        ("1.2.3", f'multipart/related; type="{OCTETS}"; transfer-syntax=*', multipart(OCTETS, "1.2.3")),
    ],
)
def test_frame(stored: str | None, header: str | None, expected: str | None) -> None:
    assert chosen(frame_offers(stored, single=True), header) == expected


TARGETS = ("1.2.840.10008.1.2.4.201", LOSSLESS, JLS, J2K, RLE, JPEG, NEAR)
HT = "1.2.840.10008.1.2.4.201"


@pytest.mark.parametrize(
    ("stored", "header", "expected"),
    [
        # where it can be encoded, a type means its default of Table 8.7.3-5
        (None, 'multipart/related; type="image/jpeg"', multipart("image/jpeg", LOSSLESS)),
        (None, "image/jpeg", f"image/jpeg; transfer-syntax={LOSSLESS}"),
        (RLE, 'multipart/related; type="image/jpeg"', multipart("image/jpeg", LOSSLESS)),
        ("1.2.840.10008.1.2.4.57", 'multipart/related; type="image/jpeg"', multipart("image/jpeg", LOSSLESS)),
        (JPEG, 'multipart/related; type="image/jpeg"', multipart("image/jpeg", JPEG)),  # C-TS-3
        (NEAR, 'multipart/related; type="image/jls"', multipart("image/jls", NEAR)),
        (J2K, 'multipart/related; type="image/jls"', multipart("image/jls", JLS)),
        # a lossy step only by name, not by `*` nor by a wildcard
        (None, f'multipart/related; type="image/jls"; transfer-syntax={NEAR}', multipart("image/jls", NEAR)),
        (None, 'multipart/related; type="image/jls"; transfer-syntax=*', multipart("image/jls", JLS)),
        (None, 'multipart/related; type="image/*"', multipart("image/jphc", HT)),
        (JLS, 'multipart/related; type="image/*"', multipart("image/jls", JLS)),
        (JLS, 'multipart/related; type="image/*"; transfer-syntax=*', multipart("image/jls", JLS)),
        (None, f'multipart/related; type="image/*"; transfer-syntax={NEAR}', multipart("image/jls", NEAR)),
        (None, f"multipart/related; transfer-syntax={NEAR}", multipart("image/jls", NEAR)),
        # nothing changes for who asks for octets, or for anything
        (None, None, multipart(OCTETS, ELE)),
        (JLS, "*/*", multipart(OCTETS, ELE)),
        (None, f'multipart/related; type="{OCTETS}"; transfer-syntax=*', multipart(OCTETS, ELE)),
        (JLS, f'multipart/related; type="{OCTETS}"; transfer-syntax=*', multipart("image/jls", JLS)),
        (JLS, f'multipart/related; type="{OCTETS}"; transfer-syntax={J2K}', multipart("image/jp2", J2K)),
        (JLS, f'multipart/related; type="{OCTETS}"; transfer-syntax={NEAR}', multipart("image/jls", NEAR)),
        # q decides among what can be encoded
        (None, "image/jls;q=0.2, image/jp2;q=0.3, image/jpx", f"image/jp2; transfer-syntax={J2K}"),
        (None, "image/jls;q=0, image/jp2;q=0", NONE),
    ],
)
def test_frame_that_can_be_encoded(stored: str | None, header: str | None, expected: str | None) -> None:
    targets = [target for target in TARGETS if target != stored]
    assert chosen(frame_offers(stored, single=True, targets=targets), header) == expected


@pytest.mark.parametrize(
    ("header", "native", "expected"),
    [
        (f"application/dicom; transfer-syntax={J2K}", True, f"application/dicom; transfer-syntax={J2K}"),
        (f"application/dicom; transfer-syntax={NEAR}", True, f"application/dicom; transfer-syntax={NEAR}"),
        ("application/dicom", True, f"application/dicom; transfer-syntax={ELE}"),
        ("application/dicom; transfer-syntax=*", True, f"application/dicom; transfer-syntax={JLS}"),
        ("*/*", True, MULTI_JLS),
        # what Explicit VR Little Endian cannot hold (C-TS-4)
        ("application/dicom", False, f"application/dicom; transfer-syntax={JLS}"),
        (f"application/dicom; transfer-syntax={ELE}", False, NONE),
    ],
)
def test_instance_that_can_be_encoded(header: str, native: bool, expected: str | None) -> None:
    offers = instance_offers(JLS, single=True, targets=(HT, J2K, NEAR), native=native)
    assert chosen(offers, header) == expected


@pytest.mark.row("C-TS-9")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("image/jpeg", "image/jpeg"),
        (f"image/jpeg; transfer-syntax={JPEG}", NONE),
        ("image/jpeg; transfer-syntax=*", NONE),
        (f"image/jpeg; transfer-syntax={JPEG}, image/png;q=0.1", "image/png"),
    ],
)
def test_a_rendered_type_with_a_transfer_syntax_is_left_out(header: str, expected: str | None) -> None:
    """PS3.18 8.7.4: rendered media types have none."""
    assert chosen([Offer("image/jpeg", rendered=True), Offer("image/png", rendered=True)], header) == expected


def test_a_bare_body_is_not_offered_for_several_frames() -> None:
    assert chosen(frame_offers(None, single=False), OCTETS) is None


def test_when_decoding_fails_there_is_a_next_best() -> None:
    ranked = Accept.parse("*/*").rank(frame_offers(JLS, single=True))
    assert [offer.stored for offer in ranked] == [False, True, False, True]


JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/dicom+json", JSON),
        ("application/json", JSON),
        ("application/dicom+json, application/json", JSON),
        ("application/*", JSON),
        (XML, XML),
        ("multipart/related; type=application/dicom+xml", XML),
        ("multipart/*", XML),
        ("multipart/related", XML),
        ("application/dicom+xml", NONE),
        # q (C-ACC-11, C-ACC-12): most specific range first, q=0 excludes
        (f"{JSON};q=0.5, {XML};q=0.9", XML),
        (f"{JSON};q=0.9, {XML};q=0.5", JSON),
        (f"{JSON};q=0, */*", XML),
        (f"*/*;q=0.1, {XML}", XML),
        (f"application/*;q=0.1, {XML};q=0.2", XML),
        (f"{JSON};q=0", NONE),
        ("*/*;q=0", NONE),
        # malformed entries are left out (C-ACC-9), the rest is used
        (f"rubbish, ;;, {JSON};q=x, {XML}", XML),
        ("rubbish", NONE),
        (f"{JSON};q=1.5", NONE),
        # commas in quotes, no blanks, several fields joined
        ('multipart/related;type="application/dicom+xml";x="a,b",text/plain', XML),
        ("text/plain,application/dicom+json", JSON),
        ("text/html", NONE),
    ],
)
def test_json_and_xml(header: str | None, expected: str | None) -> None:
    assert chosen(list(json_offers()), header) == expected


def test_bare_xml_of_one_document() -> None:
    assert chosen(list(json_offers(single_xml=True)), "application/dicom+xml") == "application/dicom+xml"


@pytest.mark.parametrize(
    ("parameter", "header", "expected"),
    [
        ("application/dicom+json", "*/*", JSON),
        ('multipart/related; type="application/dicom+xml"', JSON, XML),  # the parameter first (C-ACC-3)
        ("text/plain", JSON, JSON),  # the header where nothing listed is supported
        ("text/plain", "text/html", NONE),
        (f"{JSON};q=0.2,{XML};q=0.4", "*/*", XML),
    ],
)
def test_the_accept_parameter(parameter: str, header: str, expected: str | None) -> None:
    assert chosen(list(json_offers()), header, parameter) == expected


@pytest.mark.parametrize("parameter", ["*/*", "image/*", 'multipart/related; type="*/*"', "", "rubbish"])
def test_wildcards_and_rubbish_in_the_accept_parameter_are_400(parameter: str) -> None:
    with pytest.raises(BadParameter) as raised:
        Accept.parse("*/*", parameter)
    assert raised.value.parameter == "accept"


@pytest.mark.parametrize(
    ("content_type", "header", "expected"),
    [
        (OCTETS, None, f'multipart/related; type="{OCTETS}"'),
        (OCTETS, 'multipart/related; type="*/*"', f'multipart/related; type="{OCTETS}"'),
        (OCTETS, OCTETS, OCTETS),
        (
            OCTETS,
            f'multipart/related; type="{OCTETS}"; transfer-syntax=*',
            f'multipart/related; type="{OCTETS}"',
        ),
        ("application/pdf", "application/pdf", "application/pdf"),
        ("application/pdf", OCTETS, OCTETS),
        ("application/pdf", "image/png", NONE),
        # a browser that follows the link gets the bytes
        (OCTETS, "text/html,application/xhtml+xml,*/*;q=0.8", f'multipart/related; type="{OCTETS}"'),
    ],
)
def test_bulk_data(content_type: str, header: str | None, expected: str | None) -> None:
    assert chosen(bulk_offers(content_type, None), header) == expected
