"""List the representations of a resource, the choice for `*/*` first (PS3.18 Table 10.4.4-1, 8.7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from gateway.dicom import uids
from gateway.http.negotiation.accept import Accept, Offer
from gateway.http.negotiation.media import DICOM, OCTETS, find_compressed_type

# Never sent (PS3.18 8.7.3): rewritten to Explicit VR Little Endian.
REWRITTEN = frozenset({uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN})


def instance_offers(
    transfer_syntax: str, *, single: bool, targets: Sequence[str] = (), native: bool = True
) -> list[Offer]:
    """Return the offers of an instance stored in `transfer_syntax`.

    `single`: it is the only instance, so a body without parts is possible. `targets` are the other transfer
    syntaxes that it can be encoded to. `native`: Explicit VR Little Endian can hold it; if not, it is sent as
    stored in its place (C-TS-4).
    """
    as_stored = uids.EXPLICIT_VR_LITTLE_ENDIAN if transfer_syntax in REWRITTEN else transfer_syntax
    offers = [Offer(DICOM, True, as_stored, stored=True, unnamed=not native)]
    others = [uids.EXPLICIT_VR_LITTLE_ENDIAN, *targets] if native else [*targets]
    offers += [Offer(DICOM, True, target) for target in others if target != as_stored]
    return _and_single(offers) if single else offers


def frame_offers(transfer_syntax: str | None, *, single: bool, targets: Sequence[str] = ()) -> list[Offer]:
    """Return the offers of frames; `transfer_syntax` is None for native ones.

    `single` and `targets` are as in `instance_offers`.
    """
    if transfer_syntax is None:
        offers = [Offer(OCTETS, True, uids.EXPLICIT_VR_LITTLE_ENDIAN, stored=True)]
    else:
        stored = Offer(find_compressed_type(transfer_syntax), True, transfer_syntax, stored=True)
        offers = [Offer(OCTETS, True, uids.EXPLICIT_VR_LITTLE_ENDIAN), stored]
    offers += [Offer(find_compressed_type(target), True, target) for target in targets]
    return _and_single(offers) if single else offers


@lru_cache(maxsize=1024)
def rank_frames(
    accept: Accept, transfer_syntax: str | None, *, single: bool, targets: tuple[str, ...]
) -> tuple[Offer, ...]:
    """Return the acceptable ones of `frame_offers`, best first.

    The result is cached: a viewer requests a thousand frames in the same way.
    """
    return tuple(accept.rank(frame_offers(transfer_syntax, single=single, targets=targets)))


@lru_cache(maxsize=1024)
def rank_instances(
    accept: Accept, transfer_syntax: str, *, single: bool, targets: tuple[str, ...], native: bool
) -> tuple[Offer, ...]:
    """Return the acceptable ones of `instance_offers`, best first.

    Under `strict` `*/*` means the default (8.7.7).
    """
    offers = instance_offers(transfer_syntax, single=single, targets=targets, native=native)
    if accept.strict:
        offers.sort(
            key=lambda offer: (not offer.multipart, offer.transfer_syntax != uids.EXPLICIT_VR_LITTLE_ENDIAN)
        )
    return tuple(accept.rank(offers))


def bulk_offers(content_type: str, transfer_syntax: str | None) -> list[Offer]:
    """Return the offers of one bulk data value: octets, and its own type.

    An encapsulated document, a video or an icon has a type of its own.
    """
    coded = content_type.endswith("/*")
    offers = [Offer(OCTETS, True, transfer_syntax, stored=True, unnamed=coded)]
    if coded and transfer_syntax is not None:
        if find_compressed_type(transfer_syntax) != OCTETS:
            offers.insert(0, Offer(find_compressed_type(transfer_syntax), True, transfer_syntax, stored=True))
    elif content_type != OCTETS:
        offers.append(Offer(content_type, True, stored=True))
    return _and_single(offers)


def value_offers(
    kind: tuple[str, str | None], frames: list[Offer] | None, *, decodable: bool = True
) -> list[Offer]:
    """Return the offers of one bulk data value; `frames` are those of its frames where it is pixel data.

    All native frames one after another come first (R-B-5), where they can be decoded, then a part for each
    frame (8.7.3.3).
    """
    offers = bulk_offers(*kind) if decodable else []
    return offers + [offer for offer in frames or () if not is_octets(offer)]


def is_octets(offer: Offer) -> bool:
    """Return whether the offer is the value as a whole, and not frames."""
    return offer.media == OCTETS and offer.transfer_syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN


def _and_single(offers: list[Offer]) -> list[Offer]:
    return offers + [replace(offer, multipart=False) for offer in offers]
