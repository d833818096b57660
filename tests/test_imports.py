"""Imports point down only: the layout as one table, so that a new edge is a reviewed line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "gateway"

# Which rooms of the gateway a room may import.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "logs": set(),
    "extras": {"errors"},
    "model": {"errors"},
    "collecting": set(),
    "dicom": {"errors", "model"},
    "store": {"errors", "extras", "model"},
    "index": {"errors", "model", "dicom"},
    "render": {"errors", "extras", "model", "dicom"},
    "services": {"errors", "extras", "model", "dicom", "render", "store", "index"},
    "http": {"errors", "extras", "model", "dicom", "services", "index", "settings", "logs"},
    "settings": {"errors"},
    "conformance": {"errors", "extras", "model", "http", "render", "dicom", "settings"},
    "app": {
        "collecting",
        "errors",
        "extras",
        "model",
        "dicom",
        "store",
        "index",
        "render",
        "services",
        "http",
        "settings",
    },
    "server": {"errors", "settings", "logs"},
    "cli": {"errors", "model", "app", "services", "dicom", "settings", "conformance", "server"},
}

# Of other rooms only the port is known to these.
PORTS_ONLY = {"services": {"gateway.store.base", "gateway.index.base"}, "http": {"gateway.index.base"}}

# The only places where a third party may be imported.
FENCED: dict[str, tuple[str, ...]] = {
    "starlette": ("gateway.http", "gateway.app"),
    "uvicorn": ("gateway.server",),
    "httptools": ("gateway.server",),
    "obstore": ("gateway.store",),
    "minio": ("gateway.store",),
    "asyncpg": ("gateway.index",),
    "sqlite3": ("gateway.index",),
    "imagecodecs": ("gateway.render",),
    "numpy": ("gateway.render",),
    "PIL": ("gateway.render",),
    "av": ("gateway.render",),
    "arabic_reshaper": ("gateway.render",),
    "bidi": ("gateway.render",),
    "pydicom": ("gateway.dicom",),
    "tqdm": ("gateway.cli",),
}


def edges() -> Iterator[tuple[str, int, str]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((module, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = node.module == "gateway" or node.module.count(".") == 1
                names = [f"{node.module}.{a.name}" for a in node.names] if inside else [node.module]
                yield from ((module, node.lineno, name) for name in names)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_imports_point_down() -> None:
    wrong = [
        f"{module}:{line} may not import {target}"
        for module, line, target in edges()
        if target.startswith("gateway.")
        and room(target) != room(module)
        and room(target) not in ROOMS[room(module)]
    ]
    assert wrong == []


def test_services_know_only_ports() -> None:
    wrong = [
        f"{module}:{line} may not import {target}"
        for module, line, target in edges()
        if room(module) in PORTS_ONLY
        and room(target) in {"store", "index"}
        and target.startswith("gateway.")
        and not target.startswith(tuple(PORTS_ONLY[room(module)]))
    ]
    assert wrong == []


def test_third_parties_stay_in_their_rooms() -> None:
    wrong = [
        f"{module}:{line} may not import {target}"
        for module, line, target in edges()
        for fenced, homes in FENCED.items()
        if target.split(".")[0] == fenced and not module.startswith(homes)
    ]
    assert wrong == []


def test_no_file_outgrows_its_reader() -> None:
    tables = {"gateway/dicom/encoding/tokens.py"}
    long = [
        str(file)
        for file in PACKAGE.rglob("*.py")
        if file.read_text().count("\n") > 600 and str(file.relative_to(PACKAGE.parent)) not in tables
    ]
    assert long == []
