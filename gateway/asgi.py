"""The ASGI application: handlers over the services of one process, built once these have started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from gateway.app import Gateway
from gateway.garbagecollection import freeze_startup_objects
from gateway.http.api.deleted import ApiDeleted
from gateway.http.api.health import Pages, Ready
from gateway.http.api.keys import ApiKeys
from gateway.http.api.metrics import Metrics
from gateway.http.api.quarantine import ApiQuarantine
from gateway.http.description.openapi import OpenApi
from gateway.http.gate import Gate
from gateway.http.resources import TABLE
from gateway.http.settings import HttpSettings
from gateway.http.studies.bulk import StudiesBulk
from gateway.http.studies.remove import StudiesRemove
from gateway.http.studies.rendered import StudiesRendered
from gateway.http.studies.retrieve import StudiesRetrieve
from gateway.http.studies.search import StudiesSearch
from gateway.http.studies.store import StudiesStore
from gateway.http.studies.wadouri import WadoUri
from gateway.services.counters import Counters
from gateway.settings import Settings, load


def create() -> Starlette:
    """Return the application with settings from the environment; uvicorn calls this factory."""
    return application(load())


def application(settings: Settings) -> Starlette:
    """Return the application for these settings; drivers open when the server starts it."""
    http = HttpSettings.from_settings(settings)
    counters = Counters()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        gateway = await Gateway.open(settings, counters=counters)
        await gateway.start()
        app.router.default = Gate(make_handlers(gateway, http), http, counters)
        try:
            with freeze_startup_objects():
                yield
        finally:
            await gateway.close()

    app = Starlette(lifespan=lifespan)
    # Not a Mount: its pattern does not match paths with a line feed.
    app.router.default = Gate(make_standing_handlers(), http, counters)
    return app


def make_standing_handlers() -> tuple[object, ...]:
    """Return the handlers that use no service: they answer even before the services have started."""
    return (OpenApi(TABLE), Pages())


def make_handlers(gateway: Gateway, settings: HttpSettings) -> tuple[object, ...]:
    """Return all handlers, each with just the services it uses."""
    retrieve, rendered = gateway.retrieve, gateway.rendered
    documents, states = gateway.documents, gateway.states
    return (
        *make_standing_handlers(),
        ApiDeleted(gateway.remove, settings.undo_seconds),
        ApiKeys(gateway.keys),
        ApiQuarantine(gateway.quarantine),
        Metrics(gateway.search, gateway.counters),
        Ready(gateway.readiness),
        StudiesBulk(retrieve),
        StudiesRemove(gateway.remove),
        StudiesRendered(retrieve, rendered, documents, states, gateway.thumbnails),
        StudiesRetrieve(retrieve, gateway.zip_files),
        StudiesSearch(gateway.search, settings.limits),
        StudiesStore(gateway.ingest, gateway.assemble, gateway.readiness, max_body=settings.max_body),
        WadoUri(retrieve, rendered, documents, states, gateway.anonymous),
    )
