"""Every parameter of every route, however it may be wrong: the status, and an answer that says what was wanted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from gateway.http.description import schemas
from gateway.http.description.parameterdocs import PARAMETERS
from tests.http.fakes import Rooms
from tests.http.parameters.parameter_cases import CASES, KINDS

# Those of rendering and of the URI service have a table of their own.
ELSEWHERE = {"rendered", "thumbnail", "wado"}


def test_every_parameter_has_its_cases() -> None:
    names = {p.name for handler, several in PARAMETERS.items() if handler not in ELSEWHERE for p in several}
    names |= set(schemas.PATH_PARAMETERS)
    assert names - {"after"} <= CASES.keys()
    for name, cases in CASES.items():
        assert tuple(cases) == KINDS, name


ASKED = [
    pytest.param(name, case, id=f"{name}-{kind}")
    for name, cases in CASES.items()
    for kind, case in cases.items()
    if not isinstance(case, str)
]


@pytest.mark.row("C-QP-2")
@pytest.mark.parametrize(("name", "case"), ASKED)
async def test_parameter(web: httpx.AsyncClient, rooms: Rooms, name: str, case: tuple[Any, ...]) -> None:
    (request, *rest) = case
    headers = {str(k): str(v) for k, v in rest.pop(0).items()} if isinstance(rest[0], dict) else {}
    status, expected = rest[0], str(rest[1]) if len(rest) > 1 else ""
    method, path = str(request).split(" ", 1)
    for field in ("accept", "accept-encoding"):
        web.headers.pop(field, None)
    content = b"PART of it" if method == "POST" else None
    answer = await web.request(method, f"http://localhost:8080{path}", headers=headers, content=content)
    assert answer.status_code == status, answer.text
    if answer.status_code == 400 and expected:
        problem = answer.json()
        assert problem["parameter"] == name
        assert expected in problem["expected"]
    elif answer.status_code > 400:
        assert expected in answer.text
