"""Resources and the methods that answer them; what finds the resource of a path.

The table itself is in resources.py. Nothing here knows a handler, so that descriptions, which are answered by handlers of
the table, can be made from the table.
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
# A method as its class holds it: of which object it is called, is only known once there are services.
Unbound: TypeAlias = Callable[[Never, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a resource: its handler, and the media types given and taken, the default first.

    `handler` is a method as its class holds it (`StudiesRetrieve.instances`). `name` is what descriptions call it, where
    that is not the name of the method.
    """

    handler: Unbound
    gives: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.handler.__name__)


def bind_methods(handlers: Iterable[object]) -> dict[Unbound, Handler]:
    """Map every method of `handlers` as the table holds it to the same one of the object that is there."""
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
        """The value of an `Allow` field."""
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
        """The resource and its path parameters; one slash at the end is overlooked. Raises NotFound."""
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
    """Wrong roots are the commonest mistake of clients: the answer says where ours is."""
    return NotFound(
        f"no resource has the path {path[:200]!a}; DICOMweb is at {SERVICE}, /openapi.json lists all"
    )


def _segments(path: str) -> list[str]:
    path = path.removeprefix("/").removesuffix("/")
    return path.split("/") if path else []
