"""The configuration of uvicorn, for the process that starts the workers and, pickled, for the workers."""

from __future__ import annotations

import os
import threading
from typing import Any

from gateway.logs import configuration, take_over
from gateway.server.boundedconfig import BoundedConfig
from gateway.server.bounds import Bounds
from gateway.server.parent import end_with
from gateway.server.protocol import BoundedProtocol
from gateway.server.stop import end_when_told
from gateway.settings import Settings, seconds


class Config(BoundedConfig):
    """uvicorn's, with our bounds. `parent` is the process that made it."""

    stop_seconds: int

    def __init__(self, app: Any, settings: Settings, **more: Any) -> None:
        self.bounds = Bounds.from_settings(settings)
        self.stop_seconds = max(1, int(seconds("stop_timeout", settings.stop_timeout)))
        self.parent = os.getpid()
        more = {"loop": "uvloop", "lifespan": "on", "factory": True, **more}
        super().__init__(
            app,
            host=settings.host.strip("[]"),
            port=settings.port,
            workers=settings.workers,
            http=BoundedProtocol,
            ws="none",
            access_log=False,  # query strings hold patients' names
            server_header=False,
            timeout_keep_alive=int(self.bounds.idle) or 1,
            timeout_graceful_shutdown=self.stop_seconds,
            proxy_headers=False,  # http/message/guard.py reads them, from trusted proxies only
            log_config=configuration(),
            **more,
        )

    def load(self) -> None:
        """Prepare the process that serves; uvicorn has taken over its signals by now.

        A worker ends when the process that started it has ended.
        """
        take_over()
        if threading.current_thread() is threading.main_thread():
            end_when_told(self.stop_seconds)
        if os.getpid() != self.parent:
            end_with(self.parent)
        super().load()
