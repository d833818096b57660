"""Serve the URI service: one instance, named by query parameters (PS3.18 chapter 9).

Decisions: without `contentType` and Accept, the answer has the default type of the target's category (U-11);
an instance without rendered types is sent as it is. Without `frameNumber`, a picture is of the first frame
(U-55), and image/gif and video/mp4 are of all. For `anonymize=yes`, an instance that cannot be de-identified
is refused with 403, whatever the media type (U-40); a picture then has no overlays, annotation or
presentation state. Parameters that do not fit the transaction are ignored unless strict (U-43, U-51).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.http.message.caching import caching, not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.request import Request
from gateway.http.message.responses import Response
from gateway.http.negotiation import renderoffers
from gateway.http.negotiation.accept import Accept, Offer
from gateway.http.negotiation.charset import WRITABLE, choose_charset
from gateway.http.negotiation.media import DICOM
from gateway.http.parameters import wado as wadoparams
from gateway.http.parameters.rendering import bad
from gateway.http.ports import RetrievePort
from gateway.http.studies.instancechoice import Choice
from gateway.http.studies.rendered import SANDBOX
from gateway.http.studies.singlepart import single
from gateway.model import FrameNumber, ResourcePath
from gateway.services.bytestream import Body, only
from gateway.services.deidentify.anonymize import RULES, Anonymize
from gateway.services.render.documents import Documents
from gateway.services.render.presentationstates import States
from gateway.services.render.rendered import (
    GIF,
    MP4,
    RENDERER,
    Rendered,
    RenderedFrame,
    find_stored_type,
    goes_out_as_stored,
)
from gateway.services.render.renderparameters import RenderRequest
from gateway.services.render.rendertarget import Category, RenderTarget
from gateway.services.retrieve.transcode import ENCODER


class WadoUri:
    """Handler of GET on the URI service."""

    def __init__(
        self,
        retrieve: RetrievePort,
        rendered: Rendered,
        documents: Documents,
        states: States,
        anonymous: Anonymize,
    ) -> None:
        self._retrieve = retrieve
        self._rendered = rendered
        self._documents = documents
        self._states = states
        self._anonymous = anonymous

    async def wado(self, request: Request) -> Response:
        """Return the instance, as it is or rendered, by `contentType` and Accept (9.3)."""
        path = wadoparams.target(request.params)
        asked_type = wadoparams.content_type(
            request.params, request.headers.get("accept"), strict=request.strict
        )
        anonymous = wadoparams.check_anonymize(request.params)
        asked = wadoparams.rendering(request.params)
        state = wadoparams.presentation(request.params, path.study)
        subject = await self._rendered.subjects.find(request.scope, path)
        if anonymous:
            asked = await self._check_anonymize(request, subject, asked)
        offers = await self._offers(request, subject, asked)
        original = Offer(DICOM)
        lacking = renderoffers.find_lacking(offers, subject, asked)
        candidates = offers if asked_type.rendered else [*offers, original]
        ranked = renderoffers.rank_installed(asked_type.accept, candidates, lacking)
        if not ranked:
            raise renderoffers.refuse_all(asked_type.accept, [*offers, original], lacking)
        if ranked[0] == original:
            return await self._instance(request, subject, asked)
        if state is not None:
            return await self._render_presented(request, subject, state, ranked[0], asked)
        if subject.category is Category.TEXT:
            return await self._text(request, subject, ranked[0], asked, asked_type.accept)
        return await self._picture(request, subject, ranked[0], asked)

    async def _check_anonymize(
        self, request: Request, subject: RenderTarget, asked: RenderRequest
    ) -> RenderRequest:
        """Return the request for a de-identified instance. Raises BadParameter, Forbidden."""
        _refuse(request, asked, (*wadoparams.ANNOTATION, *wadoparams.STATE), "beside anonymize")
        await self._anonymous.check(request.scope, subject)
        return replace(asked, anonymous=True)

    async def _render_presented(
        self, request: Request, subject: RenderTarget, state: ResourcePath, offer: Offer, asked: RenderRequest
    ) -> Response:
        """Return a frame drawn through a presentation state (9.5.2.3). Raises BadParameter."""
        shot = await self._states.through(request.scope, state, subject)
        tag = _tag(request, subject, "uri", RENDERER, offer, shot.key, asked.key())
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        _say(request, headers, asked)
        headers["content-location"] = request.base + subject.path.url()
        return single(request, await self._shot(request, shot, offer, asked), offer.media, headers)

    async def _offers(self, request: Request, subject: RenderTarget, asked: RenderRequest) -> list[Offer]:
        """Return the rendered types, each a single part (8.6), the default of the category first."""
        if subject.category is Category.TEXT:
            return renderoffers.text_offers(await self._documents.media(request.scope, subject), bare=True)
        if subject.obstacle:
            return []
        one = "frameNumber" in asked.given or "presentationUID" in asked.given or subject.frames == 1
        stills = renderoffers.picture_offers(1, bare=True, filmable=False, lenient=False)
        filmable = not one and self._rendered.filmable(subject, subject.frames)
        films = [Offer(MP4, rendered=True)] if filmable else []
        if subject.category is Category.VIDEO and not one:
            stored, changed = find_stored_type(subject), asked.changes_picture
            films = renderoffers.video_offers(
                stored, bare=True, changed=changed, filmable=filmable, lenient=False
            )
            return [offer for offer in (*films, *stills) if not offer.multipart]
        return [offer for offer in (*stills, *films) if not offer.multipart]

    # -- the object itself ------------------------------------------------------------------------------

    async def _instance(self, request: Request, subject: RenderTarget, asked: RenderRequest) -> Response:
        """Retrieve DICOM Instance (9.4). Raises BadParameter, NotAcceptable."""
        unfit = (*wadoparams.WINDOW, *((*wadoparams.STATE, *wadoparams.SHAPING) if request.strict else ()))
        _refuse(request, asked, unfit, f"beside {DICOM}")
        stored = subject.located.stored
        choice = Choice(self._retrieve, request, single=True)
        syntax = await choice.choose_named(stored, request.params.one("transferSyntax"))
        if asked.anonymous:
            return await self._anonymize(request, subject, syntax)
        tag = _tag(request, subject, "uri", ENCODER, syntax)
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        body = await self._retrieve.instance_bytes(request.scope, stored, syntax)
        headers["content-location"] = request.base + subject.path.url()
        return single(request, body, DICOM, headers)

    async def _anonymize(self, request: Request, subject: RenderTarget, asked_syntax: str | None) -> Response:
        """Return the de-identified instance (9.4.1.2.1). Raises Forbidden, NotAcceptable."""
        anonymous = self._anonymous
        syntax = anonymous.target(subject, asked_syntax)
        key = (await anonymous.pseudonyms()).fingerprint
        tag = _tag(request, subject, "uri anonymous", RULES, key, ENCODER, syntax)
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        body = await anonymous.instance(request.scope, subject, syntax)
        headers["content-location"] = _location(request, subject)
        return single(request, body, DICOM, headers)

    # -- rendered ---------------------------------------------------------------------------------------

    async def _picture(
        self, request: Request, subject: RenderTarget, offer: Offer, asked: RenderRequest
    ) -> Response:
        """Return a frame, or all of them in an animation or a video (9.5). Raises BadParameter."""
        several = subject.category in (Category.MULTI, Category.VIDEO)
        number = wadoparams.frame_number(
            request.params, subject.frames, several=several, strict=request.strict
        )
        asked_for = [FrameNumber(number or 1)]
        (shot,) = await self._shots(request, subject, asked, asked_for)
        film = offer.media.startswith("video/") or (offer.media == GIF and not number and several)
        made = offer.media == MP4 and not goes_out_as_stored(subject, MP4, asked)
        encoder = f" {await self._rendered.find_encoder()}" if made else ""
        tag = _tag(request, subject, "uri", RENDERER, offer, shot.key, f"{film}{encoder}", asked.key())
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        _say(request, headers, asked)
        suffix = f"/frames/{shot.number}" if several and not film else ""
        url = request.base + subject.path.url() + suffix
        headers["content-location"] = _location(request, subject) if asked.anonymous else url
        body = await self._film(request, subject, offer, asked) if film else None
        return single(request, body or await self._shot(request, shot, offer, asked), offer.media, headers)

    async def _shots(
        self,
        request: Request,
        subject: RenderTarget,
        asked: RenderRequest,
        numbers: list[FrameNumber] | None = None,
    ) -> list[RenderedFrame]:
        """Return these frames or all.

        For `anonymize`, the images beneath them are checked as they are themselves. Raises Forbidden.
        """
        shots = await self._rendered.shots(request.scope, subject, numbers)
        for shot in shots if asked.anonymous else ():
            if shot.under is not None:
                await self._anonymous.check(request.scope, shot.under.subject)
        return shots

    async def _shot(self, request: Request, shot: RenderedFrame, offer: Offer, asked: RenderRequest) -> Body:
        data = await self._rendered.picture(request.scope, shot, asked, offer.media)
        return Body(offer.media, None, len(data), only(data))

    async def _film(
        self, request: Request, subject: RenderTarget, offer: Offer, asked: RenderRequest
    ) -> Body:
        rendered, video = self._rendered, subject.category is Category.VIDEO
        if goes_out_as_stored(subject, offer.media, asked):
            size, chunks = await rendered.open_stored_video(request.scope, subject, offer.media)
        else:
            every = [] if video else await self._shots(request, subject, asked)
            shots = await rendered.order(request.scope, every)
            size, chunks = await rendered.film(request.scope, subject, shots, asked, offer.media)
        return Body(offer.media, None, size, chunks)

    async def _text(
        self, request: Request, subject: RenderTarget, offer: Offer, asked: RenderRequest, accept: Accept
    ) -> Response:
        """Return a document; parameters of pictures are ignored unless strict (U-51)."""
        if request.strict:
            _refuse(request, asked, asked.given, "of a document")
        charset = _charset(request, offer, accept) if offer.media.startswith("text/") else ""
        tag = _tag(request, subject, "uri", RENDERER, offer, charset)
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        body = await self._documents.text(request.scope, subject, offer.media, charset)
        headers["content-location"] = request.base + subject.path.url()
        headers["content-security-policy"] = SANDBOX
        return single(request, body, body.content_type, headers)


def _charset(request: Request, offer: Offer, accept: Accept) -> str:
    """Return the character set to write in (8.8.5, 9.1.2.2.2). Raises NotAcceptable."""
    header = request.headers.get("accept-charset")
    return choose_charset(accept.charset_of(offer), request.params.join("charset"), header, WRITABLE)


def _refuse(request: Request, asked: RenderRequest, names: Iterable[str], where: str) -> None:
    """Raise BadParameter for the first of `names` that the request has."""
    for name in sorted(asked.given.intersection(names)):
        raise bad(name, request.params.all(name)[0], f"no {name} {where}")


def _location(request: Request, subject: RenderTarget) -> str:
    """Return the URL of a de-identified instance, which is not the resource of the plain instance."""
    path = subject.path
    named = f"studyUID={path.study}&seriesUID={path.series}&objectUID={path.instance}"
    return f"{request.base}/wado?requestType=WADO&{named}&anonymize=yes"


def _say(request: Request, headers: dict[str, str], asked: RenderRequest) -> None:
    if said := asked.warning(request.base):
        headers["warning"] = said


def _tag(request: Request, subject: RenderTarget, *parts: object) -> str:
    return entity_tag(request.scope.fingerprint, request.base, subject.version, *parts)
