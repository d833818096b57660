"""What our protocol rests on inside uvicorn: a version that has it otherwise must not be taken unseen."""

from __future__ import annotations

import inspect

import uvicorn
from uvicorn.protocols.http import flow_control, httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server


def test_the_version_is_one_that_was_looked_at() -> None:
    assert uvicorn.__version__.startswith("0.54."), (
        "read its httptools_impl.py, then move this line and pyproject.toml"
    )


def test_the_callbacks_are_there() -> None:
    for name in (
        "connection_made", "connection_lost", "data_received", "on_message_begin", "on_url", "on_header",
        "on_headers_complete", "on_body", "on_message_complete", "on_response_complete", "_start_asgi_task",
    ):  # fmt: skip
        assert inspect.isfunction(getattr(HttpToolsProtocol, name)), name


def test_the_attributes_are_there() -> None:
    protocol = inspect.getsource(HttpToolsProtocol.__init__)
    for name in ("self.transport", "self.flow", "self.cycle", "self.parser", "self.client", "self.loop"):
        assert f"{name}:" in protocol or f"{name} =" in protocol, name
    assert 'self.url = b""' in inspect.getsource(HttpToolsProtocol.on_message_begin)
    cycle = inspect.getsource(RequestResponseCycle.__init__)
    for name in (
        "disconnected", "keep_alive", "waiting_for_100_continue", "message_event", "response_started",
        "response_complete",
    ):  # fmt: skip
        assert f"self.{name} =" in cycle or f"self.{name}:" in cycle, name
    for name in ("total_requests", "pipeline", "flow.resume_reading", "_start_asgi_task", "is_closing"):
        assert name in inspect.getsource(HttpToolsProtocol.on_response_complete), name
    for name in ("expect_100_continue", "self.headers.append((name, value))"):
        assert name in inspect.getsource(HttpToolsProtocol.on_header), name
    flow = inspect.getsource(flow_control.FlowControl.__init__)
    assert "self.read_paused =" in flow
    assert "self.write_paused =" in flow


def test_what_we_leave_to_it_is_done() -> None:
    """It stops reading from a client whose body nobody takes, and loads its configuration once it has the signals."""
    assert "pause_reading" in inspect.getsource(HttpToolsProtocol.on_body)
    assert "HIGH_WATER_LIMIT" in inspect.getsource(httptools_impl)
    assert "capture_signals" in inspect.getsource(Server.serve)
    assert "config.load()" in inspect.getsource(Server._serve)
