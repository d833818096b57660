"""Send `application/zip` for studies, series and instances.

Our extension; sent only when Accept names `application/zip` (R-MT-15).
"""

from __future__ import annotations

import hashlib

from gateway.dicom import uids
from gateway.errors import ObjectDamaged
from gateway.http.message.caching import caching, not_modified
from gateway.http.message.conditional import entity_tag
from gateway.http.message.request import Request
from gateway.http.message.responses import Response, StreamResponse
from gateway.http.negotiation.accept import Offer
from gateway.http.negotiation.media import DICOM
from gateway.http.ports import RetrievePort, ZipFilesPort
from gateway.model import Level, ResourcePath

ZIP = "application/zip"
# Raise it when the same instances would be packed differently.
PACKER = "1"


def is_wanted(request: Request, level: Level) -> bool:
    """Return whether zip is named, and preferred to every type of the standard for the resource (F-102)."""
    named = {item.media for tier in request.accept.tiers for item in tier if item.quality > 0}
    if ZIP not in named:
        return False
    standard = [Offer(DICOM, True, uids.EXPLICIT_VR_LITTLE_ENDIAN), Offer(DICOM, True, "*")]
    if level is Level.INSTANCE:
        standard.append(Offer(DICOM, False, uids.EXPLICIT_VR_LITTLE_ENDIAN))
    ranked = request.accept.rank([*standard, Offer(ZIP)])
    return bool(ranked) and ranked[0].media == ZIP


async def send_zip(
    retrieve: RetrievePort, zip_files: ZipFilesPort, request: Request, path: ResourcePath
) -> Response:
    """Return the archive, packed while it is sent: its length is not known in advance."""
    stored, damaged = await retrieve.sound(request.scope, path)
    if damaged:
        # The user who opens the file later does not see the status: an incomplete archive must not
        # look complete.
        raise ObjectDamaged(
            f"{damaged} instances are damaged in the archive, and a zip file would not tell: ask for multipart"
        )
    tag = entity_tag(
        request.scope.fingerprint, request.base, ZIP, PACKER, path.url(), *(one.version for one in stored)
    )
    headers = caching(request, tag)
    if unchanged := not_modified(request, headers):
        return unchanged
    # A UUID from the content, as PS3.5 B.2 allows: the same set has the same UID.
    uid = f"2.25.{int.from_bytes(hashlib.sha256(tag.encode()).digest()[:16], 'big')}"
    name = path.instance or path.series or path.study
    headers |= {
        "content-type": ZIP,
        "content-location": request.base + path.url(),
        "content-disposition": f'attachment; filename="{name}.zip"',
    }
    return StreamResponse(200, headers, chunks=zip_files.stream_zip(request.scope, stored, uid))
