"""The part of the configuration that the protocol reads: the bounds, and the connections of one process."""

from __future__ import annotations

import asyncio

import uvicorn

from gateway.server.bounds import Bounds
from gateway.server.connections import Connections


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration with our bounds."""

    bounds: Bounds
    # Created in the process that serves: it could not be pickled.
    _connections: Connections | None = None

    def connections(self, loop: asyncio.AbstractEventLoop) -> Connections:
        """Return the connections of this process."""
        if self._connections is None:
            self._connections = Connections(self.bounds, loop)
        return self._connections
