"""Encapsulated documents as they are (PS3.18 8.7.4, category Text)."""

from __future__ import annotations

from gateway.errors import NotAcceptable
from gateway.index.base import Scope
from gateway.services.body import Body, only
from gateway.services.rendered import Rendered
from gateway.services.retrieve import Retrieve
from gateway.services.subjects import Subject

DOCUMENT, MIME_TYPE = "00420011", "00420012"
# What a document may be said to be; anything else could be made to run by who opens it.
_SERVED = frozenset(
    {"application/pdf", "text/xml", "text/plain", "text/rtf", "model/stl", "model/obj", "model/mtl"}
)


class Documents:
    """What text an instance can be had as, and that text."""

    def __init__(self, retrieve: Retrieve, rendered: Rendered) -> None:
        self._retrieve = retrieve
        self._rendered = rendered

    async def media(self, scope: Scope, subject: Subject) -> tuple[str, ...]:
        """The media types that it can be had in, the default first."""
        if not subject.encapsulated:
            return ()
        attributes = await self._rendered.subjects.attributes(scope, subject)
        said = attributes.text(MIME_TYPE).strip().lower()
        return (said,) if said in _SERVED else ()

    async def text(self, scope: Scope, subject: Subject, media: str, charset: str) -> Body:
        """The document as `media`. Raises NotAcceptable."""
        if media not in await self.media(scope, subject):
            raise NotAcceptable(f"instance {subject.path.instance} cannot be had as {media}")
        if DOCUMENT in subject.located.layout.bulk:
            body = await self._retrieve.bulk(scope, subject.path, DOCUMENT)
            return Body(media, None, body.length, body.chunks)
        attributes = await self._rendered.subjects.attributes(scope, subject)
        data = attributes.raw(DOCUMENT) or b""
        return Body(media, None, len(data), only(data))
