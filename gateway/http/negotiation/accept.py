"""Choosing what to send: Accept and `accept=` (PS3.18 8.3.3, 8.7). Pure, tested as a table.

Decisions: no Accept header counts as `*/*`, under `strict` it is 406 (D-1); nothing acceptable is 406 (D-2); DICOM
and rendered media types beside one another are a 400 under `strict` (8.7.5), else the target's own kind is sent, and
`*/*` means Explicit VR Little Endian there and as stored else (8.7.7). Where a range names no transfer syntax,
`application/dicom` and `application/octet-stream` mean Explicit VR Little Endian (8.7.3.4) and a compressed type means
its default of Table 8.7.3-5, or the lossy one that is held where no other is (C-TS-3); `transfer-syntax=*` and a
wildcard type mean as stored. A lossy step is taken only where its transfer syntax is named.
`application/octet-stream; transfer-syntax=*` on a compressed frame (OHIF) is answered with the stored codestream
under its own media type, `image/jls; transfer-syntax=…`: viewers take the codec from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import BadParameter, NotAcceptable
from gateway.http.negotiation.media import (
    ALIASES,
    DEFAULTS,
    DICOM,
    JSON,
    LOSSY,
    OCTETS,
    XML,
    MediaType,
    parse_media_type,
    split_quoted,
)
from gateway.model import EXPLICIT_VR_LE


@dataclass(frozen=True, slots=True)
class Offer:
    """One representation that could be sent. `media` is the type of the part, or of the body if not
    `multipart`.

    `transfer_syntax` is what would be sent, None where the notion does not apply. `stored`: as it is stored.
    `unnamed`: it stands for Explicit VR Little Endian, which cannot hold so much (PS3.18 8.7.3.4). `rendered`: of
    Table 8.7.4-1, where a range with a transfer syntax is left out (8.7.4).
    """

    media: str
    multipart: bool = False
    transfer_syntax: str | None = None
    stored: bool = False
    unnamed: bool = False
    rendered: bool = False

    @property
    def lossy(self) -> bool:
        return self.transfer_syntax in LOSSY

    @property
    def default(self) -> bool:
        """Whether it is meant where no transfer syntax is named (8.7.3.4, 8.7.3.5)."""
        if self.media in (DICOM, OCTETS):
            return self.unnamed or self.transfer_syntax == EXPLICIT_VR_LE
        return self.transfer_syntax == DEFAULTS.get(self.media) or (self.stored and self.lossy)

    @property
    def content_type(self) -> str:
        """Of the part, or of the body if not multipart."""
        if self.transfer_syntax is None:
            return self.media
        return f"{self.media}; transfer-syntax={self.transfer_syntax}"

    def __str__(self) -> str:
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return f'multipart/related; type="{self.media}"{syntax}' if self.multipart else self.media + syntax


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media range. `media` is that of the part where `multipart` is true; `*/*` stands for anything.

    `multipart` is None for `*/*` alone, which matches both forms; `untyped` is `multipart/related` without
    type.
    """

    media: str
    multipart: bool | None
    transfer_syntax: str | None
    quality: float
    untyped: bool = False
    charset: str | None = None
    named: str = ""
    """The media type as it was written, before `ALIASES`."""

    @property
    def whole(self) -> bool:
        return self.multipart is None

    @property
    def wild(self) -> bool:
        return self.media.endswith("/*")

    @property
    def prefers_stored(self) -> bool:
        """Of several transfer syntaxes that match, the stored one; `*/*` alone leaves it to the resource."""
        return not self.whole and not self.untyped

    @property
    def specificity(self) -> int:
        """Parameters over subtype over type/* over */* (C-ACC-11)."""
        if self.whole:
            return 0
        if self.wild:
            return 2 if self.media == "*/*" else 3
        if self.transfer_syntax == "*":
            return 5
        return 6 if self.transfer_syntax is not None else 4

    def matches(self, offer: Offer) -> bool:
        if self.whole:
            return offer.stored or not offer.lossy
        if self.multipart != offer.multipart:
            return False
        return self._matches_media(offer) and self._matches_syntax(offer)

    def _matches_media(self, offer: Offer) -> bool:
        if self.wild:
            return self.media == "*/*" or offer.media.startswith(self.media[:-1])
        if offer.media in (self.media, self.named):
            return True
        codestream = offer.media not in (DICOM, OCTETS)
        named = self.transfer_syntax == offer.transfer_syntax
        return (
            self.media == OCTETS and codestream and (named or (offer.stored and self.transfer_syntax == "*"))
        )

    def covers(self, offer: Offer) -> bool:
        """Whether it takes that media type, whatever the transfer syntax."""
        return self.whole or (self.multipart == offer.multipart and self._matches_media(offer))

    def _matches_syntax(self, offer: Offer) -> bool:
        if offer.rendered and self.transfer_syntax is not None:
            return False
        if offer.transfer_syntax is None or self.transfer_syntax == offer.transfer_syntax:
            return True
        if offer.lossy and not offer.stored:
            return False
        if self.transfer_syntax is not None:
            return self.transfer_syntax == "*"
        return offer.default or (self.wild and not self.untyped and offer.stored)


# Media types that are of one kind only (8.7.3, 8.7.4). application/json is left out: clients send it with anything.
DICOM_TYPES = frozenset({DICOM, JSON, XML, OCTETS, "image/jls", "image/jphc", "image/jpx", "image/dicom-rle"})
IMAGES_RENDERED = frozenset({"image/gif", "image/png", "image/jph"})
RENDERED = IMAGES_RENDERED | {"text/html", "text/plain", "text/xml", "text/rtf", "application/pdf"}
MAX_LIST = 8 << 10
MAX_RANGES = 256
ANYTHING = MediaRange("*/*", None, None, 1.0)


@dataclass(frozen=True, slots=True)
class Accept:
    """What a client takes, in tiers: the `accept` parameter first, the header if that has no hit (C-ACC-3).

    `strict`: what the parameter chooses must be covered by the header as well (C-ACC-4).
    """

    tiers: tuple[tuple[MediaRange, ...], ...]
    strict: bool = False

    @staticmethod
    def parse(header: str | None, parameter: str | None = None, *, strict: bool = False) -> Accept:
        """Raises BadParameter where `accept=` holds a wildcard or nothing that can be read (C-ACC-2), or a list is absurd.

        Under `strict` nothing is acceptable to who sends no Accept header (8.7.7).
        """
        _check_length(header, "Accept")
        _check_length(parameter, "accept")
        tiers = [_parameter_ranges(parameter)] if parameter is not None else []
        missing = header is None or not header.strip()
        if missing and strict:
            return Accept((), strict)
        tiers.append((ANYTHING,) if header is None or missing else _ranges(header))
        return Accept(tuple(tiers), strict)

    def check_mixture(self, *, bulk: bool = False) -> None:
        """Raises BadParameter under `strict` where DICOM and rendered types stand beside one another (8.7.5); else the
        target has offers of one kind only, and the best of these is sent.

        Types that are of both kinds, such as image/jpeg, are what the target makes of them (C-ACC-6). `bulk`: the
        target is bulk data, which may be a document of any type.
        """
        for number, tier in enumerate(self.tiers if self.strict else ()):
            named = {item.named for item in tier if item.quality > 0}
            rendered = named & (IMAGES_RENDERED if bulk else RENDERED)
            if rendered and named & DICOM_TYPES:
                name = "accept" if len(self.tiers) == 2 and number == 0 else "Accept"
                raise BadParameter(
                    f"{name}: {min(rendered)} is a rendered media type, {min(named & DICOM_TYPES)} a DICOM one",
                    parameter=name,
                    expected="DICOM media types or rendered ones, not both",
                )

    def rank(self, offers: Sequence[Offer]) -> list[Offer]:
        """The acceptable offers, best first; ties go to the earlier offer, or to the one that is as
        stored.
        """
        for number, tier in enumerate(self.tiers):
            scored = [(*score, index) for index, offer in enumerate(offers) if (score := _score(tier, offer))]
            if scored:
                ranked = [offers[index] for _, _, index in sorted(scored)]
                if self.strict and number < len(self.tiers) - 1:
                    return [offer for offer in ranked if any(r.covers(offer) for r in self.tiers[-1])]
                return ranked
        return []

    def choose(self, offers: Sequence[Offer]) -> Offer:
        """The best acceptable offer. Raises NotAcceptable listing what could be had (PS3.18 8.7.8.1)."""
        ranked = self.rank(offers)
        if not ranked:
            raise not_acceptable(offers, "" if self.tiers else "there is no Accept header, so")
        return ranked[0]

    def charset_of(self, offer: Offer) -> str | None:
        """The `charset` parameter of the range by which `offer` was chosen (8.7.3.5.3)."""
        for tier in self.tiers:
            best = _best(tier, offer)
            if best is not None and best.quality > 0:
                return best.charset
        return None


def not_acceptable(offers: Sequence[Offer], reason: str = "") -> NotAcceptable:
    """The failure that lists what could be had (C-ACC-14)."""
    available = list(dict.fromkeys(map(str, offers)))
    return NotAcceptable(f"{reason} nothing of what is accepted can be sent".strip(), available=available)


def _score(tier: Sequence[MediaRange], offer: Offer) -> tuple[float, int] | None:
    """(minus quality, 0 where the stored one is meant and this is it) by the most specific range that
    matches.
    """
    best = _best(tier, offer)
    if best is None or best.quality <= 0:
        return None
    return -best.quality, 0 if best.prefers_stored and offer.stored else 1


def _best(tier: Sequence[MediaRange], offer: Offer) -> MediaRange | None:
    best: MediaRange | None = None
    for item in tier:
        if item.matches(offer) and (best is None or item.specificity > best.specificity):
            best = item
    return best


def _check_length(text: str | None, name: str) -> None:
    """Each range is compared with each offer: a list of thousands would take its time for nobody's good."""
    if text is not None and (len(text) > MAX_LIST or text.count(",") >= MAX_RANGES):
        raise BadParameter(
            f"{name}: the list is longer than {MAX_LIST} characters or {MAX_RANGES} media types",
            parameter=name,
        )


@lru_cache(maxsize=512)
def _ranges(header: str) -> tuple[MediaRange, ...]:
    """The ranges of an Accept header; malformed entries are left out (C-ACC-9)."""
    found = (_range(parse_media_type(piece)) for piece in split_quoted(header, ",") if piece)
    return tuple(item for item in found if item is not None)


def _parameter_ranges(value: str) -> tuple[MediaRange, ...]:
    ranges = _ranges(value)
    if any(item.wild for item in ranges):
        raise BadParameter(
            f"accept '{value[:200]}': a wildcard is not allowed here; name the media type",
            parameter="accept",
            expected="media types, separated by commas",
        )
    if not ranges:
        raise BadParameter(
            f"accept '{value[:200]}': nothing in it is a media type",
            parameter="accept",
            expected="media types, separated by commas",
        )
    return ranges


def _range(media: MediaType | None) -> MediaRange | None:
    if media is None or any(map(media.repeats, ("transfer-syntax", "charset", "type"))):
        return None
    quality = _quality(media.get("q"))
    if quality is None:
        return None
    syntax, charset = media.get("transfer-syntax") or None, media.get("charset") or None
    if media.essence == "*/*":
        return MediaRange("*/*", None, syntax, quality, charset=charset)
    if media.essence in ("multipart/related", "multipart/*"):
        part = media.get("type")
        inner = parse_media_type(part) if part else None
        if part and inner is None:
            return None
        named = inner.essence if inner else "*/*"
        return MediaRange(
            _canonical_type(named), True, syntax, quality, untyped=inner is None, charset=charset, named=named
        )
    if media.essence.startswith("*/"):
        return None
    return MediaRange(
        _canonical_type(media.essence), False, syntax, quality, charset=charset, named=media.essence
    )


def _canonical_type(essence: str) -> str:
    return ALIASES.get(essence, essence)


def _quality(text: str | None) -> float | None:
    """RFC 9110 12.4.2; None where it is malformed."""
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def json_offers(*, single_xml: bool = False) -> tuple[Offer, ...]:
    """DICOM JSON, the default, and Native DICOM Model XML in multipart (Table 10.4.4-1, 10.6.4).

    `single_xml`: bare XML too, where there is exactly one document (R-MT-13).
    """
    offers = (Offer(JSON), Offer("application/dicom+xml", multipart=True))
    return (*offers, Offer("application/dicom+xml")) if single_xml else offers
