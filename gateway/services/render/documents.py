"""Render text: structured reports as documents, encapsulated documents as they are.

PS3.18 8.7.4, category Text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from gateway.dicom import tags
from gateway.dicom.dataset import DataSet
from gateway.dicom.model.nativexml import to_xml
from gateway.errors import NotAcceptable
from gateway.extras import Extra, require_for_request
from gateway.index.base import Scope
from gateway.render.attributes import Attributes
from gateway.render.documents.written import html, plain
from gateway.render.pool import CodecPool
from gateway.services.bytestream import Body, only
from gateway.services.render.rendered import Rendered
from gateway.services.render.rendertarget import RenderTarget
from gateway.services.retrieve.retrieve import Retrieve

PDF = "application/pdf"
# Media types of a rendered structured report, the default first (PS3.18 Table 8.7.4-1).
WRITTEN = ("text/html", "text/plain", "text/xml", PDF)
_TEXT = frozenset({"LT", "ST", "UC", "UT"})
TEXT_AT_MOST = 16 << 20
# Media types that an encapsulated document may be served as; any other might run as a script in a browser.
_SERVED = frozenset({PDF, "text/xml", "text/plain", "text/rtf", "model/stl", "model/obj", "model/mtl"})


class Documents:
    """Renders the text of instances."""

    def __init__(self, retrieve: Retrieve, rendered: Rendered, pool: CodecPool) -> None:
        self._retrieve = retrieve
        self._rendered = rendered
        self._pool = pool

    async def media(self, scope: Scope, subject: RenderTarget) -> tuple[str, ...]:
        """Return the media types that the instance can be rendered in, the default first."""
        if not subject.encapsulated:
            return WRITTEN
        attributes = await self._rendered.subjects.attributes(scope, subject)
        said = attributes.text(tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT).strip().lower()
        return (said,) if said in _SERVED else ()

    async def text(self, scope: Scope, subject: RenderTarget, media: str, charset: str) -> Body:
        """Return the document as `media`. Raises NotAcceptable."""
        if media not in await self.media(scope, subject):
            raise NotAcceptable(f"instance {subject.path.instance} cannot be had as {media}")
        if not subject.encapsulated:
            return await self._report(scope, subject, media, charset)
        attributes = await self._rendered.subjects.attributes(scope, subject)
        value = subject.located.layout.bulk.get(tags.ENCAPSULATED_DOCUMENT)
        if value is None:
            data = attributes.raw(tags.ENCAPSULATED_DOCUMENT) or b""
            if not data:
                uid = subject.path.instance
                raise NotAcceptable(f"instance {uid} holds no document: (0042,0011) is empty", uid=uid)
            return Body(media, None, len(data), only(data))
        body = await self._retrieve.value(scope, subject.located, tags.ENCAPSULATED_DOCUMENT)
        padded = attributes.integer(tags.ENCAPSULATED_DOCUMENT_LENGTH) == value.length - 1
        size = value.length - padded
        return Body(media, None, size, _first(body.chunks, size))

    async def _report(self, scope: Scope, subject: RenderTarget, media: str, charset: str) -> Body:
        """Return a structured report in `media`; `text/xml` is its Native DICOM Model (PS3.19 A.1)."""
        row = await self._retrieve.read_row(scope, subject.located.stored)
        model = orjson.loads(row.replace(b"\0", b""))
        bulk: dict[str, bytes] = {}
        for path, value in subject.located.layout.bulk.items():
            if value.vr in _TEXT and value.length <= TEXT_AT_MOST:
                body = await self._retrieve.value(scope, subject.located, path)
                bulk[path] = b"".join([chunk async for chunk in body.chunks])
        if media == PDF:
            data = await self._pool.run(_as_pdf, Attributes(model, bulk))
            return Body(PDF, None, len(data), only(data))
        data = await self._pool.run(_write, model, bulk, media, charset or "UTF-8")
        name = media if media == "text/xml" and not charset else f"{media}; charset={charset or 'UTF-8'}"
        return Body(name, None, len(data), only(data))


def _as_pdf(attributes: Attributes) -> bytes:
    require_for_request(Extra.REPORTS, "a report as PDF")
    # The import of the page layout takes a quarter of a second, and few requests need it.
    from gateway.render.documents.pdf import pdf

    return pdf(attributes)


def _write(model: DataSet, bulk: dict[str, bytes], media: str, charset: str) -> bytes:
    """Return a report as HTML, plain text or XML.

    Raises NotAcceptable where the character set cannot encode the text (PS3.18 8.8.5).
    """
    attributes = Attributes(model, bulk)
    if media == "text/html":
        text = html(attributes, charset)
    elif media == "text/plain":
        text = plain(attributes)
    else:
        text = to_xml(model).decode().replace('encoding="UTF-8"', f'encoding="{charset}"', 1)
    try:
        return text.encode(charset)
    except UnicodeEncodeError as error:
        raise NotAcceptable(
            f"the text has characters that {charset} has not", available=["charset=UTF-8"]
        ) from error


async def _first(chunks: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
    """Stream the first `size` bytes: a document of odd length is padded in the data set (PS3.3 C.24.2)."""
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk[:size]
            size -= len(chunk)
