"""Look-ups of layouts: read ahead for who walks through a series, never stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway.app import Gateway
from gateway.errors import NotFound
from gateway.index.base import Scope
from gateway.model import ResourcePath, Source
from gateway.services.retrieve.layouts import Layouts
from gateway.settings import Settings
from tests import build
from tests.services.recovery.test_reindex import store

SCOPE = Scope()


async def test_the_second_miss_reads_what_follows(tmp_path: Path) -> None:
    gateway = await Gateway.open(Settings(data=str(tmp_path)))
    await gateway.start(follow=False)
    first = build.dataset(InstanceNumber=1)
    same = {k: first[k].value for k in ("StudyInstanceUID", "SeriesInstanceUID")}
    rest = [build.dataset(**same, InstanceNumber=n) for n in range(2, 8)]
    assert await store(gateway, *map(build.part10, (first, *rest))) == [None] * 7
    layouts = Layouts(gateway.index, gateway.freshness)
    gateway.freshness._heard = float("inf")
    paths = [one.identity.path for one in await gateway.index.instances(SCOPE, _series(first))]
    asked: list[ResourcePath] = []
    real = gateway.index.layout

    async def counted(scope: Scope, path: ResourcePath) -> object:
        asked.append(path)
        return await real(scope, path)

    gateway.index.layout = counted  # type: ignore[method-assign,assignment]
    for path in paths:
        located = await layouts.locate(SCOPE, path)
        assert located.stored.identity.path == path
        await layouts.close()
    assert asked == paths[:2]
    await gateway.remove.remove(SCOPE, paths[5], Source("stow"), "test")
    with pytest.raises(NotFound):
        await layouts.locate(SCOPE, paths[5])
    await gateway.close()


def _series(dataset: object) -> ResourcePath:
    return ResourcePath(dataset.StudyInstanceUID, dataset.SeriesInstanceUID)  # type: ignore[attr-defined]
