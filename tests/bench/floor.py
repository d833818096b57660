"""The floor: what HTTP alone costs. Stores bodies with fsync, answers from memory what our server answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn

COUNTER = itertools.count()


class Floor:
    """`folder/answers.json` maps path and query to a file and its content type; read anew when a path is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, tuple[bytes, bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            await self._store(receive)
            kind, body = b"application/dicom+json", b"{}"
        else:
            target = scope["raw_path"].decode()
            if scope["query_string"]:
                target += "?" + scope["query_string"].decode()
            if target not in self._answers:
                self._load()
            kind, body = self._answers.get(target, (b"", b""))
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if kind else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _load(self) -> None:
        table = json.loads((self._folder / "answers.json").read_text())
        for target, (name, kind) in table.items():
            if target not in self._answers:
                self._answers[target] = (kind.encode(), (self._folder / name).read_bytes())

    async def _store(self, receive: Any) -> None:
        chunks = []
        more = True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        await asyncio.to_thread(_durable, self._folder / f"{next(COUNTER)}.stored", chunks)


def _durable(path: Path, chunks: list[bytes]) -> None:
    with path.open("wb") as handle:
        handle.writelines(chunks)
        handle.flush()
        os.fsync(handle.fileno())


if __name__ == "__main__":
    uvicorn.run(Floor(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="error", access_log=False)
