"""The DICOM conformance statement, in the order of PS3.2 Annex N, made from rows held by passing tests.

Resources come from the table of routes, settings from the settings, demands from the rows: none of
it is written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from importlib.metadata import version

from gateway.conformance.rows import LEVELS, ClaimedRow, counts
from gateway.extras import Extra
from gateway.http.resources import TABLE
from gateway.http.routing import Resource
from gateway.settings import PREFIX, Settings

# The group of a resource, by the end of its template; the first that fits.
_GROUPS = (
    ("Own interface", ("/api/v1", "/livez", "/readyz", "/metrics", "/openapi.json", "/viewer")),
    ("URI service (WADO-URI), PS3.18 chapter 9", ("/wado",)),
    ("Studies service, PS3.18 chapter 10", ("/dicom-web",)),
)

# Row prefixes in the order of the standard, and the chapter that each belongs to.
_CHAPTERS = (
    ("C-", "Common aspects (PS3.18 chapter 8)"),
    ("U-", "URI service (PS3.18 chapter 9)"),
    ("R-", "Studies service, Retrieve (PS3.18 10.4)"),
    ("S-", "Studies service, Store (PS3.18 10.5, Annex I)"),
    ("Q-", "Studies service, Search (PS3.18 8.3.4, 10.6)"),
    ("", "DICOM JSON and Native DICOM models (PS3.18 Annex F, PS3.19 A.1)"),
)


def markdown(rows: Sequence[ClaimedRow]) -> str:
    """Return the whole statement as Markdown."""
    sections = (_overview, _introduction, _model, _services, _configuration, _details, _security, _annexes)
    parts = [f"# DICOM Conformance Statement: dicomweb-gateway {version('dicomweb-gateway')}"]
    for number, section in enumerate(sections, 1):
        title, *body = section(rows)
        parts.append("\n".join([f"## {number} {title}", "", *body]))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"


def _overview(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Overview"
    yield "A DICOMweb origin server over an object store (a folder or S3) and an index (SQLite or PostgreSQL)."
    yield "It is no user agent, and has no DIMSE services in this version.\n"
    services = (
        ("URI service (WADO-URI)", "no", "yes"),
        ("Studies service: Retrieve (WADO-RS)", "no", "yes"),
        ("Studies service: Store (STOW-RS)", "no", "yes"),
        ("Studies service: Search (QIDO-RS)", "no", "yes"),
        ("Worklist, Non-Patient Instance, Storage Commitment, Modality services", "no", "no"),
    )
    yield from _table(("DICOM web service", "user agent", "origin server"), services)
    yield "\nEach demand of PS3.18 chapters 8, 9 and 10 and of Annex F that is claimed is held by a test that"
    yield "passed when this version was made; what has no such test is not claimed.\n"
    found = counts(rows)
    yield from _table(
        ("level", "claimed", "not claimed"),
        [(LEVELS[level], str(with_), str(without)) for level, (with_, without) in found.items()],
    )


def _introduction(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Introduction"
    yield "The structure is that of PS3.2 Annex N. A conformance statement tells what a product does; it is no"
    yield "promise that two products work together, which only a test of both can show. Section numbers without"
    yield "a part are those of PS3.18. Levels: " + ", ".join(f"{k} {v}" for k, v in LEVELS.items()) + "."


def _model(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Implementation model"
    yield "One application: user agents send HTTP requests; the gateway stores each instance as one immutable"
    yield "object and answers searches from an index that is a projection of these objects and of a journal."
    yield "An instance is acknowledged once object, index and journal are durable."


def _group(resource: Resource) -> str:
    for name, marks in _GROUPS:
        if any(mark in resource.template for mark in marks[:1]) or resource.template.endswith(marks):
            return name
    return "Own interface"


def _services(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Service and interoperability description"
    groups: dict[str, list[Resource]] = {}
    for resource in TABLE:
        groups.setdefault(_group(resource), []).append(resource)
    for name in sorted(groups, reverse=True):
        yield f"### {name}\n"
        lines = [
            (resource.template, method, "; ".join(operation.takes), "; ".join(operation.gives))
            for resource in groups[name]
            for method, operation in resource.methods.items()
        ]
        yield from _table(
            ("resource", "method", "media types taken", "media types given, default first"), lines
        )
        yield ""
    yield "GET implies HEAD; OPTIONS answers with the capabilities (PS3.18 8.9). DELETE and application/zip are"
    yield "extensions of ours; nothing else is added below a service's root."


def _configuration(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Configuration"
    yield "Each setting is an environment variable and a key of a TOML file; `--help` lists those that are options too.\n"
    lines = [(f.name, PREFIX + f.name.upper(), _format_default(f.default)) for f in fields(Settings)]
    yield from _table(("setting", "variable", "default"), lines)
    yield f"\nParts that are installed on demand: {', '.join(Extra)}. Without `video` no video/mp4 is made and no stored"
    yield "video is decoded, without `reports` no report is written as application/pdf: neither is then offered (406)."


def _format_default(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(default)


def _details(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Network communication details: the demands, one by one"
    left = list(rows)
    for prefix, title in _CHAPTERS:
        chapter = [row for row in left if row.row.startswith(prefix)]
        left = [row for row in left if row not in chapter]
        if chapter:
            yield f"### {title}\n"
            yield from _table(("row", "section", "level", "given", "expect", "claimed"), map(_row, chapter))
            yield ""


def _row(row: ClaimedRow) -> tuple[str, ...]:
    claimed = "yes" if row.is_claimed else f"no: {row.not_claimed}" if row.not_claimed else "no"
    return row.row, row.section, row.level, row.given, row.expect, claimed


def _security(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Security"
    yield "TLS and user authentication are a reverse proxy's in this version: without `--insecure` only a loopback"
    yield "address is bound. `Host` is checked against the bound address and the public URL (421), forwarded"
    yield "headers count from trusted proxies only, no cross-origin reads are allowed but from named origins."


def _annexes(rows: Sequence[ClaimedRow]) -> Iterator[str]:
    yield "Annexes"
    yield "Coerced: a missing preamble or file meta information is supplied (warning B000). Sent bytes differ"
    yield "from stored ones only where a transfer syntax has to (implicit and big endian never leave), or where"
    yield "a rule of the site's store policy says so, then with an Original Attributes Sequence (0400,0561)."
    yield "No private attributes, SOP classes or transfer syntaxes are defined."
