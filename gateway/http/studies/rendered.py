"""Answer `/rendered` and `/thumbnail` of studies, series, instances and frames.

PS3.18 10.4.1.1.3, 10.4.1.1.4, 10.4.3.3.3.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.dicom.model.multipart import boundary_of
from gateway.errors import BadParameter, CodecError, GatewayError, NotAcceptable, NotFound, TooLarge
from gateway.extras import Extra
from gateway.http.message.caching import caching, not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.request import Request
from gateway.http.message.responses import MultipartResponse, Part, Response
from gateway.http.negotiation import renderoffers
from gateway.http.negotiation.accept import Offer
from gateway.http.parameters import rendering
from gateway.http.parameters.paths import frame_list, resource_path
from gateway.http.ports import RetrievePort
from gateway.http.studies.lookahead import Chunk, Job, Lookahead
from gateway.http.studies.singlepart import single
from gateway.model import FrameNumber, Level, ResourcePath
from gateway.services.bytestream import MADE_FIRST_AT_MOST, Body, only, prime
from gateway.services.render.documents import Documents
from gateway.services.render.presentationstates import States
from gateway.services.render.rendered import (
    MP4,
    RENDERER,
    Rendered,
    RenderedFrame,
    check_has_picture,
    find_stored_type,
    goes_out_as_stored,
    weight,
)
from gateway.services.render.renderparameters import RenderRequest
from gateway.services.render.rendertarget import Category, RenderTarget
from gateway.services.render.thumbnail import Thumbnails

# Most parts of one answer: clients that want more request frames.
PARTS_AT_MOST = 20_000
# A rendered document may come from any sender: it must not run scripts in the browser.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class ResponsePart:
    """The body or the parts of one instance: single frames, or all in one body; `charset` is that of text."""

    subject: RenderTarget
    offer: Offer
    shots: tuple[RenderedFrame, ...] = ()
    charset: str = ""

    @property
    def tag(self) -> str:
        return f"{self.subject.version} {[shot.key for shot in self.shots]} {self.offer} {self.charset}"


class StudiesRendered:
    """Handlers of GET on rendered resources and thumbnails."""

    def __init__(
        self,
        retrieve: RetrievePort,
        rendered: Rendered,
        documents: Documents,
        states: States,
        thumbnails: Thumbnails,
    ) -> None:
        self._retrieve = retrieve
        self._rendered = rendered
        self._documents = documents
        self._states = states
        self._thumbnails = thumbnails

    async def render(self, request: Request) -> Response:
        """Return pictures of frames, animations, videos or texts (8.7.4).

        The category of an instance decides which of these it has.
        """
        path = resource_path(request.path_params)
        asked = rendering.rendering(request.params)
        _ = request.accept  # errors in it are reported before anything is looked up
        if path.level is Level.INSTANCE:
            pieces, left_out = await self._choose_for_instance(request, path, asked), 0
        else:
            pieces, left_out = await self._choose_for_all(request, path, asked)
        for piece in pieces:
            check_profile(asked, piece.offer)
        tag = entity_tag(
            request.scope.fingerprint,
            request.base,
            RENDERER,
            path.url(),
            asked.key(),
            *[p.tag + await self._find_encoder(request, p, asked) for p in pieces],
        )
        headers = caching(request, tag)
        if unchanged := not_modified(request, headers):
            return unchanged
        warnings = [asked.warning(request.base)]
        if not pieces[0].offer.multipart:
            return await self._alone(request, pieces[0], asked, headers, warnings)
        return await self._together(request, pieces, asked, headers, warnings, left_out)

    # -- what there is ----------------------------------------------------------------------------------

    async def _choose_for_instance(
        self, request: Request, path: ResourcePath, asked: RenderRequest
    ) -> list[ResponsePart]:
        """Return the part of one instance, or of frames of it.

        Raises NotFound, NotAcceptable, BadParameter.
        """
        subject = await self._rendered.subjects.find(request.scope, path)
        frames = request.path_params.get("frames")
        if frames is not None:
            numbers = check_numbers(subject, frame_list(frames))
            shots = await self._rendered.shots(request.scope, subject, numbers)
        elif subject.state:
            check_state(asked)
            shots = await self._states.shots(request.scope, subject)
        else:
            shots = await self._whole(request, subject)
        offers = await self._offers(request, subject, len(shots), asked, bare=True, whole=frames is None)
        if not offers:
            check_has_picture(subject)
        lacking = renderoffers.find_lacking(offers, subject, asked)
        ranked = renderoffers.rank_installed(request.accept, offers, lacking)
        if not ranked:
            raise renderoffers.refuse_all(request.accept, offers, lacking)
        return [self._piece(request, subject, ranked[0], shots)]

    async def _whole(self, request: Request, subject: RenderTarget) -> list[RenderedFrame]:
        """Return all frames in the order in which they are sent (8.3.5.1.6)."""
        if subject.obstacle:
            return []
        if subject.category is Category.VIDEO:
            return [RenderedFrame(subject, FrameNumber(1))]
        if subject.frames > PARTS_AT_MOST:
            raise TooLarge(
                f"the instance has {subject.frames} frames, more than the {PARTS_AT_MOST} parts of one answer; "
                "ask for frames/{list}/rendered"
            )
        rendered = self._rendered
        return await rendered.order(request.scope, await rendered.shots(request.scope, subject))

    async def _choose_for_all(
        self, request: Request, path: ResourcePath, asked: RenderRequest
    ) -> tuple[list[ResponsePart], int]:
        """Split instances into those with an acceptable representation and a count of the rest.

        Raises NotAcceptable where there is none.
        """
        pieces: list[ResponsePart] = []
        seen: list[Offer] = []
        lacking: dict[Offer, Extra] = {}
        stored, damaged = await self._retrieve.sound(request.scope, path)
        count = 0
        for instance in stored:
            subject = await self._rendered.subjects.find_listed(request.scope, instance)
            offers = await self._offers(
                request, subject, max(subject.frames, 1), asked, bare=False, whole=True
            )
            seen += offers
            lacking_here = renderoffers.find_lacking(offers, subject, asked)
            lacking.update(lacking_here)
            if ranked := renderoffers.rank_installed(request.accept, offers, lacking_here):
                shots = await self._whole(request, subject)
                pieces.append(self._piece(request, subject, ranked[0], shots))
                count += max(len(shots), 1)
            if count > PARTS_AT_MOST:
                raise TooLarge(f"more than {PARTS_AT_MOST} pictures; ask for series or instances")
        if not pieces:
            reason = "" if seen else "none of the instances here can be rendered, so"
            raise renderoffers.refuse_all(request.accept, seen, lacking, reason)
        return pieces, len(stored) - len(pieces) + damaged

    async def _offers(
        self,
        request: Request,
        subject: RenderTarget,
        count: int,
        asked: RenderRequest,
        *,
        bare: bool,
        whole: bool,
    ) -> list[Offer]:
        if subject.category is Category.TEXT:
            return renderoffers.text_offers(await self._documents.media(request.scope, subject), bare=bare)
        if subject.obstacle and not subject.state:
            return []
        lenient = not request.strict
        if subject.state:
            return (
                renderoffers.picture_offers(count, bare=bare, filmable=False, lenient=lenient) if bare else []
            )
        filmable = self._rendered.filmable(subject, count)
        if subject.category is Category.VIDEO and whole:
            return renderoffers.video_offers(
                find_stored_type(subject),
                bare=bare,
                changed=asked.changes_picture,
                filmable=filmable,
                lenient=lenient,
            )
        return renderoffers.picture_offers(count, bare=bare, filmable=filmable, lenient=lenient)

    def _piece(
        self, request: Request, subject: RenderTarget, offer: Offer, shots: Sequence[RenderedFrame]
    ) -> ResponsePart:
        charset = ""
        if subject.category is Category.TEXT and offer.media.startswith("text/"):
            charset = request.charset(offer)
        if not offer.multipart and not renderoffers.is_film(subject, offer, len(shots)):
            shots = shots[:1]
        return ResponsePart(subject, offer, tuple(shots), charset)

    # -- how it is sent ---------------------------------------------------------------------------------

    async def _alone(
        self,
        request: Request,
        piece: ResponsePart,
        asked: RenderRequest,
        headers: dict[str, str],
        warnings: list[str],
    ) -> Response:
        """Return one body: a picture, an animation, a video or a text."""
        shown = piece.shots[0].subject if piece.shots else piece.subject
        film = renderoffers.is_film(piece.subject, piece.offer, len(piece.shots))
        if len(piece.shots) == 1 and not film and "frames" not in request.path_params and shown.frames > 1:
            warnings.append(f"299 {request.base}: the picture is one of {shown.frames} frames")
        body = await self._body(request, piece, asked)
        headers["content-location"] = self._location(request, piece, None if film else 0)
        if said := "\n".join(filter(None, warnings)):
            headers["warning"] = said
        if piece.subject.category is Category.TEXT:
            headers["content-security-policy"] = SANDBOX
        return single(request, body, body.content_type, headers)

    async def _body(self, request: Request, piece: ResponsePart, asked: RenderRequest) -> Body:
        rendered, subject, media = self._rendered, piece.subject, piece.offer.media
        if subject.category is Category.TEXT:
            return await self._documents.text(request.scope, subject, media, piece.charset)
        if not renderoffers.is_film(subject, piece.offer, len(piece.shots)):
            data = await rendered.picture(request.scope, piece.shots[0], asked, media)
            return Body(media, None, len(data), only(data))
        if _goes_out_as_stored(request, piece, asked):
            size, chunks = await rendered.open_stored_video(request.scope, subject, media)
        else:
            shots = () if _is_whole_video(request, subject) else piece.shots
            size, chunks = await rendered.film(request.scope, subject, shots, asked, media)
        return Body(media, None, size, chunks)

    async def _find_encoder(self, request: Request, piece: ResponsePart, asked: RenderRequest) -> str:
        """Return the encoder of a video that is made here, empty for all else."""
        if piece.offer.media != MP4 or _goes_out_as_stored(request, piece, asked):
            return ""
        return f" {await self._rendered.find_encoder()}"

    async def _together(
        self,
        request: Request,
        pieces: Sequence[ResponsePart],
        asked: RenderRequest,
        headers: dict[str, str],
        warnings: list[str],
        left_out: int,
    ) -> Response:
        """Return a part for each picture, animation, video or text, prepared shortly before it is sent."""
        parts = self._parts(request, pieces, asked)
        parts, failed = await _begin_parts(parts, all_now=_is_short(pieces))
        if left_out + failed:
            warnings.append(
                f"299 {request.base}: {left_out + failed} of what was asked for cannot be rendered"
            )
        if said := "\n".join(filter(None, warnings)):
            headers["warning"] = said
        return MultipartResponse(
            206 if left_out + failed else 200,
            headers,
            parts=parts,
            boundary=boundary_of(headers["etag"]),
            part_type=parts[0].content_type.partition(";")[0],
        )

    def _parts(self, request: Request, pieces: Sequence[ResponsePart], asked: RenderRequest) -> list[Part]:
        jobs: list[Job] = []
        ahead = Lookahead(jobs)
        parts: list[Part] = []
        for piece in pieces:
            media = piece.offer.media
            text = piece.subject.category is Category.TEXT
            if text or renderoffers.is_film(piece.subject, piece.offer, len(piece.shots)):
                content_type = f"{media}; charset={piece.charset}" if piece.charset else media
                location = self._location(request, piece, None)
                parts.append(Part(content_type, self._later(request, piece, asked), None, location))
                continue
            for number, shot in enumerate(piece.shots):
                jobs.append(partial(self._rendered.picture, request.scope, shot, asked, media))
                location = self._location(request, piece, number)
                parts.append(Part(media, Chunk(ahead, len(jobs) - 1), None, location))
        return parts

    async def _later(
        self, request: Request, piece: ResponsePart, asked: RenderRequest
    ) -> AsyncGenerator[bytes, None]:
        body = await self._body(request, piece, asked)
        try:
            async for chunk in body.chunks:
                yield chunk
        finally:
            await body.chunks.aclose()

    def _location(self, request: Request, piece: ResponsePart, shot: int | None) -> str:
        """Return the URL of the source (8.6.1.2): the frame where there are several, else the instance."""
        if shot is None or not piece.shots:
            return request.base + piece.subject.path.url()
        made_of = piece.shots[shot]
        several = made_of.subject.frames > 1 or "frames" in request.path_params
        suffix = f"/frames/{made_of.number}" if several else ""
        return request.base + made_of.subject.path.url() + suffix

    # -- thumbnails -------------------------------------------------------------------------------------

    async def thumbnail(self, request: Request) -> Response:
        """Return one picture for the whole resource, without the patient's name (8.3.5.2, 10.4.3.3.4)."""
        path = resource_path(request.path_params)
        frames = request.path_params.get("frames")
        numbers = frame_list(frames) if frames is not None else None
        asked = rendering.thumbnail(request.params)
        offer = request.accept.choose([Offer(media, rendered=True) for media in renderoffers.STILLS])
        versions = await self._retrieve.version_set(request.scope, path)
        headers = caching(request, _tag_thumbnail(request, path, versions, numbers, offer, asked.key()))
        if unchanged := not_modified(request, headers):
            return unchanged
        made = await self._thumbnails.make(request.scope, path, numbers, asked.how.viewport, offer.media)
        # A commit may have come in between: the tag is that of the versions that are sent.
        headers["etag"] = _tag_thumbnail(request, path, made.version_set, numbers, offer, asked.key())
        suffix = f"/frames/{made.frame}" if made.frame is not None else ""
        headers["content-location"] = request.base + made.source.url() + suffix
        body = Body(offer.media, None, len(made.data), only(made.data))
        return single(request, body, offer.media, headers)


def _tag_thumbnail(request: Request, path: ResourcePath, versions: str, *parts: object) -> str:
    return entity_tag(
        *(request.scope.fingerprint, request.base, RENDERER, "thumbnail", path.url(), versions), *parts
    )


def check_numbers(subject: RenderTarget, numbers: Sequence[FrameNumber]) -> Sequence[FrameNumber]:
    """Return `numbers` where all these frames exist. Raises NotFound naming a missing one (10.4.3.1)."""
    instance = subject.path.instance
    if not subject.frames:
        raise NotFound(f"instance {instance} has no frames", uid=instance)
    for number in numbers:
        if number > subject.frames:
            raise NotFound(
                f"frame {number}: the instance has {subject.frames}", parameter="frames", uid=instance
            )
    return numbers


def check_state(asked: RenderRequest) -> None:
    """Raise BadParameter for parameters that a presentation state cannot have (8.3.5.1.3, 8.3.5.1.4)."""
    if asked.how.window is not None:
        raise BadParameter(
            "window: a presentation state has its own", parameter="window", expected="no window"
        )
    if asked.how.viewport is not None:
        rendering.check_unregioned(asked.how.viewport, "a presentation state")


def check_profile(asked: RenderRequest, offer: Offer) -> None:
    """Raise BadParameter where a profile is requested that the media type cannot hold (8.3.5.1.5)."""
    if asked.profile and not renderoffers.holds_profile(offer):
        raise BadParameter(
            f"iccprofile '{asked.how.icc}': {offer.media} cannot hold a profile",
            parameter="iccprofile",
            expected="no, or a media type that holds one: image/jpeg, image/png, image/jp2, image/jph",
        )


def _goes_out_as_stored(request: Request, piece: ResponsePart, asked: RenderRequest) -> bool:
    """Return whether it is a stored video, not frames of one, that is sent without decoding."""
    whole = "frames" not in request.path_params
    return whole and goes_out_as_stored(piece.subject, piece.offer.media, asked)


def _is_whole_video(request: Request, subject: RenderTarget) -> bool:
    return subject.category is Category.VIDEO and "frames" not in request.path_params


def _is_short(pieces: Sequence[ResponsePart]) -> bool:
    """Return whether all of them are pictures that are drawn quickly."""
    films = any(renderoffers.is_film(p.subject, p.offer, len(p.shots)) for p in pieces)
    drawn = sum(weight(shot) for piece in pieces for shot in piece.shots)
    return not films and drawn <= MADE_FIRST_AT_MOST


async def _begin_parts(parts: list[Part], *, all_now: bool) -> tuple[list[Part], int]:
    """Return the parts from the first that can be made, and the number of examined ones that cannot.

    The first part is made now: before anything is sent, a failure can still be a status. With `all_now` all
    parts are made now. Raises CodecError, NotAcceptable where none can be made.
    """
    failure: GatewayError | None = None
    made: list[Part] = []
    for index, part in enumerate(parts):
        try:
            made.append(replace(part, chunks=await prime(part.chunks)))
        except (CodecError, NotAcceptable) as error:
            failure = failure or error
            continue
        if not all_now:
            return [*made, *parts[index + 1 :]], index
    if not made:
        raise failure or NotAcceptable("there is nothing that can be rendered")
    return made, len(parts) - len(made)
