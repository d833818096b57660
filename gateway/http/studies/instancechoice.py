"""Choose the representation of each instance of an answer (PS3.18 8.7.8; C-ACC-15)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.dicom import uids
from gateway.errors import BadParameter
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.media import LOSSY
from gateway.http.negotiation.offers import REWRITTEN, instance_offers, rank_instances
from gateway.services.retrieve.obtainable import (
    check_obtainable,
    find_obstacle,
    is_convertible,
    is_too_long,
    list_possible_targets,
)

if TYPE_CHECKING:
    from gateway.http.message.request import Request
    from gateway.http.ports import RetrievePort
    from gateway.index.base import StoredInstance
    from gateway.services.retrieve.layouts import StoredLayout

_UNCOMPRESSED = REWRITTEN | {uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN}
_UID = re.compile(r"[0-9.]{1,64}")
# Most instances that are examined to list what a client could have requested.
LOOKED_INTO = 20


class Choice:
    """Chooses offers for instances: ranks them once for each stored transfer syntax.

    It reads the layout of an instance only where the instance would have to be encoded.
    """

    def __init__(self, retrieve: RetrievePort, request: Request, *, single: bool) -> None:
        self._retrieve = retrieve
        self._request = request
        self._single = single
        self._ranked: dict[tuple[str, bool], tuple[Offer, ...]] = {}

    async def choose(self, stored: StoredInstance) -> Offer | None:
        """Return the best offer for an instance, as far as its attributes tell. Raises NotFound."""
        syntax = stored.transfer_syntax
        located: StoredLayout | None = None
        for offer in self._rank(syntax, native=True):
            if offer.stored or (syntax in _UNCOMPRESSED and offer.transfer_syntax in _UNCOMPRESSED):
                return offer
            located = located or await self._locate(stored)
            if not find_obstacle(located, str(offer.transfer_syntax)):
                return offer
        if located is not None and self._may_stand(located, syntax):
            return next((o for o in self._rank(syntax, native=False) if o.stored), None)
        return None

    def _may_stand(self, located: StoredLayout, syntax: str) -> bool:
        """Return whether the stored form may be sent in place of Explicit VR Little Endian.

        That is so where the pixel data is too long for it (C-TS-4), or is lossy and cannot be decoded here,
        such as video (C-TS-3).
        """
        undecodable = syntax in LOSSY and not is_convertible(syntax)
        return undecodable or is_too_long(located)

    async def choose_named(self, stored: StoredInstance, value: str | None) -> str | None:
        """Return the transfer syntax that `transferSyntax` of the URI service means.

        None means as it is stored. Without a value it is Explicit VR Little Endian, with the exceptions of
        8.7.3.4; `*` is as stored (8.7.3.6). Raises BadParameter where it is not one UID (9.4.2.4),
        NotAcceptable where the instance cannot be sent so.
        """
        if value == "*":
            return None
        if value is not None and not _UID.fullmatch(value):
            raise BadParameter(
                f"transferSyntax '{value}': want one UID, or *",
                parameter="transferSyntax",
                expected="one UID, or *",
            )
        located = await self._locate(stored)
        target = value or uids.EXPLICIT_VR_LITTLE_ENDIAN
        if (
            value is None
            and find_obstacle(located, target)
            and self._may_stand(located, stored.transfer_syntax)
        ):
            return None
        check_obtainable(located, target)
        return target

    async def available(self, stored: Sequence[StoredInstance]) -> list[Offer]:
        """Return the offers of these instances, to list them where none is acceptable."""
        found: list[Offer] = []
        for instance in stored[:LOOKED_INTO]:
            located = await self._locate(instance)
            found += [
                offer
                for offer in self._offers(instance.transfer_syntax, native=True)
                if offer.stored or not find_obstacle(located, str(offer.transfer_syntax))
            ]
        return found

    def _rank(self, syntax: str, *, native: bool) -> tuple[Offer, ...]:
        key = (syntax, native)
        if key not in self._ranked:
            targets = list_possible_targets(syntax)
            accept, single = self._request.accept, self._single
            self._ranked[key] = rank_instances(accept, syntax, single=single, targets=targets, native=native)
        return self._ranked[key]

    def _offers(self, syntax: str, *, native: bool) -> list[Offer]:
        targets = list_possible_targets(syntax)
        return instance_offers(syntax, single=self._single, targets=targets, native=native)

    async def _locate(self, stored: StoredInstance) -> StoredLayout:
        return await self._retrieve.find_layout(self._request.scope, stored)
