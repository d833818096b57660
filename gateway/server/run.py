"""Serving until a signal stops it."""

from __future__ import annotations

import signal
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from gateway.server.bounds import raise_descriptors
from gateway.server.config import Config
from gateway.settings import Settings


def serve(app: str, settings: Settings, bound: socket.socket) -> int:
    """Serve the application that the factory `app` makes on a bound socket; return the exit code."""
    raise_descriptors()
    config = Config(app, settings)
    # uvicorn shuts down on SIGTERM, then raises it again: a requested stop is not a failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if settings.workers == 1:
        server = uvicorn.Server(config)
        server.run(sockets=[bound])
        return 0 if server.started else 1
    Multiprocess(config, sockets=[bound]).run()
    return 0
