"""Where a server keeps things: the embedded default, or PostgreSQL and an S3 server, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import servers
from tests.live import LiveServer, run, serving, start
from tests.servers import ACCESS, BUCKET, SECRET, admin, rclone


@dataclass(frozen=True, slots=True)
class Place:
    """Options and environment that lead a command there."""

    data: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> LiveServer:
        return start(self.data, *self.options, environment=self.environment)

    @contextmanager
    def serving(self) -> Iterator[LiveServer]:
        """A server for the length of the block."""
        with serving(self.data, *self.options, environment=self.environment) as live:
            yield live

    def command(self, *arguments: str) -> str:
        """Run a command other than serve; what it printed. Fails the test where it fails."""
        done = run(*arguments, *self.options, data=self.data, environment=self.environment)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def embedded(folder: Path) -> Iterator[Place]:
    """A folder and SQLite."""
    yield Place(folder / "data")


@contextmanager
def postgres(folder: Path) -> Iterator[Place]:
    """A folder, and the index in a PostgreSQL of its own."""
    with servers.postgres() as url:
        place = Place(folder / "data", ("--index", url))
        place.command("migrate")
        yield place


@contextmanager
def scale_out(folder: Path) -> Iterator[Place]:
    """A bucket of a real S3 server over files, and PostgreSQL."""
    with servers.postgres() as url, rclone(folder / "rclone") as server:
        with admin(server) as client:
            client.create_bucket(Bucket=BUCKET)
        environment = {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "GATEWAY_S3_ENDPOINT": server.endpoint,
        }
        options = ("--store", f"s3://{BUCKET}/archive", "--index", url)
        place = Place(folder / "data", options, environment)
        place.command("migrate")
        yield place


PLACES = {"embedded": embedded, "postgres": postgres, "scale-out": scale_out}
