"""List the media types that an instance can be rendered in. Pure, tested as a table.

PS3.18 Table 8.7.4-1, 10.4.4. Decisions: for several frames, `*/*` means a part of image/jpeg for each
(R-MT-9), image/gif without multipart an animation, video/mp4 without multipart a video. Any other image type
without multipart is the first frame, with a warning, unless strict (D-5, R-MT-4). A stored video is sent as
it is, unless the request changes the picture. Studies and series are always sent as multipart (R-MT-2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.errors import NotAcceptable
from gateway.extras import Extra, explain_missing, is_installed
from gateway.http.negotiation.accept import Accept, Offer, not_acceptable
from gateway.services.render.rendered import EMBEDS_ICC, GIF, MP4, REMUXED, find_stored_type
from gateway.services.render.renderparameters import RenderRequest
from gateway.services.render.rendertarget import RenderTarget

PDF = "application/pdf"
Lacking = Mapping[Offer, Extra]
STILLS = ("image/jpeg", "image/png", GIF, "image/jp2", "image/jph", "image/jxl")


def picture_offers(count: int, *, bare: bool, filmable: bool, lenient: bool) -> list[Offer]:
    """Return the offers of `count` frames of an instance, the choice for `*/*` first.

    `bare`: a body without parts is possible.
    """
    alone = [_make_rendered_offer(media) for media in STILLS]
    parts = [replace(offer, multipart=True) for offer in alone]
    if count == 1:
        return [*alone, *parts] if bare else parts
    films = [_make_rendered_offer(media) for media in (GIF, MP4)] if filmable else []
    found = [*parts, *(replace(film, multipart=True) for film in films if film.media == MP4)]
    if not bare:
        return found
    return [*found, *films, *((o for o in alone if o not in films) if lenient else ())]


def video_offers(stored: str, *, bare: bool, changed: bool, filmable: bool, lenient: bool) -> list[Offer]:
    """Return the offers of a stored video of several frames; `changed`: the request changes the picture."""
    films = [] if changed else [stored]
    if (filmable or (stored in REMUXED and not changed)) and MP4 not in films:
        films.append(MP4)
    alone = [_make_rendered_offer(media) for media in films]
    parts = [replace(offer, multipart=True) for offer in alone]
    if not bare:
        return parts
    return [*alone, *parts, *(map(_make_rendered_offer, STILLS) if lenient else ())]


def text_offers(media: Sequence[str], *, bare: bool) -> list[Offer]:
    """Return the offers of a document in these media types."""
    alone = [_make_rendered_offer(one) for one in media]
    parts = [replace(offer, multipart=True) for offer in alone]
    return [*alone, *parts] if bare else parts


def find_lacking(offers: Sequence[Offer], target: RenderTarget, asked: RenderRequest) -> Lacking:
    """Return the offers that this installation cannot make, and the extra that each needs."""
    wanted = {offer: _find_extra(offer.media, target, asked) for offer in offers}
    return {offer: extra for offer, extra in wanted.items() if extra is not None and not is_installed(extra)}


def _find_extra(media: str, target: RenderTarget, asked: RenderRequest) -> Extra | None:
    if media == PDF:
        return None if target.encapsulated else Extra.REPORTS
    if not media.startswith(("image/", "video/")):
        return None
    if target.stream:
        return None if media == find_stored_type(target) and not asked.changes_picture else Extra.VIDEO
    return Extra.VIDEO if media == MP4 else None


def rank_installed(accept: Accept, offers: Sequence[Offer], lacking: Lacking) -> list[Offer]:
    """Return the acceptable offers that can be made here, best first."""
    return accept.rank([offer for offer in offers if offer not in lacking])


def refuse_all(accept: Accept, offers: Sequence[Offer], lacking: Lacking, reason: str = "") -> NotAcceptable:
    """Return the error that lists the offers, and names the extra that would make an acceptable one."""
    if wanted := accept.rank(list(lacking)):
        reason = f"{explain_missing(lacking[wanted[0]], wanted[0].media)}; without it"
    return not_acceptable([offer for offer in offers if offer not in lacking], reason)


def is_film(subject: RenderTarget, offer: Offer, count: int) -> bool:
    """Return whether all frames are in one body or part: an animation, or a video."""
    if offer.media.startswith("video/"):
        return True
    return offer.media == GIF and not offer.multipart and count > 1


def holds_profile(offer: Offer) -> bool:
    """Return whether the media type can hold an ICC profile, or needs none because it is text."""
    return offer.media in EMBEDS_ICC or not offer.media.startswith(("image/", "video/"))


def _make_rendered_offer(media: str) -> Offer:
    return Offer(media, rendered=True)
