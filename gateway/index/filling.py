"""Filling of columns that newer versions of this program added, for older rows, in resumable steps."""

from __future__ import annotations

from gateway.dicom.encoding import layoutbytes
from gateway.index import rows
from gateway.index.connection import Connection


async def studies(db: Connection, limit: int = 500) -> bool:
    """Fill in Study Description as shown for some studies; return whether there were any."""
    found = await db.fetch(
        f"SELECT id, attributes FROM study WHERE shown_description IS NULL ORDER BY id LIMIT ?{db.dialect.lock}",
        limit,
    )
    await db.many(
        "UPDATE study SET shown_description = ? WHERE id = ?",
        [(rows.show_description(rows.load(row["attributes"])), row["id"]) for row in found],
    )
    return bool(found)


async def kinds(db: Connection, limit: int = 500) -> bool:
    """Fill in the kind of layout, which gives the transfer syntaxes, of some versions.

    Returns whether there were any.
    """
    found = await db.fetch(
        f"SELECT version, layout FROM instance_layout WHERE kind IS NULL ORDER BY version LIMIT ?{db.dialect.lock}",
        limit,
    )
    await db.many(
        "UPDATE instance_layout SET kind = ? WHERE version = ?",
        [(layoutbytes.kind_of(layoutbytes.decode(row["layout"])), row["version"]) for row in found],
    )
    return bool(found)
