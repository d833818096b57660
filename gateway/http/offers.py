"""What could be sent of a resource, the choice for `*/*` first (PS3.18 Table 10.4.4-1, 8.7.3)."""

from __future__ import annotations

from gateway.http.accept import Offer
from gateway.http.media import DICOM, OCTETS, compressed_type
from gateway.model import EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE

# Never sent (PS3.18 8.7.3): rewritten to Explicit VR Little Endian on the way out.
REWRITTEN = frozenset({IMPLICIT_VR_LE, EXPLICIT_VR_BE})


def instance_offers(transfer_syntax: str, *, single: bool) -> list[Offer]:
    """Of an instance stored in `transfer_syntax`; `single`: it is the only one, so a bare body will do."""
    as_stored = EXPLICIT_VR_LE if transfer_syntax in REWRITTEN else transfer_syntax
    offers = [Offer(DICOM, True, as_stored, stored=True)]
    if as_stored != EXPLICIT_VR_LE:
        offers.append(Offer(DICOM, True, EXPLICIT_VR_LE))
    return _and_single(offers) if single else offers


def frame_offers(transfer_syntax: str | None, *, single: bool) -> list[Offer]:
    """Of frames; `transfer_syntax` is that of encapsulated ones, None for native."""
    if transfer_syntax is None:
        offers = [Offer(OCTETS, True, EXPLICIT_VR_LE, stored=True)]
    else:
        stored = Offer(compressed_type(transfer_syntax), True, transfer_syntax, stored=True)
        offers = [Offer(OCTETS, True, EXPLICIT_VR_LE), stored]
    return _and_single(offers) if single else offers


def bulk_offers(content_type: str, transfer_syntax: str | None) -> list[Offer]:
    """Of one bulk data value: octets, and for an encapsulated document its own type as well."""
    offers = [Offer(OCTETS, True, transfer_syntax, stored=True)]
    if content_type != OCTETS:
        offers.append(Offer(content_type, True, stored=True))
    return _and_single(offers)


def _and_single(offers: list[Offer]) -> list[Offer]:
    return offers + [Offer(o.media, False, o.transfer_syntax, o.stored) for o in offers]
