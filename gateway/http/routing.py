"""Resources and the methods that answer them, and the router, which finds the resource of a path.

The table itself is in resources.py. Nothing here knows a handler: so the handlers of the table that answer
with descriptions can use this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Never, TypeAlias

from gateway.errors import NotFound
from gateway.http.message.request import Request
from gateway.http.message.responses import Response

SERVICE = "/dicom-web"
# The URI service (PS3.18 9), also below the service root.
WADO = "/wado"

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
# A method as its class holds it, not yet bound to a handler: handlers are built later than the table.
Unbound: TypeAlias = Callable[[Never, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a resource: its handler, and the media types given and taken, the default first.

    `handler` is a method as its class holds it (`StudiesRetrieve.instances`). `name` is its name in
    descriptions, where this is not the name of the method.
    """

    handler: Unbound
    gives: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.handler.__name__)


def bind_methods(handlers: Iterable[object]) -> dict[Unbound, Handler]:
    """Map every method of the classes of `handlers` to the same method bound to its handler."""
    return {
        function: MethodType(function, handler)
        for handler in handlers
        for function in vars(type(handler)).values()
        if isinstance(function, FunctionType)
    }


@dataclass(frozen=True, slots=True)
class Resource:
    """A URL template and its methods. `{name}` is one segment, `{name...}` all that follow."""

    template: str
    methods: Mapping[str, Operation]

    @property
    def allow(self) -> str:
        """Return the value of an `Allow` field."""
        methods = list(self.methods)
        if "GET" in methods:
            methods.insert(methods.index("GET") + 1, "HEAD")
        return ", ".join([*methods, "OPTIONS"])


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    rest: tuple[str, Resource] | None = None
    resource: Resource | None = None


class Router:
    """Finds the resource of a path by walking its segments."""

    def __init__(self, table: Iterable[Resource]) -> None:
        self._root = _Node()
        for resource in table:
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        node = self._root
        for segment in _segments(resource.template):
            if segment.endswith("...}"):
                node.rest = (segment[1:-4], resource)
                return
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter = (segment[1:-1], _Node())
                node = node.parameter[1]
            else:
                node = node.literals.setdefault(segment, _Node())
        node.resource = resource

    def find(self, path: str) -> tuple[Resource, dict[str, str]]:
        """Return the resource and its path parameters; one slash at the end is ignored. Raises NotFound."""
        node, values = self._root, dict[str, str]()
        segments = _segments(path)
        for index, segment in enumerate(segments):
            following = node.literals.get(segment)
            if following is None and node.rest is not None:
                name, resource = node.rest
                values[name] = "/".join(segments[index:])
                return resource, values
            if following is None and node.parameter is not None:
                name, following = node.parameter
                values[name] = segment
            if following is None:
                raise _unknown(path)
            node = following
        if node.resource is None:
            raise _unknown(path)
        return node.resource, values


def _unknown(path: str) -> NotFound:
    """Return the error for an unknown path. Clients often use a wrong root, so it names ours."""
    return NotFound(
        f"no resource has the path {path[:200]!a}; DICOMweb is at {SERVICE}, /openapi.json lists all"
    )


def _segments(path: str) -> list[str]:
    path = path.removeprefix("/").removesuffix("/")
    return path.split("/") if path else []
