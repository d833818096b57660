"""Choose a representation by Accept and `accept=` (PS3.18 8.3.3, 8.7). Pure, tested as a table.

Decisions: without an Accept header, `*/*` counts; under `strict` it is 406 (D-1). If nothing is acceptable,
it is 406 (D-2). DICOM and rendered media types in one list are a 400 under `strict` (8.7.5); else the types
that the target has are sent. `*/*` means Explicit VR Little Endian under `strict`, and as stored otherwise
(8.7.7). If a range names no transfer syntax, `application/dicom` and `application/octet-stream` mean Explicit
VR Little Endian (8.7.3.4), and a compressed type means its default in Table 8.7.3-5, or the stored lossy one
where there is no other (C-TS-3). `transfer-syntax=*` and a wildcard type mean as stored. Frames are encoded
with loss only where the transfer syntax is named.

`application/octet-stream; transfer-syntax=*` on a compressed frame (OHIF) gets the stored codestream under
its own media type, `image/jls; transfer-syntax=…`: viewers take the codec from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.dicom import uids
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that could be sent. `media` is the type of the part, or of a body without parts.

    `transfer_syntax` is the one that would be sent, None where there is none. `stored`: as it is stored.
    `unnamed`: it is sent in place of Explicit VR Little Endian, which cannot hold the pixel data (PS3.18
    8.7.3.4). `rendered`: a type of Table 8.7.4-1; a range with a transfer syntax does not match it (8.7.4).
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
        """Return whether a range without a transfer syntax means this offer (8.7.3.4, 8.7.3.5)."""
        if self.media in (DICOM, OCTETS):
            return self.unnamed or self.transfer_syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN
        return self.transfer_syntax == DEFAULTS.get(self.media) or (self.stored and self.lossy)

    @property
    def content_type(self) -> str:
        """Return the Content-Type of the part, or of a body without parts."""
        if self.transfer_syntax is None:
            return self.media
        return f"{self.media}; transfer-syntax={self.transfer_syntax}"

    def __str__(self) -> str:
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return f'multipart/related; type="{self.media}"{syntax}' if self.multipart else self.media + syntax


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media range. `media` is the type of the part where `multipart` is true; `*/*` matches any.

    `multipart` is None for `*/*` itself, which matches both forms; `untyped` is `multipart/related`
    without type.
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
        """Return whether the stored one is preferred among several matching transfer syntaxes.

        `*/*` itself leaves it to the resource.
        """
        return not self.whole and not self.untyped

    @property
    def specificity(self) -> int:
        """Return a rank: parameters over subtype over type/* over */* (C-ACC-11)."""
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
        """Return whether the range matches that media type, in any transfer syntax."""
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


# Media types that are either DICOM (8.7.3) or rendered (8.7.4). application/json is left out: clients send it
# with anything.
DICOM_TYPES = frozenset({DICOM, JSON, XML, OCTETS, "image/jls", "image/jphc", "image/jpx", "image/dicom-rle"})
IMAGES_RENDERED = frozenset({"image/gif", "image/png", "image/jph"})
RENDERED = IMAGES_RENDERED | {"text/html", "text/plain", "text/xml", "text/rtf", "application/pdf"}
MAX_LIST = 8 << 10
MAX_RANGES = 256
ANYTHING = MediaRange("*/*", None, None, 1.0)


@dataclass(frozen=True, slots=True)
class Accept:
    """The media ranges of a client, in tiers: the `accept` parameter first, then the header (C-ACC-3).

    The header counts only where nothing matches the parameter. With `strict`, the header must also cover what
    the parameter chooses (C-ACC-4).
    """

    tiers: tuple[tuple[MediaRange, ...], ...]
    strict: bool = False

    @staticmethod
    def parse(header: str | None, parameter: str | None = None, *, strict: bool = False) -> Accept:
        """Return the ranges of header and parameter.

        Raises BadParameter where `accept=` has a wildcard or no media type (C-ACC-2), or a list is too long.
        Under `strict` nothing is acceptable without an Accept header (8.7.7).
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
        """Raise BadParameter under `strict` where a list has both DICOM and rendered types (8.7.5).

        Otherwise the target has offers of one kind only, and the best of these is sent. Types that are of
        both kinds, such as image/jpeg, have the kind of the target (C-ACC-6). `bulk`: the target is bulk
        data, which may be a document of any type.
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
        """Return the acceptable offers, best first; among equals the stored one, then the earlier one."""
        for number, tier in enumerate(self.tiers):
            scored = [(*score, index) for index, offer in enumerate(offers) if (score := _score(tier, offer))]
            if scored:
                ranked = [offers[index] for _, _, index in sorted(scored)]
                if self.strict and number < len(self.tiers) - 1:
                    return [offer for offer in ranked if any(r.covers(offer) for r in self.tiers[-1])]
                return ranked
        return []

    def choose(self, offers: Sequence[Offer]) -> Offer:
        """Return the best acceptable offer. Raises NotAcceptable listing the offers (PS3.18 8.7.8.1)."""
        ranked = self.rank(offers)
        if not ranked:
            raise not_acceptable(offers, "" if self.tiers else "there is no Accept header, so")
        return ranked[0]

    def charset_of(self, offer: Offer) -> str | None:
        """Return the `charset` parameter of the range by which `offer` was chosen (8.7.3.5.3)."""
        for tier in self.tiers:
            best = _best(tier, offer)
            if best is not None and best.quality > 0:
                return best.charset
        return None


def not_acceptable(offers: Sequence[Offer], reason: str = "") -> NotAcceptable:
    """Return the error that lists the offers (C-ACC-14)."""
    available = list(dict.fromkeys(map(str, offers)))
    return NotAcceptable(f"{reason} nothing of what is accepted can be sent".strip(), available=available)


def _score(tier: Sequence[MediaRange], offer: Offer) -> tuple[float, int] | None:
    """Return (minus quality, rank among equals) of an offer; None where it is not acceptable.

    The most specific range that matches gives the quality. The rank is 0 where the stored representation is
    preferred and this is it, else 1.
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
    """Raise BadParameter for a list that is too long: each range is compared with each offer."""
    if text is not None and (len(text) > MAX_LIST or text.count(",") >= MAX_RANGES):
        raise BadParameter(
            f"{name}: the list is longer than {MAX_LIST} characters or {MAX_RANGES} media types",
            parameter=name,
        )


@lru_cache(maxsize=512)
def _ranges(header: str) -> tuple[MediaRange, ...]:
    """Return the ranges of an Accept header; malformed entries are left out (C-ACC-9)."""
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
    """Return the weight of a range (RFC 9110 12.4.2); None where it is malformed."""
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def json_offers(*, single_xml: bool = False) -> tuple[Offer, ...]:
    """Return DICOM JSON, the default, and multipart Native DICOM Model XML (Table 10.4.4-1, 10.6.4).

    `single_xml`: a bare XML document too, where there is exactly one (R-MT-13).
    """
    offers = (Offer(JSON), Offer("application/dicom+xml", multipart=True))
    return (*offers, Offer("application/dicom+xml")) if single_xml else offers
