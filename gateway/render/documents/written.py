"""Write a report as HTML and as plain text (PS3.18 Table 8.7.4-1, category Text).

The HTML has no scripts and loads nothing from other places.
"""

from __future__ import annotations

import re
from html import escape as escaped

from gateway.render.attributes import Attributes
from gateway.render.documents.report import Line, Report, read

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th{text-align:left;padding-right:1.5rem;font-weight:600}"
    "td,th{vertical-align:top}ul{list-style:none;padding-left:1.25rem}"
    ".n{color:#767676;font-size:.8em;margin-right:.5em}.r{color:#767676;font-size:.8em}"
    "b{font-weight:600}p{margin:0;white-space:pre-wrap}"
)
_RELATIONS = {
    "HAS CONCEPT MOD": "modifier",
    "HAS OBS CONTEXT": "context",
    "HAS ACQ CONTEXT": "acquisition",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}


# Characters that HTML does not allow: controls except white space.
_CONTROLS = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]")


def escape(text: str) -> str:
    """Return the text escaped for character data or an attribute's value."""
    return escaped(_CONTROLS.sub(" ", text))


def html(attributes: Attributes, charset: str) -> str:
    """Return an HTML5 page; `charset` names its encoding."""
    report = read(attributes)
    title = escape(report.title)
    about = "".join(f"<tr><th>{escape(label)}<td>{escape(value)}" for label, value in report.about)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="{escape(charset)}"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>{about}</table>\n"
        f"{_tree(report)}</body></html>\n"
    )


def _tree(report: Report) -> str:
    out: list[str] = []
    depth = -1
    for line in report.lines:
        while depth < line.depth:
            out.append("<ul>\n")
            depth += 1
        while depth > line.depth:
            out.append("</ul>\n")
            depth -= 1
        out.append(f"<li>{_format_line(line)}\n")
    out.append("</ul>\n" * (depth + 1))
    return "".join(out)


def _format_line(line: Line) -> str:
    relation = _RELATIONS.get(line.relation, "")
    number = f'<span class="n">{line.number}</span>' if line.number else ""
    kind = f' <span class="r">{relation}</span>' if relation else ""
    tag = "h2" if line.heading and line.depth == 0 else "h3" if line.heading else "b"
    label = f"<{tag}>{number}{escape(line.name)}{kind}</{tag}>" if line.name else f"{number}{kind}"
    return label + "".join(f"<p>{escape(value)}</p>" for value in line.values)


def label_line(line: Line) -> tuple[str, tuple[str, ...]]:
    """Return the label of a content item in plain text, and its values."""
    relation = _RELATIONS.get(line.relation, "")
    name = f"{line.name} [{relation}]" if relation else line.name
    return f"{line.number} {name}".strip(), line.values


def plain(attributes: Attributes) -> str:
    """Return the report as lines of text, indented by depth."""
    report = read(attributes)
    out = [report.title, "=" * min(len(report.title), 72), ""]
    out += [f"{label}: {value}" for label, value in report.about]
    out.append("")
    for line in report.lines:
        label, found = label_line(line)
        values = "; ".join(found)
        text = f"{label}: {values}" if values else label
        indent = "  " * line.depth
        out += [indent + piece for piece in text.splitlines()]
    return "\n".join(out) + "\n"
