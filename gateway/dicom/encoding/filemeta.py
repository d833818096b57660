"""Write preamble and File Meta Information (PS3.10 7.1)."""

from __future__ import annotations

import struct

from gateway.dicom import tagnumbers
from gateway.dicom.encoding.elementwriter import write_element, write_text
from gateway.model import Identity

# Made from a UUID, as PS3.5 B.2 allows; it identifies this implementation in every file that it writes.
IMPLEMENTATION_CLASS_UID = "2.25.302115744519233786429018334590727350416"
IMPLEMENTATION_VERSION_NAME = "DICOMWEB_GATEWAY"
PREAMBLE = bytes(128) + b"DICM"


def file_meta(identity: Identity, transfer_syntax: str) -> bytes:
    """Return the 128-byte preamble, DICM and group 0002 of a file that holds this instance in this transfer syntax."""
    body = (
        write_element(tagnumbers.FILE_META_INFORMATION_VERSION, "OB", b"\0\1")
        + write_text(tagnumbers.MEDIA_STORAGE_SOP_CLASS_UID, "UI", identity.sop_class)
        + write_text(tagnumbers.MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", identity.instance)
        + write_text(tagnumbers.TRANSFER_SYNTAX_UID, "UI", transfer_syntax)
        + write_text(tagnumbers.IMPLEMENTATION_CLASS_UID, "UI", IMPLEMENTATION_CLASS_UID)
        + write_text(tagnumbers.IMPLEMENTATION_VERSION_NAME, "SH", IMPLEMENTATION_VERSION_NAME)
    )
    return (
        PREAMBLE
        + write_element(tagnumbers.FILE_META_INFORMATION_GROUP_LENGTH, "UL", struct.pack("<I", len(body)))
        + body
    )
