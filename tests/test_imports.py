"""Imports point down only: the layout as one table, so that a new edge is a reviewed line; and nowhere in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "gateway"

# Which places of the gateway a place may import, besides itself. A place is a module or a folder, and belongs to the
# longest name here that it begins with: `dicom` is what lies in that folder itself, `dicom.*` all that is below, too.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "logs": set(),
    "extras": {"errors"},
    "garbagecollection": set(),
    "model": {"errors"},
    "settings": {"errors"},
    # Translators of bytes and models; they read and write nothing.
    "dicom": {"errors", "model"},
    "dicom.encoding": {"errors", "model", "dicom"},
    "dicom.model": {"errors", "model", "dicom", "dicom.encoding"},
    "dicom.query": {"errors", "model", "dicom", "dicom.model"},
    "dicom.deidentify": {"errors", "model", "dicom", "dicom.encoding", "dicom.model"},
    # Drivers.
    "store": {"errors", "extras", "model"},
    "index": {"errors", "model", "dicom", "dicom.encoding", "dicom.model", "dicom.query"},
    # Pixels.
    "render": {"errors", "model", "dicom"},
    "render.codecs": {"errors", "model", "dicom", "dicom.encoding", "render"},
    "render.stages": {"errors", "extras", "model", "dicom", "dicom.encoding", "render", "render.codecs"},
    "render.objects": {
        *("errors", "model", "dicom", "dicom.encoding", "render", "render.codecs", "render.stages"),
    },
    "render.documents": {"errors", "model", "dicom", "render", "render.stages"},
    "render.output": {"errors", "model", "dicom", "render", "render.codecs", "render.stages"},
    "render.pipeline": {
        *("errors", "model", "dicom.encoding", "render", "render.codecs", "render.stages", "render.objects"),
    },
    # Use cases: what lies in `services` itself is below its folders, but for those that are named here.
    "services": {"errors", "model", "dicom", "index", "store"},
    "services.journal": {"errors", "model", "index", "store", "services"},
    "services.commits": {"errors", "model", "index", "services", "services.journal"},
    "services.ingest": {
        *("errors", "extras", "model", "index", "store", "dicom", "dicom.encoding", "dicom.model"),
        *("render", "render.codecs", "services", "services.commits"),
    },
    "services.retrieve": {
        *("errors", "model", "index", "store", "dicom", "dicom.encoding", "dicom.model", "dicom.deidentify"),
        *("render", "render.codecs", "services"),
    },
    "services.availablesyntaxes": {
        *("errors", "model", "index", "dicom", "dicom.encoding", "render.codecs"),
        "services.retrieve",
    },
    "services.search": {"errors", "model", "index", "dicom.query", "services", "services.availablesyntaxes"},
    "services.render": {
        *("errors", "extras", "model", "index", "dicom", "dicom.encoding", "dicom.model", "render.*"),
        *("services", "services.retrieve"),
    },
    "services.deidentify": {
        *("errors", "model", "index", "dicom", "dicom.encoding", "dicom.model", "dicom.deidentify"),
        *("render", "render.codecs", "services", "services.retrieve", "services.render"),
    },
    "services.recovery": {
        *("errors", "model", "index", "store", "dicom", "dicom.encoding", "services", "services.journal"),
    },
    "services.admin": {
        *("errors", "model", "index", "store", "dicom", "dicom.query", "services", "services.commits"),
        *("services.journal", "services.ingest", "services.recovery"),
    },
    # HTTP: from what a message is made of up to the table of resources, and the gate that all requests come through.
    "http": set(),
    "http.negotiation": {"errors", "extras", "model", "dicom", "services.render"},
    "http.parameters": {
        *("errors", "model", "dicom", "dicom.model", "dicom.query", "http.negotiation", "services.render"),
    },
    "http.settings": {"settings", "http.parameters"},
    "http.message": {
        *("errors", "logs", "model", "dicom", "dicom.model", "index", "services"),
        *("http.negotiation", "http.parameters", "http.settings"),
    },
    "http.routing": {"errors", "http.message"},
    "http.ports": {"errors", "model", "index", "dicom.*", "services.*"},
    "http.studies": {
        *(
            "errors",
            "extras",
            "model",
            "index",
            "dicom.*",
            "services.*",
            "http.negotiation",
            "http.parameters",
        ),
        *("http.message", "http.routing", "http.ports"),
    },
    "http.api": {
        *("errors", "model", "index", "dicom.*", "services.*", "http.negotiation", "http.parameters"),
        *("http.message", "http.routing", "http.ports"),
    },
    "http.description": {
        *(
            "dicom",
            "extras",
            "http.negotiation",
            "http.parameters",
            "http.settings",
            "http.message",
            "http.routing",
        ),
        "http.studies",
    },
    "http.resources": {
        *("http.negotiation", "http.routing", "http.studies", "http.api", "http.description"),
    },
    "http.gate": {
        *("errors", "logs", "services", "http.parameters", "http.settings", "http.message", "http.routing"),
        *("http.description", "http.resources"),
    },
    "http.__main__": {"http.description", "http.resources"},
    # Where all meet.
    "conformance": {"extras", "settings", "http.resources", "http.routing"},
    "app": {
        *("errors", "extras", "model", "settings", "dicom.query", "store", "index"),
        *("render", "render.output", "services.*"),
    },
    "asgi": {"app", "garbagecollection", "settings", "services", "http.*"},
    "server": {"logs", "settings"},
    "cli": {"errors", "model", "settings", "app", "services.*", "conformance", "server"},
}

# Of other rooms only the port is known to these.
PORTS_ONLY = {"services": {"gateway.store.base", "gateway.index.base"}, "http": {"gateway.index.base"}}

# The only places where a third party may be imported.
FENCED: dict[str, tuple[str, ...]] = {
    "starlette": ("gateway.http", "gateway.asgi"),
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


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module below a package, by its name; a folder's `__init__` by that of the folder."""
    found: dict[str, Path] = {}
    for file in sorted(package.rglob("*.py")):
        name = ".".join(file.relative_to(package.parent).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = file
    return found


def edges(package: Path = PACKAGE) -> Iterator[tuple[str, int, str]]:
    """Every import wherever it stands: module, line, and the module or name that is imported.

    Imports in functions and for type checking count: they put off a circle, and do not take it away.
    """
    known = modules(package)
    for module, file in known.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((module, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                if node.module is None or node.level:
                    raise AssertionError(f"{module}:{node.lineno}: name the whole module")
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    yield module, node.lineno, name if name in known else node.module


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Nodes each of which points at the next, the first also the last; none where there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def find_module_circle(package: Path = PACKAGE) -> list[str]:
    """Modules of a package that import one another in a circle."""
    graph: dict[str, set[str]] = {module: set() for module in modules(package)}
    for module, _, target in edges(package):
        if target in graph:
            graph[module].add(target)
    return find_circle(graph)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def place(module: str) -> str:
    """The longest name of the table that a module's begins with."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ROOMS), "")


def allowed(name: str) -> set[str]:
    """The places that a place may import, those of `dicom.*` one by one."""
    found: set[str] = set()
    for one in ROOMS[name]:
        whole = one.removesuffix(".*")
        found |= {
            other for other in ROOMS if other == one or (whole != one and room(f"gateway.{other}") == whole)
        }
    return found


def test_every_module_has_its_place() -> None:
    assert [module for module in modules() if module != "gateway" and not place(module)] == []


def test_the_table_names_what_there_is() -> None:
    known = modules()
    assert [name for name in ROOMS if f"gateway.{name}" not in known] == []
    wanted = {one.removesuffix(".*") for several in ROOMS.values() for one in several}
    assert wanted <= ROOMS.keys()


def test_imports_point_down() -> None:
    wrong = [
        f"{module}:{line} may not import {target}"
        for module, line, target in edges()
        if target.startswith("gateway.")
        and place(target) != place(module)
        and place(target) not in allowed(place(module))
    ]
    assert wrong == []


def test_no_two_places_may_import_each_other() -> None:
    assert find_circle({name: allowed(name) - {name} for name in ROOMS}) == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert find_module_circle() == []


def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "attic.py").write_text("def climb():\n    from house.stairs import step\n    return step\n")
    (house / "stairs.py").write_text("import house.cellar\n\nstep = house.cellar\n")
    cellar = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from house import attic\n"
    (house / "cellar.py").write_text("from house import roof\n")
    (house / "roof.py").write_text("import ast\n")
    assert find_module_circle(house) == []
    (house / "cellar.py").write_text(cellar)
    assert set(find_module_circle(house)) == {"house.attic", "house.stairs", "house.cellar"}


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
